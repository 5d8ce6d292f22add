//! A Platform whose PostgreSQL a real CloudNativePG runs: primaries are lost while payments run. Started by
//! `tests/foreign/cloudnative-pg.sh`, which brings CloudNativePG.
//!
//! The first primary is lost at once, the second after a network that cut it off from its standbys: what it acknowledged
//! meanwhile would be nowhere else. Every acknowledged payment is in the ledger exactly once afterwards.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use payplane_crds::Platform;
use payplane_e2e::cluster::{SYSTEM, apply, condition, is_true, pods, remove_platform, wait_for};
use payplane_e2e::tenant::example;
use payplane_e2e::traffic::{CLIENTS, Traffic};
use payplane_e2e::{TestTenant, client, faults};
use serde_json::{Value, json};

const NAME: &str = "production";
const SERVERS: usize = 3;
/// Payments before and after each fault, so that it falls among them.
const SHARE: usize = 20;
/// Longer than PostgreSQL waits for a silent standby and engines for a silent server.
const CUT: Duration = Duration::from_secs(8);

/// The example, as large as fits one machine: without Kafka, which nobody runs here.
fn manifest() -> Value {
    let mut manifest = example(include_str!("../../../examples/platforms/operators.yaml"));
    let image = std::env::var("POSTGRES_IMAGE").expect("POSTGRES_IMAGE is not set: source images.env");
    manifest["spec"]["postgres"]["operator"] = json!({
        "instances": SERVERS, "image": image, "storage": {"size": "1Gi"}, "deletionPolicy": "Delete",
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    });
    manifest["spec"].as_object_mut().unwrap().remove("kafka");
    manifest["spec"]["engine"]["replicas"] = json!(2);
    manifest
}

/// The primary, and the others.
async fn servers(client: &Client) -> (Pod, Vec<Pod>) {
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let of =
        ListParams::default().labels(&format!("cnpg.io/cluster={NAME}-postgres,cnpg.io/podRole=instance"));
    let all = api.list(&of).await.unwrap().items;
    let (mut primaries, standbys): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|pod| pod.labels().get("cnpg.io/instanceRole").is_some_and(|role| role == "primary"));
    assert_eq!((primaries.len(), standbys.len()), (1, SERVERS - 1));
    (primaries.remove(0), standbys)
}

/// All servers are there, and one that is not this is the primary.
async fn is_whole(client: &Client, without: &str) {
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    wait_for(&platforms, NAME, "has another primary and all its servers", |platform| {
        let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "PostgresReady").is_some_and(|postgres| {
            let is_other =
                without.is_empty() || !postgres.message.contains(&format!("the primary is {without}."));
            postgres.reason == "AsSpecified" && is_other
        })
    })
    .await;
}

/// Loses the primary among payments, after so long without a network, and waits until another is one and all servers are
/// there. While it is cut off, each client gets an answer to what a standby had before, and no more.
async fn lose_the_primary(client: &Client, traffic: &Traffic, cut: Duration) {
    traffic.flows(SHARE).await;
    let (primary, standbys) = servers(client).await;
    let network = (!cut.is_zero()).then(|| faults::cut(&primary, &standbys));
    let (began, before) = (Instant::now(), traffic.acknowledged());
    // How long the network is away is what is tested.
    tokio::time::sleep(cut).await;
    let meanwhile = traffic.acknowledged() - before;
    faults::lose(client, &primary).await;
    drop(network);
    is_whole(client, &primary.name_any()).await;
    let whole = began.elapsed();
    traffic.flows(SHARE).await;
    println!(
        "{} was lost after {cut:?} without a network, {meanwhile} payments acknowledged meanwhile; nobody served for {:?}, \
         all servers back after {whole:?}",
        primary.name_any(),
        traffic.longest_gap(began)
    );
    // Without a cut the standbys have what is acknowledged, however much it is.
    assert!(
        cut.is_zero() || meanwhile <= CLIENTS,
        "{meanwhile} payments were acknowledged that no standby had"
    );
}

/// The Platform with all its servers and engines, and a tenant whose alice has money and whose pods may pay.
async fn funded(client: &Client) -> TestTenant {
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let began = Instant::now();
    apply(&platforms, NAME, manifest()).await;
    is_whole(client, "").await;
    wait_for(&platforms, NAME, "is ready", |platform| {
        is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
    })
    .await;
    println!("{SERVERS} servers and their engines are ready after {:?}", began.elapsed());
    let spec = json!({
        "platformRef": {"namespace": SYSTEM, "name": NAME}, "deletionPolicy": "Retain",
        "access": {"defaultRole": "Operator"},
    });
    let tenant = TestTenant::with(client, "cloudnative-pg", spec).await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100000.00").await;
    tenant.client_pod().await;
    tenant
}

/// What was acknowledged is in the ledger, each once, and nothing else.
async fn assert_kept(tenant: &TestTenant, acknowledged: &[String]) {
    let ledger = tenant.ledger_payments().await;
    let known: BTreeSet<&str> = ledger.iter().filter_map(|payment| payment["id"].as_str()).collect();
    let gone = acknowledged.iter().filter(|id| !known.contains(id.as_str())).count();
    let count = acknowledged.len();
    println!("{count} payments acknowledged, {gone} of them not in the ledger");
    assert_eq!(gone, 0, "acknowledged payments are lost");
    assert_eq!(ledger.len(), count + 1, "each once, and the funding");
    assert_eq!(tenant.balance("bob").await["available"], format!("{count}.00"));
    assert_eq!(tenant.assert_books_balance().await, count as u64 + 1);
}

#[tokio::test]
async fn primaries_of_a_cluster_are_lost_and_no_payment_is_lost_or_doubled() {
    let client = client().await;
    let tenant = funded(&client).await;
    let traffic = Traffic::start(&tenant, "alice", "bob");
    for cut in [Duration::ZERO, CUT] {
        lose_the_primary(&client, &traffic, cut).await;
    }
    let acknowledged = traffic.stop().await;
    assert_kept(&tenant, &acknowledged).await;
    tenant.clean_up().await;
    remove_platform(&client, NAME).await;
    // Servers that go by themselves wait up to three minutes for their clients.
    for server in pods(&client, &format!("{NAME}-postgres-")).await {
        faults::lose(&client, &server).await;
    }
}
