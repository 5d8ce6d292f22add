//! The operator under faults: killed, cut off, lied to and doubled, beside a ledger that pays once.
//!
//! Every test stands on a [`bed::Bed`] of its own. Its oracle is the ledger itself, asked directly: [`settle_up`] wants one
//! fact per payment, no other, and every status to say what the ledger says. Each test prints how often its fault fired,
//! and fails if it did not.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

#[path = "../bed/mod.rs"]
mod bed;

mod api_keys;
mod counts;
mod deputies;
mod etcd;
mod figures;
mod foreign;
mod kills;
mod leaders;
mod lies;
mod lives;
mod namespaces;
mod objects;
mod outages;
mod people;
mod poison;
mod queues;
mod refusals;
mod restored;
mod rights;
mod sites;

use std::collections::BTreeSet;

use bed::{Books, site::TestTenant, sized};

/// What a test's payments must have come to: dollars paid at once, and holds of which three dollars were taken.
#[derive(Clone, Debug, Default)]
pub struct Paid {
    /// Names of the first.
    pub dollars: Vec<String>,
    /// Names of the second.
    pub holds: Vec<String>,
}

impl Paid {
    /// Dollars alone.
    pub fn dollars(names: impl IntoIterator<Item = String>) -> Self {
        Self { dollars: names.into_iter().collect(), holds: Vec::new() }
    }

    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.dollars.iter().chain(&self.holds)
    }
}

/// Waits until every payment has completed; then the ledger must have each once, nothing else, the right sums, and the ids
/// that the statuses name. Returns how many payments there were.
pub async fn settle_up(tenant: &TestTenant, books: &Books, paid: &Paid) -> usize {
    let mut told = Vec::new();
    for name in paid.names() {
        told.push((format!("{}/{name}", tenant.name), tenant.completed(name).await));
    }
    let facts = books.payments().await;
    let funding = format!("{}/fund", tenant.name);
    let expected: BTreeSet<&String> = told.iter().map(|(key, _)| key).chain([&funding]).collect();
    assert_eq!(facts.keys().collect::<BTreeSet<_>>(), expected, "one fact per payment and no other");
    for (key, id) in &told {
        assert_eq!(facts[key].id, *id, "{key}: the status names another payment than the ledger has");
    }
    let sum = paid.dollars.len() + 3 * paid.holds.len();
    let balance = (format!("{sum}.00"), "0.00".to_owned());
    assert_eq!(books.balance("bob").await, balance, "bob has other than what was paid");
    assert_eq!(books.balance("alice").await.1, "0.00", "something is still held");
    books.transfers().await;
    told.len()
}
