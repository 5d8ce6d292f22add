//! Certificates between a Platform's parts, and of the metrics API: an authority of its own for ten years, leaves for one year, issued again
//! when two thirds of their life are over. Keys never leave their Secrets.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::error::Error;

const CA_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;
const RENEW_DAYS: i64 = 243;

/// A certificate and its key, as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Makes an authority of this name.
///
/// # Errors
/// When the system gives no randomness.
pub fn authority(name: &str, now: Timestamp) -> Result<Pair, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, now, CA_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

/// Whose certificate it is, and what it is good for.
pub struct Subject {
    names: Vec<String>,
    usages: Vec<ExtendedKeyUsagePurpose>,
}

impl Subject {
    /// A server that is reached by these names; the first one is what it is called.
    pub fn server(names: Vec<String>) -> Self {
        Self { names, usages: vec![ExtendedKeyUsagePurpose::ServerAuth] }
    }

    /// A server that also proves who it is to others of its kind.
    pub fn peer(names: Vec<String>) -> Self {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { names, usages }
    }
}

/// Issues a certificate.
///
/// # Errors
/// When the authority's key or certificate cannot be read.
pub fn leaf(authority: &Pair, Subject { names, usages }: Subject, now: Timestamp) -> Result<Pair, Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let mut params = CertificateParams::new(names.clone())?;
    params.distinguished_name.push(DnType::CommonName, names.into_iter().next().unwrap_or_default());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages;
    params.use_authority_key_identifier_extension = true;
    lasts(&mut params, now, LEAF_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

/// When a leaf that is issued now is to be issued again.
pub fn renew_at(now: Timestamp) -> Timestamp {
    now.saturating_add((RENEW_DAYS * 24).hours()).unwrap_or(Timestamp::MAX)
}

/// From the day before, so that a clock that is a little behind accepts it.
fn lasts(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |days| {
        let (year, month, day) = date_after(now, days);
        rcgen::date_time_ymd(year, month, day)
    };
    params.not_before = date(-1);
    params.not_after = date(days);
}

fn date_after(now: Timestamp, days: i64) -> (i32, u8, u8) {
    let then = now.saturating_add((days * 24).hours()).unwrap_or(Timestamp::MAX);
    let date = then.to_zoned(TimeZone::UTC).date();
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    (date.year().into(), part(date.month()), part(date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-02-28T23:59:59Z".parse().unwrap()
    }

    #[test]
    fn a_leaf_is_issued_again_before_it_ends() {
        assert_eq!(renew_at(now()).to_string(), "2026-10-29T23:59:59Z");
        assert_eq!(date_after(now(), LEAF_DAYS), (2027, 2, 28));
        assert_eq!(date_after(now(), -1), (2026, 2, 27));
    }

    #[test]
    fn an_authority_signs_again_after_it_was_read_back() {
        let authority = authority("main", now()).unwrap();
        let first = leaf(&authority, Subject::server(vec!["main-engine".into()]), now()).unwrap();
        let second = leaf(&authority, Subject::peer(vec!["main-engine".into()]), now()).unwrap();
        assert!(first.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(first.key, second.key, "every leaf has a key of its own");
    }

    #[test]
    fn a_foreign_key_does_not_sign() {
        let (one, other) = (authority("a", now()).unwrap(), authority("b", now()).unwrap());
        let broken = Pair { certificate: "no certificate".into(), key: other.key };
        assert!(leaf(&broken, Subject::server(vec!["x".into()]), now()).is_err());
        assert!(leaf(&one, Subject::server(vec!["x".into()]), now()).is_ok());
    }
}
