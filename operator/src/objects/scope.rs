//! Which objects belong to a Platform. Pure.
//!
//! The Platform itself, the Tenants that name it, everything in their namespaces, and what is in the Platform's own namespace
//! unless it says that it is another one's. What somebody has deleted and what only waits to go is left out.

use std::collections::BTreeSet;

use kube::{
    ResourceExt as _,
    core::{ApiResource, DynamicObject},
};
use serde_json::Value;

use crate::meta::is_leaving;

/// What is known of a Platform. Platform and Tenants are learnt before anything else is judged.
#[derive(Debug)]
pub struct Scope {
    namespace: String,
    platform: String,
    has_platform: bool,
    tenants: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Scope {
    /// Of this Platform.
    pub fn of(namespace: &str, platform: &str) -> Self {
        Self {
            namespace: namespace.into(),
            platform: platform.into(),
            has_platform: false,
            tenants: BTreeSet::new(),
            namespaces: BTreeSet::new(),
        }
    }

    /// Whether the Platform was there.
    pub fn has_platform(&self) -> bool {
        self.has_platform
    }

    /// Where to look for objects of this kind. None is everywhere: a list per namespace would be thousands.
    pub fn namespace_of(&self, kind: &ApiResource) -> Option<&str> {
        let is_beside =
            ["Platform", "BillingPlan", "TenantBilling", "BackupSchedule"].contains(&kind.kind.as_str());
        is_beside.then_some(&self.namespace)
    }

    /// Notes what was found of Platforms and Tenants.
    pub fn learn(&mut self, kind: &str, page: &[DynamicObject]) {
        let found: Vec<&DynamicObject> = page.iter().filter(|object| self.takes(kind, object)).collect();
        let has_platform = kind == "Platform" && !found.is_empty();
        let tenants = if kind == "Tenant" { found } else { Vec::new() };
        let listed = tenants.iter().flat_map(|tenant| tenant.data["spec"]["namespaces"].as_array());
        let names = listed.flatten().filter_map(|one| one["name"].as_str());
        self.namespaces.extend(names.map(String::from));
        self.tenants.extend(tenants.iter().map(|tenant| tenant.name_any()));
        self.has_platform |= has_platform;
    }

    /// Whether it belongs to the Platform.
    pub fn takes(&self, kind: &str, object: &DynamicObject) -> bool {
        let spec = &object.data["spec"];
        if is_leaving(object) {
            return false;
        }
        match (kind, object.namespace()) {
            ("Platform", Some(namespace)) => {
                namespace == self.namespace && object.name_any() == self.platform
            }
            ("Tenant", _) => {
                let named = &spec["platformRef"];
                named["namespace"] == self.namespace.as_str() && named["name"] == self.platform.as_str()
            }
            (_, Some(namespace)) if self.namespaces.contains(&namespace) => true,
            (_, Some(namespace)) => namespace == self.namespace && !self.is_of_another(spec),
            (_, None) => false,
        }
    }

    fn is_of_another(&self, spec: &Value) -> bool {
        let platforms = [&spec["platformRef"]["name"], &spec["scope"]["platform"]["name"]];
        let names_another = |name: &&Value| name.as_str().is_some_and(|name| name != self.platform);
        let tenant = spec["tenantRef"]["name"].as_str();
        platforms.iter().any(names_another) || tenant.is_some_and(|name| !self.tenants.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(namespace: Option<&str>, name: &str, spec: Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
            .unwrap()
    }

    fn tenant(name: &str, platform: &str, namespaces: &[&str]) -> DynamicObject {
        let namespaces: Vec<Value> = namespaces.iter().map(|name| json!({"name": name})).collect();
        let named = json!({"namespace": "pay", "name": platform});
        object(None, name, json!({"platformRef": named, "namespaces": namespaces}))
    }

    #[test]
    fn what_belongs_to_a_platform_is_taken_and_nothing_of_anybody_else() {
        let mut scope = Scope::of("pay", "main");
        scope.learn("Platform", &[object(Some("pay"), "other", json!({}))]);
        assert!(!scope.has_platform());
        scope.learn("Platform", &[object(Some("pay"), "main", json!({}))]);
        assert!(scope.has_platform());
        scope.learn(
            "Tenant",
            &[tenant("acme", "main", &["acme-a", "acme-b"]), tenant("globex", "other", &["globex"])],
        );
        let of = |name: &str| json!({"platformRef": {"name": name}});
        let cases = [
            ("Platform", Some("pay"), "main", json!({}), true),
            ("Platform", Some("pay"), "other", json!({}), false),
            ("Payment", Some("acme-a"), "p", json!({}), true),
            ("ScalingPolicy", Some("acme-b"), "p", json!({}), true),
            ("Payment", Some("globex"), "p", json!({}), false),
            ("Payment", Some("elsewhere"), "p", json!({}), false),
            ("BillingPlan", Some("pay"), "gold", json!({}), true),
            ("BackupSchedule", Some("pay"), "hourly", of("main"), true),
            ("BackupSchedule", Some("pay"), "hourly", of("other"), false),
            ("TimeoutPolicy", Some("pay"), "t", json!({"scope": {"platform": {"name": "main"}}}), true),
            ("TimeoutPolicy", Some("pay"), "t", json!({"scope": {"platform": {"name": "other"}}}), false),
            ("TenantBilling", Some("pay"), "b", json!({"tenantRef": {"name": "acme"}}), true),
            ("TenantBilling", Some("pay"), "b", json!({"tenantRef": {"name": "globex"}}), false),
        ];
        for (kind, namespace, name, spec, expected) in cases {
            let object = object(namespace, name, spec.clone());
            assert_eq!(scope.takes(kind, &object), expected, "{kind} {namespace:?} {name} {spec}");
        }
        assert!(scope.takes("Tenant", &tenant("acme", "main", &[])));
        assert!(!scope.takes("Tenant", &tenant("globex", "other", &[])));
        let mut leaving = object(Some("acme-a"), "p", json!({}));
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(!scope.takes("Payment", &leaving), "somebody wants it to go");
    }
}
