//! Holds that an external gateway has.

use crate::language::run;

#[test]
fn a_gateway_settles_or_fails() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        hold     h  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     k  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     l  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     m  payer shop 100 USD r timeout=10  -> pending 0 +100
        capture  a  l 30              -> pending 30 -30
        handover b  nobody gw         -> payment_not_found payment_id
        handover b  h gw              -> processing 0 +0
        handover b  h other           -> idempotency_conflict reference
        handover c  h gw              -> wrong_state payment_id
        handover d  k gw              -> processing 0 +0
        handover e  l gw              -> processing 0 +0

        # The deadline does not end what a gateway has, and nobody else does.
        now 50
        expire   h                    -> wrong_state payment_id
        capture  f  h 1               -> wrong_state payment_id
        void     g  h                 -> wrong_state payment_id
        reverse  i  h                 -> wrong_state payment_id
        settle   j  m 1               -> wrong_state payment_id
        fail     n  m                 -> wrong_state payment_id

        settle   o  nobody 1          -> payment_not_found payment_id
        settle   o  h 101 currency=EUR -> currency_mismatch amount.currency
        settle   o  h 101             -> capture_exceeds_hold amount.amount
        settle   p  h 60              -> completed 60 -100
        payment  h  -> completed 60/100
        settle   q  h 1               -> wrong_state payment_id
        fail     s  k                 -> failed 0 -100
        fail     s  k                 -> replayed
        fail     t  k                 -> wrong_state payment_id
        fail     u  l                 -> completed 0 -70
        balance  payer -> 810 out=100
        balance  shop  -> 90 in=100
    ");
}

#[test]
fn settling_all_takes_what_is_held_whatever_has_become_of_the_payee() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  shop   USD  wallet  active  0  0
        hold     h  payer shop 100 USD r  -> pending 0 +100
        capture  a  h 40                  -> pending 40 -40
        handover b  h gw                  -> processing 0 +0
        change   f  shop status=frozen    -> changed frozen 0 none
        capture  x  h 1                   -> wallet_frozen to
        settle   c  h 0                   -> completed 60 -60
        payment  h  -> completed 100/100
    ");
}
