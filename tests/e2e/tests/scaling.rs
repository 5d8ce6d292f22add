//! Policies that scale workloads, and the engines of a Platform.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{EvictParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use payplane_crds::{PaymentState, Platform, ScalingPolicy};
use payplane_e2e::chart::upgrade;
use payplane_e2e::cluster::{
    PLATFORM, SYSTEM, apply, client_that_hears_refusals, condition, delete, platform, pods, wait_for,
    wait_gone, within,
};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};

fn reason(policy: &ScalingPolicy, type_: &str) -> String {
    let conditions = policy.status.as_ref().map(|status| status.conditions.as_slice());
    condition(conditions, type_).map(|found| found.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn every_example_is_accepted_and_waits_for_its_workload() {
    let tenant = TestTenant::new(&client().await, "scaling").await;
    let policies: Api<ScalingPolicy> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let mut seen = 0;
    for text in [
        include_str!("../../../examples/scaling/services.yaml"),
        include_str!("../../../examples/scaling/refunds.yaml"),
        include_str!("../../../examples/scaling/payday.yaml"),
    ] {
        for mut manifest in serde_saphyr::from_multiple::<Value>(text).unwrap() {
            manifest["metadata"]["namespace"] = tenant.name.clone().into();
            let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
            apply(&policies, &name, manifest).await;
            wait_for(&policies, &name, "waited", |policy| reason(policy, "Ready") == "TargetNotFound").await;
            seen += 1;
        }
    }
    assert_eq!(seen, 16);
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_platform_leaves_the_number_of_scaled_engines_alone() {
    let client = client().await;
    platform(&client).await;
    let policies: Api<ScalingPolicy> = Api::namespaced(client.clone(), SYSTEM);
    let engines: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), SYSTEM);
    let engine = format!("{PLATFORM}-engine");
    let mut manifest = example(include_str!("../../../examples/scaling/engines.yaml"));
    manifest["spec"]["target"]["platform"]["name"] = PLATFORM.into();
    apply(&policies, "e2e-engines", manifest).await;
    wait_for(&policies, "e2e-engines", "came into force", |policy| {
        policy.status.as_ref().is_some_and(|status| status.targets == Some(1))
    })
    .await;
    let name = format!("e2e-engines-{engine}");
    let found = autoscalers.get(&name).await.unwrap();
    assert_eq!(found.spec.unwrap().scale_target_ref.name, engine);

    // Somebody scales, as the autoscaler does: through the subresource, and again after a while, because what is changed
    // between the operator's read and its write is undone once.
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let mut asked = 0;
    while engines.get_scale(&engine).await.unwrap().spec.unwrap().replicas != Some(3) || asked == 0 {
        assert!(asked < 3, "the Platform takes the number back again and again");
        asked += 1;
        engines.patch_scale(&engine, &PatchParams::default(), &three).await.unwrap();
        let followed = wait_for(&platforms, PLATFORM, "followed", |platform| {
            platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(3)
        });
        drop(within(Duration::from_secs(30), followed).await);
    }

    delete(&policies, "e2e-engines").await;
    wait_gone(&autoscalers, &name).await;
    wait_for(&platforms, PLATFORM, "has as many as it says again", |platform| {
        platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(2)
    })
    .await;
}

/// Payments at most while the autoscaler makes up its mind.
const PAID_MAX: usize = 3000;

const RATE: &str = "payplane_engine_requests_per_second";

/// How many engines tell their share in the API of custom metrics, each under its own name.
async fn shares() -> usize {
    let api = "/apis/custom.metrics.k8s.io/v1beta2";
    let path = format!("{api}/namespaces/{SYSTEM}/pods/*/{RATE}?metricLabelSelector=platform%3D{PLATFORM}");
    let output =
        tokio::process::Command::new("kubectl").args(["get", "--raw", &path]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item["describedObject"]["name"].to_string()).collect::<BTreeSet<_>>().len()
}

/// Waits until the autoscaler wants so many engines and they are there.
async fn wait_for_engines(client: &Client, number: i32) {
    let engines: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let engine = format!("{PLATFORM}-engine");
    wait_for(&engines, &engine, "is to have as many", |engine| {
        engine.spec.as_ref().and_then(|spec| spec.replicas) == Some(number)
    })
    .await;
    wait_for(&platforms, PLATFORM, "has as many", |platform| {
        platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(number)
    })
    .await;
}

#[tokio::test]
async fn load_brings_an_engine_its_end_takes_it_away_and_neither_kills_a_payment() {
    let client = client().await;
    platform(&client).await;
    upgrade(&["metricsApi.enabled=true"]).await;
    let tenant = TestTenant::new(&client, "load").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10000.00").await;
    let policies: Api<ScalingPolicy> = Api::namespaced(client.clone(), SYSTEM);
    let engines: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), SYSTEM);
    // One of each API. Little enough that Payment objects reach it.
    let manifest = json!({"spec": {
        "target": {"platform": {"name": PLATFORM}}, "minReplicas": 2, "maxReplicas": 3,
        "metrics": [
            {"engine": {"name": "QueueDepth", "averageValue": "5"}},
            {"pods": {"name": RATE, "averageValue": "8"}},
        ],
        "scaleIn": {"stabilizationSeconds": 0, "maxPods": 1, "periodSeconds": 15},
    }});
    apply(&policies, "e2e-load", manifest).await;
    let engine = format!("{PLATFORM}-engine");
    let autoscaler = format!("e2e-load-{engine}");
    let hears = |live: &HorizontalPodAutoscaler| {
        let conditions = live.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|one| one.type_ == "ScalingActive" && one.status == "True")
    };
    let live = wait_for(&autoscalers, &autoscaler, "hears the engines", hears).await;
    let measured = live.status.unwrap().current_metrics.unwrap_or_default();
    assert!(measured.iter().any(|one| one.external.is_some()), "{measured:?}");
    assert!(measured.iter().any(|one| one.pods.is_some()), "{measured:?}");
    assert_eq!(shares().await, 2, "each engine tells its own");
    assert_eq!(engines.get_scale(&engine).await.unwrap().spec.unwrap().replicas, Some(2), "nobody pays yet");

    let name = |number: usize| format!("load-{number:04}");
    let mut paid: usize = 0;
    while engines.get_scale(&engine).await.unwrap().spec.unwrap().replicas != Some(3) {
        assert!(paid < PAID_MAX, "{paid} payments brought no engine");
        let names: Vec<_> = (paid..paid + WAVE).map(name).collect();
        futures::future::join_all(names.iter().map(|name| tenant.pay(name, "alice", "bob", "1.00"))).await;
        paid += WAVE;
    }
    wait_for_engines(&client, 3).await;
    wait_for_engines(&client, 2).await;
    for number in 0..paid {
        let status = tenant.settled(&name(number)).await.status.unwrap();
        assert_eq!(status.state, PaymentState::Completed, "{}", name(number));
    }
    delete(&policies, "e2e-load").await;
    wait_gone(&autoscalers, &autoscaler).await;
    platform(&client).await;
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], format!("{paid}.00"));
    let transfers = tenant.assert_books_balance().await;
    assert_eq!(transfers, paid as u64 + 1, "one transfer for each payment and one for the funding");
    println!("{paid} payments brought one engine, which went when they ended; each was paid once");
    tenant.clean_up().await;
    upgrade(&["metricsApi.enabled=false"]).await;
}

