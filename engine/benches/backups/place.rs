//! Where copies and the log are kept, and the operator's scripts that are run there, with directories of this run in the place
//! of a pod's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use payplane_engine::copies::command::new_key;

use crate::support::{
    TempDir,
    postgres::{Postgres, hand_to_server, unprivileged},
};

const SPOOL: &str = include_str!("../../../operator/src/platform/build/spool.sh");

/// Whose log it is.
pub(crate) const PLATFORM: &str = "main";

pub(crate) struct Place {
    files: TempDir,
    server: OnceLock<Server>,
}

/// What scripts have to know of the server.
struct Server {
    bin: PathBuf,
    port: u16,
}

impl Place {
    pub(crate) fn new() -> Self {
        let files = TempDir::new();
        for folder in ["copies", "spool", "tmp", "scratch"] {
            fs::create_dir_all(files.path().join(folder)).unwrap();
        }
        files.write("keys/key", &new_key().unwrap());
        Self { files, server: OnceLock::new() }
    }

    /// Of the server: memory and log as one of some size has them, and how it hands its log over.
    pub(crate) fn settings(&self, every: u64) -> [String; 6] {
        [
            "shared_buffers = 1GB".to_owned(),
            "max_wal_size = 4GB".to_owned(),
            "max_connections = 300".to_owned(),
            "archive_mode = on".to_owned(),
            format!("archive_timeout = {every}s"),
            format!("archive_command = '{}'", self.archive_command()),
        ]
    }

    pub(crate) fn archive_command(&self) -> String {
        format!("sh {} \"%p\" \"%f\"", self.path("spool.sh").display())
    }

    /// Writes down how the server is reached, for the scripts.
    pub(crate) fn connect(&self, postgres: &Postgres) {
        let server = Server { bin: postgres.bin().to_owned(), port: postgres.port };
        assert!(self.server.set(server).is_ok(), "connected once");
        for (name, value) in [
            ("host", &*postgres.socket().to_string_lossy()),
            ("port", &*postgres.port.to_string()),
            ("username", "postgres"),
            ("password", "x"),
        ] {
            self.files.write(&format!("login/{name}"), value);
        }
        // The server runs a command of its log in its data directory.
        self.files.write("spool.sh", &self.adapted(SPOOL).replace("\"$PGDATA\"", "."));
        hand_to_server(self.files.path());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Runs a script, which has to end well.
    pub(crate) fn well(&self, script: &str, name: &str) {
        let mut command = unprivileged(Path::new("sh"));
        command.args(["-c", &self.adapted(script)]);
        command.envs([("BACKUP", name), ("PLATFORM", PLATFORM), ("POINT", ""), ("SEQUENCE", "")]);
        command.envs([("LOG", "replay"), ("DEADLINE", "600"), ("KEPT", "")]);
        command.env("LEDGER", self.path("target/ledger"));
        succeed(command.env("PGPORT", self.server().port.to_string()));
    }

    fn server(&self) -> &Server {
        self.server.get().unwrap()
    }

    /// What scripts name of a pod, as it is called here. Sockets first: the other places are below a folder of that name.
    fn adapted(&self, script: &str) -> String {
        let here = |name: &str| self.path(name).display().to_string();
        let script = script
            .replace("/tmp", &here("tmp"))
            .replace("/etc/payplane/database-owner", &here("login"))
            .replace("/backups", &here("opened"))
            .replace("/scratch", &here("scratch"))
            .replace("/target", &here("target"))
            .replace("/spool", &here("spool"))
            .replace("PGSSLMODE=verify-full", "PGSSLMODE=disable");
        format!("PATH={}:$PATH\nexport PATH\n{script}", self.server().bin.display())
    }
}

pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
