//! Which image the server of a ledger has, and has to have. Pure.
//!
//! The StatefulSet tells it, and the claim of the volume where a Restore or an upgrade made what is on it. The claim counts where the
//! two are of different major versions: then the StatefulSet is of before.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim};
use kube::ResourceExt;
use payplane_crds::Platform;

use crate::{context::Settings, meta::POSTGRES_IMAGE};

/// The image that the Platform asks for.
pub fn wanted(platform: &Platform, settings: &Settings) -> String {
    let managed = platform.spec.postgres.managed.as_ref();
    let image = managed.and_then(|managed| managed.image.clone());
    image.unwrap_or_else(|| settings.postgres_image.clone())
}

/// The image whose server reads what is on the volume. None before the first start.
pub fn serving(set: Option<&StatefulSet>, claim: Option<&PersistentVolumeClaim>) -> Option<String> {
    let pod = set.and_then(|set| set.spec.as_ref()?.template.spec.as_ref());
    let runs = pod.and_then(|pod| pod.containers.first()?.image.clone());
    let made = claim.and_then(|claim| claim.annotations().get(POSTGRES_IMAGE).cloned());
    match (made, runs) {
        (Some(made), Some(runs)) if major(&made) == major(&runs) => Some(runs),
        (Some(made), _) => Some(made),
        (None, runs) => runs,
    }
}

/// The Platform with the image that serves it now, for whoever works with its server.
pub fn as_it_serves(mut platform: Platform, set: Option<&StatefulSet>) -> Platform {
    if let (Some(managed), Some(image)) = (&mut platform.spec.postgres.managed, serving(set, None)) {
        managed.image = Some(image);
    }
    platform
}

/// The 15 of `registry/postgres:15.4-alpine`.
pub fn major(image: &str) -> Option<u32> {
    let (_, tag) = image.split_once('@').map_or(image, |(name, _)| name).rsplit_once(':')?;
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|major| (9..100).contains(major))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(image: &str) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {}, "spec": {"selector": {}, "serviceName": "s",
            "template": {"spec": {"containers": [{"name": "postgres", "image": image}]}}}}))
        .unwrap()
    }

    fn claim(image: Option<&str>) -> PersistentVolumeClaim {
        serde_json::from_value(
            json!({"metadata": {"annotations": {POSTGRES_IMAGE: image.unwrap_or_default()}}}),
        )
        .map(|mut claim: PersistentVolumeClaim| {
            if image.is_none() {
                claim.metadata.annotations = None;
            }
            claim
        })
        .unwrap()
    }

    #[test]
    fn a_major_version_is_what_a_tag_begins_with() {
        for (image, expected) in [
            ("postgres:15", Some(15)),
            ("host:5000/postgres:15.4-alpine", Some(15)),
            ("other/postgres:17.9@sha256:00", Some(17)),
            ("postgres:latest", None),
            ("postgres:1a2b3c", None),
            ("host:5000/postgres", None),
            ("postgres", None),
        ] {
            assert_eq!(major(image), expected, "{image}");
        }
    }

    #[test]
    fn the_claim_counts_where_the_set_is_of_another_version() {
        for (runs, made, expected) in [
            (None, None, None),
            (Some("p:15.1"), None, Some("p:15.1")),
            (None, Some("p:15"), Some("p:15")),
            (Some("p:15.1"), Some("p:15"), Some("p:15.1")),
            (Some("p:15.1"), Some("p:17"), Some("p:17")),
            (Some("p:17"), Some("p:15"), Some("p:15")),
        ] {
            let found = serving(runs.map(set).as_ref(), Some(&claim(made)));
            assert_eq!(found.as_deref(), expected, "{runs:?} {made:?}");
        }
    }
}
