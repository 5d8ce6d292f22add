//! Who may ask: the API server, by the certificate that it shows when it passes a question on.
//!
//! Whom to believe stands in ConfigMap `extension-apiserver-authentication` of kube-system, as for every server behind the API
//! server: an authority, and the common names that count. The API server has asked the cluster's roles before it passes anything
//! on, and nobody else has its key, so the roles are not asked again. Without its certificate no connection comes about; there is
//! no other way in.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Terms, certificate::Served};
use crate::{api, error::Error};

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
const AUTHORITY: &str = "requestheader-client-ca-file";
const NAMES: &str = "requestheader-allowed-names";

/// What the API server's certificate says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Front {
    /// Who signed it, as PEM. Empty where the API server passes nothing on.
    pub authority: String,
    /// Its common name is one of these; any, if there are none.
    pub names: Vec<String>,
}

/// Why no connection can be accepted.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The API server was started without an authority for this.
    #[error(
        "ConfigMap {CONFIG_MAP} of {NAMESPACE} has no {AUTHORITY}: start the API server with --requestheader-client-ca-file"
    )]
    NoAuthority,
    /// One of the certificates cannot be read.
    #[error("read a certificate or key")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The authority makes no sense.
    #[error("use {AUTHORITY}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// Certificate and key do not fit, or one is of an unknown kind.
    #[error("use a certificate")]
    Use(#[from] rustls::Error),
}

/// Reads whom to believe.
///
/// # Errors
/// When the API server gives no answer.
pub async fn read(client: &Client) -> Result<Front, Error> {
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let found = api::call("read whom the API server is known by", maps.get(CONFIG_MAP)).await?;
    Ok(parse(&found))
}

/// Names that cannot be read allow nobody: an empty text does not occur in a certificate.
fn parse(map: &ConfigMap) -> Front {
    let value = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).cloned();
    let names = value(NAMES).map(|json| serde_json::from_str(&json).unwrap_or(vec![String::new()]));
    Front { authority: value(AUTHORITY).unwrap_or_default(), names: names.unwrap_or_default() }
}

/// The terms of new connections: TLS 1.2 or 1.3 for HTTP/1.1, and no client without a certificate.
///
/// # Errors
/// When a certificate or a key cannot be used.
pub fn terms(served: &Served, front: &Front) -> Result<Terms, FrontError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(front.authority.as_bytes()) {
        roots.add(authority?)?;
    }
    if roots.is_empty() {
        return Err(FrontError::NoAuthority);
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let chain =
        CertificateDer::pem_slice_iter(served.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(served.key.as_bytes())?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut tls = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Terms { tls: Arc::new(tls), front: front.clone() })
}

impl Front {
    /// Whether this certificate, which the authority has signed, has a name that counts.
    pub fn knows(&self, certificate: Option<&CertificateDer<'_>>) -> bool {
        let Some(certificate) = certificate else { return false };
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        let mut named = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        self.names.is_empty() || named.any(|name| self.names.iter().any(|known| known == name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(name: &str) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_name_counts_if_it_is_listed_and_any_does_if_none_is() {
        for (names, asked, expected) in [
            (Some(r#"["front-proxy"]"#), "front-proxy", true),
            (Some(r#"["front-proxy"]"#), "somebody", false),
            (Some(r#"["a","b"]"#), "b", true),
            (Some("[]"), "somebody", true),
            (None, "somebody", true),
            (Some("nonsense"), "front-proxy", false),
            (Some("nonsense"), "nonsense", false),
        ] {
            let data = names.map(|names| (NAMES, names)).into_iter().chain([(AUTHORITY, "pem")]);
            let map = json!({"data": data.collect::<std::collections::BTreeMap<_, _>>()});
            let front = parse(&serde_json::from_value(map).unwrap());
            assert_eq!(front.authority, "pem");
            assert_eq!(front.knows(Some(&named(asked))), expected, "{names:?} {asked}");
        }
        assert!(!Front::default().knows(None), "nobody is not anybody");
        assert!(!Front::default().knows(Some(&CertificateDer::from(b"junk".as_slice()))));
    }

    #[test]
    fn without_an_authority_nobody_is_let_in() {
        let served = Served { certificate: String::new(), key: String::new() };
        let none = parse(&ConfigMap::default());
        assert!(matches!(terms(&served, &none), Err(FrontError::NoAuthority)));
    }
}
