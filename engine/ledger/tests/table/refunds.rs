//! Refunds, with and without approval.

use crate::language::run;

#[test]
fn a_refund_gives_back_at_most_what_was_taken() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        pay      p  payer shop 100 USD r  -> moved 100
        refund   a  p 30                  -> completed 30
        payment  p  -> completed 100/100 refunded=30
        refund   b  p 71                  -> refund_exceeds_captured amount.amount
        next
        refund   c  p 50                  -> completed 50
        refund   d  p 0                   -> completed 20
        refund   e  p 0                   -> refund_exceeds_captured amount.amount
        payment  p  -> completed 100/100 refunded=100
        balance  payer -> 1000
        balance  shop  -> 0
        refund   a  p 30                  -> replayed
    ");
}

#[test]
fn a_payment_of_a_former_batch_can_be_refunded() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        pay      p  payer shop 100 USD r up_to  -> moved 100
        next
        refund   a  p 30                        -> completed 30
        next
        refund   b  p 0                         -> completed 70
    ");
}

/// A known decision is not enough: refunds since then would be missed.
#[test]
fn a_payment_that_was_not_read_is_not_made_up_from_its_decision() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        pay      p  payer shop 100 USD r  -> moved 100
        next bare
        refund   a  p 30                  -> payment_not_found payment_id
        pay      p  payer shop 100 USD r  -> replayed
    ");
}

#[test]
fn a_refund_is_refused_in_this_order() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        account  other  USD  wallet  active  0  0
        account  gone   USD  wallet  active  0  50
        pay      p  payer shop 100 USD r      -> moved 100
        pay      g  gone shop 50 USD r        -> moved 50
        hold     h  payer shop 10 USD r       -> pending 0 +10
        refund   a  nobody 999 currency=EUR   -> payment_not_found payment_id
        refund   a  h 999 currency=EUR        -> currency_mismatch amount.currency
        change   b  gone status=closed        -> changed closed 0 none
        change   c  shop status=frozen_debit  -> changed frozen_debit 0 none
        change   d  payer status=frozen_credit -> changed frozen_credit 0 none
        refund   e  g 999                     -> wallet_closed to
        refund   f  h 999                     -> wallet_frozen from
        change   i  shop status=active        -> changed active 0 none
        refund   j  h 999                     -> wallet_frozen to
        change   k  payer status=active       -> changed active 0 none
        set refund-window tenant * 10
        now 10
        refund   l  h 999                     -> wrong_state payment_id
        refund   m  p 999                     -> refund_exceeds_captured amount.amount
        refund   n  p 100                     -> refund_window_closed payment_id
        now 9
        pay      o  shop other 100 USD r      -> moved 100
        change   q  payer maximum=900         -> changed active 0 900
        refund   r  p 100                     -> insufficient_funds from
        refund   s  p 50                      -> maximum_exceeded to
        refund   t  p 10                      -> maximum_exceeded to
        change   u  payer maximum=max         -> changed active 0 none
        refund   v  p 10                      -> completed 10
        # The payee can be closed as well.
        void     w  h                         -> voided 0 -10
        pay      x  shop other 40 USD r       -> moved 40
        change   y  shop status=closed        -> changed closed 0 none
        refund   z  g 1                       -> wallet_closed from
    ");
}

#[test]
fn refunds_of_settled_money_stay_within_the_cap() {
    run("
        account  payer  USD  wallet      active    0   100
        account  till   USD  settlement  active  -10   0
        account  full   USD  wallet      active    0   max
        account  other  USD  wallet      active    0   0
        pay      p  payer till 100 USD r  -> moved 100
        pay      q  till other 50 USD r   -> moved 50
        refund   a  p 100                 -> settlement_cap_exceeded from
        refund   b  p 60                  -> completed 60
        pay      r  full other 7 USD r    -> moved 7
        refund   c  r 7                   -> balance_overflow to
    ");
}

#[test]
fn what_was_taken_of_a_hold_can_be_refunded() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        hold     h  payer shop 100 USD r  -> pending 0 +100
        capture  a  h 40                  -> pending 40 -40
        refund   b  h 41                  -> refund_exceeds_captured amount.amount
        refund   c  h 0                   -> completed 40
        payment  h  -> pending 40/100 refunded=40 until=60000000 platform
        balance  payer -> 940 out=60
        capture  d  h 0                   -> completed 60 -60
        refund   e  h 60                  -> completed 60
        balance  payer -> 1000
        hold     v  payer shop 100 USD r  -> pending 0 +100
        void     w  v                     -> voided 0 -100
        refund   x  v 0                   -> wrong_state payment_id
    ");
}

