//! A managed database is brought to the next major version, on a Platform of the tests' own: PostgreSQL of this Debian and of the next.

use std::{collections::BTreeSet, time::Instant};

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job};
use kube::{Client, api::ListParams};
use payplane_crds::{BackupState, PaymentState, Platform};
use payplane_e2e::cluster::{apply, condition, delete, is_true, remove_platform, wait_for};
use payplane_e2e::tenant::payment;
use payplane_e2e::traffic::Traffic;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};

use crate::restores::{archiving, here, inside, pay, sql, taken, tenant};

/// PostgreSQL of the next Debian.
fn next_image() -> String {
    std::env::var("POSTGRES_NEXT_IMAGE").expect(
        "POSTGRES_NEXT_IMAGE is not set: tests/e2e/cluster/images.sh postgres-next, and source images.env",
    )
}

/// The Platform with this in its database's spec.
async fn ask(client: &Client, name: &str, more: Value) {
    let mut managed = json!({
        "storage": {"size": "1Gi"}, "archive": {"everySeconds": 5, "volume": {"size": "1Gi"}},
    });
    managed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec = json!({"postgres": {"managed": managed}, "engine": {"replicas": 1}});
    apply(&here::<Platform>(client), name, json!({ "spec": spec })).await;
}

/// Waits until a condition has this status and reason; gives its message and the ledger's name.
async fn told(client: &Client, name: &str, type_: &str, status: &str, reason: &str) -> (String, String) {
    let platform =
        wait_for(&here::<Platform>(client), name, &format!("is {type_}={status} {reason}"), |platform| {
            let is = |one: &_| {
                let one: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = one;
                one.status == status
                    && one.reason == reason
                    && one.observed_generation == platform.metadata.generation
            };
            condition(platform.status.as_ref().map(|status| status.conditions.as_slice()), type_)
                .is_some_and(is)
        })
        .await;
    let status = platform.status.unwrap();
    let message = condition(Some(&status.conditions), type_).unwrap().message.clone();
    (message, status.ledger.unwrap_or_default())
}

async fn version(client: &Client, name: &str) -> i64 {
    sql(client, name, "show server_version_num").await.parse::<i64>().unwrap() / 10_000
}

async fn folders(client: &Client, name: &str) -> String {
    inside(client, name, "ls /var/lib/postgresql/data | grep ^ledger | tr '\\n' ' '").await
}

/// How many Jobs of upgrades there are.
async fn jobs(client: &Client, name: &str) -> usize {
    let labels = format!("payplane.io/platform={name},app.kubernetes.io/component=upgrade");
    here::<Job>(client).list(&ListParams::default().labels(&labels)).await.unwrap().items.len()
}

async fn take(client: &Client, platform: &str, name: &str, parent: Option<&str>) -> payplane_crds::Backup {
    let parent = parent.map(|name| json!({"name": name}));
    let spec = json!({
        "platformRef": {"name": platform}, "volume": {"size": "1Gi"}, "deadlineSeconds": 170, "parentRef": parent,
    });
    taken(client, name, json!({ "spec": spec })).await
}

/// Five dollars that are held, or taken.
async fn hold(tenant: &TestTenant, name: &str, capture: Option<Value>) {
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "5.00");
    manifest["spec"]["hold"] = json!({"timeoutSeconds": 86400});
    if let Some(capture) = capture {
        manifest["spec"]["capture"] = capture;
    }
    apply(&tenant.payments(), name, manifest).await;
}

