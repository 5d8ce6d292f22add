//! Platforms on the real API server: what it refuses, and what an operator does about Redis, logins, volumes, pauses and
//! engines that fail. Nothing runs the workloads: the tests say what became of them.

mod cloudnative_pg;
mod foreign;
mod redis_operator;
mod strimzi;

use crate::{own, support};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
    storage::v1::StorageClass,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use own::in_namespace;
use payplane_crds::Platform;
use payplane_operator::{condition::find, context::Context, controllers::Again};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use support::{context, create, look, objects};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

/// One namespace with a Platform called "main".
struct Place {
    context: Context,
    client: Client,
    namespace: String,
    platforms: Api<Platform>,
}

impl Place {
    fn new(client: Client, namespace: String) -> Self {
        let mut context = context(&client);
        context.settings.platform_namespaces = vec![namespace.clone()];
        context.settings.engine_image = "engine:1".into();
        context.settings.postgres_image = "postgres:15".into();
        context.settings.redis_image = "redis:7.0".into();
        Self { context, platforms: Api::namespaced(client.clone(), &namespace), client, namespace }
    }

    fn of<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes the Platform and lets it be reconciled.
    async fn platform(&self, spec: Value) -> Platform {
        let body = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Platform", "metadata": {"name": "main"}, "spec": spec,
        });
        create(&objects(&self.client, "Platform", &self.namespace), body).await.unwrap();
        self.look().await.0
    }

    async fn look(&self) -> (Platform, Again) {
        look(&self.context, &self.platforms, "main").await
    }

    /// Changes the Platform as a user would, and lets it be reconciled.
    async fn change(&self, patch: Value) -> Platform {
        let patch = Patch::Merge(patch);
        self.platforms.patch("main", &PatchParams::default(), &patch).await.unwrap();
        self.look().await.0
    }

    async fn make<K>(&self, body: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Serialize
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(body).unwrap();
        self.of::<K>().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Says what became of an object, as whoever runs it would.
    async fn becomes<K>(&self, name: &str, status: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let patch = Patch::Merge(json!({"status": status}));
        self.of::<K>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A Platform whose database answers and whose two engines serve.
    async fn serving(&self, spec: Value) {
        self.platform(spec).await;
        self.becomes::<StatefulSet>("main-postgres", json!({"replicas": 1, "readyReplicas": 1})).await;
        let (platform, _) = self.look().await;
        assert_eq!(told(&platform, "Migrated"), pair("False", "Migrating"));
        assert!(
            self.of::<Deployment>().get_opt("main-engine").await.unwrap().is_none(),
            "no schema, no engine"
        );
        self.migrated().await;
        self.rolled_out().await;
    }

    /// Migrations that have not ended.
    async fn migrations(&self) -> Vec<Job> {
        let ours = ListParams::default().labels("app.kubernetes.io/component=migrate");
        let jobs = self.of::<Job>().list(&ours).await.unwrap();
        let is_open = |job: &Job| job.status.as_ref().is_none_or(|status| status.completion_time.is_none());
        jobs.items.into_iter().filter(is_open).collect()
    }

    /// What the kubelet does with a migration: it succeeds.
    async fn migrated(&self) -> Platform {
        let open = self.migrations().await;
        assert_eq!(open.len(), 1, "one migration is to be run");
        self.becomes::<Job>(&open[0].name_any(), succeeded()).await;
        self.look().await.0
    }

    /// The engines are all of the newest template.
    async fn rolled_out(&self) {
        let generation = self.engine().await.metadata.generation;
        let status = json!({
            "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        });
        self.becomes::<Deployment>("main-engine", status).await;
        self.look().await;
    }

    async fn engine(&self) -> Deployment {
        self.of::<Deployment>().get("main-engine").await.unwrap()
    }

    async fn image(&self) -> String {
        let engine = self.engine().await;
        engine.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap()
    }

    /// What the controller of Deployments does: names the revision, and makes its ReplicaSet from the template.
    async fn revision(&self, number: &str, ready: i32) {
        let body = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": number}}});
        let engines = self.of::<Deployment>();
        let engine =
            engines.patch("main-engine", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
        let name = format!("main-engine-{number}");
        let mut template = serde_json::to_value(engine.spec.unwrap().template).unwrap();
        template["metadata"]["labels"]["pod-template-hash"] = number.into();
        let labels = template["metadata"]["labels"].clone();
        self.make::<ReplicaSet>(json!({
            "metadata": {
                "name": name, "labels": labels, "annotations": {"deployment.kubernetes.io/revision": number},
            },
            "spec": {"replicas": 2, "selector": {"matchLabels": {"pod-template-hash": number}}, "template": template},
        }))
        .await;
        self.becomes::<ReplicaSet>(&name, json!({"replicas": 2, "readyReplicas": ready})).await;
    }

    /// A pod of a revision, which serves its metrics at this port.
    async fn pod(&self, number: &str, port: u16, status: Value) {
        let set = self.of::<ReplicaSet>().get(&format!("main-engine-{number}")).await.unwrap();
        let name = format!("main-engine-{number}-x");
        self.make::<Pod>(json!({
            "metadata": {"name": name, "labels": set.labels(), "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.name_any(), "uid": set.uid(),
            }]},
            "spec": {"containers": [
                {"name": "engine", "image": "any", "ports": [{"name": "http", "containerPort": port}]},
            ]},
        }))
        .await;
        self.becomes::<Pod>(&name, status).await;
    }

    /// A pod of the migration that is to be run.
    async fn migrating(&self, status: Value) {
        let job = self.migrations().await.remove(0).name_any();
        let labels = json!({"batch.kubernetes.io/job-name": job});
        self.make::<Pod>(json!({
            "metadata": {"name": "migration", "labels": labels},
            "spec": {"containers": [{"name": "migrate", "image": "any"}]},
        }))
        .await;
        self.becomes::<Pod>("migration", status).await;
    }
}

/// Status of a Job that ended well.
fn succeeded() -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"},
    ]})
}

