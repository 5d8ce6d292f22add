//! Entry point of the operator.

use std::process::ExitCode;

use clap::Parser;
use payplane_operator::{
    args::{Args, Command},
    run, telemetry,
};

fn main() -> ExitCode {
    let args = Args::parse();
    let is_document = matches!(args.command, Some(Command::CopyObjects(_)));
    if !is_document {
        telemetry::init_logs(args.log_format);
    }
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        // Not logged: its standard output is one document.
        Err(error) if is_document => {
            eprintln!("copy-objects: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(error = %telemetry::chain(&*error), "the operator stops");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    // Two threads: reconciling waits far more than it works, and each thread costs memory when idle.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run(args));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
