use payplane_crds::condition::{READY, RECONCILING, REPLAYED, STALLED, SUCCEEDED};
use serde_json::json;
use tonic::Code;

use super::*;
use crate::{
    condition::find,
    engine::{Amount, PaymentRequest, WalletRef},
    payment::{Waiting, Wanted},
};

const ID: &str = "11111111-1111-5111-8111-111111111111";

fn payment() -> Payment {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": "rent", "namespace": "shop", "uid": "u-1", "generation": 1},
        "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
    }))
    .unwrap()
}

fn outcome(origin: &str, result: Result<engine::Payment, Refusal>) -> Answer {
    let origin_ref = origin.into();
    Answer::Outcome(
        Box::new(Outcome {
            payment_id: ID.into(),
            origin_ref,
            replayed: false,
            approver: String::new(),
            fees: Vec::new(),
            result,
        }),
        None,
    )
}

fn stands(phase: Phase, captured: &str, held: &str) -> engine::Payment {
    engine::Payment {
        phase,
        key: "shop/rent".into(),
        is_of_resource: true,
        to_wallet_id: "w".into(),
        amount: Amount { amount: "1.00".into(), currency: "USD".into() },
        captured: captured.into(),
        refunded: "0.00".into(),
        held: held.into(),
        deadline: None,
        capture_at: None,
        available: Some(("9.00".into(), "1.00".into())),
        decided_at: Timestamp::from_second(1_000).ok(),
    }
}

fn paid() -> Result<engine::Payment, Refusal> {
    Ok(stands(Phase::Completed, "1.00", "0.00"))
}

fn hold(phase: Phase, captured: &str, held: &str) -> engine::Payment {
    engine::Payment { deadline: Timestamp::from_second(2_000).ok(), ..stands(phase, captured, held) }
}

fn refused(reason: &'static str, definitive: bool) -> Result<engine::Payment, Refusal> {
    Err(Refusal { reason, field: "from".into(), message: "no".into(), definitive })
}

fn unavailable() -> Answer {
    Answer::Failed(EngineError::Unavailable { code: Code::Unavailable, message: "connection 17".into() })
}

/// Refused for want of funds, and to be tried again.
fn short() -> Answer {
    Answer::Short(refused("InsufficientFunds", true).unwrap_err())
}

fn invalid() -> Answer {
    Answer::Failed(EngineError::Invalid { field: "amount".into(), message: "too many digits".into() })
}

fn wanting(wish: Wish) -> Next {
    let request = PaymentRequest {
        namespace: "shop".into(),
        key: "shop/rent".into(),
        from: WalletRef::Name("shop/a".into()),
        to: WalletRef::Name("shop/b".into()),
        amount: Amount { amount: "1.00".into(), currency: "USD".into() },
        reference: String::new(),
        origin_ref: "u-1".into(),
        hold: None,
        never: false,
        metadata: Default::default(),
        fees: Vec::new(),
        requester: None,
        approver: None,
        asked: Default::default(),
    };
    Next::Submit(Box::new(Wanted { request, wish, retry_until: None, is_reviewed: false }))
}

fn capture(total: &str) -> Wish {
    Wish::Capture { total: total.parse().unwrap(), is_final: true }
}

fn status(answer: &Answer) -> PaymentStatus {
    report(&payment(), &wanting(Wish::Keep), answer, Timestamp::UNIX_EPOCH)
}

/// State, then Ready, Reconciling, Stalled, Settled, Succeeded, Replayed as T, F or - for absent, then Ready's reason.
fn told(answer: &Answer) -> (PaymentState, String, String) {
    told_of(&status(answer))
}

fn told_of(status: &PaymentStatus) -> (PaymentState, String, String) {
    let letters = [READY, RECONCILING, STALLED, SETTLED, SUCCEEDED, REPLAYED]
        .map(|type_| find(&status.conditions, type_).map_or("-", |condition| &condition.status[..1]));
    let ready = find(&status.conditions, READY).unwrap();
    (status.state, letters.concat(), ready.reason.clone())
}

