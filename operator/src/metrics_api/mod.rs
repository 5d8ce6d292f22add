//! The cluster's APIs of external metrics (`external.metrics.k8s.io/v1beta1`) and of custom metrics (`custom.metrics.k8s.io/v1beta2`),
//! from which autoscalers take how much a Platform's engines have to do: the former tells the sum of a Platform, the latter each
//! engine's share and the sum. The API server passes questions on to the operator: the chart says so by an APIService each.
//!
//! Order of a question: the API server judges who asks, by the cluster's roles; it connects with its own certificate, which
//! [`front`] checks; [`question`] understands the path; [`figures`] reads the engines, through a [`window`] of what they said before;
//! [`documents`] writes what [`answer`] gives. Every replica answers. The one that leads also makes the certificate, and tells the API server
//! whom to trust ([`certificate`]).
//!
//! Bounds: [`listen`] and [`figures`] name theirs. Guarantees: only who has the API server's certificate is answered; a figure is
//! of now and of every engine that is ready, or there is none, which leaves an autoscaler where it is. No money depends on any of
//! this: what fails here is logged and tried again.

mod answer;
pub mod certificate;
mod documents;
mod figures;
mod front;
mod listen;
mod question;
mod window;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube::Client;
use payplane_crds::scaling_policy::EngineFigure;
use rustls::ServerConfig;
use tokio::{net::TcpListener, sync::watch};

use crate::{error::Error, telemetry};
use figures::Figures;
use front::Front;

/// An API that is served: a group and its only version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ApiVersion {
    /// The group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
}

/// Figures of a Platform, by the label [`PLATFORM_LABEL`].
pub const API_EXTERNAL: ApiVersion = ApiVersion { group: "external.metrics.k8s.io", version: "v1beta1" };
/// Figures of objects: pods of engines, and Platforms.
pub const API_CUSTOM: ApiVersion = ApiVersion { group: "custom.metrics.k8s.io", version: "v1beta2" };

/// Pods, as a path names them.
pub const PODS: &str = "pods";
/// Platforms, as a path names them.
pub const PLATFORMS: &str = "platforms.payplane.io";
/// The label by which a question names its Platform.
pub const PLATFORM_LABEL: &str = "platform";

/// How often the certificate and the authority of the API server are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// The same while one of them is not there.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Where this API is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The operator's own namespace.
    pub namespace: String,
    /// The Service that leads here.
    pub service: String,
}

/// What the figure is called in the API.
pub fn metric_name(figure: EngineFigure) -> &'static str {
    match figure {
        EngineFigure::QueueDepth => "payplane_engine_queue_depth",
        EngineFigure::RequestsPerSecond => "payplane_engine_requests_per_second",
    }
}

/// Every figure.
pub const FIGURES: [EngineFigure; 2] = [EngineFigure::QueueDepth, EngineFigure::RequestsPerSecond];

/// How connections are accepted now, and whose certificate may open them.
#[derive(Clone, Debug)]
pub struct Terms {
    /// For TLS.
    pub tls: Arc<ServerConfig>,
    /// What the API server's certificate says.
    pub front: Front,
}

/// Serves for ever, with what [`certificate::keep`] has made.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    client: Client,
    place: Place,
    address: SocketAddr,
    namespaces: Vec<String>,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let (tell, terms) = watch::channel(None);
    let figures = Arc::new(Figures::new(client.clone(), namespaces));
    tokio::join!(follow(&client, &place, &tell), listen::accept(listener, terms, figures));
    Ok(())
}

/// Keeps the terms of new connections as the Secret and the API server's own ConfigMap say.
async fn follow(client: &Client, place: &Place, tell: &watch::Sender<Option<Terms>>) {
    let mut seen = None;
    loop {
        let wait = match look(client, place).await {
            Ok(Some(found)) if seen.as_ref() != Some(&found) => match front::terms(&found.0, &found.1) {
                Ok(terms) => {
                    tell.send_replace(Some(terms));
                    seen = Some(found);
                    tracing::info!("the metrics API is served");
                    LOOK
                }
                Err(error) => {
                    tracing::warn!(error = %telemetry::chain(&error), "the metrics API cannot be served");
                    LOOK
                }
            },
            Ok(Some(_)) => LOOK,
            Ok(None) => LOOK_AGAIN,
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), "the metrics API is not served as it should be");
                LOOK
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// The certificate, if it has been made, and whom the API server is known by.
async fn look(client: &Client, place: &Place) -> Result<Option<(certificate::Served, Front)>, Error> {
    let Some(served) = certificate::read(client, place).await? else { return Ok(None) };
    Ok(Some((served, front::read(client).await?)))
}
