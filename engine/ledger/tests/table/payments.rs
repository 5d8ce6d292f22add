//! Payments made at once, and what they share with holds.

use crate::language::run;

#[test]
fn reasons_come_in_their_order() {
    run("
        account  rich      USD  wallet      active         0   1000
        account  poor      USD  wallet      active         0   0
        account  euro      EUR  wallet      active         0   1000
        account  closed    USD  wallet      closed         0   1000
        account  frozen    USD  wallet      frozen         0   1000
        account  nodebit   USD  wallet      frozen_debit   0   1000
        account  nocredit  USD  wallet      frozen_credit  0   1000
        account  limited   USD  wallet      active         0   0
        account  small     USD  wallet      active         0   0       ceiling=10
        account  full      USD  wallet      active         0   max
        account  till      USD  settlement  active      -500   0
        set payment-maximum wallet:limited * 5

        # Not stored: the key stays free.
        pay  k2   nobody  nobody   1     EUR  r                -> wallet_not_found from
        pay  k2   rich    nobody   1     EUR  r                -> wallet_not_found to
        pay  k2   closed  closed   1     EUR  r                -> same_wallet to
        pay  k2   euro    closed   1     USD  r                -> currency_mismatch from
        pay  k2   closed  euro     1     USD  r                -> currency_mismatch to

        # Stored: the same key always gets it again.
        pay  k3   closed  closed   9999  USD  r                -> same_wallet to
        pay  k3   closed  frozen   9999  USD  r                -> wallet_closed from
        pay  k4   frozen  closed   9999  USD  r                -> wallet_closed to
        pay  k5   frozen  nocredit 9999  USD  r  version=9     -> wallet_frozen from
        pay  k6   nodebit nocredit 9999  USD  r  version=9     -> wallet_frozen from
        pay  k7   poor    nocredit 9999  USD  r  version=9     -> wallet_frozen to
        pay  k8   limited small    9999  USD  r  version=9     -> condition_not_met expect
        pay  k9   limited small    9999  USD  r                -> limit_exceeded amount.amount payment-maximum@wallet
        pay  k10  till    small    501   USD  r                -> settlement_cap_exceeded from
        pay  k11  limited small    1     USD  r                -> insufficient_funds from
        pay  k12  rich    small    11    USD  r                -> maximum_exceeded to
        pay  k13  till    full     1     USD  r                -> balance_overflow to
        pay  k11  limited small    1     USD  r                -> again insufficient_funds from
        pay  k9   limited small    9999  USD  r                -> again limit_exceeded amount.amount payment-maximum@wallet

        # A hold is refused for the same reasons in the same order.
        hold h2   nobody  nobody   1     EUR  r                -> wallet_not_found from
        hold h2   closed  closed   1     EUR  r                -> same_wallet to
        hold h2   closed  euro     1     USD  r                -> currency_mismatch to
        hold h3   closed  frozen   9999  USD  r                -> wallet_closed from
        hold h4   frozen  closed   9999  USD  r                -> wallet_closed to
        hold h5   frozen  nocredit 9999  USD  r  version=9     -> wallet_frozen from
        hold h7   poor    nocredit 9999  USD  r  version=9     -> wallet_frozen to
        hold h8   limited small    9999  USD  r  version=9     -> condition_not_met expect
        hold h9   limited small    9999  USD  r                -> limit_exceeded amount.amount payment-maximum@wallet
        hold h10  till    small    501   USD  r                -> settlement_cap_exceeded from
        hold h11  limited small    1     USD  r                -> insufficient_funds from
        hold h12  rich    small    11    USD  r                -> maximum_exceeded to
        hold h13  rich    full     1     USD  r  timeout=1 capture=max -> balance_overflow capture_time
        hold h14  till    full     1     USD  r                -> balance_overflow to

        # What is frozen in one direction works in the other.
        pay  k14  nocredit nodebit 10    USD  r                -> moved 10
        balance  nocredit  -> 990
        balance  nodebit   -> 1010

        # To the floor and not below, to the ceiling and not above.
        pay  k15  till    poor     500   USD  r                -> moved 500
        pay  k16  till    poor     1     USD  r                -> settlement_cap_exceeded from
        pay  k17  poor    rich     600   USD  r                -> insufficient_funds from
        pay  k18  poor    small    10    USD  r                -> moved 10
        pay  k19  poor    small    1     USD  r                -> maximum_exceeded to
        balance  till   -> -500
        balance  poor   -> 490
        balance  small  -> 10
    ");
}

#[test]
fn a_wallet_may_have_an_overdraft_limit() {
    run("
        account  credit  USD  wallet  active  -50  0
        account  shop    USD  wallet  active    0  0
        pay  a  credit  shop  50  USD  r  -> moved 50
        pay  b  credit  shop  1   USD  r  -> insufficient_funds from
        balance credit -> -50
    ");
}

#[test]
fn up_to_moves_what_floor_and_ceiling_allow() {
    run("
        account  purse    USD  wallet      active   0   70
        account  shop     USD  wallet      active   0   0
        account  small    USD  wallet      active   0   0     ceiling=25
        account  till     USD  settlement  active  -30  0
        account  credit   USD  wallet      active  -9   0
        account  abyss    USD  wallet      active  -9223372036854775807  max
        pay   a  purse   small  100  USD  r  up_to  -> moved 25
        pay   b  purse   small  100  USD  r  up_to  -> maximum_exceeded to
        pay   c  purse   shop   100  USD  r  up_to  -> moved 45
        pay   d  purse   shop   100  USD  r  up_to  -> insufficient_funds from
        pay   e  purse   small  100  USD  r  up_to  -> insufficient_funds from
        hold  f  till    shop   100  USD  r  up_to  -> pending 0 +30
        pay   g  till    shop   100  USD  r  up_to  -> settlement_cap_exceeded from
        pay   h  credit  shop   9    USD  r  up_to  -> moved 9
        pay   i  abyss   credit 5    USD  r  up_to  -> moved 5
        # A repeated key gets the first answer, not what is there by now.
        pay   j  shop    purse  4    USD  r         -> moved 4
        pay   c  purse   shop   100  USD  r  up_to  -> replayed
    ");
}

#[test]
fn conditions_are_looked_at_before_money_moves() {
    run("
        account  a  USD  wallet  active  0  100  version=7
        account  b  USD  wallet  active  0  0
        pay  k1  a  b  10  USD  r  version=6                 -> condition_not_met expect
        pay  k2  a  b  10  USD  r  to_version=1              -> condition_not_met expect
        pay  k3  a  b  10  USD  r  available=101             -> condition_not_met expect
        pay  k4  a  b  10  USD  r  version=7 to_version=0 available=100  -> moved 10
        pay  k5  a  b  10  USD  r  version=7                 -> condition_not_met expect
        pay  k6  a  b  10  USD  r  version=8 to_version=1 available=90   -> moved 10
    ");
}

#[test]
fn accounts_of_the_tenant_pay_like_wallets() {
    run("
        account  fees     USD  fee       active  0  0
        account  lost     USD  suspense  active  0  5
        account  between  USD  clearing  active  0  0
        pay  a  lost  fees     3  USD  r  -> moved 3
        pay  b  fees  between  4  USD  r  -> insufficient_funds from
        pay  c  fees  between  3  USD  r  -> moved 3
    ");
}
