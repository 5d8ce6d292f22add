//! An issuer's public keys, by key id. Fetched when needed: at first use, for an unknown id, and when they are old.
//! Fetches are rate limited, which also bounds what made-up key ids can cost.

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use tokio::sync::Mutex;

use crate::{config::AuthConfig, telemetry::Causes};

/// Shortest time between two fetches.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// After this, keys are fetched again even if all ids are known, so a withdrawn key stops working.
const AGE_MAX: Duration = Duration::from_secs(300);

const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// An issuer has a handful of keys.
const KEYS_MAX: usize = 64;

const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// A key and the one algorithm that it verifies. The token's header has no say in the algorithm.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// Where the keys come from.
#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url {
        client: reqwest::Client,
        url: String,
        token_file: Option<PathBuf>,
    },
    /// Of a tenant's own issuer: found through its discovery document.
    Discovery {
        client: reqwest::Client,
        issuer: String,
    },
}

/// The keys as of the last fetch.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<Key>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// The keys could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error("read the file of keys or of the token to fetch them")]
    File(#[source] io::Error),
    #[error("fetch the keys")]
    Fetch(#[source] reqwest::Error),
    #[error("the document of keys, or the one that says where it is, is too large")]
    TooLarge,
    #[error(
        "the issuer's discovery document is of another issuer, or says that keys are elsewhere than at https"
    )]
    Discovery,
    #[error("the keys could not be had a moment ago")]
    Paused,
    #[error("the document of keys is not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
}

impl Keys {
    pub(super) fn from_config(config: &AuthConfig) -> Result<Option<Self>, KeysError> {
        let source = match (&config.jwks_file, &config.jwks_url) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(url)) => {
                let (url, token_file) = (url.clone(), config.jwks_token_file.clone());
                Source::Url { client: client(config.jwks_ca_file.as_ref())?, url, token_file }
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { source, known: Mutex::default() }))
    }

    /// The keys of an issuer that is known by its URL. Whoever names it is an administrator of the cluster; still only https
    /// is spoken, no redirect is followed, and nothing of an answer is shown to anybody.
    pub(super) fn discovered(issuer: &str, ca_pem: &str) -> Result<Self, KeysError> {
        let builder = builder().https_only(true);
        let builder = match ca_pem.is_empty() {
            true => builder,
            false => builder.tls_certs_only(certificates(ca_pem.as_bytes())?),
        };
        let client = builder.build().map_err(KeysError::Fetch)?;
        Ok(Self { source: Source::Discovery { client, issuer: issuer.to_owned() }, known: Mutex::default() })
    }

    /// The key with this id. Nothing if the issuer has no such key as far as we know; an error if we know no keys.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Arc<Key>>, KeysError> {
        let mut known = self.known.lock().await;
        let is_old = known.fetched_at.is_none_or(|at| AGE_MAX < at.elapsed());
        let may_try = known.tried_at.is_none_or(|at| FETCH_PAUSE <= at.elapsed());
        if (is_old || !known.keys.contains_key(id)) && may_try {
            known.tried_at = Some(Instant::now());
            // Apart, because it is large and seldom: every call's future would be moved with it.
            match Box::pin(self.fetch()).await {
                Ok(keys) => {
                    known.keys = keys;
                    known.fetched_at = Some(Instant::now());
                }
                // Old keys are better than none: the issuer may be restarting.
                Err(error) if known.fetched_at.is_some() => {
                    tracing::warn!(reason = %Causes(&error), "keys not refreshed");
                }
                Err(error) => {
                    // The next caller may try at once: there is nothing to go on with. But not for a tenant's issuer, which
                    // every made-up token could make us knock at.
                    if !matches!(self.source, Source::Discovery { .. }) {
                        known.tried_at = None;
                    }
                    return Err(error);
                }
            }
        }
        if known.fetched_at.is_none() {
            return Err(KeysError::Paused);
        }
        Ok(known.keys.get(id).cloned())
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<Key>>, KeysError> {
        let document = match &self.source {
            Source::File(path) => fs::read(path).map_err(KeysError::File)?,
            Source::Url { client, url, token_file } => download(client, url, token_file.as_ref()).await?,
            Source::Discovery { client, issuer } => discover(client, issuer).await?,
        };
        if DOCUMENT_BYTES_MAX < document.len() {
            return Err(KeysError::TooLarge);
        }
        // Key by key: an issuer may publish kinds of keys that are unknown here, beside those that are used.
        let set: serde_json::Value = serde_json::from_slice(&document).map_err(KeysError::Malformed)?;
        let keys = set.get("keys").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let keys = keys
            .into_iter()
            .take(KEYS_MAX)
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .collect();
        Ok(usable_keys(&JwkSet { keys }))
    }
}

