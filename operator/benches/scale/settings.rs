//! What can be chosen, each by a variable of the environment; docs/performance.md explains them.

use std::time::Duration;

use super::page::number;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Payments of a large round.
    pub payments: u64,
    /// Payments of a small one: what the large one is compared with.
    pub few: u64,
    /// Rounds of both sizes and both sides.
    pub rounds: u64,
    /// Single payments for the latency.
    pub lone: u64,
    /// How long nothing happens.
    pub idle: Duration,
    /// Tenants, and as many namespaces of nobody's.
    pub tenants: u64,
    /// Whether a complete run writes docs/.
    pub writes_docs: bool,
}

impl Settings {
    const COMPLETE: Self = Self {
        payments: 10_000,
        few: 1_000,
        rounds: 3,
        lone: 300,
        idle: Duration::from_secs(600),
        tenants: 1_000,
        writes_docs: true,
    };

    pub fn from_environment() -> Self {
        let whole = Self::COMPLETE;
        let payments = number("PAYPLANE_BENCH_PAYMENTS", whole.payments);
        Self {
            payments,
            few: number("PAYPLANE_BENCH_FEW", (payments / 10).max(1)),
            rounds: number("PAYPLANE_BENCH_PAIRS", whole.rounds).max(1),
            lone: number("PAYPLANE_BENCH_LONE", whole.lone),
            idle: Duration::from_secs(number("PAYPLANE_BENCH_IDLE_SECONDS", whole.idle.as_secs())),
            tenants: number("PAYPLANE_BENCH_TENANTS", whole.tenants),
            writes_docs: number("PAYPLANE_BENCH_WRITE", 1) != 0,
        }
    }

    /// Whether the figures are those that docs/ is for: nothing smaller, and programs as they are shipped.
    pub fn is_complete(&self) -> bool {
        let Self { payments, few, rounds, lone, tenants, .. } = Self::COMPLETE;
        let is_smaller = self.payments < payments
            || self.few < few
            || self.rounds < rounds
            || self.lone < lone
            || self.tenants < tenants;
        !is_smaller && !cfg!(debug_assertions)
    }
}
