//! The figures of a Platform's engines, read from the engines themselves when somebody asks.
//!
//! Order: the Platform must be one that is served here; whoever asks for the same Platform waits for one reading; what is younger
//! than [`FRESH`] is not read again, a failure included; the engines are found by their labels and read side by side. A rate needs
//! two readings: the first question waits for the second one.
//!
//! Bounds: [`PLATFORMS_MAX`] Platforms are remembered, the one that was asked for least recently goes; [`PODS_MAX`] engines,
//! [`AT_ONCE`] at a time. Guarantee: a figure is of every engine that is ready, or there is none: a sum of some would take engines
//! away that are needed. [`pods`] gives each engine's share under the same guarantee.

mod pods;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use payplane_crds::scaling_policy::EngineFigure;
use tokio::sync::Mutex;

use super::{
    documents::{Measured, Refusal},
    metric_name,
    window::{Reading, Told, Window},
};
use crate::{
    api, meta,
    platform::ENGINE,
    scrape::{self, AT_ONCE, PODS_MAX, exposition},
    telemetry,
};

const FRESH: Duration = Duration::from_secs(5);
/// Between the first two readings.
const FIRST_SPAN: Duration = Duration::from_secs(3);
const PLATFORMS_MAX: usize = 64;

/// Everything that is remembered.
pub struct Figures {
    client: Client,
    namespaces: Vec<String>,
    known: std::sync::Mutex<BTreeMap<(String, String), Known>>,
}

struct Known {
    asked: Instant,
    engines: Arc<Mutex<Engines>>,
}

/// What is known of one Platform's engines.
#[derive(Default)]
struct Engines {
    window: Window,
    /// When they were looked at last, and why nothing came of it.
    looked: Option<(Instant, Option<Refusal>)>,
}

/// One engine, as it was found.
struct Found {
    uid: String,
    name: String,
    is_ready: bool,
    told: Option<Told>,
}

impl Figures {
    /// Remembers nothing yet. Only Platforms of these namespaces are answered for.
    pub fn new(client: Client, namespaces: Vec<String>) -> Self {
        Self { client, namespaces, known: std::sync::Mutex::default() }
    }

    /// One figure of one Platform.
    ///
    /// # Errors
    /// Why there is none, in words that an autoscaler repeats to people.
    pub async fn measure(
        &self,
        namespace: &str,
        platform: &str,
        figure: EngineFigure,
    ) -> Result<Measured, Refusal> {
        self.serves(namespace)?;
        let engines = self.engines(namespace, platform);
        let mut engines = engines.lock().await;
        self.prepare(&mut engines, namespace, platform, figure).await?;
        let found = engines.sum(figure).ok_or_else(|| none_ready(namespace, platform))?;
        Ok(measured(platform, figure, found))
    }

    fn serves(&self, namespace: &str) -> Result<(), Refusal> {
        if self.namespaces.iter().any(|served| served == namespace) {
            return Ok(());
        }
        Err(Refusal::not_found(format!("No Platform is served in namespace {namespace:?}.")))
    }

    /// Sees to it that there are as many readings as the figure needs, and that the last one is young.
    async fn prepare(
        &self,
        engines: &mut Engines,
        namespace: &str,
        platform: &str,
        figure: EngineFigure,
    ) -> Result<(), Refusal> {
        self.refresh(engines, namespace, platform, FRESH).await?;
        if figure == EngineFigure::RequestsPerSecond && engines.window.rate().is_none() {
            tokio::time::sleep(FIRST_SPAN).await;
            self.refresh(engines, namespace, platform, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// What is known of this Platform's engines; something else is forgotten for it if need be.
    fn engines(&self, namespace: &str, platform: &str) -> Arc<Mutex<Engines>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), platform.to_owned());
        if PLATFORMS_MAX <= known.len() && !known.contains_key(&key) {
            let oldest = known.iter().min_by_key(|(_, known)| known.asked).map(|(key, _)| key.clone());
            oldest.and_then(|key| known.remove(&key));
        }
        let now = Instant::now();
        let found = known.entry(key).or_insert_with(|| Known { asked: now, engines: Arc::default() });
        found.asked = now;
        found.engines.clone()
    }

