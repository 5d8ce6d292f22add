//! The volume of the ledger, which grows. A StatefulSet never changes what it makes volumes from, so the claim itself is
//! asked for more; whether it gets more is its StorageClass' decision.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use payplane_crds::Platform;

use super::{Names, quantity};

/// The wanted set with the size that its volumes were made with. Pure.
pub fn keep_template(wanted: &mut StatefulSet, live: Option<&StatefulSet>) {
    let Some(size) = live.and_then(size_of) else { return };
    let claims = wanted.spec.as_mut().and_then(|spec| spec.volume_claim_templates.as_mut());
    for claim in claims.into_iter().flatten() {
        let requests = claim.spec.as_mut().and_then(|spec| spec.resources.as_mut()?.requests.as_mut());
        if let Some(requests) = requests {
            requests.insert("storage".into(), size.clone());
        }
    }
}

fn size_of(set: &StatefulSet) -> Option<Quantity> {
    let claim = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    requested(claim).cloned()
}

/// The claim that asks for what the Platform wants, if it asks for less now. Pure.
pub fn grown(
    platform: &Platform,
    names: &Names,
    claim: Option<&PersistentVolumeClaim>,
) -> Option<PersistentVolumeClaim> {
    let wanted = &platform.spec.postgres.managed.as_ref()?.storage.size;
    let asked = quantity::bytes(requested(claim?)?)?;
    (asked < quantity::bytes(wanted)?).then(|| PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names.postgres_claim()),
            namespace: Some(names.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), wanted.clone())])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    })
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::build::fixture, *};

    fn platform(size: &str) -> Platform {
        fixture::platform(json!({"postgres": {"managed": {"storage": {"size": size}}}}))
    }

    fn claim(size: &str) -> PersistentVolumeClaim {
        serde_json::from_value(
            json!({"metadata": {}, "spec": {"resources": {"requests": {"storage": size}}}}),
        )
        .unwrap()
    }

    #[test]
    fn a_claim_is_asked_for_more_and_never_for_less() {
        let asks = |wanted, now| {
            grown(&platform(wanted), &fixture::names(), Some(&claim(now)))
                .map(|claim| requested(&claim).unwrap().0.clone())
        };
        assert_eq!(asks("16Gi", "8Gi").as_deref(), Some("16Gi"));
        for (wanted, now) in [("8Gi", "8Gi"), ("8192Mi", "8Gi"), ("4Gi", "8Gi")] {
            assert_eq!(asks(wanted, now), None, "{wanted} of {now}");
        }
        assert_eq!(grown(&platform("16Gi"), &fixture::names(), None), None, "before the first start");
    }

    #[test]
    fn the_set_keeps_what_it_was_made_with() {
        let set = |size: &str| -> StatefulSet {
            let claim = claim(size);
            serde_json::from_value(
                json!({"metadata": {}, "spec": {"selector": {}, "serviceName": "s", "template": {},
                "volumeClaimTemplates": [claim]}}),
            )
            .unwrap()
        };
        let mut wanted = set("16Gi");
        keep_template(&mut wanted, Some(&set("8Gi")));
        assert_eq!(size_of(&wanted).unwrap().0, "8Gi");
        let mut first = set("16Gi");
        keep_template(&mut first, None);
        assert_eq!(size_of(&first).unwrap().0, "16Gi");
    }
}