/// The nodes take no new pods until this goes.
struct Cordoned(Vec<String>);

impl Cordoned {
    async fn all(client: &Client) -> Self {
        let nodes: Api<Node> = Api::all(client.clone());
        let all = nodes.list(&ListParams::default()).await.unwrap();
        let is_open = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable) != Some(true);
        let names: Vec<_> = all.iter().filter(|node| is_open(node)).map(ResourceExt::name_any).collect();
        let cordoned = Self(names);
        for name in &cordoned.0 {
            nodes.cordon(name).await.unwrap();
        }
        cordoned
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        for name in &self.0 {
            // Also when the test fails: everything else needs the node.
            let done = std::process::Command::new("kubectl").args(["uncordon", name]).output();
            assert!(
                done.is_ok_and(|done| done.status.success()) || std::thread::panicking(),
                "uncordon {name}"
            );
        }
    }
}

/// How many engines the budget lets go now.
async fn wait_for_budget(client: &Client, allowed: i32) {
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), SYSTEM);
    wait_for(&budgets, &format!("{PLATFORM}-engine"), "allows as many", |budget| {
        budget.status.as_ref().is_some_and(|status| {
            status.disruptions_allowed == allowed && status.observed_generation >= budget.metadata.generation
        })
    })
    .await;
}

const WAVE: usize = 20;

#[tokio::test]
async fn a_drain_waits_for_the_budget_and_kills_no_payment() {
    let client = client().await;
    let tenant = TestTenant::new(&client, "drain").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    wait_for_budget(&client, 1).await;
    let engines: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let before: Vec<String> =
        pods(&client, &format!("{PLATFORM}-engine-")).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(before.len(), 2, "two engines, of which one may go: {before:?}");
    let judged: Api<Pod> = Api::namespaced(client_that_hears_refusals().await, SYSTEM);
    let evict = async |name: &str| judged.evict(name, &EvictParams::default()).await;
    let pay = async |wave: usize| {
        for number in 0..WAVE {
            tenant.pay(&format!("drain-{wave}-{number:02}"), "alice", "bob", "1.00").await;
        }
    };

    // What is evicted finds no place until the node is open again.
    let cordoned = Cordoned::all(&client).await;
    let first = async {
        evict(&before[0]).await.expect("the budget lets one go");
        let refused = evict(&before[1]).await.expect_err("one is away already");
        let kube::Error::Api(status) = &refused else { panic!("{refused:?}") };
        assert_eq!(status.code, 429, "{status:?}");
        wait_gone(&engines, &before[0]).await;
        wait_for_budget(&client, 0).await;
        let refused = evict(&before[1]).await.expect_err("its successor has no place yet");
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 429), "{refused:?}");
    };
    tokio::join!(first, pay(0));
    pay(1).await;
    drop(cordoned);
    let second = async {
        wait_for_budget(&client, 1).await;
        evict(&before[1]).await.expect("the successor is ready, so the other one may go");
        wait_gone(&engines, &before[1]).await;
    };
    tokio::join!(second, pay(2));
    platform(&client).await;

    let mut settled = 0;
    for wave in 0..3 {
        for number in 0..WAVE {
            let name = format!("drain-{wave}-{number:02}");
            let status = tenant.settled(&name).await.status.unwrap();
            assert_eq!(status.state, PaymentState::Completed, "{name}");
            settled += 1;
        }
    }
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], format!("{settled}.00"));
    let transfers = tenant.assert_books_balance().await;
    assert_eq!(transfers, settled + 1, "one transfer for each payment and one for the funding");
    println!("engines evicted: 2; evictions refused by the budget: 2; payments settled: {settled}");
    tenant.clean_up().await;
}
