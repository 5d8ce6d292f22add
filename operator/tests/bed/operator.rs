//! The operator as a process, told where everything is by flags that it has anyway.

use std::{path::PathBuf, process::Command};

use super::{
    ISSUER, SYSTEM, Site, eventually,
    process::{Running, free_port},
    wait::fetch,
};

/// One process of the operator.
pub struct Operator {
    pub process: Running,
    http_port: u16,
}

impl Operator {
    /// Starts it at the site's proxies, with its ServiceAccount's own token and rights.
    pub fn start(site: &Site, flags: &[&str]) -> Self {
        Self::start_at(site, site.operator_config(), site.to_engine.port, flags)
    }

    /// Starts it past the proxies, where speed is measured.
    pub fn start_directly(site: &Site, flags: &[&str]) -> Self {
        Self::start_at(site, site.direct_config(), site.direct_engine_port, flags)
    }

    fn start_at(site: &Site, config: PathBuf, engine_port: u16, flags: &[&str]) -> Self {
        let http_port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_payplane-operator"));
        command
            .env("KUBECONFIG", config)
            .env_remove("POD_NAME")
            .args(["--namespace", SYSTEM, "--issuer", ISSUER, "--log-format", "text"])
            .arg(format!("--http-address=127.0.0.1:{http_port}"))
            .arg(format!("--engine-endpoint-override=127.0.0.1:{engine_port}"))
            .arg("--token-file")
            .arg(site.token_file())
            .args(flags);
        Self { process: Running::start(&mut command, site.log("operator.log")), http_port }
    }

    /// Waits until it does its part: as leader with every cache filled, or as standby.
    pub async fn is_ready(&self) {
        eventually("an operator that is ready", async || self.get("/readyz").await).await;
    }

    /// Waits until it leads and every cache is filled.
    pub async fn leads(&self) {
        eventually("an operator that leads", async || {
            let metrics = self.get("/metrics").await?;
            metrics.lines().any(|line| line.ends_with("leader 1")).then_some(())
        })
        .await;
        self.is_ready().await;
    }

    /// How many statuses of Payments it has written.
    pub async fn patched(&self) -> u64 {
        self.counted(&["status_patches", "\"Payment\"", "\"patched\""]).await
    }

    /// How often it has looked at Payments.
    pub async fn looked(&self) -> u64 {
        self.counted(&["reconcile_total", "\"Payment\""]).await
    }

    /// The sum of the metrics whose line has all these words.
    async fn counted(&self, words: &[&str]) -> u64 {
        let metrics = self.get("/metrics").await.unwrap_or_default();
        let counted = metrics.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// One document of its HTTP server, if it gives it.
    pub async fn get(&self, path: &str) -> Option<String> {
        fetch(self.http_port, path).await
    }
}
