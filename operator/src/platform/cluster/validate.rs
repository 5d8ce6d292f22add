//! What a person must change before a Cluster can be written, and what is known of its authority. Pure.

use k8s_openapi::api::core::v1::Secret;

use super::{VENDOR, observe::ObservedCluster};
use crate::platform::{
    foreign::{self, cloudnative_pg::Cluster},
    names::Names,
    validate::{Refused, optional},
};

/// Checks that there is a place for the Cluster.
///
/// # Errors
/// When CloudNativePG is not installed, or the Cluster is somebody else's.
pub fn validate(names: &Names, observed: &ObservedCluster) -> Result<(), Refused> {
    match foreign::refusal::<Cluster>(&observed.found, &names.postgres(), VENDOR) {
        Some(refused) => Err(refused),
        None => Ok(()),
    }
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
