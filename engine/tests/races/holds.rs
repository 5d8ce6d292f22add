//! A hold is captured at one engine and voided at the other while its deadline passes and both sweep.

use std::time::{Duration, Instant};

use futures::future::join_all;
use payplane_proto::v1::{self as proto, PaymentState, RefusalReason, payment_outcome::Result as Is};

use super::{
    at_both, cents,
    support::{
        client::{Client, capture, hold, name, paid, refused},
        eventually, insist, sized,
        world::World,
    },
    world,
};

/// So many holds race at the same time.
const ROUND: usize = 50;

/// The first guess of how long it takes from a hold to its capture. Later rounds go by what was measured.
const GUESS: Duration = Duration::from_millis(50);

/// Operations on holds, as they are numbered in the journal.
const CAPTURE: i16 = 3;
const VOID: i16 = 4;
const EXPIRE: i16 = 5;

/// How holds ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    captured: i64,
    voided: i64,
    expired: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_once_however_many_try() {
    let (world, holds) = (world(&[("alice", "5000.00"), ("bob", "")]).await, sized(200, 1_000));
    let clients = at_both(&world, "operator");
    let (mut ends, mut lasting) = (Ends::default(), GUESS);
    for round in 0..holds / ROUND {
        let racers = (0..ROUND).map(|number| race(&clients, round * ROUND + number, lasting));
        let raced = join_all(racers).await;
        raced.iter().for_each(|(end, _)| ends.count(*end));
        // About half of the deadlines pass before a capture can be decided, and half after.
        lasting = raced.iter().map(|(_, took)| *took).sum::<Duration>() / ROUND as u32;
    }
    let Ends { captured, voided, expired } = ends;
    assert_eq!(captured + voided + expired, holds as i64);
    assert!(0 < captured && 0 < voided && 0 < expired, "somebody never won: {ends:?}");
    let [payer, payee] = ["alice", "bob"].map(|wallet| clients[1].read_wallet(name(wallet)));
    let (payer, payee) = (payer.await.balance.unwrap(), payee.await.balance.unwrap());
    assert_eq!((&*payer.pending_debits, &*payee.pending_credits), ("0.00", "0.00"));
    assert_eq!(
        (cents(&payer.available), cents(&payee.available)),
        (500_000 - captured * 100, captured * 100)
    );
    let late = stored(&world, &ends).await;
    let operations = world.assert_sound().await;
    println!(
        "holds: {holds} raced, {captured} captured, {voided} voided, {expired} expired, {late} expiries came too late, \
         {operations} operations proved"
    );
}

/// One hold that lasts up to twice as long as given, and its end; with how long that took.
async fn race(clients: &[Client; 2], number: usize, lasting: Duration) -> (PaymentState, Duration) {
    let [one, other] = [&clients[number % 2], &clients[(number + 1) % 2]];
    let started = Instant::now();
    let timeout = lasting * (1 + number as u32 % 10) / 5;
    let request = proto::AuthorizePaymentRequest {
        timeout: Some(timeout.try_into().unwrap()),
        ..hold(&format!("hold {number}"), "alice", "bob", "1.00")
    };
    let held = insist(async || one.payments.clone().authorize_payment(request.clone()).await).await;
    let id = held.into_inner().outcome.unwrap().payment_id;
    let (captured, voided) = tokio::join!(take(one, number, &id), give_back(other, number, &id));
    let took = started.elapsed();
    let end = end_of(&captured, &voided);
    let ended = eventually("a sweep", async || {
        let now = other.read_payment(&id).await;
        (now.state() != PaymentState::Pending).then_some(now)
    });
    let now = ended.await;
    assert_eq!((now.state(), &*now.held), (end, "0.00"));
    // Asked again at the other engine, the answers are the same for ever.
    let (again_captured, again_voided) = (take(other, number, &id).await, give_back(one, number, &id).await);
    assert!(again_captured.replayed && again_voided.replayed);
    assert_eq!((again_captured.result, again_voided.result), (captured.result, voided.result));
    (end, took)
}

/// Who won, if everybody else was told so.
fn end_of(captured: &proto::PaymentOutcome, voided: &proto::PaymentOutcome) -> PaymentState {
    let lost = |outcome: &proto::PaymentOutcome, reason| assert_eq!(refused(outcome), (reason, "payment_id"));
    match (&captured.result, &voided.result) {
        (Some(Is::Payment(_)), _) => {
            lost(voided, RefusalReason::WrongState);
            assert_eq!((&*paid(captured).captured, &*paid(captured).held), ("1.00", "0.00"));
            PaymentState::Completed
        }
        (_, Some(Is::Payment(_))) => {
            lost(captured, RefusalReason::WrongState);
            assert_eq!((&*paid(voided).captured, &*paid(voided).held), ("0.00", "0.00"));
            PaymentState::Voided
        }
        _ => {
            lost(captured, RefusalReason::HoldExpired);
            lost(voided, RefusalReason::HoldExpired);
            PaymentState::Expired
        }
    }
}

async fn take(client: &Client, number: usize, payment: &str) -> proto::PaymentOutcome {
    let request = capture(&format!("capture {number}"), payment, "1.00");
    let answer = insist(async || client.payments.clone().capture_payment(request.clone()).await).await;
    answer.into_inner().outcome.unwrap()
}

async fn give_back(client: &Client, number: usize, payment: &str) -> proto::PaymentOutcome {
    let request = proto::VoidPaymentRequest {
        idempotency_key: format!("void {number}"),
        payment_id: payment.to_owned(),
        ..Default::default()
    };
    let answer = insist(async || client.payments.clone().void_payment(request.clone()).await).await;
    answer.into_inner().outcome.unwrap()
}

impl Ends {
    fn count(&mut self, end: PaymentState) {
        match end {
            PaymentState::Completed => self.captured += 1,
            PaymentState::Voided => self.voided += 1,
            PaymentState::Expired => self.expired += 1,
            other => panic!("ended as {other:?}"),
        }
    }
}

/// The journal says the same, and nobody won on the wrong side of a deadline. Returns how many expiries were refused.
async fn stored(world: &World, ends: &Ends) -> i64 {
    let mut superuser = world.database.superuser().await;
    let found: Vec<(i16, i64, i64, i64)> = sqlx::query_as(
        "select j.kind, count(*) filter (where j.refusal is null), count(*) filter (where j.refusal is not null), \
         count(*) filter (where j.refusal is null and (j.kind = 5) <> (p.deadline_us <= b.decided_us)) \
         from payplane.journal j join payplane.batches b on b.batch_id = j.sequence / 1024 \
         join payplane.payments p on p.tenant_id = j.tenant_id and p.payment_id = j.target group by j.kind",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let of = |kind| found.iter().find(|row| row.0 == kind).copied().unwrap_or_default();
    let done = [CAPTURE, VOID, EXPIRE].map(|kind| of(kind).1);
    assert_eq!(done, [ends.captured, ends.voided, ends.expired]);
    assert_eq!(found.iter().map(|row| row.3).sum::<i64>(), 0, "beyond the deadline: {found:?}");
    of(EXPIRE).2
}
