//! `copy-objects` on a real API server, with the rights that the chart gives it: every object of a Platform and of nobody else,
//! however many there are, or none and the reason.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use kube::Client;
use payplane_operator::objects::Said;
use serde_json::{Value, json};

use crate::own::{self, Folder, in_namespace};
use crate::support::{chart, create, create_any, objects, payment};

const API: &str = "payplane.io/v1alpha1";
/// More than two pages; what a Platform may well have under `PAYPLANE_PROVE`.
const FEW: usize = 1_100;
const ALL: usize = 10_000;
/// How many are made side by side.
const MAKERS: usize = 16;

/// A ServiceAccount and what it may do, and a folder for what the program writes.
struct World {
    client: Client,
    namespace: String,
    folder: Folder,
}

impl World {
    /// With a Tenant of its Platform, and one of another Platform, each with a namespace.
    async fn new(client: Client, namespace: String) -> Self {
        let world = Self { client, namespace, folder: Folder::new() };
        let database = json!({"postgres": {"external": {"secretRef": {"name": "ledger"}}}});
        for name in ["main", "other"] {
            world.create("Platform", &world.namespace, name, database.clone()).await;
            let namespace = world.of(name);
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let request =
                http::Request::post("/api/v1/namespaces").header("content-type", "application/json");
            let request = request.body(body.to_string().into_bytes()).unwrap();
            world.client.request::<Value>(request).await.unwrap();
            let spec = json!({
                "platformRef": {"namespace": world.namespace, "name": name},
                "namespaces": [{"name": namespace}],
            });
            let tenant =
                json!({"apiVersion": API, "kind": "Tenant", "metadata": {"name": namespace}, "spec": spec});
            create_any(&world.client, None, tenant).await;
            world.create("Wallet", &namespace, "a", json!({"currency": "USD"})).await;
            create(&objects(&world.client, "Payment", &namespace), payment("first")).await.unwrap();
        }
        world
    }

    /// The namespace of the Tenant of this Platform.
    fn of(&self, platform: &str) -> String {
        format!("{}-{platform}", self.namespace)
    }

    async fn create(&self, kind: &str, namespace: &str, name: &str, spec: Value) {
        let body = json!({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec});
        create(&objects(&self.client, kind, namespace), body).await.unwrap();
    }

    /// The way to the API server of a ServiceAccount that has the chart's rights, or none.
    async fn account(&self, name: &str, has_rights: bool) -> PathBuf {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace);
        let post = async |path: String, body: Value| {
            let request = http::Request::post(path).header("content-type", "application/json");
            let request = request.body(body.to_string().into_bytes()).unwrap();
            self.client.request::<Value>(request).await.unwrap()
        };
        post(path.clone(), json!({"metadata": {"name": name}})).await;
        if has_rights {
            let rbac = "rbac.authorization.k8s.io";
            let role = format!("{}-{name}", self.namespace);
            let found = chart("backup-role.yaml").into_iter().find(|object| object["kind"] == "ClusterRole");
            let rules = found.unwrap()["rules"].clone();
            let metadata = json!({"name": role});
            let api = format!("{rbac}/v1");
            let body =
                json!({"apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": rules});
            create_any(&self.client, None, body).await;
            let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": self.namespace});
            let body = json!({
                "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": metadata, "subjects": [subject],
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            });
            create_any(&self.client, None, body).await;
        }
        let asked = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [own::ISSUER], "expirationSeconds": 3600},
        });
        let token = post(format!("{path}/{name}/token"), asked).await;
        let config = own::kubeconfig(token["status"]["token"].as_str().unwrap()).await;
        self.folder.write(&format!("{name}.conf"), &config)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, config: &PathBuf, platform: &str, flags: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payplane-operator"));
        command.env("KUBECONFIG", config).args(["copy-objects", "--platform"]);
        command.arg(format!("{}/{platform}", self.namespace)).args(flags).output().unwrap()
    }

    /// As the Job runs it.
    fn copy(&self, config: &PathBuf, platform: &str) -> (Said, Option<String>) {
        let (to, summary) = (self.path("objects.json"), self.path("summary"));
        let flags = [format!("--to={}", to.display()), format!("--summary-file={}", summary.display())];
        let output = self.run(config, platform, &[&flags[0], &flags[1], "--within-seconds=30"]);
        assert!(output.status.success(), "the ledger's copy must not fail for it: {output:?}");
        let said = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
        (said, std::fs::read_to_string(to).ok())
    }
}

