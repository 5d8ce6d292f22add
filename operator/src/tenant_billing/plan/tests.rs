//! When to look again, as a table.

use payplane_crds::tenant_billing::BilledUsage;

use super::*;
use crate::{
    engine::{Amount, Invoice, Preview, Standing},
    tenant_billing::Owed,
};

fn billed(end: &str, grace_seconds: i64, has_more: bool) -> Billed {
    let invoice = Invoice {
        number: 1,
        start: Timestamp::UNIX_EPOCH,
        end: end.parse().unwrap(),
        total: Amount { amount: "1.00".into(), currency: "USD".into() },
        plan_version: "7".into(),
        issued_at: None,
        standing: None,
    };
    let preview = Preview {
        invoice,
        usage: BilledUsage::default(),
        is_over: has_more,
        forecast: Some("9.00".into()),
        reached: Vec::new(),
    };
    Billed {
        preview,
        last: None,
        grace_seconds,
        has_more,
        owed: None,
        agreed: None,
        documents: None,
        wallets: None,
    }
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

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_refused_invoice_is_tried_again_by_the_schedule() {
    let invoice = |attempts, is_due, last: Option<i64>| {
        let standing = Standing {
            state: "Uncollected".into(),
            due: "1.00".into(),
            is_due,
            is_to_return: !is_due,
            attempts,
            last_attempt: last.map(second),
            refusal: Some("InsufficientFunds".into()),
        };
        Invoice { standing: Some(standing), ..billed("2026-12-01T00:00:00Z", 0, false).preview.invoice }
    };
    let cases = [
        (invoice(0, true, None), 0),
        (invoice(1, true, Some(1_000)), 1_060),
        (invoice(2, true, Some(1_000)), 4_600),
        // The last one repeats.
        (invoice(9, true, Some(1_000)), 4_600),
        // What was collected too much is not kept for a schedule.
        (invoice(1, false, Some(1_000)), 0),
    ];
    for (invoice, at) in cases {
        assert_eq!(next_attempt(&invoice, &[60, 3_600]), second(at), "{invoice:?}");
    }
}

#[test]
fn dunning_counts_from_the_oldest_unpaid_invoice_and_ends_with_it() {
    let step = |after_seconds, action, maximum: Option<&str>| {
        let per_payment_max = maximum.map(|maximum| PositiveAmount(maximum.to_owned()));
        DunningStep { after_seconds, action, per_payment_max }
    };
    let steps = [
        step(100, DunningAction::Remind, None),
        step(150, DunningAction::Restrict, Some("50.00")),
        step(200, DunningAction::Restrict, Some("5.00")),
        step(300, DunningAction::Suspend, None),
    ];
    let cases = [
        (None, 9_999, (0, None, false, None)),
        (Some(1_000), 1_099, (0, None, false, Some(1_100))),
        (Some(1_000), 1_100, (1, None, false, Some(1_150))),
        (Some(1_000), 1_150, (2, Some("50.00"), false, Some(1_200))),
        // The last one that restricts.
        (Some(1_000), 1_299, (3, Some("5.00"), false, Some(1_300))),
        (Some(1_000), 1_300, (4, Some("5.00"), true, None)),
    ];
    for (since, now, (reached, maximum, is_suspended, next)) in cases {
        let payment_maximum = maximum.map(|maximum| PositiveAmount(maximum.to_owned()));
        let next_at = next.map(second);
        let expected = Stage { steps: reached, is_suspended, payment_maximum, next_at };
        let stage = stage(since.map(second), &steps, second(now));
        assert_eq!(stage, expected, "{since:?} {now}");
        let measures = measures(&Owed { stage, ..Owed::default() }, "USD");
        let amount = |maximum: &str| Amount { amount: maximum.into(), currency: "USD".into() };
        let expected = DebtMeasures { suspended: is_suspended, payment_maximum: maximum.map(amount) };
        assert_eq!(measures, expected, "{since:?} {now}");
    }
}

#[test]
fn what_is_due_next_decides_when_to_look() {
    let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let at = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok();
    let owed = |next_attempt_at, next_at| {
        let stage = Stage { next_at, ..Stage::default() };
        Some(Owed { next_attempt_at, stage, ..Owed::default() })
    };
    for (owed, wait) in [(owed(at(30), at(90)), 32), (owed(at(90), at(30)), 32), (owed(None, at(10)), 12)] {
        let billed = Billed { owed, ..billed("2026-12-01T00:00:00Z", 0, false) };
        assert_eq!(again(&billed, now), Again::After(Duration::from_secs(wait)));
    }
}

#[test]
fn the_first_wallet_that_does_not_fit_is_named_with_its_field() {
    let wallet = |field, currency: Option<&str>| FoundWallet {
        field,
        name: "acme/main".into(),
        currency: currency.map(Into::into),
    };
    let (payer, paid) = ("collection.wallet", "collection.receiver.wallet");
    let cases = [
        (vec![wallet(payer, Some("USD")), wallet(paid, Some("USD"))], None),
        (vec![wallet(payer, Some("EUR")), wallet(paid, None)], Some((CURRENCY_MISMATCH, payer))),
        (vec![wallet(payer, Some("USD")), wallet(paid, None)], Some((WALLET_NOT_FOUND, paid))),
    ];
    for (wallets, expected) in cases {
        let told = match fit("USD", &wallets) {
            Wallets::Fit => None,
            Wallets::Misfit { reason, message } => Some((reason, message)),
        };
        assert_eq!(told.as_ref().map(|told| told.0), expected.map(|expected| expected.0), "{wallets:?}");
        if let (Some((_, message)), Some((_, field))) = (told, expected) {
            assert!(message.starts_with(&format!("{field}: ")) && message.contains("in USD"), "{message}");
        }
    }
}
