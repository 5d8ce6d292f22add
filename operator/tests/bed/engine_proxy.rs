//! A gRPC proxy before the engine: TLS with the certificate that the operator made, plain text on the way on. It sees
//! every call's method and can lose the request or the answer of each.

use std::sync::{Arc, OnceLock};

use http::{Request, Response};
use hyper::{
    body::Incoming, client::conn::http2 as client, server::conn::http2 as server, service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::switch::{Call, Fault, Switch};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Forwards to one engine, once it knows which and has a certificate.
pub struct EngineProxy {
    pub port: u16,
    pub switch: Arc<Switch>,
    open: Arc<OnceLock<(TlsAcceptor, u16)>>,
}

impl EngineProxy {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (switch, open) = (Arc::new(Switch::default()), Arc::new(OnceLock::new()));
        tokio::spawn(accept(listener, switch.clone(), open.clone()));
        Self { port, switch, open }
    }

    /// From now on callers are served.
    pub fn open(&self, certificate: &[u8], key: &[u8], engine: u16) {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let _ = self.open.set((TlsAcceptor::from(Arc::new(config)), engine));
    }
}

async fn accept(listener: TcpListener, switch: Arc<Switch>, open: Arc<OnceLock<(TlsAcceptor, u16)>>) {
    while let Ok((caller, _)) = listener.accept().await {
        // Before there is a certificate, and while the engine is away, connections just break.
        if let Some((tls, engine)) = open.get().filter(|_| !switch.is_away()) {
            tokio::spawn(serve(caller, tls.clone(), *engine, switch.clone()));
        }
    }
}

/// Connections are counted as calls of their own, so that knocking at a closed door counts too.
async fn serve(
    caller: TcpStream,
    tls: TlsAcceptor,
    engine: u16,
    switch: Arc<Switch>,
) -> Result<(), BoxError> {
    let cutting = switch.cutting();
    let (verb, kind) = ("CONNECT", "engine".into());
    switch.judge(&Call { verb, kind, namespace: String::new(), name: String::new() });
    let caller = TokioIo::new(tls.accept(caller).await?);
    let engine = TokioIo::new(TcpStream::connect(("127.0.0.1", engine)).await?);
    let (sender, connection) = client::handshake(TokioExecutor::new(), engine).await?;
    let (broken, breaks) = tokio::sync::watch::channel(false);
    let service = service_fn(move |request| call(request, sender.clone(), switch.clone(), broken.clone()));
    let mut breaks = breaks;
    tokio::select! {
        _ = server::Builder::new(TokioExecutor::new()).serve_connection(caller, service) => {}
        _ = connection => {}
        _ = breaks.changed() => {}
        () = cutting => {}
    }
    Ok(())
}

async fn call(
    request: Request<Incoming>,
    mut engine: client::SendRequest<Incoming>,
    switch: Arc<Switch>,
    broken: tokio::sync::watch::Sender<bool>,
) -> Result<Response<Incoming>, BoxError> {
    let namespace = request.headers().get("payplane-namespace").and_then(|value| value.to_str().ok());
    let call = Call {
        verb: "CALL",
        kind: request.uri().path().rsplit('/').next().unwrap_or_default().into(),
        namespace: namespace.unwrap_or_default().into(),
        name: String::new(),
    };
    let fault = switch.judge(&call);
    match fault {
        None => return Ok(engine.send_request(request).await?),
        Some(Fault::Delay(time)) => {
            switch.strike();
            // The fault itself.
            tokio::time::sleep(time).await;
            return Ok(engine.send_request(request).await?);
        }
        // The headers of an answer come when the engine has committed.
        Some(Fault::LoseAnswer | Fault::HoldAnswer) => drop(engine.send_request(request).await?),
        Some(Fault::LoseRequest | Fault::HoldRequest | Fault::Answer(_)) => {}
    }
    switch.strike();
    if !matches!(fault, Some(Fault::HoldAnswer | Fault::HoldRequest)) {
        let _ = broken.send(true);
    }
    std::future::pending().await
}
