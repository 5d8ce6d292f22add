//! Holds: made, taken, given back, expired.

use crate::language::run;

const ACCOUNTS: &str = "
    account  payer  USD  wallet  active  0  1000
    account  shop   USD  wallet  active  0  0
    account  euro   EUR  wallet  active  0  0
    now 1000
";

fn run_after(table: &str) {
    run(&format!("{ACCOUNTS}{table}"));
}

#[test]
fn a_hold_counts_when_it_is_made() {
    run_after(
        "
        hold     h  payer shop 600 USD r  -> pending 0 +600
        balance  payer -> 400 out=600
        balance  shop  -> 0 in=600
        pay      p  payer shop 401 USD r  -> insufficient_funds from
        payment  h  -> pending 0/600 until=60001000 platform
        next
        capture  a  h 100        -> pending 100 -100
        payment  h  -> pending 100/600 until=60001000 platform
        capture  b  h 200        -> pending 200 -200
        balance  payer -> 400 out=300
        balance  shop  -> 300 in=300
        capture  c  h 0          -> completed 300 -300
        payment  h  -> completed 600/600
        balance  payer -> 400
        balance  shop  -> 600
        ",
    );
}

#[test]
fn a_final_capture_gives_the_rest_back() {
    run_after(
        "
        hold     h  payer shop 600 USD r  -> pending 0 +600
        capture  a  h 100                 -> pending 100 -100
        capture  b  h 50 final            -> completed 50 -500
        payment  h  -> completed 150/600
        balance  payer -> 850
        balance  shop  -> 150
        capture  c  h 1                   -> wrong_state payment_id
        ",
    );
}

#[test]
fn a_capture_is_refused_in_this_order() {
    run_after(
        "
        hold     h  payer shop 100 USD r timeout=10   -> pending 0 +100
        hold     k  payer shop 100 USD r timeout=10   -> pending 0 +100
        hold     l  payer shop 100 USD r              -> pending 0 +100
        void     v  l                                 -> voided 0 -100
        capture  c1 nobody 999 currency=EUR           -> payment_not_found payment_id
        capture  c1 h 999 currency=EUR                -> currency_mismatch amount.currency
        change   f  shop status=frozen_credit         -> changed frozen_credit 0 none
        now 1010
        capture  c1 l 999                             -> wallet_frozen to
        capture  c2 h 999                             -> wallet_frozen to
        change   g  shop status=active                -> changed active 0 none
        capture  c3 h 999                             -> hold_expired payment_id
        capture  c4 l 999                             -> wrong_state payment_id
        now 1009
        capture  c5 h 999                             -> capture_exceeds_hold amount.amount
        capture  c6 h 101                             -> capture_exceeds_hold amount.amount
        capture  c7 h 100                             -> completed 100 -100
        void     v2 k                                 -> voided 0 -100
        # An empty payee can be closed, and then is to blame first.
        pay      p  shop payer 100 USD r              -> moved 100
        change   x  shop status=closed                -> changed closed 0 none
        capture  c8 l 999                             -> wallet_closed to
        capture  c1 l 999                             -> again wallet_frozen to
        ",
    );
}

