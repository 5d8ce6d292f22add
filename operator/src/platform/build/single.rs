//! A server of one pod with a volume that stays.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::ResourceExt;
use payplane_crds::Platform;

use crate::meta::{RESTART, labels, owned, selector};

/// The StatefulSet of a component with its name. Another `restart` starts the pod anew; the volume is called `data`.
pub fn server(
    platform: &Platform,
    (component, name): (&str, String),
    restart: String,
    volume: PersistentVolumeClaimSpec,
    pod: PodSpec,
) -> StatefulSet {
    let found_by = selector(&platform.name_any(), component);
    // A claim's fields can never change, so it carries only the labels that never do.
    let claim =
        ObjectMeta { name: Some("data".into()), labels: Some(found_by.clone()), ..ObjectMeta::default() };
    let template = ObjectMeta {
        annotations: Some(BTreeMap::from([(RESTART.into(), restart)])),
        labels: Some(labels(&platform.name_any(), component)),
        ..ObjectMeta::default()
    };
    StatefulSet {
        metadata: owned(platform, name.clone(), component),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            revision_history_limit: Some(3),
            selector: LabelSelector { match_labels: Some(found_by), ..LabelSelector::default() },
            service_name: Some(name),
            template: PodTemplateSpec { metadata: Some(template), spec: Some(pod) },
            volume_claim_templates: Some(vec![PersistentVolumeClaim {
                metadata: claim,
                spec: Some(volume),
                ..PersistentVolumeClaim::default()
            }]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}
