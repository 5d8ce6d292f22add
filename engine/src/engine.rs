//! What the services share: the store, the queue of the committer, and whether the database is there.

use std::{future::Future, sync::Arc, time::Duration};

use payplane_ledger::{PlatformId, Request};
use tokio::sync::{oneshot, watch};

use crate::{
    background,
    cache::Cache,
    calls::Calls,
    commit::{Accounts, Answer, CommitError, Committer, Job, Lane, Pulse, Queue},
    metrics::Metrics,
    store::{Store, StoreError},
    telemetry::Causes,
    thread::{home, on_a_thread},
};

/// How often a database that answers is looked at, and one that does not. The second bounds how long calls are refused
/// after it is back.
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBE_AGAIN: Duration = Duration::from_millis(200);

/// How long a committer that failed stays away: what made it fail may do so again at once.
const COMMITTER_PAUSE: Duration = Duration::from_millis(100);

/// A probe that takes longer counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Shared by all services.
#[derive(Debug)]
pub struct Engine {
    /// For everything but payments.
    pub store: Arc<Store>,
    /// Where payments wait.
    pub queue: Arc<Queue>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How often holds are swept.
    pub sweep_every: Duration,
    /// What engines share beside the database.
    pub cache: Arc<Cache>,
    /// How often tenants called.
    pub calls: Arc<Calls>,
    pub(crate) pulse: Arc<Pulse>,
    up: watch::Sender<bool>,
}

impl Engine {
    /// Nothing runs yet; see [`Engine::start`].
    pub fn new(
        cache: Arc<Cache>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        sweep_every: Duration,
    ) -> Arc<Self> {
        let (queue, pulse, up) = (Arc::default(), Arc::default(), watch::Sender::new(false));
        let calls = Arc::new(Calls::new(store.clone()));
        Arc::new(Self { store, queue, metrics, sweep_every, cache, calls, pulse, up })
    }

    /// Starts the committers, the work in the background and the look-out for the database. The handle is the committers',
    /// which end after [`Queue::close`].
    pub fn start(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        tokio::spawn(self.clone().watch_database());
        self.cache.start();
        tokio::spawn(background::keep_sealing(self.clone()));
        tokio::spawn(background::keep_sweeping(self.clone()));
        tokio::spawn(self.calls.clone().keep_recording(self.database()));
        let accounts = Arc::<Accounts>::default();
        let committers = [Lane::Short, Lane::Long]
            .map(|lane| tokio::spawn(self.clone().keep_committing(lane, accounts.clone())));
        tokio::spawn(async {
            for committer in committers {
                // Its own committer's failures are told by itself.
                let _ = committer.await;
            }
        })
    }

    /// A committer ends when the queue is closed. If a defect ends it before, whoever waited for its batch is told that
    /// the outcome is unknown, and another one takes over.
    async fn keep_committing(self: Arc<Self>, lane: Lane, accounts: Arc<Accounts>) {
        loop {
            let (store, queue, accounts) = (self.store.clone(), self.queue.clone(), accounts.clone());
            let (metrics, pulse) = (self.metrics.clone(), self.pulse.clone());
            let committer = Committer::new(store, queue, lane, accounts, metrics, pulse);
            match on_a_thread(lane.thread(), committer.run()).await {
                Ok(()) => return,
                Err(error) => tracing::error!(reason = %Causes(&error), "a committer failed"),
            }
            tokio::time::sleep(COMMITTER_PAUSE).await;
        }
    }

    /// Puts a group of requests into the queue: one request, or several that succeed or fail together. Committed with
    /// others, answered after the commit. Dropping the receiver takes nothing back once the group is part of a batch.
    pub fn submit(&self, group: Vec<Request>) -> Result<oneshot::Receiver<Answer>, CommitError> {
        if !*self.up.borrow() || self.store.is_read_only() {
            return Err(CommitError::Unavailable);
        }
        let (answer, decided) = oneshot::channel();
        self.queue.push(Job { group, answer })?;
        Ok(decided)
    }

    /// [`Engine::submit`], and waits for the outcomes.
    pub async fn decide(&self, group: Vec<Request>) -> Answer {
        // A committer that vanishes without an answer had a defect at a moment that nobody knows.
        self.submit(group)?.await.unwrap_or(Err(CommitError::Unknown))
    }

    /// The identity of the ledger.
    pub async fn platform(&self) -> Result<PlatformId, StoreError> {
        self.store.platform().await
    }

    /// Whether the ledger was restored since this engine began. It commits nothing any more, and has to start again.
    pub fn is_of_another_epoch(&self) -> bool {
        self.store.is_of_another_epoch()
    }

    /// Follows whether the database answers with the right schema.
    pub fn database(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// All metrics, as Prometheus reads them.
    pub fn exposition(&self) -> String {
        self.metrics.set_commits_failing(self.pulse.failing_for());
        self.metrics.render(self.queue.depth())
    }

    async fn watch_database(self: Arc<Self>) {
        loop {
            let up = self.probe().await;
            self.metrics.set_database_up(up);
            self.up.send_if_modified(|known| std::mem::replace(known, up) != up);
            let pause = if up { PROBE_EVERY } else { PROBE_AGAIN };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Not more often than a database that is away.
                () = async { self.pulse.trouble.notified().await; tokio::time::sleep(PROBE_AGAIN / 4).await } => {}
            }
        }
    }

    /// One slow answer on a busy machine is no outage: it takes two failures in a row, and that no batch was answered
    /// meanwhile, because a database that decides batches is there, however slowly it answers.
    async fn probe(&self) -> bool {
        let (was_up, answers) = (*self.up.borrow(), self.pulse.answers());
        let mut result = self.probe_once().await;
        if result.is_err() && was_up {
            result = self.probe_once().await;
        }
        let is_wrong = matches!(
            result,
            Err(StoreError::ReadOnly | StoreError::OldSchema { .. } | StoreError::OtherEpoch { .. })
        );
        if was_up && !is_wrong && answers != self.pulse.answers() {
            result = Ok(());
        }
        match &result {
            Ok(()) if !was_up && self.store.is_read_only() => {
                tracing::warn!("the database is available and read-only: nothing is committed");
            }
            Ok(()) if !was_up => tracing::info!("the database is available"),
            Err(error) if was_up => tracing::warn!(reason = %Causes(error), "the database is not available"),
            Ok(()) | Err(_) => {}
        }
        result.is_ok()
    }

    async fn probe_once(&self) -> Result<(), StoreError> {
        let store = self.store.clone();
        let probe = tokio::time::timeout(PROBE_TIMEOUT, detached(async move { store.probe().await })).await;
        probe.unwrap_or(Err(StoreError::Away))
    }
}

/// Runs database work in a task of its own at [`home`], so that a caller that goes away never drops it half-way. Begun when called
/// rather than when awaited: a caller's future then holds the task's handle, not the work with all its buffers, and a
/// handler's future is moved with every call.
pub fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> {
    let task = home().spawn(work);
    async { task.await.unwrap_or(Err(StoreError::Ended)) }
}