/// An engine's metrics on this machine: so many calls that went well, and that failed. Gives the port.
async fn engine_that_counts(mut counts: watch::Receiver<(u64, u64)>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (ok, internal) = *counts.borrow_and_update();
            let calls = "payplane_engine_grpc_request_seconds_count";
            let body = format!(
                "# TYPE payplane_engine_grpc_request_seconds histogram\n{calls}{{code=\"ok\",method=\"Pay\"}} {ok}\n\
                 {calls}{{code=\"internal\",method=\"Pay\"}} {internal}\n"
            );
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /metrics "));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    port
}

/// Status and reason of a condition.
fn told(platform: &Platform, type_: &str) -> Option<(String, String)> {
    let found = find(&platform.status.as_ref().unwrap().conditions, type_)?;
    Some((found.status.clone(), found.reason.clone()))
}

fn message(platform: &Platform, type_: &str) -> String {
    find(&platform.status.as_ref().unwrap().conditions, type_).unwrap().message.clone()
}

fn pair(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.into(), reason.into()))
}

#[tokio::test]
async fn what_can_never_be_is_refused_with_the_way_out() {
    in_namespace("platforms", |client, namespace| async move {
        let platforms = objects(&client, "Platform", &namespace);
        let with = |name: &str, spec: Value| {
            json!({"apiVersion": "payplane.io/v1alpha1", "kind": "Platform", "metadata": {"name": name}, "spec": spec})
        };
        let managed = json!({"storage": {"size": "8Gi"}, "rotation": 2});
        create(&platforms, with("main", json!({"postgres": {"managed": managed}}))).await.unwrap();
        let changes = [
            (json!({"postgres": {"managed": {"storage": {"size": "4Gi"}}}}), Some("a volume can only grow")),
            (json!({"postgres": {"managed": {"storage": {"size": "8192Mi"}}}}), None),
            (json!({"postgres": {"managed": {"storage": {"size": "16Gi"}}}}), None),
            (
                json!({"postgres": {"managed": {"storage": {"storageClassName": "fast"}}}}),
                Some("storageClassName cannot change"),
            ),
            (json!({"postgres": {"managed": {"rotation": 1}}}), Some("rotation only grows")),
            (json!({"postgres": {"managed": {"rotation": 3}}}), None),
            (json!({"postgres": {"operator": {}}}), Some("exactly one of managed, operator and external")),
            (json!({"postgres": {"managed": null, "operator": {}}}), Some("the mode cannot change")),
            (json!({"kafka": {"operator": {"nodes": 4}}}), Some("nodes is odd")),
            (json!({"kafka": {"operator": {"version": "latest"}}}), Some("version")),
            (
                json!({"kafka": {"operator": {}, "managed": {}}}),
                Some("exactly one of managed, operator and external"),
            ),
            (json!({"kafka": {"operator": {}}}), None),
            (json!({"kafka": {"managed": {"replicas": 2}}}), Some("replicas is 1 or 3")),
            (json!({"kafka": {"managed": {"replicas": 5}}}), Some("less than or equal to 3")),
            (json!({"kafka": {"managed": {"users": [{"name": "payplane-engine"}]}}}), Some("choose another")),
            (json!({"kafka": {"managed": {"users": [{"name": "a"}, {"name": "a"}]}}}), Some("Duplicate value")),
            (json!({"kafka": {"managed": {"users": [{"name": "a", "groups": ["*"]}]}}}), Some("groups")),
            (json!({"kafka": {"managed": {"replicas": 3, "users": [{"name": "a"}]}}}), None),
            (json!({"redis": {}}), Some("exactly one of managed, operator and external")),
            (
                json!({"redis": {"managed": {}, "external": {"secretRef": {"name": "x"}}}}),
                Some("exactly one of managed, operator and external"),
            ),
            (json!({"redis": {"operator": {}}}), Some("spec.redis.operator.image")),
            (json!({"redis": {"operator": {"image": "redis:7", "instances": 1}}}), Some("greater than or equal to 2")),
            (json!({"redis": {"operator": {"image": "redis:7"}}}), None),
            (json!({"redis": {"managed": {}}}), None),
        ];
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        for (change, refused) in changes {
            let outcome = platforms.patch("main", &dry, &Patch::Merge(json!({"spec": change}))).await;
            match (outcome, refused) {
                (Ok(_), None) => {}
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{change}: {error}"),
                (outcome, _) => panic!("{change}: {outcome:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn redis_comes_and_goes_and_the_platform_is_ready_without_it() {
    in_namespace("redis", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}, "redis": {"managed": {}}})).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));
        assert_eq!(told(&platform, "RedisReady"), pair("False", "Progressing"));
        place.becomes::<Deployment>("main-redis", json!({"replicas": 1, "readyReplicas": 1})).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "RedisReady"), pair("True", "AsSpecified"));
        let secret = |name: &'static str| {
            let secrets = place.of::<Secret>();
            async move { secrets.get(name).await.unwrap().data.unwrap() }
        };
        let made = secret("main-redis").await;
        place.look().await;
        assert_eq!(secret("main-redis").await, made, "the password is made once");
        assert_ne!(secret("main-redis-tls").await["tls.crt"], secret("main-engine-tls").await["tls.crt"]);

        // Somebody else's: nothing of ours stays, and what its Secret lacks is told.
        let external = json!({"managed": null, "external": {"secretRef": {"name": "mine"}}});
        let platform = place.change(json!({"spec": {"redis": external}})).await;
        assert!(message(&platform, "RedisReady").contains("\"mine\""));
        assert_eq!(told(&platform, "RedisReady"), pair("False", "SecretNotFound"));
        let gone = place.of::<Deployment>().get_opt("main-redis").await.unwrap();
        assert!(gone.is_none_or(|found| found.metadata.deletion_timestamp.is_some()));
        place
            .make::<Secret>(
                json!({"metadata": {"name": "mine"}, "stringData": {"host": "r", "port": "6379"}}),
            )
            .await;
        assert_eq!(told(&place.look().await.0, "RedisReady"), pair("Unknown", "AsSpecified"));
        let platform = place.change(json!({"spec": {"redis": null}})).await;
        assert_eq!(told(&platform, "RedisReady"), None);
    })
    .await;
}

