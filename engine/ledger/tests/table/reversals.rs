//! Reversals.

use crate::language::run;

#[test]
fn a_reversal_undoes_what_has_become_of_a_payment() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        hold     h  payer shop 100 USD r  -> pending 0 +100
        hold     k  payer shop 100 USD r  -> pending 0 +100
        pay      p  payer shop 100 USD r  -> moved 100
        reverse  a  nobody                -> payment_not_found payment_id
        reverse  a  h                     -> voided 0 -100
        reverse  b  h                     -> wrong_state payment_id
        # Half taken: first the rest is voided, then what was taken is refunded.
        capture  c  k 30                  -> pending 30 -30
        reverse  d  k                     -> wrong_state payment_id
        void     e  k                     -> completed 0 -70
        reverse  f  k                     -> completed 30
        reverse  g  k                     -> refund_exceeds_captured amount.amount
        refund   i  p 40                  -> completed 40
        next
        reverse  j  p                     -> completed 60
        reverse  j  p                     -> replayed
        payment  p  -> completed 100/100 refunded=100
        balance  payer -> 1000
    ");
}

#[test]
fn a_reversal_is_no_way_around_a_refunds_rules() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        set refund-approval-from tenant * 50
        set refund-window tenant * 10
        pay      p  payer shop 100 USD r  -> moved 100
        pay      q  payer shop 10 USD r   -> moved 10
        reverse  a  p by=ann              -> requested 0
        approve  b  a by=ann              -> approver_is_requester refund_id
        approve  b  a by=bob              -> completed 100
        change   c  shop status=frozen    -> changed frozen 0 none
        reverse  d  q                     -> wallet_frozen from
        change   e  shop status=active    -> changed active 0 none
        now 10
        reverse  f  q                     -> refund_window_closed payment_id
    ");
}
