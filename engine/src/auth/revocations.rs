//! Tokens that somebody took back. PostgreSQL has the list; each engine has a copy in memory, looks for news every
//! [`LOOK_EVERY`] and, nudged through Redis, at once. The engine that is asked to revoke answers when its own copy has it.
//!
//! An engine that never had the list believes nobody: a token that was taken back must not work again because engines were
//! started while the database was away. One whose database goes away later goes on with what it knows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use payplane_ledger::Timestamp;
use tokio::sync::watch;

use super::{AuthError, Identity};
use crate::{
    cache::Cache,
    engine::detached,
    store::{RevocationKind, RevocationRow, Store, StoreError},
    telemetry::Causes,
};

/// How old the copy may be. With the time of the query well below a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Between two looks, however often somebody nudges.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a caller waits for the first copy.
const FIRST_MAX: Duration = Duration::from_secs(2);

/// What is refused, until when in microseconds, and the last change that is known.
#[derive(Debug, Default)]
struct Copy {
    until: HashMap<(RevocationKind, String), i64>,
    change: i64,
}

/// Follows the list.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<Store>,
    cache: Arc<Cache>,
    database: watch::Receiver<bool>,
    copy: Mutex<Copy>,
    has_copy: watch::Sender<bool>,
}

impl Revocations {
    /// Knows nothing yet; see [`Revocations::follow`].
    /// `database` says whether asking makes sense.
    pub fn new(store: Arc<Store>, cache: Arc<Cache>, database: watch::Receiver<bool>) -> Arc<Self> {
        let has_copy = watch::Sender::new(false);
        Arc::new(Self { store, cache, database, copy: Mutex::default(), has_copy })
    }

    /// Whether this token or its subject was taken back.
    pub async fn covers(&self, identity: &Identity) -> Result<bool, AuthError> {
        first_copy(&self.has_copy, &self.database).await?;
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        if copy.until.is_empty() {
            return Ok(false);
        }
        let now = now();
        let is_refused = |kind, name: &str| {
            copy.until.get(&(kind, name.to_owned())).is_some_and(|until| now < Timestamp(*until))
        };
        let by_id = identity.id.as_deref().is_some_and(|id| is_refused(RevocationKind::Token, id));
        Ok(by_id || is_refused(RevocationKind::Subject, &identity.subject))
    }

    /// Takes a token or all tokens of a subject back, here before this returns and elsewhere soon after. False if too many
    /// are taken back already.
    pub async fn revoke(
        self: &Arc<Self>,
        kind: RevocationKind,
        name: String,
        until: Timestamp,
        (reason, actor): (String, Arc<str>),
    ) -> Result<bool, StoreError> {
        let this = self.clone();
        detached(async move {
            let done = this.store.revoke((kind, &name), until, (&reason, &actor)).await?;
            this.look().await?;
            this.cache.nudge().await;
            Ok(done)
        })
        .await
    }

    /// Keeps the copy young until the process ends.
    pub async fn follow(self: Arc<Self>) {
        keep_looking(self).await;
    }
}

impl Copied for Revocations {
    const WHAT: &'static str = "revoked tokens";
    const LOOK_EVERY: Duration = LOOK_EVERY;

    fn database(&self) -> watch::Receiver<bool> {
        self.database.clone()
    }

    async fn look(&self) -> Result<(), StoreError> {
        let after = self.copy.lock().unwrap_or_else(PoisonError::into_inner).change;
        let news = self.store.revocations(after).await?;
        self.copy.lock().unwrap_or_else(PoisonError::into_inner).take(news);
        self.has_copy.send_if_modified(|has| !std::mem::replace(has, true));
        Ok(())
    }

    async fn rest(&self) {
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(LOOK_EVERY, self.cache.nudged.notified()).await;
    }
}

impl Copy {
    /// Two looks may overlap: what is known already changes nothing.
    fn take(&mut self, news: Vec<RevocationRow>) {
        for RevocationRow { kind, name, until, change } in news {
            if self.change < change {
                self.change = change;
                self.until.insert((kind, name), until.0);
            }
        }
        let now = now();
        self.until.retain(|_, until| now < Timestamp(*until));
    }
}

/// A list in PostgreSQL that each engine has a copy of.
pub(super) trait Copied: Send + Sync {
    /// For people.
    const WHAT: &'static str;
    /// How old the copy may be, the time of the query not counted.
    const LOOK_EVERY: Duration;

    /// Whether asking makes sense.
    fn database(&self) -> watch::Receiver<bool>;

    /// Reads what is new.
    fn look(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits between two looks.
    fn rest(&self) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(Self::LOOK_EVERY)
    }
}

/// Looks again and again while the database is there, until the process ends. The first failure is told.
pub(super) async fn keep_looking<L: Copied>(list: Arc<L>) {
    let (mut failed, mut database) = (false, list.database());
    while database.wait_for(|up| *up).await.is_ok() {
        match list.look().await {
            Ok(()) => failed = false,
            Err(error) if !failed => {
                failed = true;
                tracing::warn!(reason = %Causes(&error), what = L::WHAT, "a list of callers was not read");
            }
            Err(_) => {}
        }
        list.rest().await;
    }
}

/// Waits a moment for a list that was never read.
pub(super) async fn first_copy(
    has_copy: &watch::Sender<bool>,
    database: &watch::Receiver<bool>,
) -> Result<(), StoreError> {
    if *has_copy.borrow() {
        return Ok(());
    }
    // While the database is away, waiting for it would only keep the caller from hearing so.
    if !*database.borrow() {
        return Err(StoreError::Away);
    }
    let mut first = has_copy.subscribe();
    let waited = tokio::time::timeout(FIRST_MAX, first.wait_for(|has| *has)).await;
    waited.map_err(|_| StoreError::Away)?.map_err(|_| StoreError::Away)?;
    Ok(())
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
