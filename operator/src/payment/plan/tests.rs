use super::*;
use crate::engine::WalletRef;

fn wanted(wish: Wish) -> Wanted {
    let request = PaymentRequest {
        namespace: "shop".into(),
        key: "shop/rent".into(),
        from: WalletRef::Name("shop/a".into()),
        to: WalletRef::Name("shop/b".into()),
        amount: Amount { amount: "100.00".into(), currency: "USD".into() },
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
    Wanted { request, wish, retry_until: None, is_reviewed: false }
}

fn capture_of(total: &str, is_final: bool) -> Wish {
    Wish::Capture { total: total.parse().unwrap(), is_final }
}

fn stands(phase: Phase, captured: &str) -> Payment {
    Payment {
        phase,
        key: "shop/rent".into(),
        is_of_resource: true,
        to_wallet_id: String::new(),
        amount: Amount { amount: "100.00".into(), currency: "USD".into() },
        captured: captured.into(),
        refunded: "0.00".into(),
        held: String::new(),
        deadline: None,
        capture_at: None,
        available: None,
        decided_at: None,
    }
}

/// The step as "KEY AMOUNT", "KEY AMOUNT final" or "KEY".
fn told(wish: Wish, phase: Phase, captured: &str, attempt: u32) -> Option<String> {
    let step = step(&wanted(wish), "p", &stands(phase, captured), attempt)?;
    Some(match step.step {
        Step::Void => step.key,
        Step::Capture { amount, is_final } => {
            format!("{} {}{}", step.key, amount.amount, if is_final { " final" } else { "" })
        }
    })
}

#[test]
fn the_next_step_takes_what_is_missing_to_the_total() {
    let cases = [
        (Wish::Keep, "0.00", 1, None),
        (Wish::Void, "0.00", 1, Some("p/void")),
        (capture_of("30", false), "0.00", 1, Some("p/capture/0.00/1 30")),
        (capture_of("30.00", false), "10.50", 1, Some("p/capture/10.50/1 19.50")),
        (capture_of("30.00", true), "10.50", 2, Some("p/capture/10.50/2 19.50 final")),
        (capture_of("30.00", false), "30.00", 1, None),
        (capture_of("30.00", true), "30.00", 1, Some("p/void")),
        (capture_of("30.00", false), "40.00", 1, None),
        (capture_of("99999999999999999.99", false), "0.01", 1, Some("p/capture/0.01/1 99999999999999999.98")),
    ];
    for (wish, captured, attempt, step) in cases {
        assert_eq!(told(wish, Phase::Pending, captured, attempt).as_deref(), step, "{wish:?} {captured}");
    }
}

#[test]
fn nothing_is_asked_of_what_is_not_held() {
    for phase in [Phase::Processing, Phase::Completed, Phase::Failed, Phase::Voided, Phase::Expired] {
        for wish in [Wish::Keep, Wish::Void, capture_of("30", true)] {
            assert_eq!(told(wish, phase, "0.00", 1), None, "{phase:?} {wish:?}");
        }
    }
}

#[test]
fn two_who_start_from_the_same_captured_total_meet_at_one_key_whatever_they_want() {
    let key = |total: &str| {
        step(&wanted(capture_of(total, false)), "p", &stands(Phase::Pending, "10.00"), 1).unwrap().key
    };
    assert_eq!(key("30.00"), key("70.00"), "else an old spec and a new one would add up to 100");
}

#[test]
fn a_hold_is_looked_at_when_the_ledger_changes_it_by_itself() {
    let at = |second| Timestamp::from_second(second).ok();
    let hold = |capture_at, deadline| Payment { capture_at, deadline, ..stands(Phase::Pending, "0.00") };
    let now = Timestamp::from_second(1_000).unwrap();
    let cases = [
        (hold(None, at(1_060)), Some(61)),
        (hold(at(1_030), at(1_060)), Some(31)),
        (hold(None, at(999)), Some(5)),
        (hold(None, at(900)), Some(60)),
        (hold(at(900), at(1_010)), Some(11)),
        (hold(None, None), None),
        (Payment { phase: Phase::Completed, ..hold(None, at(1_060)) }, None),
        (Payment { phase: Phase::Processing, ..hold(None, at(1_060)) }, None),
    ];
    for (stands, seconds) in cases {
        assert_eq!(due_in(&stands, now), seconds.map(Duration::from_secs), "{stands:?}");
    }
}

#[test]
fn less_than_the_total_falls_short() {
    let cases = [("30.00", "30.00", false), ("30.00", "29.99", true), ("30", "30.00", false)];
    for (total, captured, short) in cases {
        let stands = stands(Phase::Completed, captured);
        assert_eq!(falls_short(capture_of(total, true), &stands), short, "{total} {captured}");
        assert!(!falls_short(Wish::Keep, &stands));
    }
}

#[test]
fn attempts_have_keys_of_their_own_that_no_object_can_have_and_belong_to_their_payment() {
    let request = wanted(Wish::Keep).request;
    assert_eq!(attempt(&request, 1), request);
    assert_eq!(attempt(&request, 2).key, "shop/rent retry 2");
    let cases = [
        ("shop/rent", true),
        ("shop/rent retry 2", true),
        ("shop/rent-2", false),
        ("shop/rent fee 1", false),
        ("shop/rent retry 2 fee 1", false),
        ("shop/rent retry ", false),
        ("shop/ren", false),
        ("other", false),
    ];
    for (key, is_one) in cases {
        assert_eq!(is_attempt_at(key, "shop/rent"), is_one, "{key}");
    }
}

#[test]
fn only_where_the_ledger_asks_for_approval_and_the_tenant_says_so_the_review_is_one() {
    let answer = |reason| {
        let (field, message) = (String::new(), String::new());
        let result = Err(Refusal { reason, field, message, definitive: false });
        let (payment_id, origin_ref, approver) = (String::new(), String::new(), String::new());
        Outcome { payment_id, origin_ref, replayed: false, approver, fees: Vec::new(), result }
    };
    for (is_reviewed, reason, expected) in [
        (true, "ApprovalRequired", Some("pull-request")),
        (false, "ApprovalRequired", None),
        (true, "WalletNotFound", None),
    ] {
        let wanted = Wanted { is_reviewed, ..wanted(Wish::Keep) };
        let request = reviewed(&wanted, &attempt(&wanted.request, 2), &answer(reason));
        let told = request.as_ref().and_then(|request| request.approver.as_deref());
        assert_eq!(told, expected, "{is_reviewed} {reason}");
        assert!(request.is_none_or(|request| request.key == "shop/rent retry 2"));
    }
}

#[test]
fn only_a_payee_who_takes_no_money_and_may_take_some_again_is_waited_for() {
    use WalletState::{Active, Closed, Frozen, FrozenCredit, FrozenDebit};
    for (state, waits) in
        [(Active, false), (FrozenDebit, false), (FrozenCredit, true), (Frozen, true), (Closed, false)]
    {
        assert_eq!(is_frozen(state), waits, "{state:?}");
    }
}
