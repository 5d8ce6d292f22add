//! Reads the metrics of engines over the network of pods: the port that their template calls `http`, without a token and
//! without encryption, as Prometheus does. What is read is numbers, which decide about a rollout or tell an autoscaler how much
//! there is to do, and nothing else.
//!
//! Bounds: two seconds and one MiB a pod; who asks bounds how many, [`AT_ONCE`] at a time.

pub mod exposition;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::TcpStream;

use crate::platform::HTTP_PORT;

/// More engines than a Platform can have, with one more while they are replaced.
pub const PODS_MAX: usize = 65;
/// Engines that are read at the same moment.
pub const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);
/// An engine's metrics have some 50 KiB.
const BODY_MAX: usize = 1 << 20;

/// A pod that gives no text.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("connect to the pod")]
    Connect(#[from] std::io::Error),
    #[error("ask for the text")]
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

/// The text that the engine at this address has for Prometheus, if it gives it in time.
pub async fn text(address: SocketAddr) -> Option<String> {
    get(address, "/metrics").await
}

/// The text that somebody of ours at this address has below this path, if it comes in time.
pub async fn get(address: SocketAddr, path: &str) -> Option<String> {
    match tokio::time::timeout(PATIENCE, ask(address, path)).await.unwrap_or(Err(ReadError::Late)) {
        Ok(text) => Some(text),
        Err(error) => {
            tracing::debug!(%address, path, error = %error, "a pod gives no text");
            None
        }
    }
}

/// Whether a pod takes calls.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Where a pod serves its metrics, if it has an address.
pub fn address(pod: &Pod) -> Option<SocketAddr> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| port.name.as_deref() == Some("http")).map(|port| port.container_port);
    at(pod, named.unwrap_or(HTTP_PORT))
}

/// This port of a pod, if it has an address.
pub fn at(pod: &Pod, port: i32) -> Option<SocketAddr> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(address, u16::try_from(port).ok()?))
}

async fn ask(address: SocketAddr, path: &str) -> Result<String, ReadError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
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
