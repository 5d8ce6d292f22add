//! A Restore in the place of a ledger, on the real API server: consent, and every step by an operator that was started anew.
//! Nothing runs the workloads: the test says what became of them.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::{own, support};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{reflector, watcher},
};
use own::in_namespace;
use payplane_crds::{Backup, Platform, Restore, RestoreState};
use payplane_operator::{condition::find, context::Context};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use support::{context, create, look, objects};

const API: &str = "payplane.io/v1alpha1";
pub(crate) const CLAIM: &str = "data-main-postgres-0";
pub(crate) const MARK: &str = "payplane.io/restoring";

/// A namespace with a Platform whose ledger is on a volume, and a good Backup of it.
pub(crate) struct Place {
    client: Client,
    namespace: String,
}

impl Place {
    pub(crate) async fn new(client: Client, namespace: String) -> Self {
        let place = Self { client, namespace };
        let managed = json!({"managed": {"image": "postgres:15"}});
        place.make("Platform", "main", json!({"postgres": managed, "engine": {"replicas": 2}})).await;
        place.platform().await;
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}},
        });
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        place.of().create(&PostParams::default(), &claim).await.unwrap();
        place.becomes::<StatefulSet>("main-postgres", json!({"replicas": 1, "readyReplicas": 1})).await;
        place.make("Backup", "copy", json!({"platformRef": {"name": "main"}})).await;
        place.becomes::<Backup>("copy", json!({"state": "Succeeded", "head": "7:ab"})).await;
        place
    }

    pub(crate) fn of<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn make(&self, kind: &str, name: &str, spec: Value) {
        let body = json!({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec});
        create(&objects(&self.client, kind, &self.namespace), body).await.unwrap();
    }

    /// A Restore in the place of this ledger.
    async fn restore(&self, name: &str, ledger: Option<&str>) {
        let into = json!({"platform": {"name": "main", "replace": ledger}});
        let spec = json!({"platformRef": {"name": "main"}, "backupRef": {"name": "copy"}, "into": into});
        self.make("Restore", name, spec).await;
    }

    /// Says what became of an object, as whoever runs it would.
    pub(crate) async fn becomes<K>(&self, name: &str, status: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Serialize
            + std::fmt::Debug,
    {
        let patch = Patch::Merge(json!({ "status": status }));
        self.of::<K>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// An operator that was started just now: it knows nothing but what the API server has.
    async fn operator(&self) -> Context {
        let mut context = context(&self.client);
        context.settings.platform_namespaces = vec![self.namespace.clone()];
        context.settings.engine_image = "engine:1".into();
        context.settings.postgres_image = "postgres:15".into();
        let (store, mut writer) = reflector::store();
        let found = self.of::<Platform>().get("main").await.unwrap();
        writer.apply_watcher_event(&watcher::Event::Apply(DeserializeGuard(Ok(found))));
        context.stores.platforms = store;
        context
    }

    async fn look(&self, name: &str) -> Restore {
        look(&self.operator().await, &self.of::<Restore>(), name).await.0
    }

    pub(crate) async fn platform(&self) -> Platform {
        let context = self.operator().await;
        look(&context, &self.of::<Platform>(), "main").await.0
    }

    pub(crate) async fn claim(&self) -> PersistentVolumeClaim {
        self.of::<PersistentVolumeClaim>().get(CLAIM).await.unwrap()
    }

    async fn jobs(&self) -> Vec<String> {
        let all = self.of::<Job>().list(&ListParams::default().labels("payplane.io/restore")).await.unwrap();
        all.items.iter().map(ResourceExt::name_any).collect()
    }

    /// How many databases and engines are wanted.
    pub(crate) async fn wanted(&self) -> (Option<i32>, Option<i32>) {
        let set = self.of::<StatefulSet>().get("main-postgres").await.unwrap();
        let engine = self.of::<Deployment>().get_opt("main-engine").await.unwrap();
        (set.spec.unwrap().replicas, engine.and_then(|engine| engine.spec.unwrap().replicas))
    }

    /// What the controller of StatefulSets does: no pod is left, and it says so.
    pub(crate) async fn stopped(&self) {
        let generation = self.of::<StatefulSet>().get("main-postgres").await.unwrap().metadata.generation;
        let status = json!({"observedGeneration": generation, "replicas": 0, "readyReplicas": 0});
        self.becomes::<StatefulSet>("main-postgres", status).await;
    }

    /// From consent to the Job.
    async fn begins(&self, name: &str) {
        for _ in 0..2 {
            self.look(name).await;
        }
        self.platform().await;
        self.stopped().await;
        self.look(name).await;
        assert_eq!(self.jobs().await.iter().filter(|job| **job == format!("{name}-restore")).count(), 1);
    }
}

/// Status of a Job that failed.
pub(crate) fn failed() -> Value {
    json!({"startTime": jiff::Timestamp::now().to_string(), "failed": 1, "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"},
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "the pod failed"},
    ]})
}

/// Status of a Job that ended well.
pub(crate) fn succeeded() -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"},
    ]})
}

fn told(restore: &Restore) -> (RestoreState, String, String) {
    let status = restore.status.as_ref().unwrap();
    let ready = find(&status.conditions, "Ready").unwrap();
    (status.state, ready.reason.clone(), ready.message.clone())
}

fn is_still(platform: &Platform) -> bool {
    find(&platform.status.as_ref().unwrap().conditions, "Restoring").is_some()
}

