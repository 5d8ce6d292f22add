//! The subcommands: write a file, check a file, load a file, and say which exit code that is.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use tokio::sync::mpsc;

use super::{
    CHUNKS, CheckError, Counts, ExportError, ExportReport, LoadError, Whose, check, export,
    load::{self, Target},
};
use crate::{
    config::{ExportConfig, LoadExportConfig, VerifyExportConfig},
    mounted::MountedError,
    store::{DatabaseConfig, Store},
    verify::command::{SOUND, VIOLATIONS},
};

/// There is no file.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Where the database is could not be read.
    #[error("read the database files")]
    Config(#[from] MountedError),
    /// The ledger could not be exported.
    #[error("export the tenant")]
    Export(#[from] ExportError),
    /// The file could not be written, or is there already.
    #[error("write the file")]
    Io(#[from] io::Error),
    /// It could not be checked.
    #[error("check the export")]
    Check(#[from] CheckError),
    /// It could not be loaded.
    #[error("load the export")]
    Load(#[from] LoadError),
}

/// Writes the file. One that is there is left alone; one that could not be finished is removed.
pub async fn write(config: &ExportConfig) -> Result<Counts, CommandError> {
    let database = DatabaseConfig::read(&config.database_dir)?;
    let store = Store::new(database.options(), 1);
    // Reserved at once, so that of two exports one ends before it begins; a history is for its owner's eyes.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&config.out)?;
    let mut file = BufWriter::new(file);
    let done = fill(&store, &Whose::Name(config.tenant.clone()), &mut file).await;
    if done.is_err() {
        // A part of a file is worse than none. That it cannot be removed is no more than what is told already.
        let _ = std::fs::remove_file(&config.out);
    }
    done
}

async fn fill(store: &Store, whose: &Whose, file: &mut BufWriter<File>) -> Result<Counts, CommandError> {
    let (sender, mut chunks) = mpsc::channel::<Vec<u8>>(CHUNKS);
    let write = async {
        while let Some(chunk) = chunks.recv().await {
            file.write_all(&chunk)?;
        }
        file.flush()?;
        file.get_ref().sync_all()
    };
    // Where writing fails the channel is dropped with it, and the export ends.
    let (exported, written) = tokio::join!(export(store, whose, sender), write);
    written?;
    Ok(exported?)
}

/// Checks a file and prints the report; gives the exit code, which is as that of `verify`.
pub fn verify(config: &VerifyExportConfig) -> Result<u8, CommandError> {
    let report = check(BufReader::new(open(&config.file)?), config.expect_head, config.opaque_through)?;
    print(&report)
}

/// Checks a file, prints the report, and loads it if it is sound. The exit codes are those of [`verify`].
pub async fn load(config: &LoadExportConfig) -> Result<u8, CommandError> {
    let VerifyExportConfig { file, expect_head, opaque_through } = &config.export;
    let mut file = open(file)?;
    let report = check(BufReader::new(&file), *expect_head, *opaque_through)?;
    if report.sound {
        let owner = DatabaseConfig::read(&config.owner_database_dir)?;
        let app = DatabaseConfig::read(&config.app_database_dir)?;
        file.rewind()?;
        let target = Target { owner, app, namespace: config.namespace.clone() };
        load::load(BufReader::new(&file), &target).await?;
    }
    print(&report)
}

fn print(report: &ExportReport) -> Result<u8, CommandError> {
    let mut output = io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, report).map_err(io::Error::from)?;
    writeln!(output)?;
    output.flush()?;
    Ok(if report.sound { SOUND } else { VIOLATIONS })
}

fn open(path: &Path) -> Result<File, CommandError> {
    Ok(File::open(path)?)
}
