//! What the metrics say about publishing. Every replica tells the same, whoever publishes, so a lag shows also when nobody
//! does.

use std::{sync::Arc, time::Duration};

use crate::engine::{Engine, detached};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Measures until the process ends.
pub async fn keep_measuring(engine: Arc<Engine>) {
    let mut database = engine.database();
    loop {
        if database.wait_for(|up| *up).await.is_err() {
            return;
        }
        let store = engine.store.clone();
        // A database that is away has a metric of its own.
        if let Ok(status) = detached(async move { store.event_status().await }).await {
            engine.metrics.observe_events(&status);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
