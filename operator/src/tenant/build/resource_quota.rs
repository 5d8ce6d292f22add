//! What a namespace may use in all.

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec};
use payplane_crds::Tenant;

use super::{metadata, quantities};

/// Its name.
pub const NAME: &str = "payplane";

/// The quota, if the Tenant has one.
pub fn quota(tenant: &Tenant, namespace: &str) -> Option<ResourceQuota> {
    let quota = tenant.spec.quota.as_ref()?;
    Some(ResourceQuota {
        metadata: metadata(tenant, namespace, NAME),
        spec: Some(ResourceQuotaSpec { hard: quantities(&quota.hard), ..ResourceQuotaSpec::default() }),
        ..ResourceQuota::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::tenant, *};

    #[test]
    fn the_quota_is_that_of_the_spec() {
        let asked = tenant(json!({"quota": {"hard": {"requests.cpu": "4", "pods": "50"}}}));
        let quota = serde_json::to_value(quota(&asked, "shop").unwrap()).unwrap();
        assert_eq!(quota["spec"], json!({"hard": {"requests.cpu": "4", "pods": "50"}}));
        assert_eq!(super::quota(&tenant(json!({})), "shop"), None);
    }
}
