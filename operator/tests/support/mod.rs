//! What every test against the real API server needs: a client, the CRDs, a namespace of its own, and patience with an
//! end. Without a cluster tests fail; none is skipped.

// Each test file uses a part of this, and failing is what it is for.
#![allow(dead_code, missing_docs, clippy::panic, clippy::unwrap_used)]

use std::{fmt::Debug, future::Future, path::Path, time::Duration};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{conditions, reflector, wait::await_condition},
};
use payplane_operator::{
    context::{Context, Filled, Settings, Stores},
    controllers::{Again, Reconciled},
    engine::{Engines, Token},
    error::Error,
    events::Events,
    telemetry::Metrics,
    wake,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test in a namespace of its own, which goes afterwards.
pub async fn in_namespace<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Client, String) -> F) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.expect("no cluster: start one and set KUBECONFIG");
    INSTALLED.get_or_init(|| install(&client)).await;
    in_namespace_at(client, name, test).await;
}

/// The same on an API server that the test chose, where the CRDs are.
pub async fn in_namespace_at<F: Future<Output = ()>>(
    client: Client,
    name: &str,
    test: impl FnOnce(Client, String) -> F,
) {
    let namespace = create_namespace(&client, name).await;
    test(client.clone(), namespace.clone()).await;
    // After a failure the namespace stays, for whoever looks into it.
    let namespaces = Api::<Namespace>::all(client);
    namespaces.delete(&namespace, &DeleteParams::background()).await.unwrap();
}

/// Makes the server take our kinds, as they are now. Once for all suites: it takes a second, and no test changes a CRD.
pub async fn install(client: &Client) {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let params = PatchParams::apply("payplane-tests").force();
    for crd in payplane_crds::all() {
        let name = crd.name_any();
        crds.patch(&name, &params, &Patch::Apply(&crd))
            .await
            .unwrap_or_else(|error| panic!("the cluster does not answer, or refuses CRD {name}: {error}"));
        within("a CRD is served", await_condition(crds.clone(), &name, conditions::is_crd_established()))
            .await
            .unwrap();
    }
}

async fn create_namespace(client: &Client, prefix: &str) -> String {
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some(format!("test-{prefix}-"));
    let made = Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    made.name_any()
}

/// Awaits something that must happen soon.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Untyped objects of ours, so that a test can send what the types would not allow.
pub fn objects(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("payplane.io", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// A Payment as a user would write it.
pub fn payment(name: &str) -> Value {
    json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": name},
        "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
    })
}

/// A hold of five dollars as a user would write it.
pub fn hold(name: &str) -> Value {
    let mut body = payment(name);
    body["spec"]["amount"] = json!("5.00");
    body["spec"]["hold"] = json!({"timeoutSeconds": 600});
    body
}

pub async fn create(objects: &Api<DynamicObject>, body: Value) -> Result<DynamicObject, kube::Error> {
    objects.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await
}

/// What a reconciler needs, with empty caches and no engine.
pub fn context(client: &Client) -> Context {
    let metrics = Metrics::new().unwrap();
    Context {
        client: client.clone(),
        settings: Settings {
            platform_namespaces: Vec::new(),
            engine_image: String::new(),
            postgres_image: String::new(),
            kafka_image: String::new(),
            redis_image: String::new(),
            operator_image: String::new(),
            backup_account: String::new(),
            issuer: String::new(),
            subject: String::new(),
        },
        engines: Engines::new(Token::new("/nonexistent".into()), None),
        stores: Stores {
            platforms: reflector::store().0,
            tenants: reflector::store().0,
            wallets: reflector::store().0,
            payments: reflector::store().0,
            refunds: reflector::store().0,
            scaling_policies: reflector::store().0,
            standing_orders: reflector::store().0,
            timeout_policies: reflector::store().0,
            backups: reflector::store().0,
            approvals: reflector::store().0,
            tenant_billings: reflector::store().0,
            billing_plans: reflector::store().0,
            backup_schedules: reflector::store().0,
            restores: reflector::store().0,
        },
        filled: Filled::default(),
        wake: wake::channels().0,
        backoff: Default::default(),
        windows: Default::default(),
        events: Events::start(client.clone(), "tests".into(), metrics.clone()),
        metrics,
    }
}

/// Reconciles the object as it is now, and gives it as it is then. An operator that runs in the same cluster may have
/// been faster: then it is looked at again.
pub async fn look<K>(context: &Context, objects: &Api<K>, name: &str) -> (K, Again)
where
    K: Reconciled + serde::Serialize + Debug,
{
    within("a look that nobody else was faster at", async {
        loop {
            let object = objects.get(name).await.unwrap();
            match Box::pin(object.reconcile(context)).await {
                Ok(again) => return (objects.get(name).await.unwrap(), again),
                Err(Error::Raced { .. }) => {}
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
    })
    .await
}

/// The same server as somebody else sees it.
pub async fn as_user(user: &str) -> Client {
    let mut config = Config::infer().await.unwrap();
    config.auth_info.impersonate = Some(user.into());
    Client::try_from(config).unwrap()
}

/// The objects of a chart's template, without what Helm would fill in: conditions and labels.
pub fn chart(template: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/payplane/templates").join(template);
    let text = std::fs::read_to_string(path).unwrap();
    let plain: Vec<&str> = text.lines().filter(|line| !line.contains("{{")).collect();
    serde_saphyr::from_multiple(&plain.join("\n")).unwrap()
}

/// Creates an object of the whole cluster, or of a namespace, under its own kind.
pub async fn create_any(client: &Client, namespace: Option<&str>, body: Value) {
    let (group, version) = body["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = GroupVersionKind::gvk(group, version, body["kind"].as_str().unwrap());
    let resource = ApiResource::from_gvk(&kind);
    let objects: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    create(&objects, body).await.unwrap();
}

/// Makes the policies of a template hold in one namespace, under names of its own.
pub async fn enforce(client: &Client, template: &str, namespace: &str) {
    for mut object in chart(template) {
        let name = |of: &Value| json!(format!("{namespace}-{}", of.as_str().unwrap()));
        object["metadata"]["name"] = name(&object["metadata"]["name"]);
        if object["kind"] == "ValidatingAdmissionPolicyBinding" {
            object["spec"]["policyName"] = name(&object["spec"]["policyName"]);
            let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
            object["spec"]["matchResources"] = json!({"namespaceSelector": here});
        }
        create_any(client, None, object).await;
    }
}

/// Gives a user one of the chart's roles in a namespace.
pub async fn grant(client: &Client, role: &str, user: &str, namespace: &str) {
    let found =
        chart("roles-users.yaml").into_iter().find(|object| object["metadata"]["name"] == role).unwrap();
    grant_rules(client, &found["rules"], user, namespace).await;
}

/// Gives a user these rights in a namespace.
pub async fn grant_rules(client: &Client, rules: &Value, user: &str, namespace: &str) {
    const API: &str = "rbac.authorization.k8s.io/v1";
    let name = format!("{user}-{}", unused_number());
    let role = json!({"apiVersion": API, "kind": "Role", "metadata": {"name": name}, "rules": rules});
    create_any(client, Some(namespace), role).await;
    let binding = json!({
        "apiVersion": API, "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    create_any(client, Some(namespace), binding).await;
}

/// A name that no other object of this process has.
fn unused_number() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}
