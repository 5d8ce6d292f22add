//! A tenant of one test: its namespace, its wallets and payments, and a pod that calls the engine.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt};
use payplane_crds::{Payment, Refund, Tenant, Wallet};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::{self, PLATFORM, SYSTEM, apply, is_true, wait_for};

/// A Tenant with one namespace of the same name.
pub struct TestTenant {
    /// Name of the Tenant and of its namespace.
    pub name: String,
    /// Connection to the cluster.
    pub client: Client,
}

impl TestTenant {
    /// Makes a tenant that may bring in a million dollars, and waits until it is ready.
    pub async fn new(client: &Client, label: &str) -> Self {
        // So that cleaning up takes no payment of everything that a test left in wallets.
        Self::with(client, label, json!({"deletionPolicy": "Retain"})).await
    }

    /// The same with more in its spec, and with its own deletion policy. Whoever names a Platform has made it.
    pub async fn with(client: &Client, label: &str, more: Value) -> Self {
        if more.get("platformRef").is_none() {
            cluster::platform(client).await;
        }
        let suffix = Uuid::new_v4().simple().to_string();
        let name = format!("e2e-{label}-{}", &suffix[..6]);
        let tenant = Self { name, client: client.clone() };
        tenant.reapply(more).await;
        tenant
    }

    /// Applies the tenant with this in its spec beside what every test needs, and waits until it is so.
    pub async fn reapply(&self, more: Value) -> Tenant {
        let mut spec = json!({
            "platformRef": {"namespace": SYSTEM, "name": PLATFORM},
            "namespaces": [{"name": self.name}],
            "settlement": [{"currency": "USD", "cap": "1000000"}],
        });
        let more = more.as_object().expect("fields of a spec").clone();
        spec.as_object_mut().expect("an object").extend(more);
        let applied = apply(&self.tenants(), &self.name, json!({"spec": spec})).await;
        wait_for(&self.tenants(), &self.name, "became ready", |tenant| {
            let status = tenant.status.as_ref();
            is_true(status.map(|status| status.conditions.as_slice()), "Ready")
                && status.and_then(|status| status.observed_generation) >= applied.metadata.generation
        })
        .await
    }

    /// Tenants of the cluster.
    pub fn tenants(&self) -> Api<Tenant> {
        Api::all(self.client.clone())
    }

    /// Payments in the tenant's namespace.
    pub fn payments(&self) -> Api<Payment> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Refunds in the tenant's namespace.
    pub fn refunds(&self) -> Api<Refund> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Gives the tenant's own pods this role, and waits until the engine knows.
    pub async fn admit(&self, role: &str) {
        let tenants: Api<Tenant> = Api::all(self.client.clone());
        let mut tenant = tenants.get(&self.name).await.expect("the tenant is there");
        let account = json!({"namespace": self.name, "name": "default", "role": role});
        tenant.spec.access = serde_json::from_value(json!({"serviceAccounts": [account]}))
            .expect("the manifest is a tenant's");
        let applied = apply(&tenants, &self.name, json!({"spec": tenant.spec})).await;
        wait_for(&tenants, &self.name, "registered the role", |tenant| {
            let observed = tenant.status.as_ref().and_then(|status| status.observed_generation);
            observed >= applied.metadata.generation
        })
        .await;
    }

    /// The manifest of an example, in the tenant's namespace.
    pub fn here(&self, text: &str) -> Value {
        let mut manifest = example(text);
        manifest["metadata"]["namespace"] = self.name.clone().into();
        manifest
    }

    /// Wallets in the tenant's namespace.
    pub fn wallets(&self) -> Api<Wallet> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Makes a wallet in dollars and waits until the ledger has it.
    pub async fn wallet(&self, name: &str) -> Wallet {
        apply(&self.wallets(), name, json!({"spec": {"currency": "USD"}})).await;
        wait_for(&self.wallets(), name, "became ready", |wallet| {
            is_true(wallet.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
        })
        .await
    }

    /// Applies a payment in dollars between two wallets of the namespace.
    pub async fn pay(&self, name: &str, from: &str, to: &str, amount: &str) -> Payment {
        apply(&self.payments(), name, payment(json!({"name": from}), json!({"name": to}), amount)).await
    }

    /// Brings money in, and waits until it is there.
    pub async fn fund(&self, wallet: &str, amount: &str) -> Payment {
        let name = format!("fund-{wallet}");
        let manifest = payment(json!({"settlement": true}), json!({"name": wallet}), amount);
        apply(&self.payments(), &name, manifest).await;
        self.settled(&name).await
    }

    /// Waits until nothing more will happen to the payment.
    pub async fn settled(&self, name: &str) -> Payment {
        wait_for(&self.payments(), name, "settled", |payment| {
            is_true(payment.status.as_ref().map(|status| status.conditions.as_slice()), "Settled")
        })
        .await
    }

    /// Starts the quickstart's client pod and waits until it runs.
    pub async fn client_pod(&self) {
        let text = include_str!("../../../examples/quickstart/client.yaml");
        let image = std::env::var("TOOLBOX_IMAGE").expect("TOOLBOX_IMAGE is not set: source images.env");
        let documents = std::process::Command::new("kubectl")
            .args(["create", "--dry-run=client", "-o", "json", "-f", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write;
                child.stdin.take().expect("stdin is piped").write_all(text.as_bytes())?;
                child.wait_with_output()
            })
            .expect("kubectl did not run");
        let mut manifest: Value = serde_json::from_slice(&documents.stdout).expect("kubectl printed no JSON");
        manifest["metadata"]["namespace"] = self.name.clone().into();
        manifest["spec"]["containers"][0]["image"] = image.into();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name);
        apply(&pods, "client", manifest).await;
        wait_for(&pods, "client", "became ready", |pod| {
            let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
        })
        .await;
    }

    /// Deletes the tenant and its namespace. A test that failed leaves them to look at.
    pub async fn clean_up(self) {
        let tenants: Api<Tenant> = Api::all(self.client.clone());
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        tenants.delete(&self.name, &DeleteParams::default()).await.expect("the tenant cannot be deleted");
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await
            .expect("the namespace cannot be deleted");
    }
}

/// The manifest of an example that consists of one object.
pub fn example(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("an example is YAML")
}

/// Manifest of a payment in dollars.
pub fn payment(from: Value, to: Value, amount: &str) -> Value {
    json!({"spec": {"from": from, "to": to, "amount": amount, "currency": "USD"}})
}

/// The id that a payment's status names.
pub fn payment_id(payment: &Payment) -> String {
    let id = payment.status.as_ref().and_then(|status| status.payment_id.clone());
    id.unwrap_or_else(|| panic!("{} has no payment id: {:#?}", payment.name_any(), payment.status))
}