#[test]
fn every_answer_has_its_conditions() {
    use PaymentState::{Completed, Failed, New};
    let cases = [
        (Answer::Waiting(Waiting::new("NoTenant", "")), New, "FTF---", "NoTenant"),
        (unavailable(), New, "FTF---", "EngineUnavailable"),
        (
            Answer::Failed(EngineError::Denied { code: Code::PermissionDenied }),
            New,
            "FTF---",
            "EngineUnavailable",
        ),
        (Answer::Failed(EngineError::Answer("x")), New, "FTF---", "EngineUnavailable"),
        (invalid(), Failed, "FFFTF-", "Invalid"),
        (outcome("u-1", paid()), Completed, "TFFTT-", "Completed"),
        (outcome("u-0", paid()), Completed, "TFFTTT", "Completed"),
        (outcome("u-1", refused("InsufficientFunds", true)), Failed, "FFFTF-", "InsufficientFunds"),
        (short(), New, "FTF---", "InsufficientFunds"),
        (outcome("u-0", refused("InsufficientFunds", true)), Failed, "FFFTFT", "InsufficientFunds"),
        (outcome("u-0", refused("IdempotencyConflict", false)), Failed, "FFFTF-", "IdempotencyConflict"),
        (outcome("u-1", refused("WalletNotFound", false)), New, "FTF---", "WalletNotFound"),
        (outcome("u-1", refused("SameWallet", false)), Failed, "FFFTF-", "SameWallet"),
        (outcome("u-1", refused("CurrencyMismatch", false)), Failed, "FFFTF-", "CurrencyMismatch"),
        (outcome("u-1", refused("WalletFrozen", true)), Failed, "FFFTF-", "WalletFrozen"),
        (outcome("u-1", refused("SettlementCapExceeded", true)), Failed, "FFFTF-", "SettlementCapExceeded"),
    ];
    for (answer, state, letters, reason) in cases {
        assert_eq!(told(&answer), (state, letters.into(), reason.into()), "{answer:?}");
    }
}

#[test]
fn a_completed_payment_shows_what_the_ledger_said() {
    let status = status(&outcome("u-1", paid()));
    let mut told = serde_json::to_value(&status).unwrap();
    told.as_object_mut().unwrap().remove("conditions");
    assert_eq!(
        told,
        json!({
            "state": "Completed",
            "paymentId": ID,
            "availableAfter": {"from": "9.00", "to": "1.00"},
            "decidedAt": "1970-01-01T00:16:40Z",
            "observedGeneration": 1,
        })
    );
}

#[test]
fn a_refusal_names_its_field_in_the_status_and_in_the_message() {
    let status = status(&invalid());
    assert_eq!(status.refusal.unwrap().field, "amount");
    assert_eq!(find(&status.conditions, READY).unwrap().message, "amount: too many digits");
}

#[test]
fn another_failure_of_the_same_sort_changes_nothing_so_that_retries_write_nothing() {
    let mut object = payment();
    let next = wanting(Wish::Keep);
    object.status = Some(report(&object, &next, &unavailable(), Timestamp::from_second(5).unwrap()));
    let error = EngineError::Unavailable { code: Code::DeadlineExceeded, message: "connection 18".into() };
    let again = report(&object, &next, &Answer::Failed(error), Timestamp::from_second(50).unwrap());
    assert_eq!(object.status, Some(again));
}

#[test]
fn a_forged_status_is_not_believed() {
    let mut object = payment();
    object.status = Some(status(&outcome("u-1", paid())));
    let no = outcome("u-1", refused("InsufficientFunds", true));
    let status = report(&object, &wanting(Wish::Keep), &no, Timestamp::UNIX_EPOCH);
    assert_eq!(status.state, PaymentState::Failed);
    assert_eq!(status.available_after, None);
    assert_eq!(status.decided_at, None);
}