#[test]
fn totals_that_leave_64_bits_are_refused() {
    run("
        account  payer  USD  wallet  active  0  1000
        account  full   USD  wallet  active  0  9223372036854775800
        hold     h  payer full 7 USD r  -> pending 0 +7
        hold     i  payer full 1 USD r  -> balance_overflow to
        pay      p  payer full 1 USD r  -> balance_overflow to
        # Turnover counts, not only what is left: nothing can be taken that the books could not count.
        account  worn   USD  wallet  active  -10  -9223372036854775800
        account  weary  USD  wallet  active  -9223372036854775808  -9223372036854775800
        hold     j  weary payer 8 USD r -> pending 0 +8
        capture  k  j 8                 -> balance_overflow from
        void     l  j                   -> voided 0 -8
    ");
}

#[test]
fn a_frozen_payer_still_pays_what_was_promised() {
    run_after(
        "
        hold     h  payer shop 100 USD r     -> pending 0 +100
        hold     v  payer shop 100 USD r     -> pending 0 +100
        change   f  payer status=frozen      -> changed frozen 0 none
        capture  c  h 40                     -> pending 40 -40
        void     w  v                        -> voided 0 -100
        # Closing waits for the hold.
        change   x  payer status=closed      -> wallet_not_empty status
        ",
    );
}

#[test]
fn no_hold_lasts_longer_than_the_most_specific_maximum() {
    run_after(
        "
        set hold-timeout tenant   * 60
        set hold-maximum platform * 100
        hold     a  payer shop 1 USD r timeout=100   -> pending 0 +1
        payment  a  -> pending 0/1 until=1100 request
        hold     b  payer shop 1 USD r timeout=101   -> limit_exceeded timeout hold-maximum@platform
        hold     c  payer shop 1 USD r               -> pending 0 +1
        payment  c  -> pending 0/1 until=1060 tenant
        # Where the request does not say, the maximum shortens the timeout.
        set hold-maximum tenant * 50
        hold     d  payer shop 1 USD r               -> pending 0 +1
        payment  d  -> pending 0/1 until=1050 tenant
        set hold-maximum wallet:payer * 80
        hold     e  payer shop 1 USD r               -> pending 0 +1
        payment  e  -> pending 0/1 until=1060 tenant
        hold     f  payer shop 1 USD r timeout=80    -> pending 0 +1
        hold     g  payer shop 1 USD r timeout=81    -> limit_exceeded timeout hold-maximum@wallet
        # A date that moves the deadline beyond it is to blame itself.
        hold     h  payer shop 1 USD r timeout=10 capture=1070  -> pending 0 +1
        payment  h  -> pending 0/1 until=1080 request
        hold     i  payer shop 1 USD r timeout=10 capture=1071  -> limit_exceeded capture_time hold-maximum@wallet
        hold     j  payer shop 1 USD r capture=1059             -> pending 0 +1
        hold     k  payer shop 1 USD r capture=1060             -> limit_exceeded capture_time hold-maximum@wallet
        # In the order of the reasons: before the floor, after other limits, before what 64 bits cannot hold.
        hold     l  payer shop 5000 USD r timeout=81            -> limit_exceeded timeout hold-maximum@wallet
        hold     m  payer shop 5000 USD r timeout=80            -> insufficient_funds from
        hold     n  payer shop 1 USD r timeout=max              -> limit_exceeded timeout hold-maximum@wallet
        hold     o  payer shop 1 USD r timeout=10 capture=max   -> balance_overflow capture_time
        set payment-maximum tenant * 10
        hold     p  payer shop 11 USD r timeout=81              -> limit_exceeded amount.amount payment-maximum@tenant
        # A payment at once is no hold.
        pay      q  payer shop 1 USD r                          -> moved 1
        ",
    );
}

#[test]
fn deadlines_come_from_the_request_or_the_most_specific_setting() {
    run_after(
        "
        hold     a  payer shop 1 USD r               -> pending 0 +1
        payment  a  -> pending 0/1 until=60001000 platform
        set hold-timeout platform * 50
        set hold-timeout tenant   * 60
        hold     b  payer shop 1 USD r               -> pending 0 +1
        payment  b  -> pending 0/1 until=1060 tenant
        set hold-timeout wallet:payer * 70
        hold     c  payer shop 1 USD r               -> pending 0 +1
        payment  c  -> pending 0/1 until=1070 wallet
        hold     d  payer shop 1 USD r timeout=5     -> pending 0 +1
        payment  d  -> pending 0/1 until=1005 request
        # A date before the deadline changes nothing; from the deadline on it moves the deadline behind itself.
        hold     e  payer shop 1 USD r timeout=5 capture=1004  -> pending 0 +1
        payment  e  -> pending 0/1 until=1005 request
        hold     f  payer shop 1 USD r timeout=5 capture=1005  -> pending 0 +1
        payment  f  -> pending 0/1 until=1010 request
        hold     g  payer shop 1 USD r capture=9000  -> pending 0 +1
        payment  g  -> pending 0/1 until=9070 wallet
        hold     h  payer shop 1 USD r timeout=max             -> balance_overflow timeout
        hold     i  payer shop 1 USD r timeout=10 capture=max  -> balance_overflow capture_time
        ",
    );
}

#[test]
fn the_deadline_ends_a_hold_whether_or_not_it_was_swept() {
    run_after(
        "
        hold     h  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     k  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     l  payer shop 100 USD r timeout=10  -> pending 0 +100
        capture  a  k 30                             -> pending 30 -30
        void     b  l                                -> voided 0 -100
        expire   nobody                              -> payment_not_found payment_id
        now 1009
        expire   h                                   -> not_due payment_id
        expire   l                                   -> not_due payment_id
        now 1010
        void     c  h                                -> hold_expired payment_id
        handover d  h gw                             -> hold_expired payment_id
        reverse  e  h                                -> hold_expired payment_id
        balance  payer -> 800 out=170
        expire   h                                   -> expired 0 -100
        expire   h                                   -> replayed
        expire   k                                   -> completed 0 -70
        expire   l                                   -> wrong_state payment_id
        payment  k  -> completed 30/100
        balance  payer -> 970
        balance  shop  -> 30
        capture  f  h 1                              -> hold_expired payment_id
        void     g  h                                -> hold_expired payment_id
        capture  i  k 1                              -> wrong_state payment_id
        void     j  k                                -> wrong_state payment_id
        # What was made at once has no deadline.
        pay      p  payer shop 1 USD r               -> moved 1
        expire   p                                   -> not_due payment_id
        due      p                                   -> not_due payment_id
        ",
    );
}

#[test]
fn a_void_gives_back_what_is_left() {
    run_after(
        "
        hold     h  payer shop 100 USD r  -> pending 0 +100
        hold     k  payer shop 100 USD r  -> pending 0 +100
        capture  a  k 30                  -> pending 30 -30
        void     b  nobody                -> payment_not_found payment_id
        void     b  h                     -> voided 0 -100
        void     c  h                     -> wrong_state payment_id
        void     d  k                     -> completed 0 -70
        balance  payer -> 970
        ",
    );
}

#[test]
fn a_hold_takes_itself_at_its_date() {
    run_after(
        "
        hold     h  payer shop 100 USD r capture=1020 timeout=100  -> pending 0 +100
        hold     k  payer shop 100 USD r capture=1020 timeout=100  -> pending 0 +100
        hold     l  payer shop 100 USD r                           -> pending 0 +100
        hold     m  payer shop 100 USD r capture=1020 timeout=100  -> pending 0 +100
        capture  a  h 30      -> pending 30 -30
        void     v  m         -> voided 0 -100
        due      nobody       -> payment_not_found payment_id
        now 1019
        due      h            -> not_due payment_id
        now 1020
        due      l            -> not_due payment_id
        due      h            -> completed 70 -70
        due      h            -> replayed
        due      m            -> wrong_state payment_id
        now 1100
        due      k            -> hold_expired payment_id
        expire   k            -> expired 0 -100
        ",
    );
}

#[test]
fn a_due_capture_is_refused_like_any_other() {
    run_after(
        "
        hold     h  payer shop 100 USD r capture=1020 timeout=100  -> pending 0 +100
        change   f  shop status=frozen                             -> changed frozen 0 none
        now 1100
        due      h            -> wallet_frozen to
        ",
    );
}

#[test]
fn what_one_batch_began_the_next_goes_on_with() {
    run_after(
        "
        hold     h  payer shop 100 USD r timeout=10  -> pending 0 +100
        capture  a  h 10                             -> pending 10 -10
        next
        capture  b  h 10                             -> pending 10 -10
        capture  a  h 10                             -> replayed
        next
        now 1010
        expire   h                                   -> completed 0 -80
        next
        expire   h                                   -> replayed
        payment  h  -> completed 20/100
        ",
    );
}

#[test]
fn a_hold_that_waits_for_a_decision_is_voided_and_never_taken_or_given_back() {
    run_after(
        "
        hold     h  payer shop 100 USD r timeout=10  -> pending 0 +100
        hold     k  payer shop 100 USD r timeout=10  -> pending 0 +100
        set hold-overdue-action platform * 2
        now 1009
        expire   h                                   -> not_due payment_id
        now 1010
        expire   h                                   -> not_due payment_id hold-overdue-action@platform
        capture  a  h 1                              -> hold_expired payment_id
        handover b  h gw                             -> hold_expired payment_id
        balance  payer -> 800 out=200
        void     c  h                                -> voided 0 -100
        # The most specific setting wins, in both directions, and what was not given back is once it may be.
        set hold-overdue-action tenant * 1
        void     d  k                                -> hold_expired payment_id
        set hold-overdue-action wallet:payer * 2
        expire   k                                   -> not_due payment_id hold-overdue-action@wallet
        set hold-overdue-action wallet:payer USD 1
        expire   k                                   -> expired 0 -100
        balance  payer -> 1000
        # What the payee's setting says is the payee's matter.
        hold     l  payer shop 100 USD r timeout=10  -> pending 0 +100
        set hold-overdue-action wallet:shop * 2
        now 1020
        expire   l                                   -> expired 0 -100
        ",
    );
}
