//! Waiting for what must come, with an end.

use std::time::{Duration, Instant};

/// How long anything may take: statuses are right within a minute of healing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `condition` gives a value. Fails with `what` when patience ends.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "still waiting after {PATIENCE:?}: {what}");
        // Between two looks, not instead of one.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
