//! Changes of wallets.

use crate::language::run;

#[test]
fn a_change_is_refused_in_this_order() {
    run("
        account  purse  USD  wallet      active  0     100
        account  other  USD  wallet      active  0     0
        account  till   USD  settlement  active  -500  0
        account  fees   USD  fee         active  0     0
        account  worn   USD  wallet      active  0     0  version=max
        change   a  nobody currency=EUR                       -> wallet_not_found wallet
        change   a  purse currency=EUR                        -> currency_mismatch amount.currency
        change   b  other status=closed                       -> changed closed 0 none
        change   c  other status=closed                       -> wallet_closed wallet
        change   c2 other status=active                       -> wallet_closed wallet
        pay      p  purse till 10 USD r                       -> moved 10
        change   d  till status=closed                        -> wallet_not_empty status
        change   e  till status=frozen                        -> wrong_state wallet
        change   f  purse status=closed minimum=91 maximum=1  -> wallet_not_empty status
        change   g  purse minimum=91 maximum=1                -> insufficient_funds minimum
        change   h  purse minimum=90 maximum=89               -> maximum_exceeded maximum
        change   i  purse minimum=90 maximum=90               -> changed active 90 90
        change   j  worn minimum=0                            -> balance_overflow wallet
        change   k  fees minimum=-5                           -> changed active -5 none
        change   l  fees status=closed                        -> changed closed -5 none
    ");
}

#[test]
fn held_money_counts_against_floor_and_ceiling() {
    run("
        account  payer  USD  wallet  active  0  100
        account  shop   USD  wallet  active  0  0
        hold     h  payer shop 40 USD r       -> pending 0 +40
        change   a  payer minimum=61          -> insufficient_funds minimum
        change   b  payer minimum=60          -> changed active 60 none
        change   c  shop maximum=39           -> maximum_exceeded maximum
        change   d  shop maximum=40           -> changed active 0 40
        pay      e  payer shop 1 USD r        -> insufficient_funds from
        change   f  payer minimum=0           -> changed active 0 none
        pay      g  payer shop 1 USD r        -> maximum_exceeded to
        capture  i  h 0                       -> completed 40 -40
        change   j  shop maximum=max          -> changed active 0 none
        pay      k  payer shop 1 USD r        -> moved 1
        change   l  shop status=closed        -> wallet_not_empty status
        hold     m  payer shop 59 USD r       -> pending 0 +59
        pay      n  shop payer 41 USD r       -> moved 41
        change   o  shop status=closed        -> wallet_not_empty status
        void     q  m                         -> voided 0 -59
        change   s  shop status=closed        -> changed closed 0 none
    ");
}

#[test]
fn a_change_counts_as_a_version() {
    run("
        account  purse  USD  wallet  active  0  100
        account  shop   USD  wallet  active  0  0
        change   a  purse status=frozen_debit    -> changed frozen_debit 0 none
        pay      b  purse shop 1 USD r version=0 -> wallet_frozen from
        change   c  purse status=active          -> changed active 0 none
        pay      d  purse shop 1 USD r version=1 -> condition_not_met expect
        pay      e  purse shop 1 USD r version=2 -> moved 1
        change   f  purse                        -> changed active 0 none
        pay      g  purse shop 1 USD r version=4 -> moved 1
    ");
}