#[tokio::test]
async fn engines_that_do_not_start_go_back_to_those_that_serve() {
    in_namespace("rollout", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        place.revision("1", 2).await;
        place.change(json!({"spec": {"engine": {"image": "engine:bad"}}})).await;
        place.migrated().await;
        assert_eq!(place.image().await, "engine:bad");
        place.revision("2", 0).await;
        let waits = json!({"waiting": {"reason": "CreateContainerError", "message": "no such program"}});
        let container = json!({"name": "engine", "image": "engine:bad", "imageID": "", "ready": false,
            "restartCount": 0, "state": waits});
        place.pod("2", 8080, json!({"containerStatuses": [container]})).await;

        let (platform, again) = place.look().await;
        assert!(matches!(again, Again::After(_)), "pods are not watched");
        assert_eq!(place.image().await, "engine:1", "back to what serves");
        assert_eq!(told(&platform, "RolledBack"), pair("True", "RolledBack"));
        assert_eq!(told(&platform, "Stalled"), pair("True", "RolledBack"));
        let words = message(&platform, "RolledBack");
        assert!(words.contains("engine:bad"), "{words}");
        let wanted = place.engine().await.spec.unwrap().template;
        let kept = wanted.metadata.unwrap().labels.unwrap();
        assert!(!kept.contains_key("pod-template-hash"));

        // It stays so, also for another operator, and when the failed pods are gone.
        place.of::<Pod>().delete("main-engine-2-x", &DeleteParams::default().grace_period(0)).await.unwrap();
        let (platform, _) = place.look().await;
        assert_eq!(place.image().await, "engine:1");
        assert!(message(&platform, "RolledBack").contains("engine:bad"), "the reason is remembered");
        assert!(place.migrations().await.is_empty(), "nothing is migrated for what is not tried again");

        // Another image is tried.
        place.change(json!({"spec": {"engine": {"image": "engine:good"}}})).await;
        let platform = place.migrated().await;
        assert_eq!(place.image().await, "engine:good");
        assert_eq!(told(&platform, "RolledBack"), None);
    })
    .await;
}

