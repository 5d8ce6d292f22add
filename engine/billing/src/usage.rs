//! What was used in a period, by metric.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What can be billed. The numbers are stored and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Payments that were made at once.
    Payments = 1,
    /// Money that payments and captures moved, in minor units of the plan's currency.
    Volume = 2,
    /// Holds that were made.
    Holds = 3,
    /// Refunds that gave money back.
    Refunds = 4,
    /// Different wallets that an operation changed.
    ActiveWallets = 5,
    /// Calls of the API that were let in.
    ApiCalls = 6,
    /// Operations that the ledger keeps of a tenant when the period ends, whenever they were made.
    Storage = 7,
}

/// What the engine calls the calls of the API that it records among the usage of others.
pub const API_CALLS: &str = "payplane.api-calls";

/// What begins like this is recorded by the engine alone, and priced as a metric.
pub const RESERVED: &str = "payplane.";

/// Every metric, in the order of the numbers; a statement has its lines in this order.
pub const METRICS: [Metric; 7] = [
    Metric::Payments,
    Metric::Volume,
    Metric::Holds,
    Metric::Refunds,
    Metric::ActiveWallets,
    Metric::ApiCalls,
    Metric::Storage,
];

impl Metric {
    /// Whether the quantity is money and not a count.
    pub const fn is_amount(self) -> bool {
        matches!(self, Self::Volume)
    }
}

/// Quantities of a period; none is negative. Amounts are minor units of the plan's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// See [`Metric::Payments`].
    pub payments: i64,
    /// See [`Metric::Volume`].
    pub volume: i64,
    /// See [`Metric::Holds`].
    pub holds: i64,
    /// See [`Metric::Refunds`].
    pub refunds: i64,
    /// See [`Metric::ActiveWallets`].
    pub active_wallets: i64,
    /// See [`Metric::ApiCalls`]. Counted if it is priced.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub api_calls: i64,
    /// See [`Metric::Storage`]. Counted if it is priced; of a part of a period its share of what there is at the end.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub storage: i64,
    /// What others recorded, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, i64>,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_nothing(count: &i64) -> bool {
    *count == 0
}

impl Usage {
    /// Both together; nothing if a sum leaves its bits. Wallets are summed too, because each is in one of the two, and so
    /// is what is stored, because each has its share.
    pub fn plus(&self, more: &Self) -> Option<Self> {
        let mut events = self.events.clone();
        for (name, count) in &more.events {
            let sum = events.entry(name.clone()).or_default();
            *sum = sum.checked_add(*count)?;
        }
        Some(Self {
            payments: self.payments.checked_add(more.payments)?,
            volume: self.volume.checked_add(more.volume)?,
            holds: self.holds.checked_add(more.holds)?,
            refunds: self.refunds.checked_add(more.refunds)?,
            active_wallets: self.active_wallets.checked_add(more.active_wallets)?,
            api_calls: self.api_calls.checked_add(more.api_calls)?,
            storage: self.storage.checked_add(more.storage)?,
            events,
        })
    }

    /// What it will be after the whole length, if it goes on as it did for the time that has passed: what flows in proportion,
    /// rounded half up; wallets and what is stored as they are, because more time does not make more of them. As it is when
    /// nothing has passed, or all. Nothing if a quantity leaves its bits.
    pub fn projected(&self, elapsed: i64, length: i64) -> Option<Self> {
        if elapsed <= 0 || length <= elapsed {
            return Some(self.clone());
        }
        let projected = |count: i64| {
            let whole = i128::from(count).checked_mul(i128::from(length))?;
            i64::try_from((2 * whole + i128::from(elapsed)) / (2 * i128::from(elapsed))).ok()
        };
        let mut events = BTreeMap::new();
        for (name, count) in &self.events {
            events.insert(name.clone(), projected(*count)?);
        }
        Some(Self {
            payments: projected(self.payments)?,
            volume: projected(self.volume)?,
            holds: projected(self.holds)?,
            refunds: projected(self.refunds)?,
            api_calls: projected(self.api_calls)?,
            events,
            ..*self
        })
    }

    /// The quantity of one metric.
    pub const fn of(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Payments => self.payments,
            Metric::Volume => self.volume,
            Metric::Holds => self.holds,
            Metric::Refunds => self.refunds,
            Metric::ActiveWallets => self.active_wallets,
            Metric::ApiCalls => self.api_calls,
            Metric::Storage => self.storage,
        }
    }
}
