//! The engine as in production: the release binary, a process of its own.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::process::Resident;
use crate::support::{
    TempDir,
    issuer::{AUDIENCE, ISSUER, Issuer},
    postgres::Database,
    world::OPERATOR_OF_PLATFORM,
};

const BINARY: &str = env!("CARGO_BIN_EXE_payplane-engine");

/// Ends with its value.
#[derive(Debug)]
pub(crate) struct Engine {
    child: Child,
    pub(crate) grpc: SocketAddr,
    http: SocketAddr,
    _logs: TempDir,
}

/// What the engine counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) batches: f64,
    pub(crate) batch_items: f64,
    pub(crate) queue_depth: f64,
    /// Batches that had to be decided again because memory was out of date.
    pub(crate) memory_misses: f64,
}

/// Another subcommand of the same binary.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.arg(name);
    command
}

impl Engine {
    /// Proves the ledger from its rows: every sum, every chain, every hash.
    pub(crate) fn verify(database: &Database) {
        let verified = command("verify").arg("--database-dir").arg(database.app_dir()).output().unwrap();
        assert!(verified.status.success(), "the ledger is not sound: {verified:?}");
    }

    pub(crate) fn start(database: &Database, issuer: &Issuer) -> Self {
        let (grpc, http) = (free_address(), free_address());
        let logs = TempDir::new();
        let child = command("serve")
            .args(["--insecure-plaintext", "--issuer", ISSUER, "--audience", AUDIENCE])
            .args(["--platform-subject", OPERATOR_OF_PLATFORM])
            .args(["--grpc-address", &grpc.to_string(), "--http-address", &http.to_string()])
            .arg("--database-dir")
            .arg(database.app_dir())
            .arg("--jwks-file")
            .arg(issuer.jwks_file())
            // Written, as in production, and thrown away.
            .stdout(std::fs::File::create(logs.path().join("engine.log")).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, grpc, http, _logs: logs }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn resident(&self) -> Resident {
        Resident::of(self.id())
    }

    /// From /metrics. Takes about a millisecond, outside of every measurement.
    pub(crate) fn counted(&self) -> Counted {
        let text = self.get("/metrics").unwrap();
        let value = |name: &str| {
            let line =
                text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        };
        let expect = |name: &str| value(name).unwrap_or_else(|| panic!("no {name} in {text}"));
        Counted {
            batches: expect("payplane_engine_batch_items_count"),
            batch_items: expect("payplane_engine_batch_items_sum"),
            queue_depth: expect("payplane_engine_queue_depth"),
            memory_misses: value("payplane_engine_memory_misses_total").unwrap_or_default(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz")
            .is_ok_and(|answer| answer.starts_with("HTTP/1.0 200") || answer.contains(" 200 OK"))
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: engine\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What it acknowledged is durable, so the rude way is as good as any.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