#[tokio::test]
async fn a_ledger_is_brought_to_the_next_major_version_while_payers_go_on_asking() {
    let client = client().await;
    let name = "e2e-major";
    archiving(&client, name, json!({"everySeconds": 5, "volume": {"size": "1Gi"}})).await;
    let tenant = tenant(&client, name, "major").await;
    tenant.fund("bob", "10000.00").await;
    tenant.admit("Admin").await;
    tenant.client_pod().await;
    hold(&tenant, "held", None).await;
    wait_for(&tenant.payments(), "held", "is held", |payment| {
        payment.status.as_ref().is_some_and(|status| status.state == PaymentState::Pending)
    })
    .await;
    take(&client, name, "major-before", None).await;
    let (old, next) = (version(&client, name).await, next_image());
    let to: i64 = next.rsplit(':').next().unwrap().parse().unwrap();
    assert!(old < to, "{old} {to}");

    // Asked for alone nothing happens, and the old server serves; nor with a consent for another ledger.
    let traffic = Traffic::start(&tenant, "bob", "alice");
    traffic.flows(20).await;
    ask(&client, name, json!({"image": next})).await;
    let (message, ledger) = told(&client, name, "Ready", "False", "MajorUpgradeNotAllowed").await;
    assert!(message.contains(&format!("{{ledger: {ledger}, to: {to}}}")), "{message}");
    ask(&client, name, json!({"image": next, "upgrade": {"ledger": "another", "to": to}})).await;
    let (message, _) = told(&client, name, "Ready", "False", "MajorUpgradeNotAllowed").await;
    assert!(message.contains("another"), "{message}");
    traffic.flows(20).await;
    assert_eq!((version(&client, name).await, jobs(&client, name).await), (old, 0));
    // A copy is taken with the programs of the server that runs.
    take(&client, name, "major-meanwhile", None).await;
    let head = "select s.seal || ' ' || encode(s.link, 'hex') from payplane.seal_head s";
    let head = sql(&client, name, head).await;

    let begun = Instant::now();
    ask(&client, name, json!({"image": next, "upgrade": {"ledger": ledger, "to": to}})).await;
    told(&client, name, "Upgrading", "True", "Upgrading").await;
    let (message, now) = told(&client, name, "Upgrading", "False", "Upgraded").await;
    assert!(message.contains(&format!("PostgreSQL {to}")) && now != ledger, "{message} {now}");
    told(&client, name, "Ready", "True", "AsSpecified").await;
    let took = begun.elapsed();
    traffic.flows(20).await;
    let gap = traffic.longest_gap(begun);
    let ids = traffic.stop().await;
    println!("{} payments; ready after {took:.1?}; nobody was answered for {gap:.1?}", ids.len());
    assert_eq!(version(&client, name).await, to);

    // Every payment that was acknowledged is there once, and nothing else.
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    let stored = tenant.ledger_payments().await;
    let stored: Vec<&str> = stored.iter().map(|payment| payment["id"].as_str().unwrap()).collect();
    for id in &ids {
        assert_eq!(stored.iter().filter(|one| **one == id.as_str()).count(), 1, "{id}");
    }
    assert_eq!(stored.len(), ids.len() + 3, "and twice money that came in, and the hold");
    tenant.assert_books_balance().await;
    let (seal, link) = head.split_once(' ').unwrap();
    let kept = format!("select encode(link, 'hex') from payplane.seals where seal = {seal}");
    assert_eq!(sql(&client, name, &kept).await, link, "the chain of before");

    // What was held can be captured; what is copied now is whole, because no copy of before can be built on.
    hold(&tenant, "held", Some(json!({"total": "5.00", "final": true}))).await;
    let captured = tenant.settled("held").await;
    assert_eq!(captured.status.unwrap().state, PaymentState::Completed);
    let copy = take(&client, name, "major-after", Some("major-before")).await.status.unwrap();
    assert_eq!(copy.state, BackupState::Succeeded);
    assert!(copy.full_because.as_deref().is_some_and(|why| why.contains("another server")), "{copy:#?}");

    // The ledger of before is kept, and no way leads back by itself.
    let kept = folders(&client, name).await;
    assert_eq!(kept, format!("ledger ledger.replaced-{now}"));
    let read = format!("cat /var/lib/postgresql/data/ledger.replaced-{now}/PG_VERSION");
    assert_eq!(inside(&client, name, &read).await, old.to_string());
    // Each has the control file of its own version.
    let control = |folder: &str| {
        let file = format!("/var/lib/postgresql/data/{folder}/global/pg_control");
        format!("od -An -tu4 -j8 -N4 {file} | tr -d ' '")
    };
    let (was, is) = (control(&format!("ledger.replaced-{now}")), control("ledger"));
    assert_ne!(inside(&client, name, &was).await, inside(&client, name, &is).await);
    ask(&client, name, json!({})).await;
    let (message, _) = told(&client, name, "Ready", "False", "Unsupported").await;
    assert!(message.contains(&format!("PostgreSQL {to}, which goes on serving")), "{message}");
    pay(&tenant, "life-goes-on").await;
    assert_eq!((version(&client, name).await, jobs(&client, name).await), (to, 1));

    for copy in ["major-before", "major-meanwhile", "major-after"] {
        delete(&here::<payplane_crds::Backup>(&client), copy).await;
    }
    tenant.clean_up().await;
    remove_platform(&client, name).await;
}

