//! What a person must change before a Platform can be built. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use payplane_crds::{
    Platform,
    condition::reason::{
        INVALID, NAMESPACE_NOT_SERVED, OPERATOR_NOT_INSTALLED, SECRET_NOT_FOUND, STORAGE_CLASS_NOT_FOUND,
    },
};

use super::{
    Names,
    cluster::validate as cluster,
    names,
    observe::{Observed, owner_secret, storage_class},
};
use crate::{context::Settings, error::Error};

/// A Platform that can be built.
pub enum Valid {
    /// PostgreSQL is run here; this is the owner's password if it was made before.
    Managed {
        /// The owner's password.
        owner_password: Option<String>,
    },
    /// CloudNativePG runs PostgreSQL.
    Operated {
        /// The owner's password if it was made before.
        owner_password: Option<String>,
        /// PEM of the authority that signs the servers' certificates, when it is known.
        ca_pem: Option<String>,
    },
    /// Somebody else runs PostgreSQL.
    External(Database),
}

/// How a database is reached. Holds no password, so it can be compared and printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Database {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: String,
    /// Name of the database.
    pub dbname: String,
    /// PEM of the authority that signs the server's certificate, unless it is a public one.
    pub ca_pem: Option<String>,
}

/// What is the matter, and the way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// As a condition's reason.
    pub reason: &'static str,
    /// One or two sentences for people.
    pub message: String,
    /// Whether nothing will wake the Platform when the matter is put right.
    pub look_again: bool,
}

/// The names of a Platform's objects, if it is in a namespace where this operator handles Secrets.
///
/// # Errors
/// When it is elsewhere.
pub fn serves(platform: &Platform, settings: &Settings) -> Result<Names, Refused> {
    let names = names(platform);
    if settings.platform_namespaces.contains(&names.namespace) {
        return Ok(names);
    }
    let served = settings.platform_namespaces.join(", ");
    let message = format!(
        "This operator serves Platforms only in: {served}. Move the Platform there, or add namespace {} to the \
         operator's setting platformNamespaces.",
        names.namespace
    );
    Err(Refused { reason: NAMESPACE_NOT_SERVED, message, look_again: false })
}

/// What the API server will not have, such as a request above its limit, or a quota that is used up, or a field that
/// another operator's kind does not have yet. Other failures are not for a person to put right.
pub fn rejected(error: &Error) -> Option<Refused> {
    let Error::Api { cause, .. } = error else { return None };
    match &**cause {
        kube::Error::Api(status) if matches!(status.code, 403 | 422) => {
            Some(Refused { reason: INVALID, message: status.message.clone(), look_again: true })
        }
        // The API server has no reason of its own for this, only these words.
        kube::Error::Api(status) if status.message.contains("field not declared in schema") => {
            let message = format!("An operator that is installed is too old: {}.", status.message);
            Some(Refused { reason: OPERATOR_NOT_INSTALLED, message, look_again: true })
        }
        _ => None,
    }
}

/// Checks what the Platform names.
///
/// # Errors
/// The first thing that is missing.
pub fn validate(platform: &Platform, observed: &Observed) -> Result<Valid, Refused> {
    complete(observed.ca.as_ref(), &["tls.crt", "tls.key"])?;
    complete(observed.database_app.as_ref(), &["password"])?;
    if let Some(secret) = owner_secret(platform) {
        return external(secret, observed.database_owner.as_ref()).map(Valid::External);
    }
    if !observed.has_storage_class {
        let name = storage_class(platform).unwrap_or_default();
        let message = format!("There is no StorageClass {name:?}.");
        return Err(Refused { reason: STORAGE_CLASS_NOT_FOUND, message, look_again: true });
    }
    let owner_password = match &observed.database_owner {
        Some(secret) => Some(value(secret, "password")?),
        None => None,
    };
    if platform.spec.postgres.operator.is_some() {
        cluster::validate(platform, &names(platform), &observed.cluster)?;
        let ca_pem = cluster::authority(&observed.cluster, observed.database_owner.as_ref());
        return Ok(Valid::Operated { owner_password, ca_pem });
    }
    Ok(Valid::Managed { owner_password })
}

fn external(name: &str, secret: Option<&Secret>) -> Result<Database, Refused> {
    let secret = secret.ok_or_else(|| missing(format!("There is no Secret {name:?} in this namespace.")))?;
    for key in ["username", "password"] {
        value(secret, key)?;
    }
    Ok(Database {
        host: value(secret, "host")?,
        port: value(secret, "port")?,
        dbname: value(secret, "dbname")?,
        ca_pem: optional(secret, "ca.crt"),
    })
}

