//! A volume's claim, for whoever mounts it on one node at a time.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

/// This much, of this class; of the cluster's own one when none is named.
pub fn once(size: &Quantity, class: Option<&String>) -> PersistentVolumeClaimSpec {
    let requests = BTreeMap::from([("storage".to_owned(), size.clone())]);
    PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".into()]),
        resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
        storage_class_name: class.cloned(),
        ..PersistentVolumeClaimSpec::default()
    }
}
