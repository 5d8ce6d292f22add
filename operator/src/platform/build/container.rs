//! What every container and pod of a Platform has in common: the restricted pod security standard, mounts, resources.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, ConfigMapVolumeSource, EmptyDirVolumeSource, EnvVar,
        PersistentVolumeClaimVolumeSource, PodAffinity, PodAffinityTerm, PodSecurityContext,
        ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use payplane_crds::platform::Resources;

use crate::meta::selector;

/// Readable for the group that the pod's `fsGroup` names, and for nobody else: PostgreSQL insists.
const SECRET_MODE: i32 = 0o440;

/// No root, no capabilities, no writable image.
pub fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// All of a pod's processes and files belong to this number.
pub fn pod_security(id: i64) -> PodSecurityContext {
    PodSecurityContext {
        fs_group: Some(id),
        // Changing the owner of every file of a large ledger at every start would take minutes.
        fs_group_change_policy: Some("OnRootMismatch".into()),
        run_as_group: Some(id),
        run_as_non_root: Some(true),
        run_as_user: Some(id),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// What the spec says, with these requests where it says none.
pub fn resources(spec: &Resources, cpu: &str, memory: &str) -> ResourceRequirements {
    let defaults = [("cpu", cpu), ("memory", memory)];
    // A limit without a request is also the request: then a default would exceed it.
    let missing = defaults
        .into_iter()
        .filter(|(name, _)| !spec.requests.contains_key(*name) && !spec.limits.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), Quantity(value.into())));
    let requests: BTreeMap<String, Quantity> = spec.requests.clone().into_iter().chain(missing).collect();
    ResourceRequirements {
        limits: Some(spec.limits.clone()).filter(|limits| !limits.is_empty()),
        requests: Some(requests).filter(|requests| !requests.is_empty()),
        ..ResourceRequirements::default()
    }
}

/// A volume at a path.
pub fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// A claim as a directory.
pub fn claim_volume(volume: &str, claim_name: String) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    Volume { name: volume.into(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// A variable of the environment.
pub fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value), value_from: None }
}

/// On the node of a Platform's pods of this component.
pub fn beside(platform: &str, component: &str) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: Some(selector(platform, component)),
            ..LabelSelector::default()
        }),
        topology_key: "kubernetes.io/hostname".into(),
        ..PodAffinityTerm::default()
    };
    let affinity = PodAffinity {
        required_during_scheduling_ignored_during_execution: Some(vec![term]),
        ..PodAffinity::default()
    };
    Affinity { pod_affinity: Some(affinity), ..Affinity::default() }
}

/// A Secret as files.
pub fn secret_volume(volume: &str, secret: String) -> Volume {
    Volume {
        name: volume.into(),
        secret: Some(SecretVolumeSource {
            default_mode: Some(SECRET_MODE),
            secret_name: Some(secret),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A Secret as files, which may also be absent.
pub fn optional_secret_volume(volume: &str, secret: String) -> Volume {
    let mut volume = secret_volume(volume, secret);
    if let Some(source) = &mut volume.secret {
        source.optional = Some(true);
    }
    volume
}

/// A ConfigMap as files.
pub fn config_volume(volume: &str, name: String) -> Volume {
    Volume {
        name: volume.into(),
        config_map: Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

/// A directory that goes with the pod.
pub fn scratch(volume: &str) -> Volume {
    Volume { name: volume.into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(requests: serde_json::Value, limits: serde_json::Value) -> serde_json::Value {
        let spec: Resources =
            serde_json::from_value(json!({"requests": requests, "limits": limits})).unwrap();
        serde_json::to_value(resources(&spec, "100m", "128Mi")).unwrap()
    }

    #[test]
    fn defaults_fill_only_what_nobody_said() {
        assert_eq!(asked(json!({}), json!({})), json!({"requests": {"cpu": "100m", "memory": "128Mi"}}));
        assert_eq!(
            asked(json!({"cpu": "2"}), json!({"memory": "64Mi"})),
            json!({"requests": {"cpu": "2"}, "limits": {"memory": "64Mi"}}),
            "a default request above the limit would be refused"
        );
    }
}
