//! Requests that succeed or fail together.

use crate::language::run;

const ACCOUNTS: &str = "
    account  a     USD  wallet  active  0  100
    account  b     USD  wallet  active  0  0
    account  c     USD  wallet  active  0  0
    account  euro  EUR  wallet  active  0  0
";

fn run_after(table: &str) {
    run(&format!("{ACCOUNTS}{table}"));
}

#[test]
fn all_or_nothing() {
    run_after(
        "
        group
        pay  p1  a b 60 USD r  -> moved 60
        pay  p2  b c 60 USD r  -> moved 60
        end
        balance c -> 60
        group
        pay  q1  a b 40 USD r  -> linked_item_refused items
        pay  q2  b c 41 USD r  -> insufficient_funds from
        pay  q3  c b 10 USD r  -> linked_item_refused items
        end
        balance a -> 40
        balance b -> 0
        balance c -> 60
        # The whole group again gets its first answers.
        group
        pay  p1  a b 60 USD r  -> replayed
        pay  p2  b c 60 USD r  -> replayed
        end
        next
        group
        pay  q1  a b 40 USD r  -> again linked_item_refused items
        pay  q2  b c 41 USD r  -> again insufficient_funds from
        pay  q3  c b 10 USD r  -> again linked_item_refused items
        end
        group
        pay  r1  a b 40 USD r  -> moved 40
        end
        ",
    );
}

#[test]
fn nothing_is_stored_if_one_is_declined() {
    run_after(
        "
        group
        pay  p1  a b 60 USD r       -> linked_item_declined items
        pay  p2  b nobody 60 USD r  -> wallet_not_found to
        pay  p3  b c 60 USD r       -> linked_item_declined items
        end
        balance a -> 100
        # Also if it stands behind one that is refused: it may be mended, and nothing is final before.
        group
        pay  p1  b c 60 USD r       -> linked_item_declined items
        pay  p2  b euro 60 USD r    -> currency_mismatch to
        end
        group
        pay  p1  a b 60 USD r       -> moved 60
        pay  p2  b c 60 USD r       -> moved 60
        end
        ",
    );
}

#[test]
fn a_group_is_known_as_a_whole() {
    run_after(
        "
        group
        pay  p1  a b 10 USD r  -> moved 10
        pay  p2  b c 10 USD r  -> moved 10
        end
        # Some known.
        group
        pay  p1  a b 10 USD r  -> idempotency_conflict items
        pay  p3  b c 10 USD r  -> idempotency_conflict items
        end
        # All known, one differs: it says where, and the others are no answers.
        group
        pay  p1  a b 10 USD r  -> idempotency_conflict items
        pay  p2  b c 11 USD r  -> idempotency_conflict amount.amount
        end
        # Another order begins with another item.
        group
        pay  p2  b c 10 USD r  -> idempotency_conflict items
        pay  p1  a b 10 USD r  -> idempotency_conflict items
        end
        # Alone they are other requests.
        pay  p1  a b 10 USD r  -> idempotency_conflict items
        group
        pay  q1  a b 10 USD r  -> idempotency_conflict items
        pay  q2  a b 10 USD r  -> idempotency_conflict items
        pay  q1  a b 10 USD r  -> idempotency_conflict items
        end
        balance a -> 90
        ",
    );
}

#[test]
fn kinds_may_be_mixed() {
    run_after(
        "
        set daily-count wallet:a * 3
        set refund-approval-from tenant * 50
        group
        hold     h   a b 60 USD r   -> pending 0 +60
        capture  k   h 50           -> pending 50 -50
        refund   r   h 0 by=ann     -> requested 0
        approve  s   r by=bob       -> completed 50
        void     v   h              -> completed 0 -10
        change   w   c status=frozen -> changed frozen 0 none
        end
        usage a -> 0 60 1 0 0 0
        balance a -> 100
        # The same again under other keys, and the last is refused: no hold, no refund, no usage is left.
        group
        hold     h2  a b 60 USD r   -> linked_item_refused items
        capture  k2  h2 50          -> linked_item_refused items
        refund   r2  h2 0 by=ann    -> linked_item_refused items
        approve  s2  r2 by=bob      -> linked_item_refused items
        change   w2  c status=active -> linked_item_refused items
        pay      x2  b a 1 USD r    -> insufficient_funds from
        end
        usage a -> 0 60 1 0 0 0
        balance a -> 100
        capture  k3  h2 1           -> payment_not_found payment_id
        approve  s3  r2 by=bob      -> refund_not_found refund_id
        pay      x3  a c 1 USD r    -> wallet_frozen to
        # The first is refused: what the others would act on never came to be.
        group
        pay      p4  a b 101 USD r  -> insufficient_funds from
        refund   r4  p4 0           -> linked_item_refused items
        approve  s4  r4 by=bob      -> linked_item_refused items
        end
        group
        pay      p5  a b 101 USD r  -> linked_item_declined items
        refund   r5  p5 1 currency=EUR -> currency_mismatch amount.currency
        end
        group
        pay      p6  a b 101 USD r  -> linked_item_declined items
        refund   r6  x6 0           -> payment_not_found payment_id
        hold     x6  a b 1 USD r    -> linked_item_declined items
        end
        ",
    );
}

#[test]
fn a_refused_group_leaves_the_batch_as_it_was() {
    run_after(
        "
        pay      p1  a b 10 USD r   -> moved 10
        group
        refund   r1  p1 5           -> linked_item_refused items
        refund   r2  p1 6           -> refund_exceeds_captured amount.amount
        end
        refund   r3  p1 10          -> completed 10
        balance a -> 100
        next
        payment  p1 -> completed 10/10 refunded=10
        ",
    );
}
