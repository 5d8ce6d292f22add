use super::*;

fn outcome(replayed: bool, approver: &str, result: Result<(), (&'static str, bool)>) -> Outcome {
    let result = match result {
        Err((reason, definitive)) => {
            Err(Refusal { reason, field: "from".into(), message: "no".into(), definitive })
        }
        Ok(()) => Ok(crate::engine::Payment {
            phase: crate::engine::Phase::Completed,
            key: "shop/rent".into(),
            is_of_resource: true,
            to_wallet_id: "w".into(),
            amount: crate::engine::Amount { amount: "1.00".into(), currency: "USD".into() },
            captured: "1.00".into(),
            refunded: "0.00".into(),
            held: "0.00".into(),
            deadline: None,
            capture_at: None,
            available: None,
            decided_at: None,
        }),
    };
    let (payment_id, origin_ref) = ("p".into(), "u".into());
    Outcome { payment_id, origin_ref, replayed, approver: approver.into(), fees: Vec::new(), result }
}

#[test]
fn an_approval_is_used_once_by_whom_the_ledger_names() {
    let short = || Err(("InsufficientFunds", true));
    let cases = [
        (outcome(false, "bea", Ok(())), "paid"),
        (outcome(false, "bea", short()), "paid"),
        // Asked again after a crash: theirs, whatever became of it.
        (outcome(true, "bea", Ok(())), "paid"),
        (outcome(true, "bea", short()), "paid"),
        (outcome(true, "cleo", Ok(())), "never AlreadyDecided"),
        (outcome(true, "cleo", short()), "never AlreadyDecided"),
        (outcome(true, "", Ok(())), "never WrongState"),
        // The ledger kept nothing.
        (outcome(false, "", Err(("ApproverIsRequester", false))), "never ApproverIsRequester"),
        (outcome(false, "", Err(("IdempotencyConflict", false))), "never IdempotencyConflict"),
        (outcome(false, "", Err(("WalletNotFound", false))), "looks again WalletNotFound"),
    ];
    for (outcome, expected) in cases {
        let case = format!("{outcome:?}");
        let told = match judged(outcome, "bea") {
            Answer::Paid(_) => "paid".into(),
            Answer::Never(refusal) => format!("never {}", refusal.reason),
            Answer::Waiting(waiting) if !waiting.is_watched => format!("looks again {}", waiting.reason),
            other => format!("{other:?}"),
        };
        assert_eq!(told, expected, "{case}");
    }
}
