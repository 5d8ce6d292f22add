//! Statuses, as a table.

use payplane_crds::{
    condition::{READY, RECONCILING, STALLED},
    tenant_billing::BilledUsage,
};
use serde_json::json;
use tonic::Code;

use super::*;
use crate::{
    condition::find,
    engine::{Amount, Preview},
    payment::Waiting,
};

fn billing() -> TenantBilling {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "TenantBilling",
        "metadata": {"name": "acme", "namespace": "payplane-system", "generation": 3},
        "spec": {
            "tenantRef": {"name": "acme"},
            "plan": {"currency": "USD"},
            "period": {"unit": "Month", "timeZone": "UTC"},
        },
        "status": {"accrued": "5.00", "conditions": []},
    }))
    .unwrap()
}

fn invoice(number: i64, issued: bool) -> Invoice {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    Invoice {
        number,
        start: at(1_000 * number),
        end: at(1_000 * number + 1_000),
        total: Amount { amount: format!("{number}.00"), currency: "USD".into() },
        plan_version: "7".into(),
        issued_at: issued.then(|| at(1_000 * number + 1_060)),
    }
}

fn billed(has_more: bool) -> Answer {
    let preview = Preview { invoice: invoice(3, false), usage: BilledUsage::default(), is_over: has_more };
    Answer::Billed(Box::new(Billed { preview, last: Some(invoice(2, true)), grace_seconds: 60, has_more }))
}

#[test]
fn every_answer_has_its_conditions_and_says_what_is_due() {
    let invalid = EngineError::Invalid { field: "plan.currency".into(), message: "m".into() };
    let away = EngineError::Unavailable { code: Code::Unavailable, message: String::new() };
    let cases = [
        (billed(false), "TFF", "AsSpecified", Some("3.00")),
        (billed(true), "FTF", "Progressing", Some("3.00")),
        (Answer::Taken("payplane-system/first".into()), "FFT", "ScopeTaken", None),
        (Answer::Waiting(Waiting::new("NoTenant", "")), "FTF", "NoTenant", Some("5.00")),
        (Answer::Failed(invalid), "FFT", "Invalid", Some("5.00")),
        (Answer::Failed(away), "FTF", "EngineUnavailable", Some("5.00")),
    ];
    for (answer, letters, reason, accrued) in cases {
        let status = report(&billing(), &answer, Timestamp::UNIX_EPOCH);
        let told =
            [READY, RECONCILING, STALLED].map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
        assert_eq!(told.concat(), letters, "{answer:?}");
        assert_eq!(find(&status.conditions, READY).unwrap().reason, reason);
        assert_eq!(status.accrued.as_deref(), accrued, "{answer:?}");
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn the_open_period_and_the_last_invoice_are_what_the_ledger_said() {
    let status = report(&billing(), &billed(false), Timestamp::UNIX_EPOCH);
    let period = status.period.unwrap();
    let seconds = [period.start, period.end, period.closes_at].map(|time| time.0.as_second());
    assert_eq!(seconds, [3_000, 4_000, 4_060]);
    let last = status.last_invoice.unwrap();
    assert_eq!((last.number, last.total.as_str(), last.issued_at.0.as_second()), (2, "2.00", 3_060));
}

#[test]
fn an_invoice_is_told_once() {
    let mut before = billing();
    let after = report(&before, &billed(false), Timestamp::UNIX_EPOCH);
    assert_eq!(issued(&before, &after).as_deref(), Some("Invoice 2 over 2.00 USD was issued."));
    before.status = Some(after.clone());
    assert_eq!(issued(&before, &after), None);
    let waiting = report(&before, &Answer::Waiting(Waiting::engine()), Timestamp::UNIX_EPOCH);
    assert_eq!(issued(&before, &waiting), None);
}
