//! The installed chart, changed while everything runs.

use std::process::Output;

use tokio::process::Command;

use crate::cluster::SYSTEM;

/// Runs helm on the release's namespace.
///
/// # Panics
/// When it cannot be started.
pub async fn helm(arguments: &[&str]) -> Output {
    let mut command = Command::new("helm");
    command.args(arguments).args(["--namespace", SYSTEM]);
    command.output().await.expect("helm did not run")
}

/// Installs the chart again with these values changed, and waits for the operator.
///
/// # Panics
/// When that fails.
pub async fn upgrade(values: &[&str]) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/payplane");
    let mut arguments = vec!["upgrade", "payplane", chart, "--reuse-values", "--wait", "--timeout", "2m"];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    let output = helm(&arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
