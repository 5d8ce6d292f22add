//! Streams of changes: one watch per kind, pruned before it is kept, with its own backoff and its own health.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::telemetry::Metrics;

/// A watch call ends by itself after this, so that a dead connection is noticed a little later at most.
const TIMEOUT_SECONDS: u32 = 200;
const PAGE: u32 = 100;
/// Longer than the longest pause between two tries, so that two failures in a row are seen as one trouble.
const PAUSE: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(240);

/// How every watch is configured.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(TIMEOUT_SECONDS).page_size(PAGE)
}

/// Changes of one kind, without what nobody here reads.
pub fn events<K>(
    api: Api<K>,
    config: watcher::Config,
    kind: &'static str,
    metrics: Metrics,
    health: Arc<Health>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    afresh(api, config).default_backoff().modify(prune).inspect(move |event| match event {
        // Said before the API server is asked.
        Ok(Event::Init) => {}
        Ok(_) => {
            metrics.watch_last_event.with_label_values(&[kind]).set(jiff::Timestamp::now().as_second());
            health.works(kind);
        }
        Err(error) => {
            metrics.watch_failures.with_label_values(&[kind]).inc();
            health.fails(kind);
            tracing::warn!(kind, error = %crate::telemetry::chain(error), "a watch failed and comes again");
        }
    })
}

/// A watch that begins with a list again after every failure. One that goes on where it was would be blind after etcd was
/// restored from a copy: the version that it goes on from is in the new history's future, and what the new history has
/// not, it never sees go. Watches that end by themselves, as they do every few minutes, go on where they were.
fn afresh<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    futures::stream::unfold(None, move |running| {
        let (api, config) = (api.clone(), config.clone());
        async move {
            let mut running = running.unwrap_or_else(|| watcher(api, config).boxed());
            let event = running.next().await?;
            let running = event.is_ok().then_some(running);
            Some((event, running))
        }
    })
}

fn prune<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// A number that changes when a listed property does, to let pass only changes that matter.
pub fn fingerprint(properties: impl Hash) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    properties.hash(&mut hasher);
    Some(hasher.finish())
}

/// Which watches are in trouble, and since when.
#[derive(Debug, Default)]
pub struct Health {
    troubles: Mutex<HashMap<&'static str, Trouble>>,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    first: Instant,
    last: Instant,
}

impl Health {
    fn works(&self, kind: &'static str) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    fn fails(&self, kind: &'static str) {
        self.fails_at(kind, Instant::now());
    }

    /// A watch that came back may stay silent for hours, so silence after the last failure counts as recovery.
    fn fails_at(&self, kind: &'static str, now: Instant) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = troubles.entry(kind).or_insert(Trouble { first: now, last: now });
        if now.duration_since(trouble.last) > PAUSE {
            trouble.first = now;
        }
        trouble.last = now;
    }

    /// A kind whose watch keeps failing for longer than anything transient takes.
    pub fn failing(&self) -> Option<&'static str> {
        self.failing_at(Instant::now())
    }

    fn failing_at(&self, now: Instant) -> Option<&'static str> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = |trouble: &Trouble| {
            now.duration_since(trouble.last) <= PAUSE
                && trouble.last.duration_since(trouble.first) >= PATIENCE
        };
        troubles.iter().find(|(_, trouble)| lasting(trouble)).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use kube::{Client, Config};
    use payplane_crds::Wallet;

    use super::*;

    #[tokio::test]
    async fn another_try_is_no_success() {
        // Nobody listens at this port.
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let health = Arc::new(Health::default());
        let events =
            events::<Wallet>(Api::all(client), config(), "Wallet", Metrics::new().unwrap(), health.clone());
        let mut events = std::pin::pin!(events);
        let mut tries = 0;
        while tries < 2 {
            match events.next().await.unwrap() {
                Ok(_) => assert_eq!(health.troubles.lock().unwrap().len(), tries.min(1), "try {tries}"),
                Err(_) => tries += 1,
            }
        }
    }

    #[test]
    fn only_failures_without_end_count() {
        let health = Health::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for second in (0..=230).step_by(30) {
            health.fails_at("Payment", after(second));
        }
        assert_eq!(health.failing_at(after(230)), None, "not long enough");
        health.fails_at("Payment", after(250));
        assert_eq!(health.failing_at(after(260)), Some("Payment"));
        assert_eq!(health.failing_at(after(400)), None, "silence is recovery");
        health.works("Payment");
        assert_eq!(health.failing_at(after(251)), None);
    }
}
