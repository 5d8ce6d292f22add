//! Reads the metrics of engines over the network of pods: the port that their template calls `http`, without a token and
//! without encryption, as Prometheus does. What is read is numbers that decide about a rollout and nothing else.
//!
//! Bounds: [`PODS_MAX`] pods, [`AT_ONCE`] at a time, two seconds and one MiB each. Only addresses of pods that belong to the
//! Deployment's own ReplicaSets are asked.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::TcpStream;

use super::{Counts, Sample, exposition};
use crate::platform::names::HTTP_PORT;

/// More engines than a Platform can have, with one more while they are replaced.
const PODS_MAX: usize = 65;
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);
/// An engine's metrics have some 50 KiB.
const BODY_MAX: usize = 1 << 20;

/// An engine that gives no metrics.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("connect to the pod")]
    Connect(#[from] std::io::Error),
    #[error("ask for the metrics")]
    Ask(#[from] hyper::Error),
    #[error("build the request")]
    Request(#[from] http::Error),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("read the answer")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer in time")]
    Late,
}

/// What these pods have answered.
pub async fn samples(pods: Vec<(&Pod, bool)>) -> Vec<Sample> {
    let asked = pods.into_iter().filter_map(|(pod, is_new)| {
        let uid = pod.metadata.uid.clone()?;
        Some((uid, is_new, address(pod)))
    });
    let asked: Vec<_> = asked.take(PODS_MAX).collect();
    let read = stream::iter(asked).map(|(pod, is_new, address)| async move {
        let counts = match address {
            Some(address) => counts(address).await,
            None => None,
        };
        Sample { pod, is_new, counts }
    });
    read.buffer_unordered(AT_ONCE).collect().await
}

async fn counts(address: SocketAddr) -> Option<Counts> {
    let read = tokio::time::timeout(PATIENCE, metrics(address)).await;
    match read.unwrap_or(Err(ReadError::Late)) {
        Ok(text) => Some(exposition::calls(&text)),
        Err(error) => {
            tracing::debug!(%address, error = %error, "an engine gives no metrics");
            None
        }
    }
}

/// Where a pod serves its metrics, if it has an address.
fn address(pod: &Pod) -> Option<SocketAddr> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| port.name.as_deref() == Some("http")).map(|port| port.container_port);
    Some(SocketAddr::new(address, u16::try_from(named.unwrap_or(HTTP_PORT)).ok()?))
}

async fn metrics(address: SocketAddr) -> Result<String, ReadError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get("/metrics").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let ask = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(ReadError::Status(status.as_u16()));
        }
        let body = Limited::new(answer.into_body(), BODY_MAX).collect().await.map_err(ReadError::Body)?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    tokio::pin!(ask);
    tokio::select! {
        read = &mut ask => read,
        ended = connection => {
            ended?;
            // What the connection brought before it ended.
            ask.await
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_asked_at_the_port_that_its_template_names() {
        let pod = |ip: serde_json::Value, ports: serde_json::Value| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"uid": "u"},
                "spec": {"containers": [{"name": "engine", "ports": ports}]},
                "status": {"podIP": ip},
            }))
            .unwrap()
        };
        let named = json!([{"name": "grpc", "containerPort": 1}, {"name": "http", "containerPort": 2}]);
        let cases = [
            (pod(json!("10.0.0.1"), named.clone()), Some("10.0.0.1:2")),
            (pod(json!("fd00::1"), named.clone()), Some("[fd00::1]:2")),
            (pod(json!("10.0.0.1"), json!([])), Some("10.0.0.1:8080")),
            (pod(json!(null), named.clone()), None),
            (pod(json!("kubernetes.default.svc"), named), None),
        ];
        for (pod, expected) in cases {
            assert_eq!(address(&pod).map(|found| found.to_string()).as_deref(), expected);
        }
    }
}
