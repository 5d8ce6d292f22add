//! An API server of the tests' own, for what an operator or a controller of a cluster would otherwise do something about:
//! here objects are changed by the test alone. One for all suites; it ends with them.

// Each binary uses a part of what the tests of faults share.
#![allow(dead_code, clippy::panic, clippy::unwrap_used)]

#[path = "../bed/api_server.rs"]
mod api_server;
#[path = "../bed/process.rs"]
mod process;
#[path = "../bed/wait.rs"]
mod wait;

use kube::Client;
use tokio::sync::OnceCell;

use super::support::{in_namespace_at, install};
pub use api_server::ISSUER;
use api_server::{ApiServer, Keys};
pub use process::Folder;

/// Runs a test in a namespace of its own there.
pub async fn in_namespace<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Client, String) -> F) {
    in_namespace_at(server().await.client(), name, test).await;
}

/// How a program reaches it with this token.
pub async fn kubeconfig(token: &str) -> String {
    server().await.kubeconfig(token)
}

async fn server() -> &'static ApiServer {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = ApiServer::new(&Keys::new()).await;
            install(&server.client()).await;
            server
        })
        .await
}

/// Where `tests/lib.sh` keeps what was built and fetched.
pub fn cache() -> std::path::PathBuf {
    api_server::cache()
}
