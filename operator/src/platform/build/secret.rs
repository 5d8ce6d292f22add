//! Secrets of a Platform. What opens the ledger again is kept when the Platform goes; certificates are not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use payplane_crds::Platform;

use super::{ENGINE, POSTGRES};
use crate::{
    meta::{RENEW_AT, kept, owned},
    platform::{certificate::Pair, validate::Database},
};

/// User and password in a database. Cannot be printed.
pub struct Login {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// The authority with its key, for the operator only.
pub fn authority(platform: &Platform, name: String, pair: &Pair) -> Secret {
    let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    secret(kept(platform, name, ENGINE), "kubernetes.io/tls", data)
}

/// A server's certificate with its key, and the authority's certificate.
pub fn leaf(platform: &Platform, name: String, pair: &Pair, ca_pem: &String, renew_at: Timestamp) -> Secret {
    let mut metadata = owned(platform, name, ENGINE);
    metadata.annotations = Some(BTreeMap::from([(RENEW_AT.into(), renew_at.to_string())]));
    let data = [("ca.crt", ca_pem), ("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    secret(metadata, "kubernetes.io/tls", data)
}

/// How to reach a database, and as whom.
pub fn database(platform: &Platform, name: String, database: &Database, as_whom: &Login) -> Secret {
    login(kept(platform, name, POSTGRES), database, as_whom)
}

/// The same with metadata of its own.
pub fn login(metadata: ObjectMeta, database: &Database, login: &Login) -> Secret {
    let Database { host, port, dbname, ca_pem } = database;
    let Login { username, password } = login;
    let reach = [("host", host), ("port", port), ("dbname", dbname)];
    let who = [("username", username), ("password", password)];
    let ca = ca_pem.iter().map(|pem| ("ca.crt", pem));
    secret(metadata, "Opaque", reach.into_iter().chain(who).chain(ca))
}

/// Text under these keys.
pub fn opaque(metadata: ObjectMeta, values: &[(&'static str, String)]) -> Secret {
    secret(metadata, "Opaque", values.iter().map(|(key, value)| (*key, value)))
}

/// Adds a text under a key.
pub fn put(secret: &mut Secret, key: &str, value: &str) {
    secret.data.get_or_insert_default().insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
}

fn secret<'a>(
    metadata: ObjectMeta,
    type_: &str,
    data: impl IntoIterator<Item = (&'static str, &'a String)>,
) -> Secret {
    let bytes = |(key, value): (&str, &String)| (key.to_owned(), ByteString(value.clone().into_bytes()));
    Secret {
        metadata,
        type_: Some(type_.into()),
        data: Some(data.into_iter().map(bytes).collect()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fixture, *};

    fn told(secret: &Secret) -> (Value, Vec<&str>) {
        let metadata = serde_json::to_value(&secret.metadata).unwrap();
        (metadata, secret.data.as_ref().unwrap().keys().map(String::as_str).collect())
    }

    #[test]
    fn what_opens_the_ledger_has_no_owner_or_deleting_the_platform_would_lose_the_ledger() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        let database = Database {
            host: "h".into(),
            port: "5432".into(),
            dbname: "payplane".into(),
            ca_pem: Some("PEM".into()),
        };
        let login = Login { username: "u".into(), password: "p".into() };
        let made = super::database(&platform, "main-database-app".into(), &database, &login);
        let (metadata, keys) = told(&made);
        assert_eq!(
            metadata,
            json!({"name": "main-database-app", "namespace": "pay", "labels": fixture::labels("postgres")})
        );
        assert_eq!(keys, ["ca.crt", "dbname", "host", "password", "port", "username"]);
        let pair = Pair { certificate: "c".into(), key: "k".into() };
        let made = authority(&platform, "main-ca".into(), &pair);
        let (metadata, keys) = told(&made);
        assert_eq!(metadata.get("ownerReferences"), None);
        assert_eq!(keys, ["tls.crt", "tls.key"]);
    }

    #[test]
    fn a_certificate_goes_with_its_platform_and_says_when_to_issue_the_next() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        let pair = Pair { certificate: "c".into(), key: "k".into() };
        let made = leaf(&platform, "main-engine-tls".into(), &pair, &"ca".into(), Timestamp::UNIX_EPOCH);
        let (metadata, keys) = told(&made);
        let mut expected = fixture::owned("main-engine-tls", "engine");
        expected["annotations"] = json!({"payplane.io/renew-at": "1970-01-01T00:00:00Z"});
        assert_eq!(metadata, expected);
        assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"]);
    }
}
