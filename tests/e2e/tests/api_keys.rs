//! Callers from outside: what is in the Secret of API keys opens the engine, and only as far as the spec says; a tenant's own
//! issuer is taken, and opens nothing to a token that it has not signed.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use payplane_e2e::{
    TestTenant, client,
    cluster::{wait_for, wait_gone},
    tenant::example,
};
use serde_json::{Value, json};

const SECRET: &str = "payplane-api-keys";

/// The example's keys, in this tenant's namespace.
fn example_keys(namespace: &str) -> Value {
    let mut keys =
        example(include_str!("../../../examples/tenants/api-keys.yaml"))["spec"]["apiKeys"].clone();
    for key in keys.as_array_mut().expect("a list of keys") {
        key["namespace"] = namespace.into();
    }
    keys
}

fn held(secret: &Secret, name: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(name)?.0.clone();
    String::from_utf8(bytes).ok().filter(|token| token.starts_with("payplane_"))
}

/// Whether a wallet can be made, and be looked at, with this key.
async fn outcomes(tenant: &TestTenant, token: &str, wallet: &str) -> [bool; 2] {
    let create = json!({"name": wallet, "currency": "USD"});
    let made = tenant.call_with("wallet_service.proto", "WalletService/CreateWallet", &create, token).await;
    let list = tenant.call_with("wallet_service.proto", "WalletService/ListWallets", &json!({}), token).await;
    [made.is_ok(), list.is_ok()]
}

#[tokio::test]
async fn the_key_in_the_secret_acts_for_the_tenant_until_the_spec_drops_it() {
    let tenant = TestTenant::new(&client().await, "keys").await;
    let wanted = json!({"deletionPolicy": "Retain", "apiKeys": example_keys(&tenant.name)});
    tenant.reapply(wanted).await;
    tenant.client_pod().await;
    let secrets: Api<Secret> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let both = |secret: &Secret| held(secret, "checkout").is_some() && held(secret, "reports").is_some();
    let secret = wait_for(&secrets, SECRET, "has both keys", both).await;
    let (checkout, reports) = (held(&secret, "checkout").unwrap(), held(&secret, "reports").unwrap());
    assert_eq!(outcomes(&tenant, &checkout, "from-checkout").await, [true, true]);
    assert_eq!(outcomes(&tenant, &reports, "from-reports").await, [false, true]);

    // Deleting the Secret makes new keys at once; those of before go on for their overlap.
    secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
    let secret = wait_for(&secrets, SECRET, "has new keys", |secret| {
        held(secret, "checkout").is_some_and(|token| token != checkout)
    })
    .await;
    let renewed = held(&secret, "checkout").unwrap();
    assert_eq!(outcomes(&tenant, &renewed, "from-renewed").await, [true, true]);
    assert_eq!(outcomes(&tenant, &checkout, "from-overlap").await, [true, true]);

    tenant.reapply(json!({"deletionPolicy": "Retain"})).await;
    wait_gone(&secrets, SECRET).await;
    wait_for(&tenant.tenants(), &tenant.name, "has no keys", |tenant| {
        tenant.status.as_ref().is_some_and(|status| status.api_keys.is_empty())
    })
    .await;
    // The engine that was told refuses at once, the others within a second.
    let refused = async || outcomes(&tenant, &renewed, "from-nobody").await == [false, false];
    let waited = payplane_e2e::cluster::within(std::time::Duration::from_secs(20), async {
        while !refused().await {}
    });
    waited.await.expect("a key that the spec dropped is believed");
    tenant.clean_up().await;
}

/// Header and claims of a token of the example's issuer; its signature is made up.
const FORGED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.\
    eyJpc3MiOiJodHRwczovL2xvZ2luLnVtYnJlbGxhLmV4YW1wbGUiLCJhdWQiOiJwYXlwbGFuZS11bWJyZWxsYSIsInN1YiI6ImJlYSJ9.AAAA";

#[tokio::test]
async fn an_issuer_of_the_tenants_own_is_taken_and_forged_tokens_of_it_are_not() {
    let spec = example(include_str!("../../../examples/tenants/oidc.yaml"))["spec"].clone();
    // One issuer and audience belong to one tenant: a test that runs again is another tenant.
    let mut oidc = spec["oidc"].clone();
    let audience = format!("payplane-{}", uuid::Uuid::new_v4());
    oidc["audience"] = audience.into();
    let more = json!({"deletionPolicy": "Archive", "oidc": oidc});
    let tenant = TestTenant::with(&client().await, "oidc", more).await;
    tenant.client_pod().await;
    let own = tenant.call("wallet_service.proto", "WalletService/ListWallets", &json!({})).await;
    assert!(own.is_ok(), "tokens of the cluster go on: {own:?}");
    assert_eq!(outcomes(&tenant, FORGED, "forged").await, [false, false]);
    tenant.clean_up().await;
}
