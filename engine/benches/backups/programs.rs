//! The engine's subcommands that keep copies and the log, and have them back.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Instant, UNIX_EPOCH},
};

use super::{
    engine,
    load::milliseconds,
    place::{PLATFORM, Place, succeed},
};
use crate::support::postgres::hand_to_server;

const PACK: &str = include_str!("../../../operator/src/backup/build/pack.sh");

/// Ends with its value.
pub(crate) struct StoreLog(Child);

impl Drop for StoreLog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A copy that was made: how long packing and sealing took, in seconds, and its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    pub(crate) packed: f64,
    pub(crate) sealed: f64,
    pub(crate) bytes: u64,
}

impl Place {
    /// Stores segments until it is dropped.
    pub(crate) fn store_log(&self) -> StoreLog {
        let mut command = self.subcommand("store-log");
        command.arg("--platform").arg(PLATFORM).arg("--spool").arg(self.path("spool"));
        StoreLog(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// How many segments are stored.
    pub(crate) fn segments(&self) -> usize {
        let folders = fs::read_dir(self.path("copies/wal/main")).into_iter().flatten().flatten();
        folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap()).count()
    }

    /// Makes a copy as a Backup does. Takes its time.
    pub(crate) fn copy(&self, name: &str) -> Copied {
        let scratch = self.path("scratch/copy");
        let _ = fs::remove_dir_all(&scratch);
        let started = Instant::now();
        self.well(PACK, name);
        let packed = milliseconds(started.elapsed()) / 1_000.0;
        let mut command = self.subcommand("store-copy");
        succeed(command.args(["--name", name, "--uid", name, "--from"]).arg(scratch));
        let sealed = milliseconds(started.elapsed()) / 1_000.0 - packed;
        Copied { packed, sealed, bytes: size(&self.path("copies").join(name)) }
    }

    /// Deletes a copy, and the log that no other one needs.
    pub(crate) fn prune(&self, name: &str) {
        let mut command = engine::command("prune-copies");
        command.arg("--folder").arg(self.path("copies"));
        succeed(command.args(["--doomed", &format!("{name}:{name}")]));
    }

    /// When a copy was complete, by the machine's clock in microseconds since 1970: what was decided later is in the log alone.
    pub(crate) fn changed_at(&self, name: &str) -> i64 {
        let about = fs::metadata(self.path("copies").join(name).join("about.json")).unwrap();
        let since = about.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_micros()).unwrap()
    }

    /// An empty volume, which the server's user may write to.
    pub(crate) fn make_target(&self) {
        fs::create_dir_all(self.path("target")).unwrap();
        let _ = fs::remove_dir_all(self.path("scratch/copy"));
        hand_to_server(&self.path("target"));
    }

    /// Opens a copy and the log after it.
    pub(crate) fn fetch(&self, name: &str) {
        fs::create_dir_all(self.path("opened")).unwrap();
        let mut command = self.subcommand("fetch-copy");
        command.args(["--name", name, "--log-of", PLATFORM, "--must-be-sealed", "--to"]);
        succeed(command.arg(self.path("opened")));
        hand_to_server(&self.path("opened"));
    }

    fn subcommand(&self, name: &str) -> Command {
        let mut command = engine::command(name);
        command.arg("--folder").arg(self.path("copies")).arg("--keys-dir").arg(self.path("keys"));
        command
    }
}

fn size(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
