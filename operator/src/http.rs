//! Metrics and probes.
//!
//! - `/livez`: the event loop turns, and a leader's watches are not failing without end. An API server that is away
//!   does not fail it: the Lease ends the process long before.
//! - `/readyz`: this process can act. A standby is ready; a leader is once its caches are filled.

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
    if probed.metrics.leader.get() == 0 || probed.metrics.is_synced() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "caches are not filled yet\n")
    }
}
