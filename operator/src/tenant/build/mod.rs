//! The objects of a Tenant, one builder each. Pure.

pub mod config_map;
pub mod limit_range;
pub mod namespace;
pub mod network_policy;
pub mod resource_quota;
pub mod role_binding;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{LimitRange, ResourceQuota},
        networking::v1::NetworkPolicy,
        rbac::v1::RoleBinding,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::ResourceExt;
use payplane_crds::{Tenant, tenant::Resources};

use crate::meta::tenant_labels;

/// What a Tenant wants in one of its namespaces. Whatever else has one of the names and the Tenant's labels goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children {
    /// At most one.
    pub quotas: Vec<ResourceQuota>,
    /// At most one.
    pub limits: Vec<LimitRange>,
    /// What is denied, and what is opened.
    pub policies: Vec<NetworkPolicy>,
    /// One per role that somebody has.
    pub bindings: Vec<RoleBinding>,
}

/// Every name that a child can have, by kind in the order of [`Children`].
pub const NAMES: [&[&str]; 4] =
    [&[resource_quota::NAME], &[limit_range::NAME], &network_policy::NAMES, &role_binding::ROLES];

/// What the Tenant wants in this namespace.
pub fn children(tenant: &Tenant, namespace: &str) -> Children {
    Children {
        quotas: resource_quota::quota(tenant, namespace).into_iter().collect(),
        limits: limit_range::limits(tenant, namespace).into_iter().collect(),
        policies: network_policy::policies(tenant, namespace),
        bindings: role_binding::bindings(tenant, namespace),
    }
}

fn metadata(tenant: &Tenant, namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(namespace.into()),
        labels: Some(tenant_labels(&tenant.name_any())),
        ..ObjectMeta::default()
    }
}

fn quantities(resources: &Resources) -> Option<BTreeMap<String, Quantity>> {
    let all = resources.iter().map(|(name, quantity)| (name.clone(), Quantity(quantity.0.clone())));
    Some(all.collect()).filter(|all: &BTreeMap<_, _>| !all.is_empty())
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The Tenant "me" on Platform pay/main with one namespace, and with this in its spec.
    pub fn tenant(more: Value) -> Tenant {
        let mut spec = json!({
            "platformRef": {"namespace": "pay", "name": "main"}, "namespaces": [{"name": "shop"}, {"name": "web"}],
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": "me"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a_tenant_that_asks_for_nothing_is_isolated_and_nothing_else() {
        let children = children(&tenant(json!({})), "shop");
        assert_eq!((children.quotas.len(), children.limits.len(), children.bindings.len()), (0, 0, 0));
        assert_eq!(children.policies.len(), 2);
    }

    #[test]
    fn every_child_has_a_known_name_and_the_labels_by_which_it_is_removed() {
        let all = children(
            &tenant(json!({
                "quota": {"hard": {"pods": "9"}},
                "groups": {"viewers": ["v"], "operators": ["o"], "approvers": ["a"], "admins": ["b"]},
                "isolation": {"egress": [{"peer": {"cidr": "203.0.113.0/24"}}]},
            })),
            "shop",
        );
        let names = [
            all.quotas.iter().map(ResourceExt::name_any).collect::<Vec<_>>(),
            all.limits.iter().map(ResourceExt::name_any).collect(),
            all.policies.iter().map(ResourceExt::name_any).collect(),
            all.bindings.iter().map(ResourceExt::name_any).collect(),
        ];
        for (names, known) in names.iter().zip(NAMES) {
            assert_eq!(names, known, "of everything that can be asked for");
        }
        let labels =
            all.policies.iter().map(ResourceExt::labels).chain(all.bindings.iter().map(ResourceExt::labels));
        for labels in labels.chain(all.quotas.iter().map(ResourceExt::labels)) {
            assert_eq!(*labels, tenant_labels("me"));
        }
    }
}
