//! Tokens: JSON Web Tokens of one issuer for one audience, verified against the issuer's keys.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use super::keys::{Keys, KeysError};
use crate::{config::AuthConfig, store::IssuerRow, telemetry::Causes};

/// Longer tokens are not looked at.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: u64 = 30;

/// Checking a signature costs more than everything else that a call needs from the processor, and callers repeat their
/// token for an hour. A withdrawn key works this long at most.
const REMEMBER_MAX: Duration = Duration::from_secs(60);

/// Bounds memory. When it is reached everything is forgotten.
const REMEMBERED_MAX: usize = 2_048;

/// Why a token is not believed. Says no more than the bearer knows.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too long, or not a token at all.
    #[error("the token is malformed")]
    Malformed,
    /// The issuer has no such key.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature, issuer, audience or time is wrong.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// The keys cannot be had at the moment.
    #[error("the issuer's keys are not available")]
    KeysUnavailable,
}

/// The configuration makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// An issuer without keys.
    #[error("--issuer needs --jwks-url or --jwks-file")]
    NoKeys,
    /// The keys cannot be had in the way that was asked for.
    #[error("prepare to fetch the issuer's keys: {0}")]
    Keys(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    jti: Option<String>,
}

/// Whose token it is, and which.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The token's subject.
    pub subject: Arc<str>,
    /// The token's own id, if its issuer gave it one.
    pub id: Option<Arc<str>>,
}

/// Until when a token is believed without looking, and whose it is.
type Remembered = HashMap<Box<str>, (Instant, Identity)>;

/// Verifies tokens and remembers those it verified.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: Keys,
    remembered: Mutex<Remembered>,
}

impl Verifier {
    /// Nothing without an issuer.
    pub fn from_config(config: &AuthConfig) -> Result<Option<Self>, VerifierError> {
        let Some(issuer) = config.issuer.clone() else { return Ok(None) };
        let keys =
            Keys::from_config(config).map_err(|error| VerifierError::Keys(Causes(&error).to_string()))?;
        let keys = keys.ok_or(VerifierError::NoKeys)?;
        Ok(Some(Self { issuer, audience: config.audience.clone(), keys, remembered: Mutex::default() }))
    }

    /// Of a tenant's own issuer. Nothing is fetched yet.
    pub(super) fn of_issuer(row: &IssuerRow) -> Result<Self, VerifierError> {
        let keys = Keys::discovered(&row.issuer, &row.ca_pem);
        let keys = keys.map_err(|error| VerifierError::Keys(Causes(&error).to_string()))?;
        let (issuer, audience) = (row.issuer.clone(), row.audience.clone());
        Ok(Self { issuer, audience, keys, remembered: Mutex::default() })
    }

    /// Whose a token is that is believed. Whether it was revoked is not asked here.
    pub async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        if TOKEN_BYTES_MAX < token.len() {
            return Err(TokenError::Malformed);
        }
        if let Some(identity) = self.recall(token) {
            return Ok(identity);
        }
        let claims = self.check(token).await?;
        let identity = Identity { subject: claims.sub.into(), id: claims.jti.map(Arc::from) };
        self.remember(token, claims.exp, identity.clone());
        Ok(identity)
    }

    /// The header chooses among the issuer's keys by id and nothing else: the key decides the algorithm.
    async fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        let id = header.kid.ok_or(TokenError::UnknownKey)?;
        let key = self.keys.find(&id).await.map_err(|error: KeysError| {
            // What was told when it was tried is not told again until it is tried again.
            if !matches!(error, KeysError::Paused) {
                tracing::error!(issuer = self.issuer, reason = %Causes(&error), "no keys to verify tokens with");
            }
            TokenError::KeysUnavailable
        })?;
        let key = key.ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let token = decode::<Claims>(token, &key.decoding, &validation).map_err(|error| invalid(&error))?;
        Ok(token.claims)
    }

    /// Whose a token is that was believed a moment ago.
    pub(super) fn recall(&self, token: &str) -> Option<Identity> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(token)
            .filter(|(until, _)| Instant::now() < *until)
            .map(|(_, identity)| identity.clone())
    }

    fn remember(&self, token: &str, expires: u64, identity: Identity) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(expires.saturating_add(LEEWAY_SECONDS)).saturating_sub(now);
        let until = Instant::now() + left.min(REMEMBER_MAX);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if REMEMBERED_MAX <= remembered.len() {
            remembered.clear();
        }
        remembered.insert(token.into(), (until, identity));
    }
}

fn invalid(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Invalid("it has expired"),
        ErrorKind::ImmatureSignature => TokenError::Invalid("it is not valid yet"),
        ErrorKind::InvalidAudience => TokenError::Invalid("it is for another audience"),
        ErrorKind::InvalidIssuer => TokenError::Invalid("it is from another issuer"),
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {
            TokenError::Invalid("its signature is wrong")
        }
        ErrorKind::MissingRequiredClaim(_) => TokenError::Invalid("a required claim is missing"),
        _ => TokenError::Malformed,
    }
}
