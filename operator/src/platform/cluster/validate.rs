//! What a person must change before a Cluster can be written, and what is known of its authority. Pure.

use k8s_openapi::api::core::v1::Secret;

use payplane_crds::{Platform, condition::reason::RESTORING};

use super::{VENDOR, archive, observe::ObservedCluster};
use crate::platform::{
    foreign::{self, cloudnative_pg::Cluster},
    names::Names,
    restoring::Mark,
    validate::{Refused, missing, optional, value},
};

/// Checks that there is a place for the Cluster, and how to log in to the bucket that its log is stored in.
///
/// # Errors
/// When CloudNativePG is not installed, the Cluster is somebody else's, a Restore fills it, or credentials are missing.
pub fn validate(platform: &Platform, names: &Names, observed: &ObservedCluster) -> Result<(), Refused> {
    if let Some(refused) = foreign::refusal::<Cluster>(&observed.found, &names.postgres(), VENDOR) {
        return Err(refused);
    }
    if let Some(mark) = observed.live.as_ref().and_then(Mark::on) {
        let message = format!(
            "{} fills Cluster {:?}, and nothing uses it before its ledger is proved. Wait for it; if it failed, delete the Cluster.",
            mark.who(),
            names.postgres()
        );
        // The Cluster is watched.
        return Err(Refused { reason: RESTORING, message, look_again: false });
    }
    archive::wanted(platform).map_or(Ok(()), |(_, bucket)| {
        let name = &bucket.credentials_ref.name;
        let secret = observed.credentials.as_ref().ok_or_else(|| {
            missing(format!(
                "There is no Secret {name:?} in this namespace, which spec.postgres.operator.archive.bucket names. Create it with \
                 entries access-key-id and secret-access-key."
            ))
        })?;
        archive::NEEDED.iter().try_for_each(|key| value(secret, key).map(|_| ()))
    })
}

/// The authority's certificate: CloudNativePG's, or while that is away the one that was passed on to the owner's Secret, so
/// that nobody connects without checking.
pub fn authority(observed: &ObservedCluster, owner: Option<&Secret>) -> Option<String> {
    let certificate = |secret: &Secret| optional(secret, "ca.crt");
    observed.ca.as_ref().and_then(certificate).or_else(|| owner.and_then(certificate))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn what_is_missing_for_the_log_or_not_proved_yet_is_named() {
        use crate::platform::fixture;
        let archive = serde_json::json!({"bucket": crate::place::fixture::spec()});
        let platform = fixture::platform(serde_json::json!({"postgres": {"operator": {"archive": archive}}}));
        let secret = |keys: &[&str]| {
            let data = keys.iter().map(|key| ((*key).to_owned(), ByteString(b"x".to_vec()))).collect();
            Secret { data: Some(data), ..Secret::default() }
        };
        let live = |mark: &str| {
            serde_json::from_value(serde_json::json!({
                "metadata": {"annotations": {"payplane.io/restoring": mark}}, "spec": {},
            }))
            .unwrap()
        };
        let cases = [
            (None, None, Some("SecretNotFound"), "archive.bucket"),
            (Some(secret(&["access-key-id"])), None, Some("SecretNotFound"), "secret-access-key"),
            (Some(secret(&["access-key-id", "secret-access-key"])), None, None, ""),
            (Some(secret(&[])), Some(live("back:r-1")), Some("Restoring"), "Restore back"),
        ];
        for (credentials, live, reason, words) in cases {
            let found = crate::platform::foreign::Found::Ours;
            let observed = ObservedCluster { found, live, credentials, ca: None };
            let refused = validate(&platform, &fixture::names(), &observed).err();
            assert_eq!(refused.as_ref().map(|refused| refused.reason), reason);
            assert!(refused.is_none_or(|refused| refused.message.contains(words)));
        }
    }

    #[test]
    fn an_authority_that_is_away_for_a_moment_is_remembered() {
        let secret = |pem: Option<&str>| Secret {
            data: pem.map(|pem| [("ca.crt".to_owned(), ByteString(pem.into()))].into()),
            ..Secret::default()
        };
        let cases = [
            (None, None, None),
            (Some("new"), None, Some("new")),
            (Some("new"), Some("old"), Some("new")),
            (None, Some("old"), Some("old")),
        ];
        for (live, known, expected) in cases {
            let observed = ObservedCluster { ca: Some(secret(live)), ..ObservedCluster::default() };
            assert_eq!(authority(&observed, Some(&secret(known))).as_deref(), expected);
        }
        assert_eq!(authority(&ObservedCluster::default(), None), None);
    }
}
