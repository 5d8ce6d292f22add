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
    engine::{Amount, Preview, Standing},
    payment::Waiting,
    tenant_billing::plan::Stage,
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
        standing: None,
    }
}

fn billed(has_more: bool) -> Answer {
    let preview = Preview {
        invoice: invoice(3, false),
        usage: BilledUsage::default(),
        is_over: has_more,
        forecast: Some("9.00".into()),
        reached: Vec::new(),
    };
    let last = Some(invoice(2, true));
    Answer::Billed(Box::new(Billed {
        preview,
        last,
        grace_seconds: 60,
        has_more,
        owed: None,
        agreed: None,
        documents: None,
        wallets: None,
    }))
}

/// Invoice 2 lacks a hundred after so many attempts, at a dunning step; or nothing is due.
fn owing(attempts: Option<i32>, stage: Stage) -> Answer {
    let Answer::Billed(mut answer) = billed(false) else { unreachable!() };
    let oldest = attempts.map(|attempts| {
        let standing = Standing {
            state: "Uncollected".into(),
            due: "100.00".into(),
            is_due: true,
            is_to_return: false,
            attempts,
            last_attempt: Timestamp::from_second(9_000).ok(),
            refusal: Some("InsufficientFunds".into()),
        };
        Invoice { standing: Some(standing), ..invoice(2, true) }
    });
    let unpaid = usize::from(oldest.is_some());
    let next_attempt_at = oldest.is_some().then(|| Timestamp::from_second(9_060).unwrap());
    let unpaid_minor = oldest.is_some().then(|| ("USD".to_owned(), 10_000));
    answer.owed = Some(Owed { unpaid, unpaid_minor, oldest, next_attempt_at, hindrance: None, stage });
    Answer::Billed(answer)
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
        (Answer::NoPlan { reason: "PlanNotFound", message: "m".into() }, "FTF", "PlanNotFound", Some("5.00")),
        (Answer::NoPlan { reason: "Invalid", message: "m".into() }, "FFT", "Invalid", Some("5.00")),
        (Answer::Failed(invalid), "FFT", "Invalid", Some("5.00")),
        (Answer::Failed(away), "FTF", "EngineUnavailable", Some("5.00")),
    ];
    for (answer, letters, reason, accrued) in cases {
        let status = report(&billing(), &answer, None, Timestamp::UNIX_EPOCH);
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
    let status = report(&billing(), &billed(false), None, Timestamp::UNIX_EPOCH);
    let period = status.period.unwrap();
    let seconds = [period.start, period.end, period.closes_at].map(|time| time.0.as_second());
    assert_eq!(seconds, [3_000, 4_000, 4_060]);
    let last = status.last_invoice.unwrap();
    assert_eq!((last.number, last.total.as_str(), last.issued_at.0.as_second()), (2, "2.00", 3_060));
    // Where its documents are is told once they are there.
    assert_eq!(last.config_map, None);
    let status = report(&billing(), &billed(false), Some("map".into()), Timestamp::UNIX_EPOCH);
    assert_eq!(status.last_invoice.unwrap().config_map.as_deref(), Some("map"));
}

