//! What this program asks of the API server: objects one at a time, many at once, and the same with a status.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use payplane_crds::Payment;
use serde_json::{Value, json};

use super::bed::{
    Bed,
    site::{TestTenant, dollar, is_true},
};

/// Requests under way at once, of either side.
pub const CONCURRENCY: usize = 32;
/// Ten thousand objects are deleted in less.
const EMPTYING: Duration = Duration::from_secs(300);

/// Makes the objects of both sides.
pub struct Load {
    tenant: TestTenant,
    payments: Api<DynamicObject>,
}

impl Load {
    pub fn new(bed: &Bed) -> Self {
        Self { tenant: bed.tenant.clone(), payments: bed.tenant.objects("Payment") }
    }

    fn body(&self, name: &str) -> DynamicObject {
        serde_json::from_value(self.tenant.object("Payment", name, dollar())).unwrap()
    }

    /// One payment every tenth of a second: times from sending each to seeing it settled, in order.
    pub async fn lone_payments(&self, prefix: &str, count: u64) -> Vec<Duration> {
        let config = watcher::Config::default();
        let mut seen = watcher(self.tenant.payments(), config).default_backoff().applied_objects().boxed();
        let mut times = Vec::new();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for number in 0..count {
            ticks.tick().await;
            let name = format!("{prefix}-{number}");
            let started = Instant::now();
            self.payments.create(&PostParams::default(), &self.body(&name)).await.unwrap();
            let is_this = |payment: &Payment| payment.name_any() == name && is_true(payment, "Settled");
            while !seen.next().await.unwrap().is_ok_and(|payment| is_this(&payment)) {}
            times.push(started.elapsed());
        }
        times.sort_unstable();
        times
    }

    pub async fn create(&self, round: u64, size: u64) {
        stream::iter(0..size)
            .for_each_concurrent(CONCURRENCY, |number| async move {
                let body = self.body(&format!("pay-{round}-{size}-{number}"));
                self.payments.create(&PostParams::default(), &body).await.unwrap();
            })
            .await;
    }

    /// Creates each and at once applies a status like the operator's.
    pub async fn create_and_patch(&self, round: u64, size: u64) {
        let status = &settled();
        stream::iter(0..size)
            .for_each_concurrent(CONCURRENCY, |number| async move {
                let name = format!("raw-{round}-{size}-{number}");
                let made = self.payments.create(&PostParams::default(), &self.body(&name)).await.unwrap();
                let patch = json!({
                    "apiVersion": "payplane.io/v1alpha1", "kind": "Payment",
                    "metadata": {"name": name, "resourceVersion": made.resource_version()}, "status": status,
                });
                let params = PatchParams::apply("raw").force();
                self.payments.patch_status(&name, &params, &Patch::Apply(&patch)).await.unwrap();
            })
            .await;
    }

    /// Deletes every payment, so that each round begins with none.
    pub async fn empty(&self) {
        patient("the namespace is empty", EMPTYING, async || {
            // A request ends after a minute whether or not everything is gone: then the next one goes on.
            let _ = self.payments.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
            let found = self.payments.list_metadata(&ListParams::default().limit(1)).await.ok()?;
            found.items.is_empty().then_some(())
        })
        .await;
    }

    /// Whether so many objects are Completed.
    pub async fn are_final(&self, size: u64) -> bool {
        let completed = ListParams::default().fields("status.state=Completed");
        let found = self.payments.list_metadata(&completed).await;
        found.is_ok_and(|found| found.items.len() as u64 == size)
    }
}

/// A status as the operator writes it.
fn settled() -> Value {
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "Completed", "message": "The money moved.",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-21T00:00:00Z",
        })
    };
    json!({
        "state": "Completed", "paymentId": "11111111-2222-5333-8444-555555555555", "observedGeneration": 1,
        "availableAfter": {"from": "100.00", "to": "1.00"}, "decidedAt": "2026-11-21T00:00:00.000000Z",
        "conditions": [
            condition("Ready", "True"), condition("Reconciling", "False"), condition("Stalled", "False"),
            condition("Settled", "True"), condition("Succeeded", "True"),
        ],
    })
}

/// Polls with a longer patience than tests have.
pub async fn patient<T>(what: &str, patience: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < patience, "still waiting after {patience:?}: {what}");
        // Between two looks, not instead of one.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
