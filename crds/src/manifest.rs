//! From types to CRD files: adds what derives cannot say, the same for every kind.
//!
//! - `status` gets a schema default with `Ready=Unknown`, so that an object shows a condition from its first moment
//!   without a write by the operator.
//! - `conditions` becomes a map by `type`, so that server-side apply merges single conditions.
//! - Every CRD asks Helm to keep it on uninstall: a CRD takes its objects with it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::condition::{READY, reason};

const HEADER: &str = "# Generated from crds/src by `make generate`. Do not edit.\n";

/// Every CRD, in the order in which they are installed.
pub fn all() -> Vec<CustomResourceDefinition> {
    let crds = [
        crate::Platform::crd(),
        crate::Tenant::crd(),
        crate::Wallet::crd(),
        crate::Payment::crd(),
        crate::Refund::crd(),
        crate::StandingOrder::crd(),
        crate::Approval::crd(),
        crate::TimeoutPolicy::crd(),
        crate::Backup::crd(),
        crate::BackupSchedule::crd(),
        crate::Restore::crd(),
        crate::ScalingPolicy::crd(),
        crate::TenantBilling::crd(),
        crate::BillingPlan::crd(),
    ];
    crds.into_iter().map(complete).collect()
}

/// Name of the file that a CRD is written to, such as `payplane.io_payments.yaml`.
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural)
}

/// The file's text.
///
/// # Errors
/// When the CRD cannot be written as YAML, which a test rules out for every kind.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!("{HEADER}{}", serde_saphyr::to_string(crd)?))
}

fn complete(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(status) = root.and_then(|root| property(root, "status")) {
            complete_status(status);
        }
    }
    crd
}

fn complete_status(status: &mut JSONSchemaProps) {
    let mut default = json!({"conditions": [{
        "type": READY,
        "status": "Unknown",
        "reason": reason::PENDING,
        "message": "The operator has not looked at this object yet.",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]});
    // Of an object that has a life. What a Wallet's state is, only the ledger can say.
    let new = JSON(json!("New"));
    if property(status, "state").and_then(|state| state.enum_.as_ref()).is_some_and(|all| all.contains(&new))
    {
        default["state"] = json!("New");
    }
    status.default = Some(JSON(default));
    if let Some(conditions) = property(status, "conditions") {
        conditions.x_kubernetes_list_type = Some("map".into());
        conditions.x_kubernetes_list_map_keys = Some(vec!["type".into()]);
        conditions.max_items = Some(32);
    }
}

fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> Option<&'a mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut(name)
}
