//! The engine's program, as every container has it that runs it for a Platform: the engines, and the Jobs before and after
//! them. Pure.

use k8s_openapi::api::core::v1::Container;
use payplane_crds::Platform;

use super::container::{resources, security};
use crate::context::Settings;

/// The user of its image.
pub const USER: i64 = 65532;
/// Where it finds the engine's login.
pub const APP_DIR: &str = "/etc/payplane/database-app";
/// Where it finds the owner's login, in the Jobs that have it.
pub const OWNER_DIR: &str = "/etc/payplane/database-owner";

const PROGRAM: &str = "payplane-engine";

/// Its image.
pub fn image(platform: &Platform, settings: &Settings) -> String {
    platform.spec.engine.image.clone().unwrap_or_else(|| settings.engine_image.clone())
}

/// A container without a name, without arguments and without volumes.
pub fn container(platform: &Platform, settings: &Settings) -> Container {
    Container {
        command: Some(vec![PROGRAM.into()]),
        image: Some(image(platform, settings)),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&platform.spec.engine.resources, "100m", "64Mi")),
        security_context: Some(security()),
        ..Container::default()
    }
}