#[test]
fn prometheus_is_told_what_is_unpaid_until_it_is_paid() {
    let metrics = Metrics::new().unwrap();
    let unpaid = |answer: &Answer| {
        measure(&metrics, &billing(), answer);
        let text = metrics.text().unwrap();
        let line = text.lines().find_map(|line| {
            line.strip_prefix("payplane_operator_billing_unpaid_minor_units{currency=\"USD\"} ")
        });
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(unpaid(&owing(Some(1), Stage::default())), "10000");
    // Not knowing changes nothing.
    assert_eq!(unpaid(&Answer::Waiting(Waiting::engine())), "10000");
    assert_eq!(unpaid(&owing(None, Stage::default())), "0");
}

#[test]
fn an_invoice_is_told_once() {
    let mut before = billing();
    let after = report(&before, &billed(false), None, Timestamp::UNIX_EPOCH);
    assert_eq!(issued(&before, &after).as_deref(), Some("Invoice 2 over 2.00 USD was issued."));
    before.status = Some(after.clone());
    assert_eq!(issued(&before, &after), None);
    let waiting = report(&before, &Answer::Waiting(Waiting::engine()), None, Timestamp::UNIX_EPOCH);
    assert_eq!(issued(&before, &waiting), None);
}

#[test]
fn what_is_owed_is_told_with_each_transition_and_ends_by_itself() {
    let stage = |steps, is_suspended| Stage { steps, is_suspended, ..Stage::default() };
    // What the ledger says, look after look: overdue, suspended, and which Events are told.
    let looks = [
        (owing(Some(1), stage(0, false)), "FF", vec!["InvoiceIssued", "CollectionRefused"]),
        (owing(Some(1), stage(0, false)), "FF", vec![]),
        (owing(Some(2), stage(1, false)), "TF", vec!["CollectionRefused", "PaymentReminder"]),
        (owing(Some(2), stage(2, true)), "TT", vec!["PaymentReminder"]),
        (owing(None, stage(0, false)), "FF", vec!["InvoicesPaid"]),
        (owing(None, stage(0, false)), "FF", vec![]),
    ];
    let mut object = billing();
    for (answer, letters, events) in looks {
        let status = report(&object, &answer, None, Timestamp::UNIX_EPOCH);
        let told = [OVERDUE, SUSPENDED].map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
        assert_eq!(told.concat(), letters, "{answer:?}");
        let told: Vec<_> = news(&object, &status).into_iter().map(|(_, reason, _)| reason).collect();
        assert_eq!(told, events, "{answer:?}");
        object.status = Some(status);
    }
    let status = report(&billing(), &owing(Some(2), stage(1, false)), None, Timestamp::UNIX_EPOCH);
    let owed = status.collection.unwrap();
    assert_eq!(
        (owed.unpaid, owed.due.as_deref(), owed.invoice, owed.attempts),
        (1, Some("100.00"), Some(2), 2)
    );
    assert_eq!((owed.refusal.as_deref(), owed.dunning_step), (Some("InsufficientFunds"), 1));
    assert_eq!(owed.next_attempt_at.unwrap().0.as_second(), 9_060);
}

#[test]
fn a_limit_because_of_a_debt_is_said_and_ends_by_itself() {
    let limited = Stage {
        steps: 2,
        payment_maximum: Some(payplane_crds::money::PositiveAmount("5.00".into())),
        ..Stage::default()
    };
    for (stage, status, reason) in
        [(limited, "True", "InvoiceUnpaid"), (Stage::default(), "False", "NotRestricted")]
    {
        let told = report(&billing(), &owing(Some(2), stage), None, Timestamp::UNIX_EPOCH);
        let condition = find(&told.conditions, RESTRICTED).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (status, reason));
        assert_eq!(condition.message.contains("5.00"), status == "True", "{}", condition.message);
    }
}

