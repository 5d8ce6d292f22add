//! From what was done to what the status says about keys. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use payplane_crds::{
    Tenant,
    condition::{
        API_KEYS_CURRENT,
        reason::{KEYS_CURRENT, SECRET_TAKEN},
    },
    tenant::{ApiKeyStatus, TenantApiKey},
};

use super::{
    SECRET,
    act::Made,
    plan::{Plan, rotation},
};
use crate::{condition::Conditions, status::Reported};

/// What there is to say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Keys in their Secrets, in the order of the spec.
    pub keys: Vec<ApiKeyStatus>,
    /// Namespaces whose Secret is somebody else's.
    pub foreign: Vec<String>,
}

/// The keys that stay, and those that were made.
pub fn told(wanted: &[TenantApiKey], plan: &Plan, made: &Made) -> Told {
    let status = |wanted: &TenantApiKey| {
        let stays = plan.stay.iter().find(|key| key.name == wanted.name);
        let key = made.get(&wanted.name).or(stays)?;
        Some(ApiKeyStatus {
            name: wanted.name.clone(),
            namespace: wanted.namespace.clone(),
            key_id: key.id.clone(),
            created_at: Time(key.created),
            next_rotation_at: Time(rotation(wanted, key.created)),
            previous_valid_until: plan.previous.get(&wanted.name).copied().map(Time),
        })
    };
    Told { keys: wanted.iter().filter_map(status).collect(), foreign: plan.foreign.iter().cloned().collect() }
}

/// The condition about keys, of a Tenant that asks for some.
pub fn conditions(tenant: &Tenant, told: &Told, now: Timestamp) -> Vec<Condition> {
    if tenant.spec.api_keys.is_empty() {
        return Vec::new();
    }
    let conditions = Conditions::new(tenant.current(), tenant.metadata.generation, now);
    let conditions = match told.foreign.first() {
        None => conditions.set(
            API_KEYS_CURRENT,
            "True",
            KEYS_CURRENT,
            &format!("Every key is in its Secret {SECRET}."),
        ),
        Some(namespace) => {
            let message = format!(
                "Secret {SECRET} of namespace {namespace} is somebody else's. Delete it, or move the keys to another of the \
                 tenant's namespaces."
            );
            conditions.set(API_KEYS_CURRENT, "False", SECRET_TAKEN, &message)
        }
    };
    conditions.into_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::super::build::tests::tenant, *};
    use crate::condition::find;

    #[test]
    fn a_secret_of_somebody_else_is_named_with_the_way_out() {
        let key = json!({"name": "a", "namespace": "shop", "role": "Viewer"});
        let with_keys = tenant(json!({"apiKeys": [key]}));
        let at = Timestamp::UNIX_EPOCH;
        let good = conditions(&with_keys, &Told::default(), at);
        assert_eq!(find(&good, API_KEYS_CURRENT).map(|one| &*one.reason), Some("KeysCurrent"));
        let told = Told { foreign: vec!["shop".into()], ..Told::default() };
        let bad = conditions(&with_keys, &told, at);
        let condition = find(&bad, API_KEYS_CURRENT).unwrap();
        assert_eq!((&*condition.status, &*condition.reason), ("False", "SecretTaken"));
        assert!(condition.message.contains("of namespace shop is somebody else's. Delete it"));
        assert!(conditions(&tenant(json!({})), &told, at).is_empty(), "nobody asks for keys");
    }
}
