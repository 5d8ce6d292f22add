//! Signs tokens as a cluster's API server does.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

use super::TempDir;

pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
pub(crate) const AUDIENCE: &str = "payplane";
pub(crate) const KEY_ID: &str = "key-1";

/// An issuer with one key, published in a file.
#[derive(Debug)]
pub(crate) struct Issuer {
    key: rcgen::KeyPair,
    files: TempDir,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let issuer = Self { key: rcgen::KeyPair::generate().unwrap(), files: TempDir::new() };
        let mut jwk = Jwk::from_encoding_key(&issuer.encoding_key(), Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(KEY_ID.to_owned());
        issuer.files.write("jwks.json", &json!({ "keys": [jwk] }).to_string());
        issuer
    }

    pub(crate) fn jwks_file(&self) -> PathBuf {
        self.files.path().join("jwks.json")
    }

    pub(crate) fn encoding_key(&self) -> EncodingKey {
        EncodingKey::from_ec_pem(self.key.serialize_pem().as_bytes()).unwrap()
    }

    pub(crate) fn public_key_pem(&self) -> String {
        self.key.public_key_pem()
    }

    /// A good token of `subject`.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.sign(&claims(subject))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(KEY_ID, claims)
    }

    pub(crate) fn sign_as(&self, key_id: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(key_id.to_owned());
        encode(&header, claims, &self.encoding_key()).unwrap()
    }
}

/// How long tokens last: longer than any test, of which one leaves a broker away for ten minutes.
const TOKEN_SECONDS: u64 = 1_800;

/// Claims of a good token, to be spoiled by tests.
pub(crate) fn claims(subject: &str) -> Value {
    let now = now();
    json!({ "iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "nbf": now, "iat": now, "exp": now + TOKEN_SECONDS })
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
