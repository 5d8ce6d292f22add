//! Payments first: whoever closes a period or collects an invoice takes a turn, and rests after it.
//!
//! Both come in crowds, when the periods of many tenants end at the same midnight, and each costs the database as much as
//! some hundred payments. One turn at a time in each engine, in the order in which they were asked for, and then nobody's for
//! half as long as it was, at most [`REST_MAX`]: so they take two thirds of what one connection can do and no more, however many
//! callers ask at once. A call that waits holds no connection, is sent away after [`WAIT_MAX`], and forgotten if it goes away itself.
//! Counting usage is outside: that has places of its own, page by page, so a tenant with a long count holds up nobody's turn.

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use crate::store::Store;

/// A turn works for some ten milliseconds. One that took much longer has waited, and was a rest itself.
const REST_MAX: Duration = Duration::from_millis(20);

/// How long a call waits for its turn: less than the operator waits for an answer, so that it is told to come again. Bounds how
/// many wait: some hundred, on any machine that is fast enough for payments.
const WAIT_MAX: Duration = Duration::from_secs(4);

/// When the next turn may begin; held by the turn that is under way.
#[derive(Debug)]
pub(in crate::store) struct Turns(Mutex<Instant>);

/// Ends with its value.
#[derive(Debug)]
pub struct Turn<'a> {
    next: MutexGuard<'a, Instant>,
    began: Instant,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Turns {
    pub(super) async fn take(&self) -> Turn<'_> {
        // The lock lets callers in by their order.
        let next = self.0.lock().await;
        tokio::time::sleep_until(*next).await;
        Turn { next, began: Instant::now() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        *self.next = now + ((now - self.began) / 2).min(REST_MAX);
    }
}

impl Store {
    /// Waits for a turn to close a period or to collect an invoice. None if that took too long. Whoever has one must not ask
    /// for another.
    pub async fn billing_turn(&self) -> Option<Turn<'_>> {
        tokio::time::timeout(WAIT_MAX, self.turns.take()).await.ok()
    }
}
