//! One API server with the CRDs and the chart's rights and policies, and the two proxies that its operator goes through.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{Namespace, Secret},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{conditions, wait::await_condition},
};
use payplane_crds::{Payment, PaymentState, Platform, Tenant, Wallet};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    ISSUER, Ledger, PLATFORM, SYSTEM,
    api_proxy::ApiProxy,
    api_server::{ApiServer, Keys, cache, kubeconfig},
    engine_proxy::EngineProxy,
    eventually,
    process::{Folder, free_port, output},
};

/// Where one operator works.
pub struct Site {
    pub api: ApiServer,
    pub client: Client,
    pub to_api: ApiProxy,
    pub to_engine: EngineProxy,
    /// Where an engine with TLS is, if somebody starts one.
    pub direct_engine_port: u16,
    folder: Folder,
}

impl Site {
    pub async fn new(keys: &Keys) -> Self {
        let api = ApiServer::new(keys).await;
        let client = api.client();
        install_crds(&client).await;
        install_chart(&client).await;
        let (to_api, to_engine) = (ApiProxy::new(api.anonymous()).await, EngineProxy::new().await);
        let (folder, direct_engine_port) = (Folder::new(), free_port());
        let site = Self { api, client, to_api, to_engine, direct_engine_port, folder };
        site.folder.write("token", &site.token("payplane-operator", "payplane").await);
        let cluster = format!("{{server: \"http://127.0.0.1:{}\"}}", site.to_api.port);
        let token = site.token("payplane-operator", ISSUER).await;
        site.folder.write("operator.conf", &kubeconfig(&cluster, &token));
        site.folder.write("direct.conf", &site.api.kubeconfig(&token));
        site
    }

    /// The operator's way past the proxies.
    pub fn direct_config(&self) -> PathBuf {
        self.folder.path().join("direct.conf")
    }

    pub fn operator_config(&self) -> PathBuf {
        self.folder.path().join("operator.conf")
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A token of a ServiceAccount of the system's namespace.
    pub async fn token(&self, account: &str, audience: &str) -> String {
        let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 7200},
        });
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(body.to_string().into_bytes()).unwrap();
        let answer: Value = self.client.request(request).await.unwrap();
        answer["status"]["token"].as_str().unwrap().into()
    }

    /// The keys that the API server signs tokens with.
    pub async fn jwks(&self) -> String {
        let request = http::Request::get("/openid/v1/jwks").body(Vec::new()).unwrap();
        self.client.request_text(request).await.unwrap()
    }

    /// Makes the Platform as a user does, plays the kubelet for its engine, and waits until it is ready.
    pub async fn found(&self, ledger: &Ledger) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ledger", "namespace": SYSTEM},
            "stringData": {"host": "db", "port": "5432", "dbname": "ledger", "username": "u", "password": "p"},
        });
        create(&self.client, secret).await;
        create(
            &self.client,
            json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "Platform",
                "metadata": {"name": PLATFORM, "namespace": SYSTEM},
                "spec": {"postgres": {"external": {"secretRef": {"name": "ledger"}}}, "engine": {"replicas": 1}},
            }),
        )
        .await;
        self.play_the_kubelet().await;
        let platforms = Api::<Platform>::namespaced(self.client.clone(), SYSTEM);
        wait(&platforms, PLATFORM, "is ready", |platform| is_true(platform, "Ready")).await;
        let (certificate, key) = self.engine_certificate().await;
        self.to_engine.open(&certificate, &key, ledger.engine_port);
    }

    /// The certificate and the key that the operator made for engines.
    pub async fn engine_certificate(&self) -> (Vec<u8>, Vec<u8>) {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), SYSTEM);
        let mut tls = secrets.get(&format!("{PLATFORM}-engine-tls")).await.unwrap().data.unwrap();
        (tls.remove("tls.crt").unwrap().0, tls.remove("tls.key").unwrap().0)
    }

    /// Says of the migration's Job that it succeeded, and of the engine's Deployment that its pod is ready.
    async fn play_the_kubelet(&self) {
        let jobs = Api::<Job>::namespaced(self.client.clone(), SYSTEM);
        let migrations = ListParams::default().labels("app.kubernetes.io/component=migrate");
        let job = eventually("the migration's Job was made", async || {
            jobs.list(&migrations).await.unwrap().items.pop()
        })
        .await;
        let now = jiff::Timestamp::now().to_string();
        let done = json!({"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"},
        ]}});
        jobs.patch_status(&job.name_any(), &PatchParams::default(), &Patch::Merge(done)).await.unwrap();
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), SYSTEM);
        let name = format!("{PLATFORM}-engine");
        let engine = wait(&deployments, &name, "was made", |_| true).await;
        let status = json!({"status": {
            "observedGeneration": engine.metadata.generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        }});
        deployments.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// A Tenant with one namespace of the same name, and two wallets.
    pub async fn tenant(&self, name: &str) -> TestTenant {
        let tenant = TestTenant { name: name.into(), client: self.client.clone() };
        create(&self.client, tenant.manifest()).await;
        let tenants = Api::<Tenant>::all(self.client.clone());
        wait(&tenants, name, "is ready", |tenant| is_true(tenant, "Ready")).await;
        for wallet in ["alice", "bob"] {
            tenant.wallet(wallet).await;
        }
        for wallet in ["alice", "bob"] {
            wait(&tenant.wallets(), wallet, "is ready", |wallet| is_true(wallet, "Ready")).await;
        }
        tenant
    }
}

/// One Tenant and its objects.
#[derive(Clone)]
pub struct TestTenant {
    pub name: String,
    pub client: Client,
}

