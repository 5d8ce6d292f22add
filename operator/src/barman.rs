//! What Jobs have in common that read and delete copies of CloudNativePG's: Barman's programs, from the servers' own image. Pure.

use k8s_openapi::api::core::v1::Container;
use payplane_crds::platform::Resources;

use crate::{
    place::Place,
    platform::{
        container::{mount, resources, security, variable},
        store_environment,
    },
};

/// The user `postgres` of CloudNativePG's images.
pub const USER: i64 = 26;
/// Goes before each script: logs in to the bucket.
pub const LOGIN: &str = include_str!("barman/login.sh");

/// A container that runs a script after it has logged in to the bucket that the place is.
pub fn container((name, image): (&str, &str), place: &Place<'_>, script: &str) -> Container {
    let mut env = Vec::new();
    if let Place::Bucket(bucket) = place {
        env.push(variable("ENDPOINT", bucket.endpoint.trim_end_matches('/').into()));
        env.extend(store_environment(bucket));
    }
    Container {
        name: name.into(),
        command: Some(vec!["sh".into(), "-c".into(), format!("{LOGIN}{script}")]),
        env: Some(env),
        image: Some(image.into()),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&Resources::default(), "100m", "128Mi")),
        security_context: Some(security()),
        // Why a step failed is what it said last.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![place.mount(true), mount("tmp", "/tmp", false)]),
        ..Container::default()
    }
}