#[tokio::test]
async fn engines_that_answer_with_failures_go_back_and_the_figures_are_told() {
    in_namespace("failures", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        let runs = json!({"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]});
        // Those of before failed a lot some time ago, which says nothing about now.
        let (old, counts) = watch::channel((5_000, 3_000));
        let port = engine_that_counts(counts).await;
        place.revision("1", 2).await;
        place.pod("1", port, runs.clone()).await;
        place.change(json!({"spec": {"engine": {"image": "engine:2"}}})).await;
        place.migrated().await;
        place.revision("2", 1).await;
        place.look().await;
        let (new, counts) = watch::channel((0, 150));
        let port = engine_that_counts(counts).await;
        place.pod("2", port, runs).await;

        let (platform, again) = place.look().await;
        assert!(matches!(again, Again::After(_)), "metrics are not watched");
        let words = message(&platform, "Ready");
        assert!(words.contains("answered 150 calls, too few"), "{words}");
        old.send_replace((6_000, 3_000));
        new.send_replace((995, 5));
        let (platform, _) = place.look().await;
        let words = message(&platform, "Ready");
        assert!(words.contains("failed 5 of 1000 calls (0.5 %)"), "{words}");
        assert_eq!(place.image().await, "engine:2");

        old.send_replace((7_000, 3_001));
        new.send_replace((1_500, 500));
        let (platform, _) = place.look().await;
        assert_eq!(place.image().await, "engine:1");
        assert_eq!(told(&platform, "RolledBack"), pair("True", "RolledBack"));
        assert_eq!(told(&platform, "Stalled"), pair("True", "RolledBack"));
        let words = message(&platform, "RolledBack");
        assert!(
            words.contains("500 of 2000 calls (25.0 %)") && words.contains("1 of 2001 calls (0.0 %)"),
            "{words}"
        );
        println!("{words}");

        // It stays so when they are gone, and cannot be asked any more.
        place.of::<Pod>().delete("main-engine-2-x", &DeleteParams::default().grace_period(0)).await.unwrap();
        let (platform, _) = place.look().await;
        assert_eq!(place.image().await, "engine:1");
        assert!(message(&platform, "RolledBack").contains("500 of 2000"));
    })
    .await;
}

#[tokio::test]
async fn engines_wait_for_the_schema_and_a_migration_that_fails_stops_the_rollout_and_says_why() {
    in_namespace("migration", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        assert_eq!(told(&place.look().await.0, "Migrated"), pair("True", "AsSpecified"));
        let before = place.engine().await;
        let platform = place.change(json!({"spec": {"engine": {"image": "engine:2", "replicas": 3}}})).await;
        assert_eq!(told(&platform, "Migrated"), pair("False", "Migrating"));
        assert_eq!(place.image().await, "engine:1", "the schema comes first");
        assert_eq!(place.engine().await.spec.unwrap().replicas, Some(3), "everything else goes on");
        let job = place.migrations().await.remove(0);
        let image = job.spec.unwrap().template.spec.unwrap().containers[0].image.clone();
        assert_eq!(image.as_deref(), Some("engine:2"));

        let ended = |message: &str| {
            json!({"containerStatuses": [{
                "name": "migrate", "image": "engine:2", "imageID": "", "ready": false, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "message": message}},
            }]})
        };
        place.migrating(ended("relation is missing")).await;
        let (platform, again) = place.look().await;
        assert!(matches!(again, Again::After(_)));
        assert_eq!(told(&platform, "Ready"), pair("False", "MigrationFailed"));
        assert_eq!(told(&platform, "Migrated"), pair("False", "MigrationFailed"));
        let words = message(&platform, "Migrated");
        assert!(words.contains("relation is missing") && words.contains("set spec.engine.image"), "{words}");
        assert_eq!(place.image().await, "engine:1", "what serves stays");
        assert_eq!(told(&platform, "EngineReady").unwrap().0, "True");

        for (reason, words) in [
            ("DatabaseUnsuitable", "fsync is off: set fsync = on."),
            ("SchemaTooNew", "keep the newer image"),
        ] {
            let said = json!({"reason": reason, "message": words});
            place.becomes::<Pod>("migration", ended(&said.to_string())).await;
            let (platform, _) = place.look().await;
            assert_eq!(told(&platform, "Stalled"), pair("True", reason));
            assert_eq!(told(&platform, "Migrated"), pair("False", reason));
            assert_eq!(message(&platform, "Ready"), words);
            assert_eq!(place.image().await, "engine:1");
        }

        // Tried again by the kubelet, it succeeds; what it says is remembered, and the Job may go.
        let said = json!({"schema": 20, "oldest": 7}).to_string();
        let well = json!({"containerStatuses": [{
            "name": "migrate", "image": "engine:2", "imageID": "", "ready": false, "restartCount": 1,
            "state": {"terminated": {"exitCode": 0, "message": said}}, "lastState": null,
        }]});
        place.becomes::<Pod>("migration", well).await;
        let platform = place.migrated().await;
        assert_eq!(told(&platform, "Migrated"), pair("True", "AsSpecified"));
        assert_eq!(place.image().await, "engine:2");
        let after = place.engine().await;
        let mark = |name: &str| after.annotations().get(name).cloned();
        assert_eq!(mark("payplane.io/schema").as_deref(), Some("20"));
        assert_eq!(mark("payplane.io/oldest-engine").as_deref(), Some("7"));
        assert_ne!(
            after.annotations().get("payplane.io/migrated"),
            before.annotations().get("payplane.io/migrated")
        );
        for job in place.of::<Job>().list(&ListParams::default()).await.unwrap() {
            let at_once = DeleteParams::background().grace_period(0);
            place.of::<Job>().delete(&job.name_any(), &at_once).await.unwrap();
        }
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "Migrated"), pair("True", "AsSpecified"));
        assert!(place.migrations().await.is_empty(), "a success is remembered without its Job");

        // An image that is not there stops before anything changes, and is not tried again.
        place.of::<Pod>().delete("migration", &DeleteParams::default().grace_period(0)).await.unwrap();
        place.change(json!({"spec": {"engine": {"image": "engine:absent"}}})).await;
        let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        let status = json!({"name": "migrate", "image": "engine:absent", "imageID": "", "ready": false,
            "restartCount": 0, "state": waits});
        place.migrating(json!({"containerStatuses": [status]})).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "RolledBack"), pair("True", "RolledBack"));
        assert!(message(&platform, "RolledBack").contains("engine:absent"));
        assert_eq!(place.image().await, "engine:2");
    })
    .await;
}

