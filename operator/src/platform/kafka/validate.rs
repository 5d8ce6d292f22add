//! What a person must change before Kafka can be built. Pure.

use k8s_openapi::api::core::v1::Secret;
use payplane_crds::{
    Platform,
    condition::reason::{NAME_TAKEN, SECRET_NOT_FOUND, STORAGE_CLASS_NOT_FOUND},
    kafka::ManagedKafka,
};

use super::observe::{ObservedKafka, external_secret, storage_class};
use crate::platform::validate::{Refused, optional, value};

/// Kafka that can be built.
#[derive(Debug, PartialEq)]
pub enum ValidKafka {
    /// None is wanted.
    None,
    /// It is run here.
    Managed(ManagedKafka),
    /// Strimzi runs it.
    Operated {
        /// PEM of the authority that signs the nodes' certificates, when it is known.
        ca_pem: Option<String>,
    },
    /// Somebody else runs it; this Secret says where.
    External {
        /// Name of the Secret.
        secret: String,
    },
}

/// Checks what the Platform names.
///
/// # Errors
/// The first thing that is missing.
pub fn validate(platform: &Platform, observed: &ObservedKafka) -> Result<ValidKafka, Refused> {
    if platform.spec.kafka.is_none() {
        return Ok(ValidKafka::None);
    }
    if let Some(name) = external_secret(platform) {
        let absent = || Refused {
            reason: SECRET_NOT_FOUND,
            message: format!("There is no Secret {name:?} in this namespace."),
            // Secrets of served namespaces are watched.
            look_again: false,
        };
        let secret = observed.client.as_ref().ok_or_else(absent)?;
        value(secret, "brokers")?;
        // A name without a password could only fail later, and with fewer words.
        if optional(secret, "username").is_some() {
            value(secret, "password")?;
        }
        return Ok(ValidKafka::External { secret: name.to_owned() });
    }
    if !observed.has_storage_class {
        let message = format!("There is no StorageClass {:?}.", storage_class(platform).unwrap_or_default());
        return Err(Refused { reason: STORAGE_CLASS_NOT_FOUND, message, look_again: true });
    }
    let Some(managed) = platform.spec.kafka.as_ref().and_then(|kafka| kafka.managed.clone()) else {
        // Strimzi would go on with the password that it has.
        observed.client.as_ref().map(|secret| value(secret, "password")).transpose()?;
        let certificate = |secret: &Secret| optional(secret, "ca.crt");
        // One that is away for a moment is remembered, so that nobody connects without checking.
        let live = observed.operated.ca.as_ref().and_then(certificate);
        let ca_pem = live.or_else(|| observed.client.as_ref().and_then(certificate));
        return Ok(ValidKafka::Operated { ca_pem });
    };
    match observed.taken.first() {
        Some(user) => Err(taken(platform, user)),
        None => Ok(ValidKafka::Managed(managed)),
    }
}

fn taken(platform: &Platform, user: &str) -> Refused {
    let name = super::super::names(platform).kafka_reader(user);
    let message = format!(
        "spec.kafka.managed.users: user {user:?} needs the Secret {name:?}, and somebody else made one of that name. Delete it, \
         or name the user otherwise."
    );
    Refused { reason: NAME_TAKEN, message, look_again: true }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    use super::*;
    use crate::platform::fixture;

    fn platform(kafka: Value) -> Platform {
        fixture::platform(json!({"postgres": {"managed": {}}, "kafka": kafka}))
    }

    fn secret(keys: &[&str]) -> Secret {
        let data = keys.iter().map(|key| ((*key).to_owned(), ByteString(b"x".to_vec()))).collect();
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some("bus".into());
        secret
    }

    fn told(
        platform: &Platform,
        client: Option<&[&str]>,
        has_storage_class: bool,
    ) -> Result<ValidKafka, String> {
        let observed =
            ObservedKafka { client: client.map(secret), has_storage_class, ..ObservedKafka::default() };
        validate(platform, &observed).map_err(|refused| format!("{}: {}", refused.reason, refused.message))
    }

    #[test]
    fn what_is_missing_is_named() {
        let external = platform(json!({"external": {"secretRef": {"name": "bus"}}}));
        let managed = platform(json!({"managed": {"storage": {"size": "1Gi", "storageClassName": "fast"}}}));
        let operated = platform(json!({"operator": {}}));
        let no = |message: &str| Err(message.to_owned());
        let found = || Ok(ValidKafka::External { secret: "bus".into() });
        let run = || Ok(ValidKafka::Managed(managed.spec.kafka.clone().unwrap().managed.unwrap()));
        type Case<'a> = (&'a Platform, Option<&'a [&'a str]>, bool, Result<ValidKafka, String>);
        let cases: [Case<'_>; 9] = [
            (&external, None, true, no("SecretNotFound: There is no Secret \"bus\" in this namespace.")),
            (
                &external,
                Some(&[]),
                true,
                no("SecretNotFound: Secret \"bus\" has no key \"brokers\" with text in it."),
            ),
            (
                &external,
                Some(&["brokers", "username"]),
                true,
                no("SecretNotFound: Secret \"bus\" has no key \"password\" with text in it."),
            ),
            (&external, Some(&["brokers"]), true, found()),
            (&external, Some(&["brokers", "username", "password", "ca.crt"]), true, found()),
            (&managed, None, false, no("StorageClassNotFound: There is no StorageClass \"fast\".")),
            (&managed, None, true, run()),
            // A password that was lost is made again: Kafka is told.
            (&managed, Some(&["brokers"]), true, run()),
            // Strimzi is not.
            (
                &operated,
                Some(&["brokers"]),
                true,
                no("SecretNotFound: Secret \"bus\" has no key \"password\" with text in it."),
            ),
        ];
        for (platform, client, has_storage_class, expected) in cases {
            assert_eq!(told(platform, client, has_storage_class), expected, "{client:?}");
        }
    }

    #[test]
    fn a_secret_of_somebody_else_is_left_alone() {
        let platform = platform(json!({"managed": {"users": [{"name": "books"}]}}));
        let observed = ObservedKafka {
            taken: vec!["books".into()],
            has_storage_class: true,
            ..ObservedKafka::default()
        };
        let refused = validate(&platform, &observed).unwrap_err();
        assert_eq!(refused.reason, NAME_TAKEN);
        assert!(refused.message.contains("\"main-kafka-user-books\""), "{}", refused.message);
    }
}
