//! The listener for people and probes: /metrics, /livez, /readyz.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

#[derive(Clone)]
struct Probes {
    engine: Arc<Engine>,
    draining: CancellationToken,
}

pub(super) fn router(engine: Arc<Engine>, draining: CancellationToken) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Probes { engine, draining })
}

/// Answering at all shows that the event loop turns. Only an engine of another epoch has to start again.
async fn live(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    match probes.engine.is_of_another_epoch() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "the ledger was restored since this engine began\n"),
        false => (StatusCode::OK, "ok\n"),
    }
}

async fn ready(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    match (probes.draining.is_cancelled(), *probes.engine.database().borrow()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "the database is away or not migrated\n"),
        (false, true) => (StatusCode::OK, "ok\n"),
    }
}

async fn metrics(State(probes): State<Probes>) -> String {
    probes.engine.exposition()
}