/// A Secret that was made once must keep what cannot be made again.
fn complete(secret: Option<&Secret>, keys: &[&str]) -> Result<(), Refused> {
    let Some(secret) = secret else { return Ok(()) };
    keys.iter().try_for_each(|key| value(secret, key).map(|_| ()))
}

/// A value of a Secret.
///
/// # Errors
/// When it is absent, empty or not text. The message names Secret and key, never a value.
pub fn value(secret: &Secret, key: &str) -> Result<String, Refused> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    optional(secret, key)
        .ok_or_else(|| missing(format!("Secret {name:?} has no key {key:?} with text in it.")))
}

/// A value of a Secret, if it has it.
pub fn optional(secret: &Secret, key: &str) -> Option<String> {
    let data: &BTreeMap<String, ByteString> = secret.data.as_ref()?;
    let text = String::from_utf8(data.get(key)?.0.clone()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// A Secret, or an entry of one, that is not there.
pub fn missing(message: String) -> Refused {
    // Secrets of served namespaces are watched.
    Refused { reason: SECRET_NOT_FOUND, message, look_again: false }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn platform(postgres: Value) -> Platform {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Platform",
            "metadata": {"name": "main", "namespace": "pay"},
            "spec": {"postgres": postgres},
        }))
        .unwrap()
    }

    fn secret(keys: &[&str]) -> Secret {
        let data = keys.iter().map(|key| ((*key).to_owned(), ByteString(b"x".to_vec()))).collect();
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some("db".into());
        secret
    }

    fn refusal(platform: &Platform, observed: &Observed) -> Option<(&'static str, String, bool)> {
        let refused = validate(platform, observed).err()?;
        Some((refused.reason, refused.message, refused.look_again))
    }

    #[test]
    fn an_external_database_needs_every_key_and_the_message_names_the_first_that_is_missing() {
        let platform = platform(json!({"external": {"secretRef": {"name": "db"}}}));
        let keys = ["username", "password", "host", "port", "dbname"];
        let observed =
            |keys: Option<&[&str]>| Observed { database_owner: keys.map(secret), ..Observed::default() };
        let (reason, message, _) = refusal(&platform, &observed(None)).unwrap();
        assert_eq!(
            (reason, message.as_str()),
            (SECRET_NOT_FOUND, "There is no Secret \"db\" in this namespace.")
        );
        for missing in keys {
            let rest: Vec<&str> = keys.into_iter().filter(|key| *key != missing).collect();
            let (reason, message, look_again) = refusal(&platform, &observed(Some(&rest))).unwrap();
            assert_eq!((reason, look_again), (SECRET_NOT_FOUND, false));
            assert_eq!(message, format!("Secret \"db\" has no key {missing:?} with text in it."));
        }
        assert_eq!(refusal(&platform, &observed(Some(&keys))), None);
    }

    #[test]
    fn a_storage_class_that_is_not_there_is_named_and_looked_for_again() {
        let platform = platform(json!({"managed": {"storage": {"size": "1Gi", "storageClassName": "fast"}}}));
        let expected = (STORAGE_CLASS_NOT_FOUND, "There is no StorageClass \"fast\".".to_owned(), true);
        assert_eq!(refusal(&platform, &Observed::default()), Some(expected));
        let there = Observed { has_storage_class: true, ..Observed::default() };
        assert_eq!(refusal(&platform, &there), None);
    }

    #[test]
    fn a_password_that_was_lost_is_never_made_again() {
        let platform = platform(json!({"managed": {}}));
        let lost =
            Observed { has_storage_class: true, database_owner: Some(secret(&[])), ..Observed::default() };
        let (reason, message, _) = refusal(&platform, &lost).unwrap();
        assert_eq!(
            (reason, message.as_str()),
            (SECRET_NOT_FOUND, "Secret \"db\" has no key \"password\" with text in it.")
        );
    }

    #[test]
    fn a_platform_elsewhere_is_told_where_to_go() {
        let settings = |namespaces: &[&str]| Settings {
            platform_namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            engine_image: String::new(),
            postgres_image: String::new(),
            kafka_image: String::new(),
            redis_image: String::new(),
            operator_image: String::new(),
            backup_account: String::new(),
            issuer: String::new(),
            subject: String::new(),
        };
        let platform = platform(json!({"managed": {}}));
        assert!(serves(&platform, &settings(&["pay"])).is_ok());
        let refused = serves(&platform, &settings(&["a", "b"])).unwrap_err();
        assert_eq!(refused.reason, NAMESPACE_NOT_SERVED);
        assert!(refused.message.contains("only in: a, b") && refused.message.contains("add namespace pay"));
    }
}
