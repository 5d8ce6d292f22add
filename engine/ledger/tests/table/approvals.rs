//! Payments that need somebody else's approval. A refusal for want of one leaves no trace, so that the same key is decided
//! once it is there; who approved is no part of the body, so that a repetition without it finds what was decided.

use crate::language::run;

const ACCOUNTS: &str = "
    account  a     USD  wallet      active      0  1000  class=vip
    account  b     USD  wallet      active      0  1000
    account  e     EUR  wallet      active      0  1000
    account  f     EUR  wallet      active      0  1000
    account  till  USD  settlement  active -90000  0
    set payment-approval-from tenant USD 100
";

fn run_after(table: &str) {
    run(&format!("{ACCOUNTS}{table}"));
}

#[test]
fn large_payments_wait_for_somebody_else() {
    run_after(
        "
        pay   p1 a b 99  USD r by=ann               -> moved 99
        pay   p2 a b 100 USD r by=ann               -> payment_approval_required amount.amount payment-approval-from@tenant
        pay   p2 a b 100 USD r by=ann               -> payment_approval_required amount.amount payment-approval-from@tenant
        pay   p2 a b 100 USD r by=ann approved=ann  -> approver_is_requester approved_by
        pay   p2 a b 100 USD r by=ann approved=bea  -> moved 100
        # Whoever asks again, with whatever approval or none, meets what was decided.
        pay   p2 a b 100 USD r by=ann               -> replayed
        pay   p2 a b 100 USD r by=ann approved=cleo -> replayed
        pay   p2 a b 100 USD r by=bea approved=bea  -> replayed
        pay   p2 a b 101 USD r by=ann approved=bea  -> idempotency_conflict amount.amount
        next
        pay   p2 a b 100 USD r by=ann               -> replayed
        balance a -> 801
        ",
    );
}

#[test]
fn what_needs_no_approval_may_have_one_but_never_ones_own() {
    run_after(
        "
        pay   p1 a b 5 USD r by=ann approved=bea -> moved 5
        pay   p2 a b 5 USD r by=ann approved=ann -> approver_is_requester approved_by
        # Another currency has no threshold.
        pay   p3 e f 500 EUR r by=ann            -> moved 500
        ",
    );
}

#[test]
fn holds_and_money_that_comes_in_need_it_too_and_captures_do_not() {
    run_after(
        "
        hold    h1 a b 100 USD r by=ann               -> payment_approval_required amount.amount payment-approval-from@tenant
        hold    h1 a b 100 USD r by=ann approved=bea  -> pending 0 +100
        capture c1 h1 100 by=ann                      -> completed 100 -100
        pay     t1 till a 100 USD r by=ann            -> payment_approval_required amount.amount payment-approval-from@tenant
        pay     t1 till a 100 USD r by=ann approved=b -> moved 100
        # By what is asked for, not by what is there.
        pay     u1 b a 5000 USD r up_to by=ann        -> payment_approval_required amount.amount payment-approval-from@tenant
        ",
    );
}

#[test]
fn the_most_specific_threshold_counts_and_mended_reasons_come_first() {
    run_after(
        "
        set payment-approval-from class:vip USD 300
        set payment-approval-from wallet:b  USD 10
        pay   p1 a b 299 USD r by=ann    -> moved 299
        pay   p2 a b 300 USD r by=ann    -> payment_approval_required amount.amount payment-approval-from@class
        pay   p3 b a 10  USD r by=ann    -> payment_approval_required amount.amount payment-approval-from@wallet
        pay   p4 b nobody 10 USD r       -> wallet_not_found to
        pay   p5 b e 10  USD r           -> currency_mismatch to
        # What is stored comes later: nothing is decided without approval.
        suspend
        pay   p3 b a 10  USD r by=ann              -> payment_approval_required amount.amount payment-approval-from@wallet
        pay   p3 b a 10  USD r by=ann approved=bea -> tenant_suspended from
        resume
        pay   p3 b a 10  USD r by=ann              -> again tenant_suspended from
        ",
    );
}

#[test]
fn one_unapproved_item_leaves_no_trace_of_its_group() {
    run_after(
        "
        group
        pay g1 a b 5   USD r by=ann -> linked_item_declined items
        pay g2 a b 100 USD r by=ann -> payment_approval_required amount.amount payment-approval-from@tenant
        end
        group
        pay g1 a b 5   USD r by=ann approved=bea -> moved 5
        pay g2 a b 100 USD r by=ann approved=bea -> moved 100
        end
        group
        pay g1 a b 5   USD r by=ann -> replayed
        pay g2 a b 100 USD r by=ann -> replayed
        end
        balance a -> 895
        ",
    );
}
