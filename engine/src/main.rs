//! Reads flags, starts logging, runs a command.

use std::{error::Error, io, process::ExitCode, time::Duration};

use clap::Parser as _;
use payplane_engine::{
    config::{
        AdoptConfig, Cli, Command, ExportConfig, LoadExportConfig, LogFormat, MigrateConfig, RetireConfig,
        ServeConfig, StoreLogConfig, VerifyConfig, VerifyExportConfig,
    },
    copies::{self, CopiesError, objects},
    export::{self, command::CommandError},
    server::serve,
    store::{DatabaseConfig, MigrateError, MigrateOptions, Schema, adopt, migrate, retire},
    telemetry::{self, Causes},
    verify::command::{self, VerifyError},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// Enough for gRPC; committers have threads of their own. More cost memory and gain nothing beside the database's own work.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(config) => logged(cli.log_format, run_serve(*config)),
        Command::Migrate(config) => logged(cli.log_format, run_migrate(config)),
        Command::Adopt(config) => logged(cli.log_format, run_adopt(config)),
        Command::RetireLogin(config) => logged(cli.log_format, run_retire(config)),
        // Not logged: its standard output is one document.
        Command::Verify(config) => run_verify(&config),
        Command::Export(config) => logged(cli.log_format, run_export(config)),
        Command::VerifyExport(config) => run_verify_export(&config),
        Command::LoadExport(config) => run_load_export(&config),
        // What failed is said in one line, which becomes a Job's last words.
        Command::StoreCopy(config) => plainly("store-copy", copies::command::store(&config)),
        Command::FetchCopy(config) => plainly("fetch-copy", copies::command::fetch(&config)),
        Command::StoreObjects(config) => plainly("store-objects", objects::command::store(&config)),
        Command::FetchObjects(config) => plainly("fetch-objects", objects::command::fetch(&config)),
        Command::PruneCopies(config) => plainly("prune-copies", copies::command::prune(&config)),
        Command::NewBackupKey => run_new_key(),
        Command::StoreLog(config) => logged(cli.log_format, run_store_log(config)),
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()
}

fn logged(format: LogFormat, command: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    telemetry::start(format);
    match runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = %Causes(error.as_ref()), "failed");
            ExitCode::FAILURE
        }
    }
}

async fn run_serve(config: ServeConfig) -> Result<(), Box<dyn Error>> {
    Ok(serve(config, told_to_stop()?).await?)
}

async fn run_store_log(config: StoreLogConfig) -> Result<(), Box<dyn Error>> {
    copies::command::watch(config, told_to_stop()?).await;
    Ok(())
}

/// Ends with SIGTERM or SIGINT.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    })
}

fn run_new_key() -> ExitCode {
    match copies::command::new_key() {
        Ok(key) => {
            print!("{key}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("new-backup-key: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plainly(name: &str, done: Result<(), CopiesError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", Causes(&error));
            ExitCode::from(error.code())
        }
    }
}

async fn run_migrate(config: MigrateConfig) -> Result<(), Box<dyn Error>> {
    let owner = DatabaseConfig::read(&config.owner_database_dir)?;
    let app = DatabaseConfig::read(&config.app_database_dir)?;
    let options = MigrateOptions {
        wait: Duration::from_secs(config.wait_seconds),
        platform: config.platform,
        any_server: config.any_server,
    };
    let done = migrate(&owner, &app, &options).await;
    if let (Err(error), Some(file)) = (&done, &config.failure_file) {
        // Why is in the log, too: a file that cannot be written must not hide it.
        let _ = std::fs::write(file, failure(error));
    }
    let Schema { schema, oldest } = done?;
    if let Some(file) = &config.summary_file {
        std::fs::write(file, serde_json::json!({"schema": schema, "oldest": oldest}).to_string())?;
    }
    Ok(())
}

/// What a program is told: a reason that never changes its meaning, and a message for people.
fn failure(error: &MigrateError) -> String {
    let reason = match error {
        MigrateError::Unsuitable(_) => "DatabaseUnsuitable",
        MigrateError::Claimed { .. } => "DatabaseClaimed",
        MigrateError::Unreachable { .. } => "DatabaseUnreachable",
        MigrateError::TooNew { .. } => "SchemaTooNew",
        MigrateError::Migration(_)
        | MigrateError::Posture(_)
        | MigrateError::OwnerPassword(_)
        | MigrateError::AppLogin(_)
        | MigrateError::Look(_) => "MigrationFailed",
    };
    serde_json::json!({"reason": reason, "message": Causes(error).to_string()}).to_string()
}

async fn run_retire(config: RetireConfig) -> Result<(), Box<dyn Error>> {
    let owner = DatabaseConfig::read(&config.owner_database_dir)?;
    Ok(retire(&owner, &config.login, Duration::from_secs(config.wait_seconds)).await?)
}

async fn run_adopt(config: AdoptConfig) -> Result<(), Box<dyn Error>> {
    let copy = DatabaseConfig::read(&config.database_dir)?;
    let owner = DatabaseConfig::read(&config.owner_database_dir)?;
    let epoch = adopt(&copy, &owner.password, &config.restore_id, config.platform.as_deref()).await?;
    if let Some(path) = &config.summary_file {
        std::fs::write(path, format!("{{\"epoch\":{epoch}}}"))?;
    }
    Ok(())
}

fn run_verify(config: &VerifyConfig) -> ExitCode {
    let verified = runtime().map_err(VerifyError::Io);
    match verified.and_then(|runtime| runtime.block_on(command::run(config))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("verify: {}", Causes(&error));
            ExitCode::from(command::NOT_VERIFIED)
        }
    }
}

async fn run_export(config: ExportConfig) -> Result<(), Box<dyn Error>> {
    let counts = export::command::write(&config).await?;
    tracing::info!(tenant = config.tenant, ?counts, "exported");
    Ok(())
}

fn run_verify_export(config: &VerifyExportConfig) -> ExitCode {
    ended("verify-export", export::command::verify(config))
}

fn run_load_export(config: &LoadExportConfig) -> ExitCode {
    let loaded = runtime().map_err(CommandError::Io);
    ended("load-export", loaded.and_then(|runtime| runtime.block_on(export::command::load(config))))
}

fn ended(name: &str, result: Result<u8, CommandError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{name}: {}", Causes(&error));
            ExitCode::from(command::NOT_VERIFIED)
        }
    }
}
