//! Engines that a ScalingPolicy scales: their number is the autoscaler's, and the Platform leaves it as it finds it.
//!
//! The number is still sent with the rest: left out, it would fall to one, because until now it was ours. An autoscaler
//! that changes it in the moment between our read and our write is undone once, and asks again within seconds.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt};
use payplane_crds::{Platform, ScalingPolicy};

use super::Names;
use crate::{
    api,
    context::{Context, readable},
    error::Error,
};

/// The Platform with as many engines as run, if a ScalingPolicy scales them and the Platform wants any.
///
/// # Errors
/// When the API server gives no answer.
pub async fn scaled(platform: &Platform, context: &Context, names: &Names) -> Result<Platform, Error> {
    let mut scaled = platform.clone();
    let policies = context.stores.scaling_policies.state();
    let is_scaled = policies.iter().filter_map(readable).any(|policy| scales(policy, platform));
    if is_scaled && platform.spec.engine.replicas > 0 {
        let deployments = Api::<Deployment>::namespaced(context.client.clone(), &names.namespace);
        let engine = api::call("read the engine", deployments.get_opt(&names.engine())).await?;
        // An autoscaler leaves zero alone: whoever asked for that and now wants engines gets them from the Platform.
        let replicas = engine.and_then(|engine| engine.spec?.replicas).filter(|replicas| 0 < *replicas);
        scaled.spec.engine.replicas = replicas.unwrap_or(platform.spec.engine.replicas);
    }
    Ok(scaled)
}

fn scales(policy: &ScalingPolicy, platform: &Platform) -> bool {
    policy.namespace() == platform.namespace()
        && policy.metadata.deletion_timestamp.is_none()
        && policy.spec.target.platform.as_ref().is_some_and(|target| target.name == platform.name_any())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::build::fixture, *};

    #[test]
    fn only_a_policy_for_this_platform_scales_it() {
        let policy = |namespace: &str, target| -> ScalingPolicy {
            serde_json::from_value(json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy",
                "metadata": {"name": "engines", "namespace": namespace},
                "spec": {"target": target, "class": "Core"},
            }))
            .unwrap()
        };
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        for (namespace, target, expected) in [
            ("pay", json!({"platform": {"name": "main"}}), true),
            ("pay", json!({"platform": {"name": "other"}}), false),
            ("shop", json!({"platform": {"name": "main"}}), false),
            ("pay", json!({"workload": {"name": "main-engine"}}), false),
        ] {
            assert_eq!(
                scales(&policy(namespace, target.clone()), &platform),
                expected,
                "{namespace} {target}"
            );
        }
    }
}