#[tokio::test]
async fn a_login_changes_in_three_steps_and_once() {
    in_namespace("rotation", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        let login = async || {
            let data = place.of::<Secret>().get("main-database-app").await.unwrap().data.unwrap();
            ["username", "password"].map(|key| String::from_utf8(data[key].0.clone()).unwrap())
        };
        let [username, password] = login().await;
        assert_eq!(username, "payplane_app");
        let owner = async || {
            let data = place.of::<Secret>().get("main-database-owner").await.unwrap().data.unwrap();
            ["password", "next-password"].map(|key| data.get(key).map(|value| value.0.clone()))
        };
        let [owners, none] = owner().await;
        assert_eq!(none, None);
        let jobs = place.of::<Job>();
        let platform = place.change(json!({"spec": {"postgres": {"managed": {"rotation": 1}}}})).await;
        let [second, other] = login().await;
        assert_eq!(second, "payplane_app_b");
        assert_ne!(other, password);
        assert_eq!(told(&platform, "CredentialsRotated"), pair("False", "Progressing"));
        let [still, next] = owner().await;
        assert!(still == owners && next.is_some() && next != owners, "the owner's next one is laid beside");
        let restart = async || {
            let template = place.engine().await.spec.unwrap().template;
            template.metadata.unwrap().annotations.unwrap()["payplane.io/restart"].clone()
        };
        let before = restart().await;
        place.migrated().await;
        assert_ne!(restart().await, before, "the new login is in the database, so engines follow");
        assert!(jobs.get_opt("main-retire-login-1").await.unwrap().is_none(), "engines of before are there");

        place.rolled_out().await;
        let job = jobs.get("main-retire-login-1").await.unwrap();
        let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
        assert_eq!(args.last(), Some(&username), "the login of before");
        assert_eq!(login().await, [second, other], "a change is made once");
        assert_eq!(owner().await, [owners.clone(), next.clone()], "and so is the owner's next password");
        place.becomes::<Job>("main-retire-login-1", succeeded()).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "CredentialsRotated"), pair("True", "AsSpecified"));
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));
        assert_eq!(owner().await, [next.clone(), None], "the database has it: it is the only one");
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "CredentialsRotated"), pair("True", "AsSpecified"));
        assert_eq!(owner().await, [next, None]);

        place.change(json!({"spec": {"postgres": {"managed": {"rotation": 2}}}})).await;
        assert_eq!(login().await[0], "payplane_app", "the first one's turn again");
    })
    .await;
}

