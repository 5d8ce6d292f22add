//! An issuer of tokens as engines meet it: over HTTPS, with a discovery document and keys, both counted.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body, http::Uri, serve::Listener};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What it says, by path, and how often it was asked.
#[derive(Default)]
struct Said {
    documents: Mutex<BTreeMap<String, String>>,
    asked: AtomicUsize,
}

/// One issuer with one key at a time.
pub(crate) struct HttpsIssuer {
    pub(crate) url: String,
    pub(crate) ca_pem: String,
    said: Arc<Said>,
    key: Mutex<(String, EncodingKey)>,
}

impl HttpsIssuer {
    pub(crate) async fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key.into()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let said = Arc::new(Said::default());
        let answers = said.clone();
        let router = Router::new().fallback(move |uri: Uri| {
            answers.asked.fetch_add(1, Ordering::Relaxed);
            let document = answers.documents.lock().unwrap().get(uri.path()).cloned();
            async move { document.map(Body::from).ok_or(axum::http::StatusCode::NOT_FOUND) }
        });
        let tls = Tls(listener, TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
        let issuer = Self { url, ca_pem: made.cert.pem(), said, key: Mutex::new(new_key("first")) };
        let discovery = json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)});
        issuer.say("/.well-known/openid-configuration", &discovery);
        issuer.rotate("first");
        issuer
    }

    /// What it answers there from now on.
    pub(crate) fn say(&self, path: &str, document: &Value) {
        self.said.documents.lock().unwrap().insert(path.to_owned(), document.to_string());
    }

    /// A new key with this id in place of the old one.
    pub(crate) fn rotate(&self, id: &str) {
        let key = new_key(id);
        let mut jwk = Jwk::from_encoding_key(&key.1, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        self.say("/keys", &json!({"keys": [jwk]}));
        *self.key.lock().unwrap() = key;
    }

    /// How often it was asked for anything.
    pub(crate) fn asked(&self) -> usize {
        self.said.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let id = self.key.lock().unwrap().0.clone();
        self.sign_as(&id, claims)
    }

    pub(crate) fn sign_as(&self, id: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(id.to_owned());
        encode(&header, claims, &self.key.lock().unwrap().1).unwrap()
    }
}

fn new_key(id: &str) -> (String, EncodingKey) {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    (id.to_owned(), EncodingKey::from_ec_pem(pem.as_bytes()).unwrap())
}
