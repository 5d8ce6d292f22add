//! A major upgrade of a managed database, on the real API server: consent, and every step by an operator that was started anew.
//! Nothing runs the workloads: the test says what became of them.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::{
    in_place::{CLAIM, MARK, Place, failed, succeeded},
    own,
};

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use own::in_namespace;
use payplane_crds::Platform;
use payplane_operator::condition::find;
use serde_json::{Value, json};

/// The Platform with this in its database's spec.
async fn ask(place: &Place, managed: Value) {
    let patch = json!({"spec": {"postgres": {"managed": managed}}});
    place.of::<Platform>().patch("main", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Status and reason of a condition after a look.
async fn told(place: &Place, type_: &str) -> (String, String) {
    let platform = place.platform().await;
    let found = find(&platform.status.as_ref().unwrap().conditions, type_).cloned();
    found.map(|one| (format!("{} {}", one.status, one.reason), one.message)).unwrap_or_default()
}

async fn image(place: &Place) -> String {
    let set = place.of::<StatefulSet>().get("main-postgres").await.unwrap();
    set.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap()
}

async fn jobs(place: &Place) -> Vec<String> {
    let labels = "app.kubernetes.io/component in (upgrade, upgrade-undo)";
    let all = place.of::<Job>().list(&ListParams::default().labels(labels)).await.unwrap();
    all.items.iter().map(ResourceExt::name_any).collect()
}

async fn ledger(place: &Place) -> String {
    place.platform().await.status.unwrap().ledger.unwrap()
}

async fn pod(place: &Place) -> Api<Pod> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "main-postgres-0"}, "spec": {"containers": [{"name": "postgres", "image": "any"}]},
    }))
    .unwrap();
    place.of().create(&PostParams::default(), &pod).await.unwrap();
    place.of()
}

#[tokio::test]
async fn every_step_of_an_upgrade_is_found_again_and_a_failure_leaves_what_was() {
    in_namespace("upgrade", |client, namespace| async move {
        let place = Place::new(client, namespace).await;
        let name = ledger(&place).await;
        ask(&place, json!({"image": "postgres:17"})).await;
        let (ready, message) = told(&place, "Upgrading").await;
        assert_eq!(ready, "False MajorUpgradeNotAllowed");
        assert!(message.contains(&format!("{{ledger: {name}, to: 17}}")), "{message}");
        assert_eq!((image(&place).await.as_str(), place.wanted().await.0), ("postgres:15", Some(1)));
        ask(&place, json!({"upgrade": {"ledger": "another", "to": 17}})).await;
        assert_eq!(told(&place, "Upgrading").await.0, "False MajorUpgradeNotAllowed");
        assert_eq!(place.claim().await.annotations().get(MARK), None);

        // With consent it stands still, with the image of before, and nothing begins beside a server.
        let pods = pod(&place).await;
        ask(&place, json!({"upgrade": {"ledger": name, "to": 17}})).await;
        assert_eq!(told(&place, "Upgrading").await.0, "True Upgrading");
        let mark = place.claim().await.annotations()[MARK].clone();
        assert!(mark.starts_with("upgrade/"), "{mark}");
        assert_eq!((image(&place).await.as_str(), place.wanted().await.0), ("postgres:15", Some(0)));
        assert!(jobs(&place).await.is_empty(), "nobody has seen that no database is wanted");
        place.stopped().await;
        place.platform().await;
        assert!(jobs(&place).await.is_empty(), "its pod is there");
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods.delete("main-postgres-0", &now).await.unwrap();
        place.platform().await;
        let first = jobs(&place).await;
        assert_eq!(first.len(), 1);
        // A Restore has to wait: there is one mark.
        let (said, _) = told(&place, "Upgrading").await;
        assert_eq!(
            (said.as_str(), place.claim().await.annotations()[MARK].as_str()),
            ("True Upgrading", mark.as_str())
        );
        assert_eq!(jobs(&place).await, first, "it is made once");

        // It fails: what was is brought back before anything serves, and it is not tried again.
        let undo = first[0].replace("-upgrade-", "-undo-");
        place.becomes::<Job>(&first[0], failed()).await;
        place.platform().await;
        assert_eq!(jobs(&place).await, [undo.clone(), first[0].clone()]);
        assert_eq!(place.wanted().await.0, Some(0));
        place.becomes::<Job>(&undo, succeeded()).await;
        let (failed_with, message) = told(&place, "Upgrading").await;
        assert_eq!(failed_with, "False UpgradeFailed", "{message}");
        assert_eq!((image(&place).await.as_str(), place.wanted().await.0), ("postgres:15", Some(1)));
        assert_eq!(ledger(&place).await, name, "the consent is for it still");
        assert_eq!(told(&place, "Upgrading").await.0, "False UpgradeFailed");
        assert_eq!((jobs(&place).await.len(), place.wanted().await.0), (2, Some(1)));

        // Another image: it is tried again, and succeeds. The ledger has another name, and the consent is used up.
        ask(&place, json!({"image": "postgres:17.1"})).await;
        assert_eq!(told(&place, "Upgrading").await.0, "True Upgrading");
        place.stopped().await;
        place.platform().await;
        let second = jobs(&place).await.into_iter().find(|job| *job != first[0] && *job != undo).unwrap();
        place.becomes::<Job>(&second, succeeded()).await;
        let (done, message) = told(&place, "Upgrading").await;
        assert_eq!(done, "False Upgraded");
        let new = ledger(&place).await;
        assert!(
            new != name && message.contains(&format!("{CLAIM}/ledger.replaced-{new}")),
            "{new} {message}"
        );
        assert_eq!((image(&place).await.as_str(), place.wanted().await.0), ("postgres:17.1", Some(1)));
        assert_eq!(place.claim().await.annotations().get(MARK), None);
        ask(&place, json!({"image": "postgres:18", "upgrade": {"to": 18}})).await;
        assert_eq!(told(&place, "Upgrading").await.0, "False MajorUpgradeNotAllowed");
        ask(&place, json!({"image": "postgres:15", "upgrade": null})).await;
        assert_eq!(told(&place, "Upgrading").await.0, "False Unsupported");
        assert_eq!(image(&place).await, "postgres:17.1");
    })
    .await;
}
