//! The figures of a Platform's engines, read from the engines themselves when somebody asks.
//!
//! Order: the Platform must be one that is served here; whoever asks for the same Platform waits for one reading; what is younger
//! than [`FRESH`] is not read again, a failure included; the engines are found by their labels and read side by side. A rate needs
//! two readings: the first question waits for the second one.
//!
//! Bounds: [`PLATFORMS_MAX`] Platforms are remembered, the one that was asked for least recently goes; [`PODS_MAX`] engines,
//! [`AT_ONCE`] at a time. Guarantee: a figure is of every engine that is ready, or there is none: a sum of some would take engines
//! away that are needed.

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
        if !self.namespaces.iter().any(|served| served == namespace) {
            return Err(Refusal::not_found(format!("No Platform is served in namespace {namespace:?}.")));
        }
        let engines = self.engines(namespace, platform);
        let mut engines = engines.lock().await;
        self.refresh(&mut engines, namespace, platform, FRESH).await?;
        let (thousandths, window) = match figure {
            EngineFigure::QueueDepth => (engines.window.waiting().map(|all| all.saturating_mul(1000)), None),
            EngineFigure::RequestsPerSecond => {
                if engines.window.rate().is_none() {
                    tokio::time::sleep(FIRST_SPAN).await;
                    self.refresh(&mut engines, namespace, platform, Duration::ZERO).await?;
                }
                engines.window.rate().map_or((None, None), |(rate, over)| (Some(rate), Some(over.as_secs())))
            }
        };
        let thousandths = thousandths.ok_or_else(|| none_ready(namespace, platform))?;
        let platform = platform.to_owned();
        Ok(Measured { metric: metric_name(figure), platform, thousandths, at: Timestamp::now(), window })
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
        let labels = meta::selector(platform, ENGINE);
        let labels: Vec<_> = labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let limit = u32::try_from(PODS_MAX).unwrap_or(u32::MAX);
        let list = ListParams::default().labels(&labels.join(",")).limit(limit);
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let pods = api::call("list the engines", pods.list(&list)).await;
        let pods = pods.map_err(|error| Refusal::unavailable(telemetry::chain(&error)))?;
        // One that ends works off what it has, and takes nothing new.
        let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        let read = stream::iter(pods.items.into_iter().filter(stays)).map(find);
        judge(read.buffer_unordered(AT_ONCE).collect().await, namespace, platform)
    }
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
        return Err(Refusal::unavailable(format!(
            "Engine {} of Platform {namespace}/{platform} is ready and gives no figures: let the operator's pods reach port \
             8080 of engines.",
            silent.name
        )));
    }
    if !found.iter().any(|one| one.is_ready) {
        return Err(none_ready(namespace, platform));
    }
    Ok(found.into_iter().filter_map(|one| Some((one.uid, one.told?))).collect())
}

fn none_ready(namespace: &str, platform: &str) -> Refusal {
    Refusal::unavailable(format!(
        "No engine of Platform {namespace}/{platform} is ready, so there is no figure; see kubectl describe platform {platform} \
         -n {namespace}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is looked at, engines with whether they are ready and what they tell, and whose figures there are or what is missing.
    type Case<'a> = (&'a str, &'a [(&'a str, bool, Option<Told>)], Result<&'a [&'a str], &'a str>);

    #[test]
    fn there_is_a_figure_of_every_ready_engine_or_none() {
        let told = Some(Told { waiting: 1, calls: 2 });
        let cases: [Case<'_>; 6] = [
            ("all are ready", &[("a", true, told), ("b", true, told)], Ok(&["a", "b"])),
            ("a ready one is silent", &[("a", true, told), ("b", true, None)], Err("Engine b")),
            ("one that starts is silent", &[("a", true, told), ("b", false, None)], Ok(&["a"])),
            ("one that is not ready tells", &[("a", true, told), ("b", false, told)], Ok(&["a", "b"])),
            ("none is ready", &[("a", false, told)], Err("No engine of Platform pay/main is ready")),
            ("there is none", &[], Err("No engine of Platform pay/main is ready")),
        ];
        for (name, engines, expected) in cases {
            let found = engines.iter().map(|(name, is_ready, told)| Found {
                uid: (*name).into(),
                name: (*name).into(),
                is_ready: *is_ready,
                told: *told,
            });
            match (judge(found.collect(), "pay", "main"), expected) {
                (Ok(told), Ok(expected)) => assert!(told.keys().eq(expected), "{name}: {told:?}"),
                (Err(refusal), Err(expected)) => {
                    assert!(refusal.message.contains(expected), "{name}: {}", refusal.message);
                    assert_eq!(refusal.code.as_u16(), 503, "{name}");
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn an_engine_that_does_not_tell_what_waits_tells_nothing() {
        assert_eq!(read("payplane_engine_queue_depth 3"), Some(Told { waiting: 3, calls: 0 }));
        assert_eq!(read("up 1"), None);
    }
}
