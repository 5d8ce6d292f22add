//! The subcommand: waits for the database, verifies, and says which exit code that is.

use std::{
    fs,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use super::{Report, VerifyOptions, same, verify};
use crate::{
    config::VerifyConfig,
    mounted::MountedError,
    store::{DatabaseConfig, Store, StoreError},
};

/// Nothing is wrong.
pub const SOUND: u8 = 0;
/// A check found a violation.
pub const VIOLATIONS: u8 = 1;
/// It could not be found out.
pub const NOT_VERIFIED: u8 = 2;

/// How often an unreachable database is tried.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// It could not be found out whether the ledger is sound.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Where the database is could not be read.
    #[error("read the database files")]
    Config(#[from] MountedError),
    /// The database did not give what was asked for.
    #[error("verify the ledger")]
    Store(#[from] StoreError),
    /// The process could not start, or not write the report.
    #[error("start, or print the report")]
    Io(#[from] io::Error),
}

/// Prints the report and gives the exit code. Progress goes to standard error, because the report is all of standard
/// output.
pub async fn run(config: &VerifyConfig) -> Result<u8, VerifyError> {
    let database = DatabaseConfig::read(&config.database_dir)?;
    let store = Store::new(database.options(), 1);
    wait_for(&store, Duration::from_secs(config.wait_seconds)).await?;
    let progress: fn(&str) = |line| eprintln!("verify: {line}");
    let options = VerifyOptions { expect_head: config.expect_head, progress: Some(progress) };
    let report = verify(&store, &options).await?;
    let report = match &config.same_as {
        Some(summary) => same::compare(report, summary)?,
        None => report,
    };
    print(&report)?;
    if let Some(path) = &config.summary_file {
        fs::write(path, serde_json::to_string(&report.summary()).map_err(io::Error::other)?)?;
    }
    Ok(if report.sound { SOUND } else { VIOLATIONS })
}

async fn wait_for(store: &Store, wait: Duration) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        match store.ledger_view().await {
            Ok(_) => return Ok(()),
            Err(StoreError::Unavailable(_) | StoreError::Busy(_)) if started.elapsed() < wait => {}
            Err(error) => return Err(error),
        }
        eprintln!("verify: waiting for the database");
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

fn print(report: &Report) -> Result<(), io::Error> {
    let mut output = io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, report)?;
    writeln!(output)?;
    output.flush()
}
