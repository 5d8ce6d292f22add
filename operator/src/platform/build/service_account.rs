//! Who the engine's pods are. They may do nothing; their token reads the keys that the cluster signs tokens with.

use k8s_openapi::api::core::v1::ServiceAccount;
use payplane_crds::Platform;

use super::ENGINE;
use crate::{meta::owned, platform::names::Names};

/// The engine's ServiceAccount.
pub fn engine(platform: &Platform, names: &Names) -> ServiceAccount {
    ServiceAccount {
        metadata: owned(platform, names.engine(), ENGINE),
        // Pods that need the token ask for it themselves.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::fixture, *};

    #[test]
    fn no_pod_gets_the_token_by_accident() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        assert_eq!(
            serde_json::to_value(engine(&platform, &fixture::names())).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": fixture::owned("main-engine", "engine"),
                "automountServiceAccountToken": false,
            })
        );
    }
}
