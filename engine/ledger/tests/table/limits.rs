//! Limits. A day is 86,400,000,000 microseconds; the tables begin on the 31st of January 2024 (day 19,753).

use crate::language::run;

const ACCOUNTS: &str = "
    account  a     USD  wallet      active      0  100000  class=vip
    account  b     USD  wallet      active      0  100000
    account  till  USD  settlement  active -90000  0
    now 1706745599999999
";

fn run_after(table: &str) {
    run(&format!("{ACCOUNTS}{table}"));
}

#[test]
fn limits_are_looked_at_in_their_order() {
    run_after(
        "
        set payment-maximum       tenant    * 200
        set daily-amount          class:vip * 300
        set daily-count           platform  * 4
        set monthly-amount        wallet:a  * 500
        set monthly-count         tenant    * 6
        set tenant-daily-amount   tenant    * 700
        set tenant-daily-count    tenant    * 6
        set tenant-monthly-amount platform  * 1000
        set tenant-monthly-count  tenant    * 8
        pay   a1  a b 201 USD r  -> limit_exceeded amount.amount payment-maximum@tenant
        pay   a2  a b 200 USD r  -> moved 200
        hold  a3  a b 101 USD r  -> limit_exceeded amount.amount daily-amount@class
        hold  a4  a b 98  USD r  -> pending 0 +98
        pay   a5  a b 1   USD r  -> moved 1
        pay   a6  a b 1   USD r  -> moved 1
        pay   a7  a b 1   USD r  -> limit_exceeded amount.amount daily-amount@class
        usage a -> 19753 300 4 24288 300 4
        usage * -> 19753 300 4 24288 300 4
        # What is given back counts all the same.
        void  v   a4             -> voided 0 -98
        usage a -> 19753 300 4 24288 300 4
        pay   b1  b a 200 USD r  -> moved 200
        pay   b2  b a 200 USD r  -> moved 200
        pay   b3  b a 1   USD r  -> limit_exceeded amount.amount tenant-daily-amount@tenant
        # A refund is no payment of a wallet.
        refund c1 b1 200         -> completed 200
        usage * -> 19753 700 6 24288 700 6
        next
        # The next day is of the next month.
        now 1706745600000000
        pay   a8  a b 101 USD r  -> moved 101
        usage a -> 19754 101 1 24289 101 1
        pay   a9  a b 1   USD r  -> moved 1
        pay   a10 a b 1   USD r  -> moved 1
        pay   a11 a b 1   USD r  -> moved 1
        pay   a12 a b 1   USD r  -> limit_exceeded amount.amount daily-count@platform
        now 1706832000000000
        pay   a13 a b 196 USD r  -> moved 196
        usage a -> 19755 196 1 24289 300 5
        pay   a14 a b 200 USD r  -> limit_exceeded amount.amount daily-amount@class
        now 1706918400000000
        pay   a15 a b 200 USD r  -> moved 200
        now 1707004800000000
        pay   a16 a b 1   USD r  -> limit_exceeded amount.amount monthly-amount@wallet
        pay   b4  b a 200 USD r  -> moved 200
        pay   b5  b a 1   USD r  -> moved 1
        pay   b6  b a 1   USD r  -> limit_exceeded amount.amount tenant-monthly-count@tenant
        ",
    );
}

#[test]
fn counts_and_tenant_limits() {
    run_after(
        "
        set monthly-count         wallet:a * 2
        set tenant-daily-count    tenant   * 3
        set tenant-monthly-amount tenant   * 100
        pay  a1  a b 10 USD r  -> moved 10
        pay  a2  a b 10 USD r  -> moved 10
        pay  a3  a b 10 USD r  -> limit_exceeded amount.amount monthly-count@wallet
        usage a -> 0 0 0 24288 20 2
        usage b -> none
        pay  b1  b a 10 USD r  -> moved 10
        pay  b2  b a 10 USD r  -> limit_exceeded amount.amount tenant-daily-count@tenant
        now 1706745600000000
        pay  b3  b a 100 USD r -> moved 100
        now 1706832000000000
        pay  b4  b a 1   USD r -> limit_exceeded amount.amount tenant-monthly-amount@tenant
        usage b -> none
        ",
    );
}

#[test]
fn the_amount_that_moves_is_the_one_that_counts() {
    run_after(
        "
        account  purse  USD  wallet  active  0  60
        set daily-amount tenant EUR 1
        set daily-amount tenant USD 60
        pay  p1  purse b 100 USD r up_to -> moved 60
        usage purse -> 19753 60 1 0 0 0
        # Tenant accounts have no limits.
        pay  p2  till b 9000 USD r       -> moved 9000
        usage till -> none
        pay  p3  a b 61 USD r up_to      -> limit_exceeded amount.amount daily-amount@tenant
        ",
    );
}

#[test]
fn what_is_refused_is_not_counted_and_a_clock_that_steps_back_opens_no_window() {
    run_after(
        "
        account  small  USD  wallet  active  0  5
        set daily-count wallet:small * 2
        now 1706745600000000
        pay  s1  small b 6 USD r  -> insufficient_funds from
        usage small -> none
        pay  s2  small b 1 USD r  -> moved 1
        now 1706745599999999
        pay  s3  small b 1 USD r  -> moved 1
        pay  s4  small b 1 USD r  -> limit_exceeded amount.amount daily-count@wallet
        usage small -> 19754 2 2 0 0 0
        ",
    );
}

/// What a tenant that owes may pay at once: beside all limits, not instead of them, and not of what it owes.
#[test]
fn a_tenant_that_owes_pays_only_so_much_at_once() {
    run("
        account  purse  USD  wallet      active  0     1000
        account  small  USD  wallet      active  0     1000
        account  euros  EUR  wallet      active  0     1000
        account  shop   USD  wallet      active  0     0
        account  markt  EUR  wallet      active  0     0
        account  till   USD  settlement  active  -500  0
        account  clear  USD  clearing    active  0     0
        set debt-payment-maximum tenant       USD 20
        set payment-maximum      wallet:small USD 5
        set payment-maximum      wallet:purse USD 500
        pay   a1 purse shop  20 USD r  -> moved 20
        pay   a2 purse shop  21 USD r  -> limit_exceeded amount.amount debt-payment-maximum@tenant
        hold  a3 purse shop  21 USD r  -> limit_exceeded amount.amount debt-payment-maximum@tenant
        hold  a4 purse shop  20 USD r  -> pending 0 +20
        # A lower limit stays, and the lower one of two that a payment exceeds is no question: the settings come first.
        pay   b1 small shop   6 USD r  -> limit_exceeded amount.amount payment-maximum@wallet
        pay   b2 purse shop 501 USD r  -> limit_exceeded amount.amount payment-maximum@wallet
        # Other currencies, money that comes in, and what is owed.
        pay   c1 euros markt 21 EUR r  -> moved 21
        pay   c2 till  purse 99 USD r  -> moved 99
        pay   c3 purse clear 99 USD r  -> moved 99
        pay   c4 purse till  21 USD r  -> limit_exceeded amount.amount debt-payment-maximum@tenant
    ");
}
