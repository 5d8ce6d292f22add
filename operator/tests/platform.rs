//! Platforms on the real API server: what it refuses, and what an operator does about Redis, logins, volumes, pauses and
//! engines that fail. Nothing runs the workloads: the tests say what became of them.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

#[path = "support/own.rs"]
mod own;
mod support;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
    storage::v1::StorageClass,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use own::in_namespace;
use payplane_crds::Platform;
use payplane_operator::{condition::find, context::Context, controllers::Again};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use support::{context, create, look, objects};

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
        self.look().await;
        self.rolled_out().await;
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

    /// A pod of a revision whose container does not start.
    async fn stuck(&self, number: &str, status: Value) {
        let set = self.of::<ReplicaSet>().get(&format!("main-engine-{number}")).await.unwrap();
        let name = format!("main-engine-{number}-x");
        self.make::<Pod>(json!({
            "metadata": {"name": name, "labels": set.labels(), "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.name_any(), "uid": set.uid(),
            }]},
            "spec": {"containers": [{"name": "engine", "image": "any"}]},
        }))
        .await;
        self.becomes::<Pod>(&name, status).await;
    }
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
            (json!({"redis": {}}), Some("exactly one of managed and external")),
            (
                json!({"redis": {"managed": {}, "external": {"secretRef": {"name": "x"}}}}),
                Some("exactly one of managed and external"),
            ),
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
        assert_eq!(place.image().await, "engine:bad");
        place.revision("2", 0).await;
        let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        let container = json!({"name": "migrate", "image": "engine:bad", "imageID": "", "ready": false,
            "restartCount": 0, "state": waits});
        place.stuck("2", json!({"initContainerStatuses": [container]})).await;

        let (platform, again) = place.look().await;
        assert!(matches!(again, Again::After(_)), "pods are not watched");
        assert_eq!(place.image().await, "engine:1", "back to what serves");
        assert_eq!(told(&platform, "RolledBack"), pair("True", "RolledBack"));
        assert_eq!(told(&platform, "Stalled"), pair("True", "RolledBack"));
        assert!(
            message(&platform, "RolledBack").contains("engine:bad"),
            "{}",
            message(&platform, "RolledBack")
        );
        let wanted = place.engine().await.spec.unwrap().template;
        let kept = wanted.metadata.unwrap().labels.unwrap();
        assert!(!kept.contains_key("pod-template-hash"));

        // It stays so, also for another operator, and when the failed pods are gone.
        place.of::<Pod>().delete("main-engine-2-x", &DeleteParams::default().grace_period(0)).await.unwrap();
        let (platform, _) = place.look().await;
        assert_eq!(place.image().await, "engine:1");
        assert!(message(&platform, "RolledBack").contains("engine:bad"), "the reason is remembered");

        // Another image is tried.
        let platform = place.change(json!({"spec": {"engine": {"image": "engine:good"}}})).await;
        assert_eq!(place.image().await, "engine:good");
        assert_eq!(told(&platform, "RolledBack"), None);
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_fails_stops_the_rollout_and_says_why() {
    in_namespace("migration", |client, namespace| async move {
        let place = Place::new(client, namespace);
        place.serving(json!({"postgres": {"managed": {}}})).await;
        place.revision("1", 2).await;
        place.change(json!({"spec": {"engine": {"image": "engine:2"}}})).await;
        place.revision("2", 0).await;
        let ended = |message: &str| {
            json!({"initContainerStatuses": [{
                "name": "migrate", "image": "engine:2", "imageID": "", "ready": false, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "message": message}},
            }]})
        };
        place.stuck("2", ended("relation is missing")).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "Ready"), pair("False", "MigrationFailed"));
        assert!(message(&platform, "Ready").contains("relation is missing"));
        assert_eq!(place.image().await, "engine:2", "nothing goes back for a migration");
        assert_eq!(told(&platform, "EngineReady").unwrap().0, "True", "those of before serve");

        let said = json!({"reason": "DatabaseUnsuitable", "message": "fsync is off: set fsync = on."});
        place.becomes::<Pod>("main-engine-2-x", ended(&said.to_string())).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "DatabaseUnsuitable"));
        assert_eq!(message(&platform, "Ready"), "fsync is off: set fsync = on.");
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
        let jobs = place.of::<Job>();
        let platform = place.change(json!({"spec": {"postgres": {"managed": {"rotation": 1}}}})).await;
        let [second, other] = login().await;
        assert_eq!(second, "payplane_app_b");
        assert_ne!(other, password);
        assert_eq!(told(&platform, "CredentialsRotated"), pair("False", "Progressing"));
        assert!(jobs.get_opt("main-retire-login-1").await.unwrap().is_none(), "engines of before are there");

        place.rolled_out().await;
        let job = jobs.get("main-retire-login-1").await.unwrap();
        let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
        assert_eq!(args.last(), Some(&username), "the login of before");
        assert_eq!(login().await, [second, other], "a change is made once");
        let now = jiff::Timestamp::now().to_string();
        let done = json!({"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"},
        ]});
        place.becomes::<Job>("main-retire-login-1", done).await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "CredentialsRotated"), pair("True", "AsSpecified"));
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));

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
        let platform = place.change(pause(json!(null))).await;
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
        let platform =
            place.change(json!({"spec": {"postgres": {"managed": {"storage": storage("2Gi")}}}})).await;
        assert_eq!(told(&platform, "Stalled"), pair("False", "AsSpecified"));
        let claim = place.of::<PersistentVolumeClaim>().get("data-main-postgres-0").await.unwrap();
        let asked = claim.spec.unwrap().resources.unwrap().requests.unwrap();
        assert_eq!(asked["storage"].0, "2Gi");
        let other = json!({"spec": {"postgres": {"managed": {"image": "postgres:16"}}}});
        let platform = place.change(other).await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "Unsupported"));
        classes.delete(&namespace, &DeleteParams::default()).await.unwrap();
    })
    .await;
}
