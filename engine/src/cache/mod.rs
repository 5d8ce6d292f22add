//! Redis, as what engines share beside the database: remembered facts, how fast tenants call, and a nudge when a token is
//! revoked. It never decides about money, and everything works without it.
//!
//! What is read from it is believed only as far as nobody could have made it up: remembered payments carry a proof under
//! a key that is in no cache ([`proof`]), a nudge only makes an engine look into the database sooner, and numbers of calls
//! are bounded before they are used. Every question has a time limit of [`link::ANSWER_TIMEOUT`], and after one failure
//! nobody asks until a connection has been made anew: an absent Redis costs one caller that much, not each of them.

mod bucket;
mod config;
mod link;
mod nudge;
mod payments;
mod proof;
mod rates;

pub use bucket::Rates;
pub use config::RedisConfig;
pub use rates::Limiter;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{Notify, OnceCell};

use crate::{metrics::Metrics, store::Store};
use link::Link;
use proof::Key;

/// What engines share by Redis; without it every question has no answer.
#[derive(Debug)]
pub struct Cache {
    link: Option<Link>,
    store: Arc<Store>,
    key: OnceCell<Key>,
    metrics: Arc<Metrics>,
    /// Somebody says that tokens were revoked.
    pub(crate) nudged: Arc<Notify>,
}

impl Cache {
    /// Uses the Redis that these files describe, if any. Connects when started. The files are read for each connection:
    /// while they are not there, Redis is away.
    pub fn new(directory: Option<PathBuf>, store: Arc<Store>, metrics: Arc<Metrics>) -> Arc<Self> {
        let link = directory.map(|directory| Link::new(directory, metrics.clone()));
        Arc::new(Self { link, store, key: OnceCell::new(), metrics, nudged: Arc::default() })
    }

    /// Connects, and goes on doing so until the process ends.
    pub fn start(self: &Arc<Self>) {
        if self.link.is_some() {
            tokio::spawn(link::keep_connected(self.clone()));
            tokio::spawn(nudge::listen(self.clone()));
        }
    }

    /// Whether Redis answers now.
    pub fn is_up(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_up)
    }

    /// The key that proves what was remembered. Nothing while the database has never answered.
    async fn key(&self) -> Option<&Key> {
        let read = async || self.store.cache_key().await.map(|secret| Key::new(&secret));
        self.key.get_or_try_init(read).await.ok()
    }
}