#[test]
fn a_hold_tells_where_in_its_life_it_is_and_whether_that_is_what_was_asked_for() {
    use PaymentState::{Completed, Expired, Failed, Pending, Voided};
    let cases = [
        (Phase::Pending, "0.00", "1.00", Wish::Keep, Pending, "TFFF--", "Held"),
        (Phase::Pending, "0.40", "0.60", capture("0.40"), Pending, "TFFF--", "Held"),
        (Phase::Processing, "0.00", "1.00", Wish::Keep, Pending, "FTFF--", "Processing"),
        (Phase::Completed, "1.00", "0.00", capture("1.00"), Completed, "TFFTT-", "Completed"),
        (Phase::Completed, "0.40", "0.00", capture("0.40"), Completed, "TFFTT-", "Completed"),
        (Phase::Completed, "0.40", "0.00", capture("0.90"), Completed, "FFFTF-", "CaptureIncomplete"),
        (Phase::Completed, "0.40", "0.00", Wish::Keep, Completed, "TFFTT-", "Completed"),
        (Phase::Completed, "1.00", "0.00", Wish::Void, Completed, "FFFTT-", "WrongState"),
        (Phase::Failed, "0.00", "0.00", Wish::Keep, Failed, "FFFTF-", "GatewayFailed"),
        (Phase::Voided, "0.00", "0.00", Wish::Void, Voided, "TFFTF-", "Voided"),
        (Phase::Voided, "0.00", "0.00", capture("1.00"), Voided, "FFFTF-", "Voided"),
        (Phase::Expired, "0.00", "0.00", Wish::Keep, Expired, "FFFTF-", "Expired"),
        (Phase::Expired, "0.00", "0.00", Wish::Void, Expired, "FFFTF-", "Expired"),
    ];
    for (phase, captured, held, wish, state, letters, reason) in cases {
        let answer = outcome("u-1", Ok(hold(phase, captured, held)));
        let status = report(&payment(), &wanting(wish), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!(told_of(&status), (state, letters.into(), reason.into()), "{phase:?} {captured} {wish:?}");
        assert_eq!(status.captured.as_deref(), Some(captured), "{phase:?}");
    }
}

#[test]
fn a_refused_capture_is_told_beside_the_hold_and_tried_again_only_where_that_may_help() {
    for (reason, letters) in [("WalletFrozen", "FTFF--"), ("CaptureExceedsHold", "FFFF--")] {
        let Answer::Outcome(outcome, _) = outcome("u-1", Ok(hold(Phase::Pending, "0.00", "1.00"))) else {
            panic!("an outcome")
        };
        let answer = Answer::Outcome(outcome, refused(reason, true).err());
        let status = report(&payment(), &wanting(capture("1.00")), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!(told_of(&status), (PaymentState::Pending, letters.into(), reason.into()));
        assert_eq!(status.refusal.unwrap().reason, reason);
        assert_eq!(status.held.as_deref(), Some("1.00"));
    }
}

#[test]
fn while_nobody_answers_a_hold_keeps_what_was_said_of_it_and_an_undecided_payment_claims_nothing() {
    let mut object = payment();
    object.status = Some(status(&outcome("u-1", Ok(hold(Phase::Pending, "0.40", "0.60")))));
    for answer in [unavailable(), Answer::Waiting(Waiting::engine())] {
        let status = report(&object, &wanting(Wish::Keep), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!(status.state, PaymentState::Pending);
        assert_eq!(status.held.as_deref(), Some("0.60"));
        assert_eq!(status.payment_id.as_deref(), Some(ID));
        assert_eq!(told_of(&status).2, "EngineUnavailable");
    }
    assert_eq!(status(&unavailable()).payment_id, None);
}

#[test]
fn refunds_show_only_when_there_were_some() {
    let status_of = |refunded: &str| {
        status(&outcome("u-1", Ok(engine::Payment { refunded: refunded.into(), ..paid().unwrap() })))
    };
    assert_eq!(status_of("0.00").refunded, None);
    assert_eq!(status_of("0.50").refunded.as_deref(), Some("0.50"));
}

fn asked(by: Option<&str>) -> Payment {
    let mut payment = payment();
    payment.spec.requested_by = by.map(String::from);
    payment
}

#[test]
fn a_payment_that_needs_approval_waits_and_says_what_to_approve() {
    let answer = outcome("", refused("ApprovalRequired", false));
    let status = report(&asked(Some("ada")), &wanting(Wish::Keep), &answer, Timestamp::UNIX_EPOCH);
    assert_eq!(status.state, PaymentState::AwaitingApproval);
    assert_eq!(status.body_hash, Some(body_hash(&asked(Some("ada")))));
    for (type_, expected) in [
        (READY, "False"),
        (RECONCILING, "True"),
        (STALLED, "False"),
        (SETTLED, "False"),
        ("Approved", "False"),
    ] {
        let found = find(&status.conditions, type_).unwrap();
        assert_eq!((&*found.status, type_), (expected, type_));
    }
    assert_eq!(find(&status.conditions, "Approved").unwrap().reason, "ApprovalRequired");

    let nobody = report(&asked(None), &wanting(Wish::Keep), &answer, Timestamp::UNIX_EPOCH);
    assert!(find(&nobody.conditions, READY).unwrap().message.contains("requestedBy"));
    // A hash that somebody wrote into the status is no hash to approve.
    let mut forged = asked(Some("ada"));
    forged.status = Some(PaymentStatus { body_hash: Some("sha256:forged".into()), ..status.clone() });
    assert_eq!(
        report(&forged, &wanting(Wish::Keep), &answer, Timestamp::UNIX_EPOCH).body_hash,
        status.body_hash
    );
    let done = report(&forged, &wanting(Wish::Keep), &outcome("u-1", paid()), Timestamp::UNIX_EPOCH);
    assert_eq!((done.state, done.body_hash), (PaymentState::Completed, None));
}

#[test]
fn who_approved_and_what_fees_were_paid_is_what_the_ledger_answered() {
    let with = |approver: &str, fees: Vec<engine::Fee>| {
        let outcome = Outcome {
            payment_id: ID.into(),
            origin_ref: "u-1".into(),
            replayed: true,
            approver: approver.into(),
            fees,
            result: paid(),
        };
        report(
            &payment(),
            &wanting(Wish::Keep),
            &Answer::Outcome(Box::new(outcome), None),
            Timestamp::UNIX_EPOCH,
        )
    };
    let fee = |amount: Option<&str>| engine::Fee { payment_id: "f".into(), amount: amount.map(String::from) };
    let status = with("bea", vec![fee(Some("0.10")), fee(None)]);
    let paid: Vec<_> = status.fees.iter().map(|fee| (&*fee.payment_id, &*fee.amount)).collect();
    assert_eq!(paid, [("f", "0.10")]);
    assert_eq!(status.approver.as_deref(), Some("bea"));
    let approved = find(&status.conditions, "Approved").unwrap();
    assert_eq!((&*approved.status, &*approved.reason), ("True", "Approved"));
    let reviewed = with("pull-request", Vec::new());
    assert_eq!(find(&reviewed.conditions, "Approved").unwrap().reason, "PullRequest");
    assert!(find(&with("", Vec::new()).conditions, "Approved").is_none());
}

#[test]
fn what_a_restore_lost_waits_for_consent_and_says_how_to_give_it() {
    let lost = || Refusal {
        reason: "LostByRestore",
        field: String::new(),
        message: "annotate".into(),
        definitive: false,
    };
    let outcome = Outcome {
        payment_id: "p".into(),
        origin_ref: String::new(),
        replayed: false,
        approver: String::new(),
        fees: Vec::new(),
        result: Err(lost()),
    };
    let answer = Answer::Outcome(Box::new(outcome), None);
    let (state, letters, reason) = told(&answer);
    assert_eq!((state, letters.as_str(), reason.as_str()), (PaymentState::Lost, "FFTF--", "LostByRestore"));
    // It stays flagged while nobody answers.
    let mut flagged = payment();
    flagged.status = Some(status(&answer));
    let waiting = Answer::Waiting(plan::Waiting::engine());
    let kept = report(&flagged, &wanting(Wish::Keep), &waiting, Timestamp::UNIX_EPOCH);
    assert_eq!(kept.state, PaymentState::Lost);
}
