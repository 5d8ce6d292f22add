//! Metrics and probes.
//!
//! - `/livez`: the event loop turns, and a leader's watches are not failing without end. An API server that is away
//!   does not fail it: the Lease ends the process long before.
//! - `/readyz`: this process does its part. A leader is ready once its caches are filled; a standby while it sees that
//!   another leads. A process that has not seen the Lease yet, or cannot reach it, is not. A standby must be able to be
//!   ready, or a rolling update would wait for ever for the pod that waits for the old leader.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::{telemetry::Metrics, watch::Health};

/// What the probes look at.
#[derive(Clone)]
pub struct Probed {
    /// Every metric.
    pub metrics: Metrics,
    /// How the watches do.
    pub health: Arc<Health>,
}

/// Serves until the process ends.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(address: SocketAddr, probed: Probed) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(probed);
    axum::serve(listener, routes).await
}

async fn metrics(State(probed): State<Probed>) -> Result<String, StatusCode> {
    probed.metrics.text().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn livez(State(probed): State<Probed>) -> (StatusCode, String) {
    match probed.health.failing() {
        Some(kind) => (StatusCode::SERVICE_UNAVAILABLE, format!("the watch of {kind} keeps failing\n")),
        None => (StatusCode::OK, "ok\n".into()),
    }
}

async fn readyz(State(probed): State<Probed>) -> (StatusCode, &'static str) {
    let metrics = &probed.metrics;
    match unready(metrics.leader.get() == 1, metrics.is_synced(), metrics.stands_by()) {
        None => (StatusCode::OK, "ok\n"),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Why this process does not do its part, if it does not.
fn unready(leads: bool, synced: bool, stands_by: bool) -> Option<&'static str> {
    match (leads, synced, stands_by) {
        (true, true, _) | (false, _, true) => None,
        (true, false, _) => Some("caches are not filled yet\n"),
        (false, _, false) => Some("does not lead, and does not see who does\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leader_that_sees_everything_and_a_standby_that_sees_a_leader_are_ready() {
        for (leads, synced, stands_by, ready) in [
            (false, false, false, false),
            (false, false, true, true),
            (true, false, false, false),
            // What it saw before it led does not count.
            (true, false, true, false),
            (true, true, false, true),
        ] {
            let found = unready(leads, synced, stands_by).is_none();
            assert_eq!(found, ready, "leads {leads}, synced {synced}, stands by {stands_by}");
        }
    }
}
