//! Starts everything in order and ends it in reverse: not ready, no new connections, calls that are under way, the
//! queue, the connections to the database.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{AbortHandle, JoinHandle},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    Gathering,
    accept::{Connection, accept},
    http,
    tls::{Certificate, TlsError},
};
use crate::{
    auth::{ApiKeys, Authenticator, Directory, Issuers, Revocations, VerifierError},
    cache::{Cache, Limiter},
    config::{ServeConfig, TransportConfig},
    engine::Engine,
    events,
    grpc::{self, GuardLayer},
    metrics::Metrics,
    mounted::MountedError,
    store::{DatabaseConfig, Store},
    telemetry::Causes,
    thread::{Apart, ThreadError},
};

const STREAMS_PER_CONNECTION_MAX: u32 = 200;
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);
const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Connections that wait to be served.
const ACCEPTED_MAX: usize = 64;

/// The engine cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database's directory cannot be read.
    #[error("read the database's directory")]
    Database(#[from] MountedError),
    /// The configuration of tokens makes no sense.
    #[error("prepare to verify tokens")]
    Auth(#[from] VerifierError),
    /// The certificate cannot be used.
    #[error("prepare TLS")]
    Tls(#[from] TlsError),
    /// A thread cannot be started.
    #[error("start a thread")]
    Thread(#[from] ThreadError),
    /// Two metrics have the same name.
    #[error("register the metrics")]
    Metrics(#[from] prometheus::Error),
    /// An address cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Reflection cannot be built from the descriptors.
    #[error("prepare reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Calls were still under way when the time for draining was over.
    #[error("calls were still under way after {} seconds", .0.as_secs())]
    DrainTimeout(Duration),
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    /// Where gRPC is served.
    pub grpc_address: SocketAddr,
    /// Where probes and metrics are served.
    pub http_address: SocketAddr,
    /// What the services share.
    pub engine: Arc<Engine>,
    stop: CancellationToken,
    drain: Duration,
    grpc: JoinHandle<Result<(), transport::Error>>,
    committer: JoinHandle<()>,
    publisher: Option<AbortHandle>,
}

/// Serves until `signal`, then drains.
pub async fn serve(config: ServeConfig, signal: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = Server::start(config).await?;
    signal.await;
    server.drain().await
}

impl Server {
    /// Listens and serves. The database may still be away: readiness follows it.
    pub async fn start(config: ServeConfig) -> Result<Self, ServeError> {
        let database = DatabaseConfig::read(&config.database_dir)?;
        let store = Arc::new(Store::new(database.options(), config.pool_size));
        let metrics = Arc::new(Metrics::new()?);
        let cache = Cache::new(config.redis_dir.clone(), store.clone(), metrics.clone());
        let limiter = Arc::new(Limiter::new(cache.clone()));
        let engine = Engine::new(cache.clone(), store.clone(), metrics.clone(), config.sweep_every());
        let revocations = Revocations::new(store.clone(), cache, engine.database());
        let api_keys = ApiKeys::new(store.clone(), engine.database());
        let issuers = Issuers::new(store.clone(), engine.database(), config.auth.issuer.clone());
        let outside = (api_keys.clone(), issuers.clone());
        let directory = Directory::new(store, engine.database());
        let authenticator =
            Authenticator::new(&config.auth, directory, revocations.clone(), outside.clone())?;
        let authenticator = Arc::new(authenticator);
        if config.auth.issuer.is_none() {
            tracing::warn!("no issuer is configured: every call but health will be refused");
        }
        let stop = CancellationToken::new();
        let (http_listener, http_address) = listen(config.http_address).await?;
        let (grpc_listener, grpc_address) = listen(config.grpc_address).await?;
        let acceptor = acceptor(&config.transport)?;
        let routes = routes(&engine, (&revocations, outside), config.reflection, &stop)?;
        let apart = Apart::new("bulk").await?;
        let (queue, calls) = (engine.queue.clone(), engine.calls.clone());
        let guard = GuardLayer { authenticator, limiter, queue, calls, metrics, apart };
        let committer = engine.start();
        let publisher = config.kafka_dir.clone().map(|directory| {
            tokio::spawn(events::keep_measuring(engine.clone()));
            tokio::spawn(events::keep_publishing(engine.clone(), directory)).abort_handle()
        });
        tokio::spawn(revocations.follow());
        tokio::spawn(api_keys.follow());
        tokio::spawn(issuers.follow());
        tokio::spawn(serve_http(http_listener, engine.clone(), stop.clone()));
        let grpc = tokio::spawn(serve_grpc(grpc_listener, acceptor, routes, guard, stop.clone()));
        let drain = config.drain();
        tracing::info!(%grpc_address, %http_address, version = env!("CARGO_PKG_VERSION"), "serving");
        Ok(Self { grpc_address, http_address, engine, stop, drain, grpc, committer, publisher })
    }

    /// Ends in order. What was accepted is answered.
    pub async fn drain(self) -> Result<(), ServeError> {
        tracing::info!("draining");
        self.stop.cancel();
        // Its connection goes with it, and another engine goes on from the position.
        if let Some(publisher) = &self.publisher {
            publisher.abort();
        }
        let work = async {
            // A transport error here means that clients were rude; there is nobody left to tell.
            let _ = self.grpc.await;
            self.engine.queue.close();
            let _ = self.committer.await;
            if let Err(error) = self.engine.calls.flush().await {
                tracing::warn!(reason = %Causes(&error), "the last calls are not recorded");
            }
            self.engine.store.close().await;
        };
        let drained = tokio::time::timeout(self.drain, work).await;
        drained.map_err(|_| ServeError::DrainTimeout(self.drain))?;
        tracing::info!("drained");
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

fn acceptor(config: &TransportConfig) -> Result<Option<TlsAcceptor>, TlsError> {
    let Some(directory) = &config.tls_dir else {
        tracing::warn!("serving without encryption");
        return Ok(None);
    };
    let certificate = Certificate::load(directory)?;
    let acceptor = TlsAcceptor::from(certificate.server_config()?);
    tokio::spawn(certificate.watch());
    Ok(Some(acceptor))
}

fn routes(
    engine: &Arc<Engine>,
    (revocations, outside): (&Arc<Revocations>, (Arc<ApiKeys>, Arc<Issuers>)),
    reflection: bool,
    stop: &CancellationToken,
) -> Result<Routes, ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(reporter, engine.clone(), stop.clone()));
    let routes = grpc::routes(engine.clone(), revocations.clone(), outside, stop.clone());
    let routes = routes.add_service(health);
    if !reflection {
        return Ok(routes);
    }
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(payplane_proto::FILE_DESCRIPTOR_SET)
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

async fn report_health(reporter: HealthReporter, engine: Arc<Engine>, stop: CancellationToken) {
    let mut database = engine.database();
    loop {
        let serving = *database.borrow_and_update() && !stop.is_cancelled();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in std::iter::once("").chain(grpc::service_names()) {
            reporter.set_service_status(service, status).await;
        }
        if stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = database.changed() => if changed.is_err() { return },
        }
    }
}

async fn serve_http(listener: TcpListener, engine: Arc<Engine>, draining: CancellationToken) {
    // Until the process ends: probes shall see that it drains.
    if let Err(error) = axum::serve(listener, http::router(engine, draining)).await {
        tracing::error!(%error, "probes are not served");
    }
}

async fn serve_grpc(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    routes: Routes,
    guard: GuardLayer,
    stop: CancellationToken,
) -> Result<(), transport::Error> {
    let (sender, accepted) = mpsc::channel::<io::Result<Gathering<Connection>>>(ACCEPTED_MAX);
    tokio::spawn(accept(listener, acceptor, sender, stop.clone()));
    transport::Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_AGE_GRACE)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(Some(HEADER_BYTES_MAX))
        .layer(guard)
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stop.cancelled_owned())
        .await
}