#[test]
fn the_window_counts_from_the_last_money_that_moved() {
    run("
        account  payer  USD  wallet  active  0  1000  class=vip
        account  shop   USD  wallet  active  0  0
        set refund-window tenant * 10
        hold     h  payer shop 100 USD r  -> pending 0 +100
        now 5
        capture  a  h 40                  -> pending 40 -40
        now 12
        capture  b  h 40                  -> pending 40 -40
        now 21
        refund   c  h 10                  -> completed 10
        now 22
        refund   d  h 10                  -> refund_window_closed payment_id
        # The payer's class has a longer one; and one without end.
        set refund-window class:vip * 20
        refund   e  h 10                  -> completed 10
        now 32
        refund   f  h 10                  -> refund_window_closed payment_id
        set refund-window wallet:payer * max
        refund   g  h 10                  -> completed 10
    ");
}

#[test]
fn large_refunds_wait_for_somebody_else() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        set refund-approval-from tenant USD 50
        pay      p  payer shop 100 USD r  -> moved 100
        refund   a  p 49  by=ann          -> completed 49
        refund   b  p 50  by=ann          -> requested 0
        payment  p  -> completed 100/100 refunding=50 refunded=49
        refund   c  p 2   by=ann          -> refund_exceeds_captured amount.amount
        approve  d  nothing by=bob        -> refund_not_found refund_id
        approve  d  b by=ann              -> approver_is_requester refund_id
        next
        approve  d  b by=bob              -> completed 50
        approve  d  b by=bob              -> replayed
        approve  e  b by=bob              -> wrong_state refund_id
        approve  f  a by=bob              -> wrong_state refund_id
        approve  f2 a by=ann              -> approver_is_requester refund_id
        reject   g  b by=bob              -> wrong_state refund_id
        payment  p  -> completed 100/100 refunded=99
        balance  payer -> 999
    ");
}

#[test]
fn a_rejected_refund_frees_what_it_asked_for() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        set refund-approval-from tenant * 50
        pay      p  payer shop 100 USD r  -> moved 100
        refund   a  p 0   by=ann          -> requested 0
        reject   b  nothing by=ann        -> refund_not_found refund_id
        reject   b  a by=ann              -> rejected 0
        approve  c  a by=bob              -> wrong_state refund_id
        payment  p  -> completed 100/100
        refund   d  p 100 by=ann          -> requested 0
        reject   e  d by=bob              -> rejected 0
        refund   f  p 40  by=ann          -> completed 40
    ");
}

#[test]
fn an_approved_refund_fails_if_the_accounts_do_not_allow_it() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        account  other  USD  wallet  active  0  0
        set refund-approval-from tenant * 10
        pay      p  payer shop 100 USD r  -> moved 100
        refund   a  p 50  by=ann          -> requested 0
        refund   b  p 50  by=ann          -> requested 0
        # A request looks at nothing but what was taken; the approval looks at all.
        change   c  shop status=frozen    -> changed frozen 0 none
        approve  d  a by=bob              -> failed 0
        approve  d  a by=bob              -> replayed
        payment  p  -> completed 100/100 refunding=50
        change   e  shop status=active    -> changed active 0 none
        pay      f  shop other 80 USD r   -> moved 80
        approve  g  b by=bob              -> failed 0
        payment  p  -> completed 100/100
        refund   h  p 20  by=ann          -> requested 0
        approve  i  h by=bob              -> completed 20
    ");
}
