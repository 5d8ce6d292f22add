//! Tokens, subjects and the issuer's documents under fuzz. Nothing that was not signed is believed, and no document makes
//! the reader of keys panic.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::sync::{Arc, LazyLock};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::Strategy as _;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::{TokenError, Verifier, service_account};
use crate::{
    config::AuthConfig,
    fuzz::{fuzz, spoiled, texts},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Knows the keys of this document only.
fn verifier(document: &[u8], name: &str) -> Verifier {
    let file = std::env::temp_dir().join(format!("payplane-{name}-{}.json", std::process::id()));
    std::fs::write(&file, document).unwrap();
    let config = AuthConfig {
        issuer: Some("issuer".to_owned()),
        jwks_file: Some(file),
        audience: "payplane".to_owned(),
        ..AuthConfig::default()
    };
    Verifier::from_config(&config).unwrap().unwrap()
}

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","alg":"ES256","use":"sig",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
    {"kty":"oct","kid":"b","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"},{"kty":"OKP"},7]}"#;

/// For whoever chooses inputs.
pub(crate) const LAWS: [fn(); 3] = [subjects, tokens, documents_of_keys];

#[cfg_attr(test, test)]
pub(crate) fn subjects() {
    fuzz("subjects", &texts("system:serviceaccount:[a-z]{0,3}:[a-z:]{0,3}"), |text| {
        let found = service_account(&text);
        let written = |(namespace, name): &(&str, &str)| format!("system:serviceaccount:{namespace}:{name}");
        found.inspect(|found| assert_eq!(written(found), text)).is_some()
    });
}

/// Header and claims are right in many of them; the signature never is.
#[cfg_attr(test, test)]
pub(crate) fn tokens() {
    // {"alg":"ES256","kid":"a"}, {"alg":"HS256","kid":"b"}, {"alg":"none","kid":"a"} and ends of them.
    static TOKEN: LazyLock<String> = LazyLock::new(|| {
        let header = "(eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ|eyJhbGciOiJIUzI1NiIsImtpZCI6ImIifQ|eyJhbGciOiJub25lIiwia2lkIjoiYSJ9)";
        format!("{header}\\.[A-Za-z0-9_-]{{0,60}}\\.[A-Za-z0-9_-]{{0,90}}")
    });
    let (runtime, verifier) = (runtime(), verifier(KEYS.as_bytes(), "tokens"));
    fuzz("tokens", &texts(&TOKEN), |text| {
        let refused = runtime.block_on(verifier.verify(&text)).unwrap_err();
        // As far as the signature, or not.
        matches!(refused, TokenError::Invalid(_))
    });
}

/// A token of which everything is right, signed with the secret of the document.
fn signed_with_the_secret() -> String {
    let header = Header { kid: Some("b".to_owned()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_base64_secret("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ==").unwrap();
    let subject = "system:serviceaccount:a:b";
    let claims =
        json!({"iss": "issuer", "aud": "payplane", "sub": subject, "nbf": 0, "exp": 32_503_680_000_u64});
    encode(&header, &claims, &key).unwrap()
}

#[cfg_attr(test, test)]
pub(crate) fn documents_of_keys() {
    let (runtime, secret) = (runtime(), signed_with_the_secret());
    let documents = spoiled(proptest::strategy::Just(KEYS.as_bytes().to_vec())).prop_map(Arc::new);
    fuzz("documents of keys", &documents, |document| {
        let verifier = verifier(&document, "keys");
        // It is no key, whatever the document says.
        runtime.block_on(verifier.verify(&secret)).unwrap_err();
        let signed = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AA";
        let refused = runtime.block_on(verifier.verify(signed)).unwrap_err();
        !matches!(refused, TokenError::UnknownKey | TokenError::KeysUnavailable)
    });
}
