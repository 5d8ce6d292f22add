//! Sealing: gives committed batches their gapless order, a few milliseconds after they were committed. Readers of sealed
//! batches miss nothing, however late a batch commits.

use std::{sync::Arc, time::Duration};

use crate::{engine::Engine, telemetry::Causes};

/// After a commit, how long to wait for others before sealing: one commit of its own then serves many batches.
const GATHER: Duration = Duration::from_millis(20);

/// Without commits of our own, how often to look for what a replica that died has left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many batches are sealed by one transaction.
const BATCHES_MAX: i32 = 1_000;

/// Seals until the process ends.
pub async fn keep_sealing(engine: Arc<Engine>) {
    let mut database = engine.database();
    loop {
        let committed = tokio::time::timeout(LOOK_EVERY, engine.pulse.committed.notified()).await.is_ok();
        if committed {
            tokio::time::sleep(GATHER).await;
        }
        if database.wait_for(|up| *up).await.is_err() {
            return;
        }
        if engine.store.is_read_only() {
            continue;
        }
        loop {
            match engine.store.seal(BATCHES_MAX).await {
                Ok(sealed) if BATCHES_MAX <= sealed => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(reason = %Causes(&error), "batches not sealed");
                    break;
                }
            }
        }
    }
}
