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
}

/// Every metric, in the order of the numbers; a statement has its lines in this order.
pub const METRICS: [Metric; 5] =
    [Metric::Payments, Metric::Volume, Metric::Holds, Metric::Refunds, Metric::ActiveWallets];

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
    /// What others recorded, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, i64>,
}

impl Usage {
    /// Both together; nothing if a sum leaves its bits. Wallets are summed too: each is in one of the two.
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
            events,
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
        }
    }
}
