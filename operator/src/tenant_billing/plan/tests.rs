//! When to look again, as a table.

use payplane_crds::tenant_billing::BilledUsage;

use super::*;
use crate::engine::{Amount, Invoice, Preview};

fn billed(end: &str, grace_seconds: i64, has_more: bool) -> Billed {
    let invoice = Invoice {
        number: 1,
        start: Timestamp::UNIX_EPOCH,
        end: end.parse().unwrap(),
        total: Amount { amount: "1.00".into(), currency: "USD".into() },
        plan_version: "7".into(),
        issued_at: None,
    };
    let preview = Preview { invoice, usage: BilledUsage::default(), is_over: has_more };
    Billed { preview, last: None, grace_seconds, has_more }
}

#[test]
fn a_period_is_looked_at_when_it_closes_and_now_and_then_before() {
    let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let cases = [
        (billed("2026-12-01T00:00:00Z", 0, false), REFRESH),
        (billed("2026-11-21T10:01:00Z", 0, false), Duration::from_secs(62)),
        (billed("2026-11-21T09:59:00Z", 120, false), Duration::from_secs(62)),
        (billed("2026-11-21T09:59:00Z", 0, false), Duration::from_secs(1)),
        (billed("2026-11-20T00:00:00Z", 0, true), Duration::ZERO),
    ];
    for (billed, wait) in cases {
        assert_eq!(again(&billed, now), Again::After(wait), "{billed:?}");
    }
}
