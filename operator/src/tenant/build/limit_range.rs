//! Defaults and bounds of single containers.
//!
//! A quota on processors or memory refuses pods that name none. So with a quota and without limits of the spec's own there
//! are defaults, small enough for a sidecar and large enough for a service that has just begun.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, LimitRangeSpec};
use payplane_crds::{
    Tenant,
    tenant::{Limits, Quantity, Resources},
};

use super::{metadata, quantities};

/// Its name.
pub const NAME: &str = "payplane";

/// The limits, if the Tenant has some or a quota that needs them.
pub fn limits(tenant: &Tenant, namespace: &str) -> Option<LimitRange> {
    let with_quota = tenant.spec.quota.as_ref().map(|_| defaults());
    let wanted = tenant.spec.limits.clone().or(with_quota)?;
    let item = LimitRangeItem {
        type_: "Container".into(),
        default: quantities(&wanted.default_limit),
        default_request: quantities(&wanted.default_request),
        min: quantities(&wanted.min),
        max: quantities(&wanted.max),
        ..LimitRangeItem::default()
    };
    Some(LimitRange {
        metadata: metadata(tenant, namespace, NAME),
        spec: Some(LimitRangeSpec { limits: vec![item] }),
    })
}

fn defaults() -> Limits {
    Limits {
        default_request: resources("100m", "128Mi"),
        default_limit: resources("500m", "256Mi"),
        min: Resources::new(),
        max: Resources::new(),
    }
}

fn resources(cpu: &str, memory: &str) -> Resources {
    BTreeMap::from([("cpu".into(), Quantity(cpu.into())), ("memory".into(), Quantity(memory.into()))])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tests::tenant, *};

    fn item(more: Value) -> Value {
        serde_json::to_value(limits(&tenant(more), "shop").unwrap()).unwrap()["spec"]["limits"][0].clone()
    }

    #[test]
    fn with_a_quota_containers_that_say_nothing_get_defaults_and_the_specs_own_limits_win() {
        let quota = json!({"hard": {"requests.cpu": "4"}});
        assert_eq!(
            item(json!({"quota": quota})),
            json!({
                "type": "Container",
                "default": {"cpu": "500m", "memory": "256Mi"},
                "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
            })
        );
        let own = json!({"default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}, "max": {"memory": "1Gi"}});
        let expected = json!({
            "type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}, "max": {"memory": "1Gi"},
        });
        assert_eq!(item(json!({"quota": quota, "limits": own})), expected);
        assert_eq!(limits(&tenant(json!({})), "shop"), None);
    }
}
