//! Tenants: what namespaces cost the API server, and what Tenants cost beside them. On a bed of its own, so that what the
//! API server and etcd hold is of nothing else.
//!
//! First namespaces of nobody's, then as many Tenants with a namespace each, all asked for at once. They are Ready, or
//! [`READY_MAX`] has passed; what was reached by then counts, and is told.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use payplane_crds::Tenant;
use serde_json::{Value, json};

use super::{
    bed::{
        PLATFORM, SYSTEM,
        site::{create, is_true},
    },
    counts::{Costs, Holdings},
    load::CONCURRENCY,
    settings::Settings,
    world::{Restart, World},
};

const READY_MAX: Duration = Duration::from_secs(240);
/// What the operator still writes after the last Tenant is Ready, it writes in less.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// Everything about tenants.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub wanted: u64,
    pub ready: u64,
    pub took: Duration,
    /// Of the API server, for each of the Tenants: reads and writes, without the creation of the Tenant itself.
    pub requests: (u64, u64),
    pub calls: String,
    pub costs: Costs,
    pub peak: u64,
    pub resident: u64,
    /// What namespaces alone added.
    pub of_namespaces: Holdings,
    /// What Tenants added to that, with their namespaces.
    pub of_tenants: Holdings,
    pub afterwards: u64,
    pub restart: Restart,
}

pub async fn measure(settings: &Settings) -> Figures {
    super::say("tenants: a bed");
    let mut world = World::new().await;
    let (client, wanted) = (world.bed.site.client.clone(), settings.tenants);
    let empty = Holdings::read(&world.bed.site.api).await;
    super::say(&format!("{wanted} namespaces of nobody's"));
    all(&client, (0..wanted).map(bare)).await;
    let with_namespaces = Holdings::read(&world.bed.site.api).await;
    world.renew().await;

    super::say(&format!("{wanted} tenants"));
    let (before, started, work) = (world.counts().await, Instant::now(), world.costs());
    let onboarded = async {
        all(&client, (0..wanted).map(tenant)).await;
    };
    let (ready, ()) = tokio::join!(ready(&client, wanted), onboarded);
    let (took, costs) = (started.elapsed(), world.costs() - work);
    super::say(&format!("{ready} ready after {took:?}"));
    // Writes that come late count, too.
    tokio::time::sleep(AFTERWARDS).await;
    let counts = world.counts().await - before;
    let writes = counts.all_writes().saturating_sub(wanted);
    let requests = (counts.all().saturating_sub(wanted + writes), writes);
    let with_tenants = Holdings::read(&world.bed.site.api).await;
    let (resident, peak) = world.bed.operator.process.resident();
    let afterwards = world.idle(AFTERWARDS).await.writes;
    super::say("a new operator among them");
    Figures {
        wanted,
        ready,
        took,
        requests,
        calls: counts.table(wanted),
        costs,
        peak,
        resident,
        of_namespaces: with_namespaces - empty,
        of_tenants: with_tenants - with_namespaces,
        afterwards,
        restart: world.restart().await,
    }
}

async fn all(client: &Client, bodies: impl Iterator<Item = Value>) {
    let make = |body| async move {
        create(client, body).await;
    };
    stream::iter(bodies).for_each_concurrent(CONCURRENCY, make).await;
}

/// How many of the Tenants are Ready when all are, or when time is up.
async fn ready(client: &Client, wanted: u64) -> u64 {
    let mut ready = BTreeSet::new();
    let tenants = Api::<Tenant>::all(client.clone());
    let mut seen = watcher(tenants, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let watched = async {
        while (ready.len() as u64) < wanted {
            let Some(Ok(tenant)) = seen.next().await else { continue };
            if tenant.name_any().starts_with("tenant-") && is_true(&tenant, "Ready") {
                ready.insert(tenant.name_any());
            }
        }
    };
    // What was reached by then counts.
    let _ = tokio::time::timeout(READY_MAX, watched).await;
    ready.len() as u64
}

fn bare(number: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("bare-{number}")}})
}

/// A customer as the examples have one: settlement, quota, groups, isolation.
fn tenant(number: u64) -> Value {
    let name = format!("tenant-{number}");
    json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {
            "platformRef": {"namespace": SYSTEM, "name": PLATFORM},
            "namespaces": [{"name": name}],
            "settlement": [{"currency": "USD", "cap": "1000000.00"}],
            "quota": {"hard": {"pods": "50"}},
            "groups": {"viewers": [format!("{name}-support")], "operators": [format!("{name}-payments")]},
        },
    })
}
