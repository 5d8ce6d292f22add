//! Reads flags, starts logging, runs a command.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser as _;
use payplane_engine::{
    config::{Cli, Command, MigrateConfig},
    server::serve,
    store::{DatabaseConfig, migrate},
    telemetry::{self, Causes},
};
use tokio::signal::unix::{SignalKind, signal};

/// Enough for gRPC and the committer; more threads cost memory and gain nothing beside the database's own work.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_format);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = %Causes(error.as_ref()), "failed");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(config) => {
                let (mut terminate, mut interrupt) =
                    (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                let stop = async {
                    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
                };
                Ok(serve(*config, stop).await?)
            }
            Command::Migrate(config) => run_migrate(&config).await,
        }
    })
}

async fn run_migrate(config: &MigrateConfig) -> Result<(), Box<dyn Error>> {
    let owner = DatabaseConfig::read(&config.owner_database_dir)?;
    let app = DatabaseConfig::read(&config.app_database_dir)?;
    Ok(migrate(&owner, &app, Duration::from_secs(config.wait_seconds)).await?)
}