impl TestTenant {
    fn manifest(&self) -> Value {
        json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": self.name},
            "spec": {
                "platformRef": {"namespace": SYSTEM, "name": PLATFORM},
                "namespaces": [{"name": self.name}],
                "settlement": [{"currency": "USD", "cap": "100000000"}],
                "deletionPolicy": "Retain",
            },
        })
    }

    pub fn payments(&self) -> Api<Payment> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub fn wallets(&self) -> Api<Wallet> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Untyped, so that a test can send what the types would not allow.
    pub fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("payplane.io", "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    pub async fn wallet(&self, name: &str) {
        create(
            &self.client,
            json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "Wallet",
                "metadata": {"name": name, "namespace": self.name}, "spec": {"currency": "USD"},
            }),
        )
        .await;
    }

    /// Brings money in for alice.
    pub async fn fund(&self, amount: &str) {
        let spec = json!({
            "from": {"settlement": true}, "to": {"name": "alice"}, "amount": amount, "currency": "USD",
        });
        self.create("Payment", "fund", spec).await;
        self.settled("fund").await;
    }

    pub async fn create(&self, kind: &str, name: &str, spec: Value) -> DynamicObject {
        create(&self.client, self.object(kind, name, spec)).await
    }

    pub fn object(&self, kind: &str, name: &str, spec: Value) -> Value {
        json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": self.name}, "spec": spec,
        })
    }

    /// One dollar from alice to bob, as a user would write it.
    pub async fn pay(&self, name: &str) -> DynamicObject {
        self.create("Payment", name, dollar()).await
    }

    /// A hold of five dollars of which three are taken and the rest is given back.
    pub async fn hold(&self, name: &str) -> DynamicObject {
        let mut spec = dollar();
        spec["amount"] = json!("5.00");
        spec["hold"] = json!({"timeoutSeconds": 600});
        spec["capture"] = json!({"total": "3.00", "final": true});
        self.create("Payment", name, spec).await
    }

    /// Waits until nothing more will happen to it.
    pub async fn settled(&self, name: &str) -> Payment {
        wait(&self.payments(), name, "is settled", |payment| is_true(payment, "Settled")).await
    }

    /// Waits until it has completed, and gives the ledger's id.
    pub async fn completed(&self, name: &str) -> String {
        let status = self.settled(name).await.status.unwrap();
        assert_eq!(status.state, PaymentState::Completed, "{name}: {status:#?}");
        status.payment_id.unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.payments().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Writes a status as somebody who may, and gives the version that it has then.
    pub async fn forge(&self, kind: &str, name: &str, status: Value) -> String {
        let patch = Patch::Merge(json!({"status": status}));
        let forged = self.objects(kind).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
        forged.resource_version().unwrap()
    }
}

/// One dollar from alice to bob.
pub fn dollar() -> Value {
    json!({"from": {"name": "alice"}, "to": {"name": "bob"}, "amount": "1.00", "currency": "USD"})
}

/// Whether an object's condition of this type is true.
pub fn is_true(object: &impl serde::Serialize, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// An object's condition of this type.
pub fn condition(object: &impl serde::Serialize, kind: &str) -> Option<Value> {
    let object = serde_json::to_value(object).unwrap();
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// Waits until the object is as wanted. Looks again and again, so that no cut connection can hide it.
pub async fn wait<K>(api: &Api<K>, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut last = None;
    let started = std::time::Instant::now();
    loop {
        if let Ok(Some(object)) = api.get_opt(name).await {
            if wanted(&object) {
                return object;
            }
            last = Some(object);
        }
        assert!(started.elapsed() < super::PATIENCE, "{name} never {what}; its last state: {last:#?}");
        // Between two looks, not instead of one.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Creates an object under its own kind, wherever it says.
pub async fn create(client: &Client, body: Value) -> DynamicObject {
    try_create(client, body.clone()).await.unwrap_or_else(|error| panic!("{error}: {body:#}"))
}

pub async fn try_create(client: &Client, body: Value) -> kube::Result<DynamicObject> {
    let version = body["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, body["kind"].as_str().unwrap());
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match body["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await
}

async fn install_crds(client: &Client) {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let all = payplane_crds::all();
    for crd in &all {
        crds.create(&PostParams::default(), crd).await.unwrap();
    }
    for crd in &all {
        let name = crd.name_any();
        let established = await_condition(crds.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(super::PATIENCE, established).await.unwrap().unwrap();
    }
}

/// What the chart makes, without what only a cluster runs.
async fn install_chart(client: &Client) {
    let mut system = Namespace::default();
    system.metadata.name = Some(SYSTEM.into());
    Api::all(client.clone()).create(&PostParams::default(), &system).await.unwrap();
    for object in chart() {
        let kind = object["kind"].as_str().unwrap_or_default();
        // While nobody serves an API, no namespace can go: its test adds that.
        let left_out =
            ["CustomResourceDefinition", "Deployment", "PodDisruptionBudget", "Pod", "APIService", ""];
        if !left_out.contains(&kind) {
            eventually("an object of the chart is accepted", async || {
                match try_create(client, object.clone()).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => Some(()),
                    other => other.ok().map(|_| ()),
                }
            })
            .await;
        }
    }
}

/// The chart's objects with its default values and the API of metrics; those of one namespace say so.
pub fn chart() -> Vec<Value> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/payplane");
    let mut helm = Command::new(cache().join("bin/helm"));
    helm.args(["template", "payplane", chart, "--namespace", SYSTEM, "--set", "metricsApi.enabled=true"]);
    let text = output(&mut helm);
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    for object in &mut objects {
        let namespaced =
            ["ServiceAccount", "Service", "Role", "RoleBinding"].map(Value::from).contains(&object["kind"]);
        if namespaced && object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = json!(SYSTEM);
        }
    }
    objects
}

/// Names by what became of them, for what a test prints.
pub fn tally<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    words.fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word).or_default() += 1;
        counts
    })
}
