//! What the tests stand on: a real PostgreSQL, a token issuer, engines in this process, clients.
// Every test binary uses another part of it.
#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod forgery;
pub(crate) mod issuer;
pub(crate) mod ledger;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod tamper;
pub(crate) mod world;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// How long a condition may take to come true before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

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
