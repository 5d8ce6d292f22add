//! Flags and environment of the operator; nothing else reads either.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::{engine::PlatformKey, metrics_api::Place};

/// Runs Payplane's platforms and turns its custom resources into ledger facts and back into status.
#[derive(Clone, Debug, Parser)]
#[command(name = "payplane-operator", version)]
pub struct Args {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The operator's own namespace: its Lease is here, and by default its Platforms.
    #[arg(long, env = "POD_NAMESPACE", default_value = "payplane-system")]
    pub namespace: String,
    /// This process's name in the Lease; the pod's name in a cluster.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pub identity: String,
    /// The operator's ServiceAccount, which engines accept as the platform's caller.
    #[arg(long, env = "PAYPLANE_SERVICE_ACCOUNT", default_value = "payplane-operator")]
    pub service_account: String,
    /// Namespaces in which Platforms live, and the only ones in which the operator handles Secrets. Comma separated;
    /// by default the operator's own namespace.
    #[arg(long, env = "PAYPLANE_PLATFORM_NAMESPACES", value_delimiter = ',')]
    pub platform_namespaces: Vec<String>,
    /// Image of the engine where a Platform names none.
    #[arg(long, env = "PAYPLANE_ENGINE_IMAGE", default_value = "payplane-engine:latest")]
    pub engine_image: String,
    /// Image of PostgreSQL where a Platform names none: Debian-based, with the binaries on the PATH.
    #[arg(long, env = "PAYPLANE_POSTGRES_IMAGE", default_value = "postgres:15")]
    pub postgres_image: String,
    /// Image of Kafka where a Platform names none: with Kafka in /opt/kafka, as in the official one.
    #[arg(long, env = "PAYPLANE_KAFKA_IMAGE", default_value = "apache/kafka:4.1.0")]
    pub kafka_image: String,
    /// Image of Redis where a Platform names none: with redis-server and redis-cli on the PATH.
    #[arg(long, env = "PAYPLANE_REDIS_IMAGE", default_value = "redis:7.0")]
    pub redis_image: String,
    /// Image of the operator itself, which copies a Platform's objects in the Job of each Backup.
    #[arg(long, env = "PAYPLANE_OPERATOR_IMAGE", default_value = "payplane-operator:latest")]
    pub operator_image: String,
    /// ServiceAccount of that Job, in each namespace of Platforms: it may list what is copied.
    #[arg(long, env = "PAYPLANE_BACKUP_ACCOUNT", default_value = "payplane-operator-backup")]
    pub backup_account: String,
    /// File with a ServiceAccount token of audience `payplane`; read again when it changes.
    #[arg(long, env = "PAYPLANE_TOKEN_FILE", default_value = "/var/run/secrets/payplane/token")]
    pub token_file: PathBuf,
    /// Where metrics and probes are served.
    #[arg(long, env = "PAYPLANE_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: std::net::SocketAddr,
    /// Where autoscalers' questions are answered that the API server passes on: the API of external metrics. Not served
    /// without it.
    #[arg(long, env = "PAYPLANE_METRICS_API_ADDRESS")]
    pub metrics_api_address: Option<std::net::SocketAddr>,
    /// The Service in the operator's own namespace that leads there.
    #[arg(long, env = "PAYPLANE_METRICS_API_SERVICE", default_value = "payplane-operator-metrics")]
    pub metrics_api_service: String,
    /// Issuer of the cluster's ServiceAccount tokens, for clusters that do not publish it.
    #[arg(long, env = "PAYPLANE_ISSUER")]
    pub issuer: Option<String>,
    /// Whether to act only while holding the Lease. Switch off for a single local run.
    #[arg(long, env = "PAYPLANE_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// How log lines are written.
    #[arg(long, env = "PAYPLANE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// Connect to every engine at this host and port, for an operator outside the cluster. Certificates are still
    /// checked for the Service's name.
    #[arg(long, env = "PAYPLANE_ENGINE_ENDPOINT_OVERRIDE")]
    pub engine_endpoint_override: Option<String>,
}

impl Args {
    /// The namespaces in which Platforms are served, without repetitions.
    pub fn served_namespaces(&self) -> Vec<String> {
        let named = self.platform_namespaces.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        let mut served: Vec<String> = named.map(String::from).collect();
        if served.is_empty() {
            served.push(self.namespace.clone());
        }
        served.sort();
        served.dedup();
        served
    }

    /// Where the cluster finds the API of external metrics.
    pub fn metrics_api(&self) -> Place {
        Place { namespace: self.namespace.clone(), service: self.metrics_api_service.clone() }
    }

    /// The subject of the operator's ServiceAccount tokens.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

/// What the program does besides running the operator.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// See whether this installation works, say so, and end.
    Check,
    /// Write the custom resources of a Platform as one document that can be applied again, and end.
    CopyObjects(CopyObjects),
}

/// Flags of `copy-objects`.
#[derive(Clone, Debug, Eq, Parser, PartialEq)]
pub struct CopyObjects {
    /// Which Platform, as NAMESPACE/NAME.
    #[arg(long, value_parser = platform)]
    pub platform: PlatformKey,
    /// The file to write. Default: the standard output.
    #[arg(long)]
    pub to: Option<PathBuf>,
    /// Says in this file, as one line of JSON, how many objects there are, or why there are none; the latter is then no
    /// failure of this command.
    #[arg(long)]
    pub summary_file: Option<PathBuf>,
    /// How long it may take. As long the API server is asked again if it does not answer, unless what was written cannot be
    /// taken back.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub within_seconds: u64,
}

fn platform(text: &str) -> Result<PlatformKey, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(PlatformKey { namespace: namespace.into(), name: name.into() })
        }
        _ => Err("write it as NAMESPACE/NAME".into()),
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people at a terminal.
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_served_in_the_own_namespace_unless_others_are_named() {
        let parse = |flags: &[&str]| Args::parse_from([&["operator", "--namespace=own"], flags].concat());
        assert_eq!(parse(&[]).served_namespaces(), ["own"]);
        assert_eq!(parse(&["--platform-namespaces=b, a,b"]).served_namespaces(), ["a", "b"]);
        assert_eq!(parse(&["--platform-namespaces="]).served_namespaces(), ["own"]);
    }

    #[test]
    fn a_platform_is_named_with_its_namespace() {
        assert!(platform("pay/main").is_ok());
        for wrong in ["main", "/main", "pay/", "pay/main/x", ""] {
            assert!(platform(wrong).unwrap_err().contains("NAMESPACE/NAME"), "{wrong}");
        }
    }

    #[test]
    fn the_subject_names_namespace_and_service_account() {
        let args = Args::parse_from(["operator", "--namespace=pay", "--service-account=op"]);
        assert_eq!(args.subject(), "system:serviceaccount:pay:op");
    }
}
