//! Engines that a ScalingPolicy scales: their number is the autoscaler's, and the Platform leaves it as it finds it.
//!
//! Order: read how many engines run; take the number out of what is applied; and where it was ours until now, leave it to
//! others first, because server-side apply takes back what its owner no longer sends. Nothing that an autoscaler writes at
//! the same moment is undone: leaving the number to others conflicts with that, and is tried again with the new one.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt};
use payplane_crds::{Platform, ScalingPolicy};
use serde_json::{Value, json};

use super::{Names, build::Parts};
use crate::{
    api, apply,
    context::{Context, readable},
    error::Error,
    meta::MANAGER,
};

/// Whose the number of engines is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Count {
    /// The Platform's.
    Ours,
    /// An autoscaler's: what was read, and whether it is still written as ours.
    Theirs {
        /// How many.
        replicas: i32,
        /// Whether leaving it out would take it back.
        is_held: bool,
    },
}

/// The Platform with as many engines as run, if a ScalingPolicy scales them and the Platform wants any.
///
/// # Errors
/// When the API server gives no answer.
pub async fn scaled(
    platform: &Platform,
    context: &Context,
    names: &Names,
) -> Result<(Platform, Count), Error> {
    let policies = context.stores.scaling_policies.state();
    let is_scaled = policies.iter().filter_map(readable).any(|policy| scales(policy, platform));
    if !is_scaled || platform.spec.engine.replicas <= 0 {
        return Ok((platform.clone(), Count::Ours));
    }
    let deployments = Api::<Deployment>::namespaced(context.client.clone(), &names.namespace);
    let engine = api::call("read the engine", deployments.get_opt(&names.engine())).await?;
    let count = engine.as_ref().map_or(Count::Ours, count);
    let mut scaled = platform.clone();
    if let Count::Theirs { replicas, .. } = count {
        scaled.spec.engine.replicas = replicas;
    }
    Ok((scaled, count))
}

/// An autoscaler leaves zero alone: whoever asked for that and now wants engines gets them from the Platform.
fn count(engine: &Deployment) -> Count {
    let replicas = engine.spec.as_ref().and_then(|spec| spec.replicas).filter(|replicas| 0 < *replicas);
    replicas.map_or(Count::Ours, |replicas| Count::Theirs { replicas, is_held: is_held(engine) })
}

/// Whether the number is among the fields that the operator applied last.
fn is_held(engine: &Deployment) -> bool {
    engine.managed_fields().iter().any(|entry| {
        let fields = entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0);
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && !fields["f:spec"]["f:replicas"].is_null()
    })
}

/// What is applied: without the number, if it is somebody else's. Pure.
pub fn leave_out(mut parts: Parts, count: Count) -> Parts {
    if count != Count::Ours
        && let Some(spec) = &mut parts.engine.deployment.spec
    {
        spec.replicas = None;
    }
    parts
}

/// Keeps the number as it is when the next apply leaves it out.
///
/// # Errors
/// When the API server does not accept it, or an autoscaler changed the number meanwhile.
pub async fn hand_over(context: &Context, names: &Names, count: Count) -> Result<(), Error> {
    match count {
        Count::Theirs { replicas, is_held: true } => {
            let fields = json!({"spec": {"replicas": replicas}});
            apply::leave::<Deployment>(&context.client, &names.namespace, &names.engine(), fields).await
        }
        Count::Ours | Count::Theirs { is_held: false, .. } => Ok(()),
    }
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
    fn the_number_is_handed_over_while_it_is_written_as_ours_and_zero_is_never_an_autoscalers() {
        let engine = |replicas: i32, manager: &str, operation: &str, fields: Value| -> Deployment {
            serde_json::from_value(json!({
                "metadata": {"name": "main-engine", "managedFields": [
                    {"manager": manager, "operation": operation, "fieldsV1": fields},
                ]},
                "spec": {"replicas": replicas, "selector": {}, "template": {}},
            }))
            .unwrap()
        };
        let number = json!({"f:spec": {"f:replicas": {}}});
        let theirs = |is_held| Count::Theirs { replicas: 3, is_held };
        for (engine, expected) in [
            (engine(3, MANAGER, "Apply", number.clone()), theirs(true)),
            (engine(3, MANAGER, "Apply", json!({"f:spec": {"f:template": {}}})), theirs(false)),
            (engine(3, MANAGER, "Update", number.clone()), theirs(false)),
            (engine(3, "kube-controller-manager", "Update", number.clone()), theirs(false)),
            (engine(0, MANAGER, "Apply", number), Count::Ours),
        ] {
            assert_eq!(count(&engine), expected, "{engine:?}");
        }
    }

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