#[test]
fn a_plan_that_cannot_be_agreed_on_changes_nothing_but_a_condition() {
    let agreed = |agreed| {
        let Answer::Billed(mut answer) = billed(false) else { unreachable!() };
        answer.agreed = agreed;
        Answer::Billed(answer)
    };
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let holds = |version: &str, since| Some(Agreement::Holds { version: version.into(), since: at(since) });
    let kept = |reason| Some(Agreement::Kept { reason, message: "Why.".into() });
    // The open period ends at 4,000.
    let looks = [
        (
            agreed(holds("gold@1", 0)),
            "True",
            "PlanAgreed",
            Some("gold@1"),
            vec!["InvoiceIssued", "PlanAgreed"],
        ),
        (agreed(holds("gold@2", 4_000)), "True", "PlanAgreed", Some("gold@2"), vec!["PlanAgreed"]),
        (agreed(kept("PlanNotFound")), "False", "PlanNotFound", Some("gold@2"), vec!["PlanNotApplied"]),
        (agreed(kept("PlanNotFound")), "False", "PlanNotFound", Some("gold@2"), vec![]),
        (agreed(holds("gold@2", 4_000)), "True", "PlanAgreed", Some("gold@2"), vec![]),
    ];
    let mut object = billing();
    for (answer, expected, reason, version, events) in looks {
        let status = report(&object, &answer, None, Timestamp::UNIX_EPOCH);
        let condition = find(&status.conditions, PLAN_APPLIED).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (expected, reason), "{answer:?}");
        assert_eq!(find(&status.conditions, READY).unwrap().status, "True", "{answer:?}");
        let shown = status.agreed_plan.as_ref().map(|plan| plan.version.as_str());
        assert_eq!(shown, version, "{answer:?}");
        let told: Vec<_> = news(&object, &status).into_iter().map(|(_, reason, _)| reason).collect();
        assert_eq!(told, events, "{answer:?}");
        object.status = Some(status);
    }
    assert!(find(&report(&billing(), &billed(false), None, at(0)).conditions, PLAN_APPLIED).is_none());
}

#[test]
fn wallets_that_do_not_fit_are_told_before_anything_is_collected() {
    let looked = |wallets| {
        let Answer::Billed(mut answer) = billed(false) else { unreachable!() };
        answer.wallets = wallets;
        Answer::Billed(answer)
    };
    let misfit = |reason| Some(Wallets::Misfit { reason, message: "Why.".into() });
    let looks = [
        (misfit("WalletNotFound"), "False", "WalletNotFound", vec!["InvoiceIssued", "NotCollectable"]),
        (misfit("WalletNotFound"), "False", "WalletNotFound", vec![]),
        (misfit("CurrencyMismatch"), "False", "CurrencyMismatch", vec!["NotCollectable"]),
        (Some(Wallets::Fit), "True", "WalletsFit", vec![]),
    ];
    let mut object = billing();
    for (wallets, expected, reason, events) in looks {
        let status = report(&object, &looked(wallets), None, Timestamp::UNIX_EPOCH);
        let condition = find(&status.conditions, COLLECTABLE).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (expected, reason));
        assert_eq!(find(&status.conditions, READY).unwrap().status, "True");
        let told: Vec<_> = news(&object, &status).into_iter().map(|(_, reason, _)| reason).collect();
        assert_eq!(told, events, "{reason}");
        object.status = Some(status);
    }
    let nobody = report(&billing(), &looked(None), None, Timestamp::UNIX_EPOCH);
    assert!(find(&nobody.conditions, COLLECTABLE).is_none());
}

#[test]
fn a_threshold_is_told_once_in_a_period() {
    let mut object = billing();
    let look = |total: &str, reached: &str, number: i64| {
        let Answer::Billed(mut answer) = billed(false) else { unreachable!() };
        answer.preview.invoice = Invoice { number: 3, ..invoice(number, false) };
        answer.preview.invoice.total.amount = total.into();
        answer.preview.reached = reached.split_whitespace().map(str::to_owned).collect();
        Answer::Billed(answer)
    };
    let looks = [
        (look("2.99", "", 3), "", None),
        (
            look("3.00", "three", 3),
            "three",
            Some("Reached: three. The open period comes to 3.00 USD so far."),
        ),
        (look("3.50", "three", 3), "three", None),
        (
            look("4.00", "three four", 3),
            "three four",
            Some("Reached: four. The open period comes to 4.00 USD so far."),
        ),
        // The next period.
        (
            look("5.00", "three four", 4),
            "three four",
            Some("Reached: three, four. The open period comes to 5.00 USD so far."),
        ),
        (look("0.00", "", 5), "", None),
    ];
    for (answer, names, told) in looks {
        let status = report(&object, &answer, None, Timestamp::UNIX_EPOCH);
        let reached: Vec<_> = status.thresholds_reached.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(reached.join(" "), names);
        assert_eq!(over(&object, &status).as_deref(), told);
        object.status = Some(status);
    }
}