#[tokio::test]
async fn a_paused_platform_is_left_as_it_is() {
    in_namespace("paused", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        let pause = |value: Value| json!({"metadata": {"annotations": {"payplane.io/paused": value}}});
        let platform = place.change(pause(json!("true"))).await;
        assert_eq!(told(&platform, "Paused"), pair("True", "Paused"));
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"), "what serves goes on");
        let platform = place.change(json!({"spec": {"engine": {"image": "engine:2"}}})).await;
        assert_eq!(place.image().await, "engine:1");
        assert_eq!(told(&platform, "EngineReady").unwrap().0, "True");
        place.change(pause(json!(null))).await;
        let platform = place.migrated().await;
        assert_eq!(place.image().await, "engine:2");
        assert_eq!(told(&platform, "Paused"), None);
    })
    .await;
}

#[tokio::test]
async fn a_volume_grows_with_the_spec() {
    in_namespace("volume", |client, namespace| async move {
        let place = Place::new(client.clone(), namespace.clone());
        let classes = Api::<StorageClass>::all(client);
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": namespace}, "provisioner": "none", "allowVolumeExpansion": true,
        }))
        .unwrap();
        classes.create(&PostParams::default(), &class).await.unwrap();
        let storage = |size: &str| json!({"size": size, "storageClassName": namespace});
        place.serving(json!({"postgres": {"managed": {"storage": storage("1Gi")}}})).await;
        place
            .make::<PersistentVolumeClaim>(json!({
                "metadata": {"name": "data-main-postgres-0"},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": namespace, "volumeName": "v",
                    "resources": {"requests": {"storage": "1Gi"}}},
            }))
            .await;
        let bound = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        place.becomes::<PersistentVolumeClaim>("data-main-postgres-0", bound).await;
        place.look().await;
        // Another volume may hold another ledger. What is remembered of it counts as a change of the Deployment.
        place.migrated().await;
        place.rolled_out().await;
        let platform =
            place.change(json!({"spec": {"postgres": {"managed": {"storage": storage("2Gi")}}}})).await;
        assert_eq!(told(&platform, "Stalled"), pair("False", "AsSpecified"));
        let claim = place.of::<PersistentVolumeClaim>().get("data-main-postgres-0").await.unwrap();
        let asked = claim.spec.unwrap().resources.unwrap().requests.unwrap();
        assert_eq!(asked["storage"].0, "2Gi");
        let other = json!({"spec": {"postgres": {"managed": {"image": "postgres:16"}}}});
        let platform = place.change(other).await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "MajorUpgradeNotAllowed"));
        classes.delete(&namespace, &DeleteParams::default()).await.unwrap();
    })
    .await;
}
