//! The server's certificate, read again when its files change. Files that make no sense are reported and the old
//! certificate stays in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::telemetry::Causes;

/// How often the files are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("parse {}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not fit each other, or are of an unknown kind.
    #[error("use the certificate and key")]
    Use(#[source] rustls::Error),
}

/// Hands out the current certificate.
#[derive(Debug)]
pub(super) struct Certificate {
    directory: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads `tls.crt` and `tls.key` for the first time.
    pub(super) fn load(directory: &Path) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Arc::new(read(directory)?));
        Ok(Arc::new(Self { directory: directory.to_owned(), current }))
    }

    /// TLS 1.2 and 1.3 for HTTP/2.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Use)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// Follows the files for ever. Connections that are open keep the certificate they began with.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut seen = modified(&self.directory);
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let now = modified(&self.directory);
            if now == seen {
                continue;
            }
            match read(&self.directory) {
                Ok(key) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    seen = now;
                    tracing::info!("certificate replaced");
                }
                // Looked at again next time: the two files may just be between old and new.
                Err(error) => {
                    tracing::warn!(reason = %Causes(&error), "new certificate not usable, the old one stays")
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(directory: &Path) -> Result<CertifiedKey, TlsError> {
    let path = directory.join("tls.crt");
    let parsed = CertificateDer::pem_slice_iter(&read_file(&path)?).collect::<Result<Vec<_>, _>>();
    let chain = parsed.map_err(|source| TlsError::Parse { path, source })?;
    let path = directory.join("tls.key");
    let parsed = PrivateKeyDer::from_pem_slice(&read_file(&path)?);
    let key = parsed.map_err(|source| TlsError::Parse { path, source })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(TlsError::Use)
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn modified(directory: &Path) -> [Option<SystemTime>; 2] {
    let time = |name| fs::metadata(directory.join(name)).and_then(|file| file.modified()).ok();
    [time("tls.crt"), time("tls.key")]
}