    /// Reads again what is older than this.
    async fn refresh(
        &self,
        engines: &mut Engines,
        namespace: &str,
        platform: &str,
        fresh: Duration,
    ) -> Result<(), Refusal> {
        let looked = engines.looked.as_ref().filter(|(at, _)| at.elapsed() < fresh);
        if let Some((_, refusal)) = looked {
            return refusal.clone().map_or(Ok(()), Err);
        }
        let outcome = self.look(namespace, platform).await;
        let at = Instant::now();
        let refusal = match outcome {
            Ok(told) => {
                engines.window.add(Reading { at, engines: told });
                None
            }
            Err(refusal) => Some(refusal),
        };
        engines.looked = Some((at, refusal.clone()));
        refusal.map_or(Ok(()), Err)
    }

    async fn look(&self, namespace: &str, platform: &str) -> Result<BTreeMap<String, Told>, Refusal> {
        let ours = meta::selector(platform, ENGINE).into_iter().collect();
        let limit = u32::try_from(PODS_MAX).unwrap_or(u32::MAX);
        let list = ListParams::default().labels_from(&ours).limit(limit);
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let pods = api::call("list the engines", pods.list(&list)).await;
        let pods = pods.map_err(|error| Refusal::unavailable(telemetry::chain(&error)))?;
        let read = stream::iter(pods.items.into_iter().filter(stays)).map(find);
        judge(read.buffer_unordered(AT_ONCE).collect().await, namespace, platform)
    }
}

/// A figure in thousandths, and over how long it was measured, if over any time.
type Figure = (u64, Option<Duration>);

impl Engines {
    /// Of all of them.
    fn sum(&self, figure: EngineFigure) -> Option<Figure> {
        match figure {
            EngineFigure::QueueDepth => Some((self.window.waiting()?.saturating_mul(1000), None)),
            EngineFigure::RequestsPerSecond => self.window.rate().map(|(rate, over)| (rate, Some(over))),
        }
    }

    /// Of the one whose pod has this UID.
    fn share(&self, uid: &str, figure: EngineFigure) -> Option<Figure> {
        match figure {
            EngineFigure::QueueDepth => Some((self.window.waiting_of(uid)?.saturating_mul(1000), None)),
            EngineFigure::RequestsPerSecond => {
                self.window.rate_of(uid).map(|(rate, over)| (rate, Some(over)))
            }
        }
    }
}

fn measured(platform: &str, figure: EngineFigure, (thousandths, over): Figure) -> Measured {
    Measured {
        metric: metric_name(figure),
        platform: platform.to_owned(),
        thousandths,
        at: Timestamp::now(),
        window: over.map(|over| over.as_secs()),
    }
}

/// One that ends works off what it has, and takes nothing new.
fn stays(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

async fn find(pod: Pod) -> Found {
    let text = match scrape::address(&pod) {
        Some(address) => scrape::text(address).await,
        None => None,
    };
    let told = text.as_deref().and_then(read);
    Found { uid: pod.uid().unwrap_or_default(), name: pod.name_any(), is_ready: scrape::is_ready(&pod), told }
}

fn read(text: &str) -> Option<Told> {
    Some(Told { waiting: exposition::waiting(text)?, calls: exposition::calls(text).answered })
}

/// What all engines told, if every one that is ready did, and one is. Pure.
fn judge(found: Vec<Found>, namespace: &str, platform: &str) -> Result<BTreeMap<String, Told>, Refusal> {
    if let Some(silent) = found.iter().find(|one| one.is_ready && one.told.is_none()) {
        return Err(is_silent(&silent.name, namespace, platform));
    }
    if !found.iter().any(|one| one.is_ready) {
        return Err(none_ready(namespace, platform));
    }
    Ok(found.into_iter().filter_map(|one| Some((one.uid, one.told?))).collect())
}

fn is_silent(engine: &str, namespace: &str, platform: &str) -> Refusal {
    Refusal::unavailable(format!(
        "Engine {engine} of Platform {namespace}/{platform} is ready and gives no figures: let the operator's pods reach port \
         8080 of engines."
    ))
}

fn none_ready(namespace: &str, platform: &str) -> Refusal {
    Refusal::unavailable(format!(
        "No engine of Platform {namespace}/{platform} is ready, so there is no figure; see kubectl describe platform {platform} \
         -n {namespace}."
    ))
}

#[cfg(test)]
mod tests;