async fn download(
    client: &reqwest::Client,
    url: &str,
    token_file: Option<&PathBuf>,
) -> Result<Vec<u8>, KeysError> {
    let mut request = client.get(url);
    if let Some(path) = token_file {
        let token = fs::read_to_string(path).map_err(KeysError::File)?;
        request = request.bearer_auth(token.trim());
    }
    read(request).await
}

/// Where the issuer says that its keys are. It has to be the issuer that it was asked as.
async fn discover(client: &reqwest::Client, issuer: &str) -> Result<Vec<u8>, KeysError> {
    #[derive(serde::Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = read(client.get(url)).await?;
    let document: Document = serde_json::from_slice(&document).map_err(KeysError::Malformed)?;
    if document.issuer != issuer || !document.jwks_uri.starts_with("https://") {
        return Err(KeysError::Discovery);
    }
    read(client.get(document.jwks_uri)).await
}

/// No more than [`DOCUMENT_BYTES_MAX`], whatever the server sends.
async fn read(request: reqwest::RequestBuilder) -> Result<Vec<u8>, KeysError> {
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let (mut answer, mut document) = (answer.map_err(KeysError::Fetch)?, Vec::new());
    while let Some(part) = answer.chunk().await.map_err(KeysError::Fetch)? {
        document.extend_from_slice(&part);
        if DOCUMENT_BYTES_MAX < document.len() {
            return Err(KeysError::TooLarge);
        }
    }
    Ok(document)
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none())
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, KeysError> {
    reqwest::Certificate::from_pem_bundle(pem).map_err(KeysError::Fetch)
}

/// Whether this is nothing, or PEM certificates.
pub(crate) fn is_ca(pem: &str) -> bool {
    pem.is_empty() || certificates(pem.as_bytes()).is_ok_and(|found| !found.is_empty())
}

fn client(ca_file: Option<&PathBuf>) -> Result<reqwest::Client, KeysError> {
    let builder = match ca_file {
        None => builder(),
        Some(path) => {
            let pem = fs::read(path).map_err(KeysError::File)?;
            builder().tls_certs_only(certificates(&pem)?)
        }
    };
    builder.build().map_err(KeysError::Fetch)
}

fn usable_keys(set: &JwkSet) -> HashMap<String, Arc<Key>> {
    let usable = |key: &Jwk| {
        let id = key.common.key_id.clone()?;
        let is_for_signatures = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        let algorithm = algorithm(key).filter(|_| is_for_signatures)?;
        let decoding = DecodingKey::from_jwk(key).ok()?;
        Some((id, Arc::new(Key { algorithm, decoding })))
    };
    set.keys.iter().filter_map(usable).collect()
}

/// Public-key algorithms only: a shared secret in a published set would let anybody sign.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    match (&key.algorithm, key.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Some(Algorithm::RS256),
        (AlgorithmParameters::EllipticCurve(curve), None | Some(KeyAlgorithm::ES256))
            if curve.curve == EllipticCurve::P256 =>
        {
            Some(Algorithm::ES256)
        }
        _ => None,
    }
}
