//! What a suspended tenant can still do: take money in, and end what it began.

use crate::language::run;

#[test]
fn nothing_new_leaves_a_suspended_tenants_accounts() {
    run("
        account  purse  USD  wallet      active        0     100
        account  shop   USD  wallet      active        0     100
        account  shut   USD  wallet      closed        0     0
        account  iced   USD  wallet      frozen        0     100
        account  till   USD  settlement  active        -500  0
        account  clear  USD  clearing    active        0     100
        account  fees   USD  fee         active        0     100
        pay      before purse shop 10 USD r   -> moved 10
        suspend
        pay      a  purse shop 10 USD r       -> tenant_suspended from
        pay      a  purse shop 10 USD r       -> again tenant_suspended from
        pay      a2 purse shop 9 USD r up_to  -> tenant_suspended from
        pay      b  purse till 10 USD r       -> tenant_suspended from
        pay      c  fees purse 10 USD r       -> tenant_suspended from
        hold     d  purse shop 10 USD r       -> tenant_suspended from
        pay      before purse shop 10 USD r   -> replayed
        # Before every other stored reason, after every one that leaves no trace.
        pay      e  iced shut 1000 USD r      -> tenant_suspended from
        pay      f  purse nobody 10 USD r     -> wallet_not_found to
        # Money comes in as before.
        pay      g  till purse 10 USD r       -> moved 10
        pay      h  clear purse 10 USD r      -> moved 10
        # What the platform collects leaves, and does not come back alone.
        pay      m  purse clear 10 USD r      -> moved 10
        refund   n  m 5                       -> wrong_state payment_id
        reverse  o  m                         -> wrong_state payment_id
        refund   p  h 5                       -> wrong_state payment_id
        pay      i  till purse 1000 USD r     -> settlement_cap_exceeded from
        change   j  purse status=frozen       -> changed frozen 0 none
        change   k  purse status=active       -> changed active 0 none
        resume
        pay      a  purse shop 10 USD r       -> again tenant_suspended from
        pay      l  purse shop 10 USD r       -> moved 10
    ");
}

#[test]
fn what_was_promised_before_is_kept_and_what_was_paid_is_not_given_back() {
    run("
        account  purse  USD  wallet  active  0  100
        account  shop   USD  wallet  active  0  0
        set      refund-approval-from tenant USD 50
        hold     taken    purse shop 10 USD r  -> pending 0 +10
        hold     voided   purse shop 10 USD r  -> pending 0 +10
        hold     settled  purse shop 10 USD r  -> pending 0 +10
        handover z settled gate                -> processing 0 +0
        pay      paid     purse shop 60 USD r  -> moved 60
        suspend
        capture  a  taken 10                   -> completed 10 -10
        void     b  voided                     -> voided 0 -10
        settle   c  settled 0                  -> completed 10 -10
        refund   d  paid 5                     -> tenant_suspended from
        reverse  e  taken                      -> tenant_suspended from
        # A refund that waits moves nothing yet, and is not the end of the request.
        refund   f  paid 50                    -> requested 0
        approve  g  f by=boss                  -> failed 0
        resume
        refund   h  paid 5                     -> completed 5
    ");
}