#[tokio::test]
async fn a_major_upgrade_that_fails_leaves_the_server_and_the_ledger_of_before() {
    let client = client().await;
    let name = "e2e-minor";
    archiving(&client, name, json!({"everySeconds": 5, "volume": {"size": "1Gi"}})).await;
    let tenant = tenant(&client, name, "minor").await;
    pay(&tenant, "before").await;
    let (old, next) = (version(&client, name).await, next_image());
    let to: i64 = next.rsplit(':').next().unwrap().parse().unwrap();
    let ledger = here::<Platform>(&client).get(name).await.unwrap().status.unwrap().ledger.unwrap();
    let consent = |seconds: i64| json!({"ledger": ledger, "to": to, "deadlineSeconds": seconds});

    // An image that does not start, and one whose server is of another version than its tag says.
    let lying = format!("{}-lies", next);
    let current = here::<StatefulSet>(&client).get(&format!("{name}-postgres")).await.unwrap();
    let current = current.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap();
    name_image(&current, &lying);
    let cases = [
        (format!("{next}-absent"), 60, "took longer than"),
        (lying.clone(), 170, "the image has PostgreSQL"),
    ];
    for (round, (image, seconds, expected)) in cases.iter().enumerate() {
        ask(&client, name, json!({"image": image, "upgrade": consent(*seconds)})).await;
        told(&client, name, "Upgrading", "True", "Upgrading").await;
        let (message, now) = told(&client, name, "Upgrading", "False", "UpgradeFailed").await;
        assert!(message.contains(expected), "{image}: {message}");
        serves_as_before(&client, name, (&now, &ledger), (old, round + 1)).await;
        pay(&tenant, &format!("after-{round}")).await;
    }

    // A ledger that is not sound is not brought anywhere: somebody who may do anything changed a payment.
    let change = "set session_replication_role = replica; update payplane.journal set posted = posted + 1 where kind = 1";
    sql(&client, name, change).await;
    ask(&client, name, json!({"image": next, "upgrade": consent(170)})).await;
    told(&client, name, "Upgrading", "True", "Upgrading").await;
    let (message, now) = told(&client, name, "Upgrading", "False", "UpgradeFailed").await;
    assert!(message.contains("verify-before"), "{message}");
    serves_as_before(&client, name, (&now, &ledger), (old, 3)).await;
    let platform = here::<Platform>(&client).get(name).await.unwrap();
    assert!(is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), "EngineReady"));

    tenant.clean_up().await;
    remove_platform(&client, name).await;
    unname_image(&lying);
}

async fn serves_as_before(
    client: &Client,
    name: &str,
    (now, ledger): (&str, &str),
    (old, tried): (i64, usize),
) {
    told(client, name, "PostgresReady", "True", "AsSpecified").await;
    told(client, name, "EngineReady", "True", "AsSpecified").await;
    assert_eq!((now, version(client, name).await), (ledger, old), "the consent is for it still");
    assert_eq!(folders(client, name).await, "ledger");
    assert_eq!(jobs(client, name).await, tried, "it is not tried again");
}

/// Gives an image of the node another name, too.
fn name_image(image: &str, other: &str) {
    node(&["ctr", "images", "tag", "--force", image, other]);
}

fn unname_image(image: &str) {
    node(&["ctr", "images", "rm", image]);
}

fn node(command: &[&str]) {
    let node = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/node.sh");
    let done = std::process::Command::new(node).args(command).output().expect("node.sh did not run");
    assert!(done.status.success(), "{command:?}: {done:?}");
}
