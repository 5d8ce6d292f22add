//! Runs one controller: bounded concurrency, and around every reconcile a span, its time, its result, and the wait
//! before the next try.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Resource as _,
    core::error_boundary::InvalidObject,
    runtime::{Config, Controller, controller::Action, events::EventType, reflector::Store, watcher},
};
use payplane_crds::condition::reason;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    api,
    backoff::Key,
    condition::Conditions,
    context::{Context, Guarded, identity},
    error::{Class, Error},
    status::{self, Reported},
    wake::Ref,
};

/// How often an object is looked at though nothing happened.
const RESYNC: Duration = Duration::from_secs(900);

/// When to look at an object again though nothing happened to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// Whatever matters wakes it; a slow resync finds what was missed.
    OnChange,
    /// Something happens by itself at about that time, such as a deadline in the ledger.
    After(Duration),
}

/// A kind with a reconciler.
pub trait Reconciled: Reported + Clone + Debug + DeserializeOwned + Send + Sync + 'static {
    /// How many objects are worked on at once.
    const CONCURRENCY: u16;
    /// Brings the world one step closer to the object, and the object's status to the world. `Ok` means that nothing
    /// is left to do now.
    fn reconcile(&self, context: &Context) -> impl Future<Output = Result<Again, Error>> + Send;
}

/// Runs the controller of one kind until `stop`, and returns when its last reconcile has ended.
pub(super) async fn control<K: Reconciled>(
    context: &Arc<Context>,
    changes: BoxStream<'static, watcher::Result<Guarded<K>>>,
    store: Store<Guarded<K>>,
    woken: impl Stream<Item = Ref<K>> + Send + 'static,
    debounce: Duration,
    stop: &CancellationToken,
) {
    Controller::for_stream(changes, store)
        .with_config(Config::default().concurrency(K::CONCURRENCY).debounce(debounce))
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(drive::<K>, policy::<K>, context.clone())
        .for_each(|_| std::future::ready(()))
        .await;
}

/// One reconcile with everything around it: a span for its logs, its time, its result.
async fn drive<K: Reconciled>(guarded: Arc<Guarded<K>>, context: Arc<Context>) -> Result<Action, Error> {
    let (namespace, name) = identity(&*guarded);
    let id = context.metrics.next_reconcile();
    let span = tracing::info_span!("reconcile", kind = K::KIND, namespace, object = name, reconcile_id = id);
    let key = (K::KIND, namespace, name);
    async {
        context.filled.all().await;
        let started = Instant::now();
        let outcome = match &guarded.0 {
            Ok(object) => fresh(object, &context).await,
            Err(invalid) => malformed::<K>(&context, &key, &guarded, invalid).await,
        };
        context.metrics.reconciled(K::KIND, started.elapsed(), outcome.as_ref().err());
        if let Err(error) = &outcome {
            complain(&context, &key, error);
        }
        let again = outcome?;
        context.backoff.forget(&key);
        Ok(Action::requeue(match again {
            Again::OnChange => context.backoff.spread(&key, RESYNC),
            Again::After(wait) => wait.min(RESYNC),
        }))
    }
    .instrument(span)
    .await
}

/// Reconciles an object that is as the API server has it. While its watch is broken the store may have one that was deleted
/// long ago, and a payment that nobody asks for any more must not be made: so then the API server is asked. What the
/// store is behind on comes with the watch.
async fn fresh<K: Reconciled>(object: &K, context: &Context) -> Result<Again, Error> {
    if context.filled.follows(K::KIND) || api::is_unchanged(&context.client, object).await? {
        object.reconcile(context).await
    } else {
        Ok(Again::OnChange)
    }
}

/// The first failure is news; its repetitions are not, nor is an old copy in a cache.
fn complain(context: &Context, key: &Key, error: &Error) {
    let error_text = crate::telemetry::chain(error);
    if context.backoff.is_new(key) && !matches!(error, Error::Raced { .. }) {
        tracing::warn!(error = %error_text, category = error.category(), "a reconcile failed");
    } else {
        tracing::debug!(error = %error_text, category = error.category(), "a reconcile failed again");
    }
}

fn policy<K: Reconciled>(guarded: Arc<Guarded<K>>, error: &Error, context: Arc<Context>) -> Action {
    let (namespace, name) = identity(&*guarded);
    match error.class() {
        Class::Terminal => Action::await_change(),
        Class::Retry { base, cap } => {
            Action::requeue(context.backoff.next(&(K::KIND, namespace, name), base, cap))
        }
    }
}

/// Says of an object that it cannot be read, which is all that can be said of it. By an Event, too: the API server takes no
/// status of an object that contradicts its own schema.
async fn malformed<K: Reconciled>(
    context: &Context,
    key: &Key,
    guarded: &Guarded<K>,
    invalid: &InvalidObject,
) -> Result<Again, Error> {
    let message = format!("The object cannot be read as {}: {}.", K::KIND, invalid.error);
    if context.backoff.is_new(key) {
        let object = guarded.object_ref(&());
        context.events.tell(&object, EventType::Warning, reason::MALFORMED, message.clone());
    }
    let conditions = Conditions::new(&[], invalid.metadata.generation, jiff::Timestamp::now())
        .stalled(reason::MALFORMED, &message)
        .into_vec();
    status::write_malformed::<K>(&context.client, guarded, &conditions).await?;
    Err(Error::Malformed)
}
