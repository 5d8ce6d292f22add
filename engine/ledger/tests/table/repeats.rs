//! Known keys.

use crate::language::run;

#[test]
fn a_known_key_answers_before_anything_else_is_looked_at() {
    run("
        account  rich  USD  wallet  active  0  1000
        account  poor  USD  wallet  active  0  0
        account  full  USD  wallet  active  0  max
        pay   k1  rich    poor  100  USD  r  -> moved 100
        pay   k1  rich    poor  100  USD  r  -> replayed
        hold  k1  full    full  101  EUR  s  -> idempotency_conflict kind
        pay   k1  full    full  101  EUR  s  -> idempotency_conflict amount.currency
        pay   k1  full    full  101  USD  s  -> idempotency_conflict amount.amount
        pay   k1  full    full  100  USD  s  -> idempotency_conflict from
        pay   k1  nobody  poor  100  USD  r  -> idempotency_conflict from
        pay   k1  rich    full  100  USD  s  -> idempotency_conflict to
        pay   k1  rich    poor  100  USD  s  up_to  -> idempotency_conflict reference
        pay   k1  rich    poor  100  USD  r  up_to version=1  -> idempotency_conflict up_to
        pay   k1  rich    poor  100  USD  r  available=1 link=k0  -> idempotency_conflict expect
        pay   k1  rich    poor  100  USD  r  label=7 link=k0  -> idempotency_conflict metadata
        pay   k1  rich    poor  100  USD  r  link=k0  -> idempotency_conflict items
        pay   k2  poor    rich  101  USD  r  -> insufficient_funds from
        pay   k3  rich    poor  1    USD  r  -> moved 1
        pay   k2  poor    rich  101  USD  r  -> again insufficient_funds from
        pay   k2  poor    rich  1    USD  r  -> idempotency_conflict amount.amount
        next
        pay   k1  rich    poor  100  USD  r  -> replayed
        pay   k2  poor    rich  101  USD  r  -> again insufficient_funds from
    ");
}

#[test]
fn terms_are_compared_in_their_order() {
    run("
        account  a  USD  wallet  active  0  1000
        account  b  USD  wallet  active  0  0
        hold     h  a b 9 USD r timeout=5 capture=3  -> pending 0 +9
        hold     h  a b 9 USD r timeout=5 capture=3  -> replayed
        hold     h  a b 9 USD r timeout=6 capture=4  -> idempotency_conflict timeout
        hold     h  a b 9 USD r capture=4            -> idempotency_conflict timeout
        hold     h  a b 9 USD r timeout=5 capture=4 up_to  -> idempotency_conflict capture_time
        hold     i  a b 9 USD r                      -> pending 0 +9
        capture  c  h 4                              -> pending 4 -4
        capture  c  h 4                              -> replayed
        capture  c  h 4 currency=USD                 -> replayed
        capture  c  h 4 currency=EUR                 -> idempotency_conflict amount.currency
        capture  c  i 5 final                        -> idempotency_conflict amount.amount
        capture  c  i 4 final                        -> idempotency_conflict payment_id
        capture  c  h 4 final                        -> idempotency_conflict final
        void     c  h                                -> idempotency_conflict kind
        refund   r  h 2                              -> completed 2
        refund   q  h 2                              -> completed 2
        reject   s  r                                -> wrong_state refund_id
        reject   s  q                                -> idempotency_conflict refund_id
        change   w  a status=frozen minimum=-1 maximum=5000  -> changed frozen -1 5000
        change   w  a status=frozen minimum=-1 maximum=5000  -> replayed
        change   w  b status=active minimum=-2 maximum=5001  -> idempotency_conflict wallet
        change   w  a status=active minimum=-2 maximum=5001  -> idempotency_conflict status
        change   w  a status=frozen minimum=-2 maximum=5001  -> idempotency_conflict minimum
        change   w  a status=frozen minimum=-1 maximum=5001  -> idempotency_conflict maximum
    ");
}

#[test]
fn what_a_restored_ledger_does_not_know_is_done_again_only_with_consent() {
    run("
        account  a  USD  wallet  active  0  1000
        account  b  USD  wallet  active  0  0
        pay      k  a b 100 USD r known            -> lost_by_restore idempotency_key
        hold     h  a b 100 USD r known            -> lost_by_restore idempotency_key
        # Nothing was stored: the same key is decided once somebody consents, and then known.
        pay      k  a b 100 USD r                  -> moved 100
        pay      k  a b 100 USD r known            -> replayed
        pay      k  a b 101 USD r known            -> idempotency_conflict amount.amount
        hold     h  a b 100 USD r                  -> pending 0 +100
        capture  c  h 10 known                     -> lost_by_restore idempotency_key
        refund   r  k 10 known                     -> lost_by_restore idempotency_key
        balance  a -> 800 out=100
        # What could not have been done is said as ever.
        pay      m  nobody b 1 USD r known         -> wallet_not_found from
        pay      n  a a 1 USD r known              -> same_wallet to
        capture  o  nothing 10 known               -> payment_not_found payment_id
        # Before an approval that the restore may have lost as well.
        set payment-approval-from tenant USD 1
        pay      p  a b 1 USD r known              -> lost_by_restore idempotency_key
        group
        pay      q  a b 0 USD r known              -> lost_by_restore idempotency_key
        pay      s  a b 1 USD r known              -> linked_item_declined items
        end
        balance  a -> 800 out=100
    ");
}
