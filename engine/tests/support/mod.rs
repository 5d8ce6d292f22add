//! What the tests stand on: a real PostgreSQL, a token issuer, engines in this process, clients.
// Every test binary uses another part of it.
#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod forgery;
pub(crate) mod issuer;
pub(crate) mod kafka;
pub(crate) mod ledger;
pub(crate) mod nodes;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod tamper;
pub(crate) mod world;

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// How long a condition may take to come true before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `condition` gives a value. Fails with `what` when patience ends.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "still waiting after {PATIENCE:?}: {what}");
        // Between two looks, not instead of one: nothing that is waited for here can wake us.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many cases: few in a normal run, all of them under `make prove`.
pub(crate) fn sized(few: usize, all: usize) -> usize {
    if std::env::var_os("PAYPLANE_PROVE").is_some() { all } else { few }
}

/// Asks until there is an answer, as callers are told to.
pub(crate) async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> T {
    eventually("an answer", async || match call().await {
        Err(status) if may_ask_again(&status) => None,
        answer => Some(answer.unwrap()),
    })
    .await
}

/// Whether nothing is known and the same may be asked again. The engine says so itself, by "busy", "unavailable" or "the
/// deadline passed"; what the transport says, when a connection breaks, has no details.
pub(crate) fn may_ask_again(status: &Status) -> bool {
    let is_from_the_engine = status.get_details_error_info().is_some();
    matches!(status.code(), Code::Aborted | Code::DeadlineExceeded | Code::Unavailable)
        || (!is_from_the_engine && status.source().is_some())
}

/// A directory that goes away with its value.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("payplane-{}", Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