#[tokio::test]
async fn every_object_of_a_platform_is_copied_however_many_there_are() {
    in_namespace("objects", |client, namespace| async move {
        let world = World::new(client, namespace).await;
        let count = if std::env::var_os("PAYPLANE_PROVE").is_some() { ALL } else { FEW };
        let payments = objects(&world.client, "Payment", &world.of("main"));
        let make = |number| {
            let payments = payments.clone();
            async move { create(&payments, payment(&format!("pay-{number}"))).await.map(drop) }
        };
        let made: Vec<_> = stream::iter(0..count).map(make).buffer_unordered(MAKERS).collect().await;
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let config = world.account("backup", true).await;
        let began = Instant::now();
        let (said, text) = world.copy(&config, "main");
        let (took, text) = (began.elapsed(), text.unwrap());
        // Platform, Tenant, Wallet and the first Payment.
        assert_eq!(said.objects, Some(count as u64 + 4), "{said:?}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&document["apiVersion"], &document["kind"]), (&json!("v1"), &json!("List")));
        let mut names = BTreeSet::new();
        for object in document["items"].as_array().unwrap() {
            let (metadata, annotations) = (&object["metadata"], &object["metadata"]["annotations"]);
            assert!(annotations["payplane.io/asked-since"].is_string(), "{object}");
            let written = [
                &metadata["uid"],
                &metadata["resourceVersion"],
                &metadata["managedFields"],
                &object["status"],
            ];
            assert!(written.iter().all(|value| value.is_null()), "{object}");
            let foreign = [world.of("other"), "other".into()];
            assert!(
                !foreign.iter().any(|name| metadata["name"] == **name || metadata["namespace"] == **name)
            );
            names.insert(format!("{} {}", object["kind"], metadata["name"]));
        }
        assert_eq!(names.len(), count + 4, "one is there twice");
        // By hand it goes to the standard output, and is the same.
        let by_hand = world.run(&config, "main", &[]);
        assert_eq!(String::from_utf8(by_hand.stdout).unwrap(), text);
        println!("{} objects, {} bytes, in {took:?}", names.len(), text.len());
    })
    .await;
}

#[tokio::test]
async fn without_rights_an_api_server_or_a_platform_there_is_a_reason_and_no_document() {
    in_namespace("no-objects", |client, namespace| async move {
        let world = World::new(client, namespace).await;
        let (good, bare) = (world.account("backup", true).await, world.account("bare", false).await);
        let away = world.folder.write(
            "away.conf",
            &std::fs::read_to_string(&good).unwrap().replace("https://127.0.0.1:", "https://127.0.0.2:"),
        );
        let mut refused = 0;
        for (config, platform, reason, words) in [
            (&bare, "main", "ObjectsForbidden", "upgrade the chart"),
            (&good, "nobody", "ObjectsNotCopied", "there is no Platform"),
        ] {
            let (said, text) = world.copy(config, platform);
            assert_eq!((said.objects, said.reason.as_deref(), text), (None, Some(reason), None));
            assert!(said.message.as_ref().unwrap().contains(words), "{said:?}");
            refused += 1;
        }
        // It is asked again until the time is over, and not longer.
        let (to, summary) = (world.path("objects.json"), world.path("summary"));
        let flags = [format!("--to={}", to.display()), format!("--summary-file={}", summary.display())];
        let began = Instant::now();
        let output = world.run(&away, "main", &[&flags[0], &flags[1], "--within-seconds=5"]);
        assert!(output.status.success() && began.elapsed() < Duration::from_secs(30), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("tried again"), "{output:?}");
        let said: Said = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
        assert_eq!((said.objects, said.reason.as_deref()), (None, Some("ObjectsNotCopied")), "{said:?}");
        assert!(!to.exists());
        // By hand a failure is one.
        let by_hand = world.run(&bare, "main", &[]);
        assert!(!by_hand.status.success());
        assert!(
            serde_json::from_slice::<Value>(&by_hand.stdout).is_err(),
            "what there is passes for a document"
        );
        println!("{} refused, 1 given up", refused + 1);
    })
    .await;
}