#[tokio::test]
async fn a_ledger_is_replaced_with_consent_that_names_it_and_by_one_restore_at_a_time() {
    in_namespace("consent", |client, namespace| async move {
        let place = Place::new(client, namespace).await;
        let ledger = place.platform().await.status.unwrap().ledger.unwrap();
        assert_eq!(ledger, place.claim().await.uid().unwrap());
        for (name, consent) in [("without", None), ("other", Some("another"))] {
            place.restore(name, consent).await;
            let (state, reason, message) = told(&place.look(name).await);
            assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");
            assert!(message.contains(&format!("into.platform.replace: {ledger}")), "the way out: {message}");
        }
        assert_eq!(place.claim().await.annotations().get(MARK), None, "nothing was done");
        // A copy of another ledger never gets there, whatever is consented to.
        let spec = json!({
            "platformRef": {"name": "other"}, "backupRef": {"name": "copy"},
            "into": {"platform": {"name": "main", "replace": ledger}},
        });
        let body =
            json!({"apiVersion": API, "kind": "Restore", "metadata": {"name": "foreign"}, "spec": spec});
        let error =
            create(&objects(&place.client, "Restore", &place.namespace), body).await.unwrap_err().to_string();
        assert!(error.contains("a copy of itself only"), "{error}");

        place.restore("first", Some(&ledger)).await;
        place.restore("second", Some(&ledger)).await;
        place.look("first").await;
        place.look("first").await;
        let (state, reason, message) = told(&place.look("second").await);
        assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");
        assert!(message.contains("Restore first"), "{message}");

        // Taken back before it began: all is as it was.
        place.platform().await;
        assert_eq!(place.wanted().await.0, Some(0));
        let restores = place.of::<Restore>();
        restores.delete("first", &DeleteParams::default()).await.unwrap();
        let context = place.operator().await;
        let leaving = restores.get("first").await.unwrap();
        payplane_operator::controllers::Reconciled::reconcile(&leaving, &context).await.unwrap();
        assert!(restores.get_opt("first").await.unwrap().is_none());
        assert!(!is_still(&place.platform().await));
        assert_eq!(place.wanted().await.0, Some(1));
        assert!(place.jobs().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn whoever_begins_anew_between_two_steps_goes_on_and_a_failure_is_undone() {
    in_namespace("inplace", |client, namespace| async move {
        let place = Place::new(client, namespace).await;
        let ledger = place.platform().await.status.unwrap().ledger.unwrap();
        place.restore("back", Some(&ledger)).await;
        place.look("back").await;
        assert_eq!(place.claim().await.annotations().get(MARK), None, "first of all it stays until the end");
        let (state, ..) = told(&place.look("back").await);
        let uid = place.of::<Restore>().get("back").await.unwrap().uid().unwrap();
        assert_eq!((state, &place.claim().await.annotations()[MARK]), (RestoreState::Running, &format!("back:{uid}")));

        // Nothing begins before the Platform has stopped its database, and the pod is gone.
        place.look("back").await;
        place.stopped().await;
        place.look("back").await;
        assert!(place.jobs().await.is_empty(), "the Platform has not seen it");
        assert!(is_still(&place.platform().await));
        assert_eq!(place.wanted().await.0, Some(0));
        place.look("back").await;
        assert!(place.jobs().await.is_empty(), "nobody has seen that no database is wanted");
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "main-postgres-0"}, "spec": {"containers": [{"name": "postgres", "image": "any"}]},
        }))
        .unwrap();
        place.of().create(&PostParams::default(), &pod).await.unwrap();
        place.stopped().await;
        place.look("back").await;
        assert!(place.jobs().await.is_empty(), "its pod is there");
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        place.of::<Pod>().delete("main-postgres-0", &now).await.unwrap();
        place.look("back").await;
        assert_eq!(place.jobs().await, ["back-restore"]);
        assert!(is_still(&place.platform().await), "as long as it works");

        // It fails: only when what was is back is the volume given back.
        place.becomes::<Job>("back-restore", failed()).await;
        assert_eq!(told(&place.look("back").await).0, RestoreState::Running);
        assert_eq!(place.jobs().await, ["back-restore", "back-undo"]);
        place.look("back").await;
        assert!(is_still(&place.platform().await));
        place.becomes::<Job>("back-undo", succeeded()).await;
        place.look("back").await;
        let (state, reason, message) = told(&place.look("back").await);
        assert_eq!((state, reason.as_str()), (RestoreState::Failed, "RestoreFailed"), "{message}");
        assert!(message.contains("is in its place again"), "{message}");
        let platform = place.platform().await;
        assert!(!is_still(&platform));
        assert_eq!(place.wanted().await.0, Some(1));
        assert_eq!(platform.status.unwrap().ledger.as_deref(), Some(&*ledger), "the consent is for it still");

        // Again, and it succeeds: the ledger has another name, and the consent is used up.
        place.restore("again", Some(&ledger)).await;
        place.begins("again").await;
        place.becomes::<Job>("again-restore", succeeded()).await;
        place.look("again").await;
        let done = place.look("again").await;
        assert_eq!(told(&done).0, RestoreState::Succeeded);
        let kept = format!("{CLAIM}/ledger.replaced-{}", done.uid().unwrap());
        assert_eq!(done.status.as_ref().unwrap().replaced.as_deref(), Some(&*kept));
        assert!(done.finalizers().is_empty());
        let platform = place.platform().await;
        assert_eq!(platform.status.unwrap().ledger, done.uid());
        assert_eq!(place.wanted().await.0, Some(1));
        place.restore("once-more", Some(&ledger)).await;
        assert_eq!(told(&place.look("once-more").await).1, "TargetExists");
    })
    .await;
}
