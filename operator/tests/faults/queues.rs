//! Requests that wait in engines move the cluster's own autoscaler, told as a sum (external metrics) and by each engine (custom
//! metrics): the database becomes slow while people pay, engines come; it becomes fast again, they go.
//!
//! The oracle is the ledger: every payment that was answered is there once, and nothing else. Bounded: [`CALLERS`] payments are
//! under way at once, and the database is slow for two minutes at most.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::{HorizontalPodAutoscaler, MetricStatus},
};
use kube::Api;
use payplane_proto::v1 as proto;
use serde_json::{Value, json};

use super::{
    bed::{
        Books, PLATFORM, SYSTEM,
        site::{condition, create, wait},
    },
    figures::{World, replicas},
};

const QUEUE: &str = "payplane_engine_queue_depth";
/// Payments that are under way at once.
const CALLERS: usize = 60;
/// Requests that may wait for each engine.
const TARGET: u64 = 5;

/// People who pay, each one dollar after the other, until they are told to stop.
struct People {
    stop: Arc<AtomicBool>,
    paid: Arc<AtomicU64>,
    all: Vec<tokio::task::JoinHandle<()>>,
}

impl People {
    fn pay(books: &Books) -> Self {
        let (stop, paid) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let all = (0..CALLERS).map(|caller| {
            let (stop, paid, mut client) = (stop.clone(), paid.clone(), books.payment_client());
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let request = dollar(&format!("{caller}-{number}"));
                    // Under one key until it is answered, as the conventions want it.
                    while client.create_payment(request.clone()).await.is_err() {}
                    paid.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            })
        });
        let all = all.collect();
        Self { stop, paid, all }
    }

    /// Ends when every payment that began was answered.
    async fn go_home(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for person in self.all {
            person.await.unwrap();
        }
        self.paid.load(Ordering::Relaxed)
    }
}

fn dollar(key: &str) -> proto::CreatePaymentRequest {
    let wallet = |name: &str| {
        let name = proto::wallet_ref::Ref::Name(format!("queued/{name}"));
        Some(proto::WalletRef { r#ref: Some(name) })
    };
    proto::CreatePaymentRequest {
        idempotency_key: key.into(),
        from: wallet("alice"),
        to: wallet("bob"),
        amount: Some(proto::Money { amount: "1.00".into(), currency: "USD".into() }),
        ..Default::default()
    }
}

/// What the autoscaler says that waits for each engine, in thousandths.
fn waiting(live: &HorizontalPodAutoscaler) -> Option<u64> {
    let measured = live.status.as_ref()?.current_metrics.as_ref()?;
    let of = |metric: &MetricStatus| {
        let found = match (&metric.external, &metric.pods) {
            (Some(found), _) => (&found.metric, &found.current),
            (_, Some(found)) => (&found.metric, &found.current),
            _ => return None,
        };
        let value = &found.1.average_value.as_ref()?.0;
        let thousandths = match value.strip_suffix('m') {
            Some(value) => value.parse().ok()?,
            None => value.parse::<u64>().ok()? * 1000,
        };
        (found.0.name == QUEUE).then_some(thousandths)
    };
    measured.iter().find_map(of)
}

fn desired(live: &HorizontalPodAutoscaler) -> i32 {
    live.status.as_ref().map(|status| status.desired_replicas).unwrap_or_default()
}

async fn a_queue_moves_the_autoscaler(metric: Value) {
    let world = World::new().await;
    let tenant = world.site.tenant("queued").await;
    tenant.fund("100000.00").await;
    let books = world.ledger.books("queued");
    let client = world.site.client.clone();
    let policy = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"name": "queue", "namespace": SYSTEM},
        "spec": {
            "target": {"platform": {"name": PLATFORM}}, "minReplicas": 1, "maxReplicas": 3, "metrics": [metric],
            "scaleIn": {"stabilizationSeconds": 0, "maxPods": 10, "periodSeconds": 1},
        },
    });
    create(&client, policy).await;
    let autoscalers = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), SYSTEM);
    let engines = Api::<Deployment>::namespaced(client.clone(), SYSTEM);
    let engine = format!("{PLATFORM}-engine");
    let name = format!("queue-{engine}");
    let idle = wait(&autoscalers, &name, "hears the engine", |live| waiting(live).is_some()).await;
    assert!(condition(&idle, "ScalingActive").is_some_and(|found| found["status"] == "True"), "{idle:?}");
    assert_eq!((waiting(&idle), desired(&idle)), (Some(0), 1), "nobody pays");

    // A database that is fast lets nobody wait for long, however many pay. This one is slow, too.
    let (crowd, people) = (world.ledger.crowd(), People::pay(&books));
    let busy = wait(&autoscalers, &name, "wants three engines for what waits", |live| {
        desired(live) == 3 && waiting(live).is_some_and(|thousandths| TARGET * 1000 < thousandths)
    })
    .await;
    wait(&engines, &engine, "is to have three engines", |engine| replicas(engine) == 3).await;
    drop(crowd);
    let paid = people.go_home().await;
    let calm = wait(&autoscalers, &name, "wants one engine for nothing that waits", |live| {
        desired(live) == 1 && waiting(live) == Some(0)
    })
    .await;
    wait(&engines, &engine, "is alone again", |engine| replicas(engine) == 1).await;

    let facts = books.payments().await;
    assert_eq!(facts.len() as u64, paid + 1, "one fact for each answered payment, and the funding");
    assert_eq!(books.balance("bob").await.0, format!("{paid}.00"));
    println!(
        "{} thousandths of a request waited for each engine while the database was slow, then {:?}; the autoscaler wanted 3 \
         engines, then 1; {paid} payments were answered and paid once",
        waiting(&busy).unwrap(),
        waiting(&calm),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_all_engines_brings_engines_and_its_end_takes_them_away() {
    a_queue_moves_the_autoscaler(
        json!({"engine": {"name": "QueueDepth", "averageValue": TARGET.to_string()}}),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_each_engine_brings_engines_and_its_end_takes_them_away() {
    a_queue_moves_the_autoscaler(json!({"pods": {"name": QUEUE, "averageValue": TARGET.to_string()}})).await;
}
