//! Tells over HTTP why the stored log is not stored: `GET /trouble` answers `CODE WORDS` of the last segment, or nothing once one was
//! stored. No credential is in these words, and nobody can change anything here. A listener that cannot be had stops no log.

use std::{future::pending, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::spool;

/// Serves until it is dropped.
pub(super) async fn tell(address: SocketAddr, directory: PathBuf) {
    let router = Router::new().route("/trouble", get(trouble)).with_state(Arc::new(directory));
    let served = async { axum::serve(TcpListener::bind(address).await?, router).await };
    if let Err(error) = served.await {
        tracing::warn!(reason = %error, %address, "nobody can ask why the log is not stored");
    }
    pending().await
}

async fn trouble(State(directory): State<Arc<PathBuf>>) -> (StatusCode, String) {
    match spool::trouble(&directory) {
        Ok(found) => (StatusCode::OK, found.unwrap_or_default()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
