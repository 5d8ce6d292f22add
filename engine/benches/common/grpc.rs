//! The engine's callers: one payment per call, many per call, a stream, and a call with nothing to do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all, stream};
use payplane_proto::v1::{self as proto, item_outcome, payment_outcome};
use tokio::sync::Semaphore;

use super::{
    load::{Answered, Caller, Load, closed_loop, closed_loop_while, milliseconds},
    requests::{Pattern, Payments, new_run},
    wire::Route,
    world::World,
};
use crate::support::client::Client;

/// Items of one stream that wait for their outcome; the engine reads no further than 1,024.
const STREAM_WINDOW: usize = 1_000;

pub(crate) async fn unary(world: &World, pattern: Pattern, clients: usize, length: Duration) -> Load {
    closed_loop(unary_callers(world, pattern, clients), length).await
}

/// For as long as something else takes.
pub(crate) async fn unary_while(
    world: &World,
    pattern: Pattern,
    clients: usize,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Load {
    closed_loop_while(unary_callers(world, pattern, clients), goes_on).await
}

fn unary_callers(world: &World, pattern: Pattern, clients: usize) -> Vec<Unary> {
    let route = |worker| world.wire(worker).route("payplane.v1.PaymentService/CreatePayment");
    let callers = payments(world, pattern, clients).enumerate();
    callers.map(|(worker, payments)| Unary { route: route(worker), payments }).collect()
}

pub(crate) async fn bulk(world: &World, pattern: Pattern, shape: Bulk, length: Duration) -> Load {
    let callers = with_payments(world, pattern, shape.callers);
    let callers = callers.map(|(client, payments)| BulkCaller { client, payments, shape }).collect();
    closed_loop(callers, length).await
}

pub(crate) async fn empty(world: &World, clients: usize, length: Duration) -> Load {
    let caller = |worker| Empty { route: world.wire(worker).route("payplane.v1.WalletService/GetBalances") };
    closed_loop((0..clients).map(caller).collect(), length).await
}

pub(crate) async fn streams(world: &World, pattern: Pattern, streams: usize, length: Duration) -> Load {
    let started = Instant::now();
    let workers = with_payments(world, pattern, streams)
        .map(|(client, payments)| tokio::spawn(one_stream(client, payments, started, length)));
    let workers: Vec<_> = workers.collect();
    let loads = join_all(workers).await.into_iter().map(|worker| worker.unwrap()).collect();
    Load::sum(loads, started.elapsed())
}

fn with_payments(
    world: &World,
    pattern: Pattern,
    callers: usize,
) -> impl Iterator<Item = (Client, Payments)> + use<'_> {
    payments(world, pattern, callers).enumerate().map(|(worker, payments)| (world.client(worker), payments))
}

/// What each of so many callers asks for in one run.
fn payments(world: &World, pattern: Pattern, callers: usize) -> impl Iterator<Item = Payments> + use<> {
    let (run, wallets): (Arc<str>, _) = (new_run().into(), world.wallets.clone());
    (0..callers).map(move |worker| Payments::new(wallets.clone(), pattern, &run, worker))
}

struct Unary {
    route: Route,
    payments: Payments,
}

impl Caller for Unary {
    async fn call(&mut self) -> Answered {
        let answer: proto::CreatePaymentResponse = self.route.call(&self.payments.next()).await;
        assert_paid(&answer.outcome.unwrap());
        Answered { done: 1, turned_away: 0 }
    }
}

/// How a bulk load looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bulk {
    pub(crate) callers: usize,
    pub(crate) items: usize,
    pub(crate) view: proto::OutcomeView,
}

pub(crate) struct BulkCaller {
    pub(crate) client: Client,
    pub(crate) payments: Payments,
    pub(crate) shape: Bulk,
}

impl Caller for BulkCaller {
    async fn call(&mut self) -> Answered {
        let items: Vec<_> = (0..self.shape.items).map(|_| self.payments.next_item()).collect();
        let request = proto::CreatePaymentsRequest { items, view: self.shape.view.into() };
        let mut client = self.client.payments.clone();
        let outcomes = client.create_payments(request).await.unwrap().into_inner().outcomes;
        assert_eq!(outcomes.len(), self.shape.items, "one outcome per item");
        count(&outcomes)
    }
}

pub(crate) fn count(outcomes: &[proto::ItemOutcome]) -> Answered {
    let mut answered = Answered::default();
    for outcome in outcomes {
        if is_paid(outcome) { answered.done += 1 } else { answered.turned_away += 1 }
    }
    answered
}

/// False if there was no room. Anything else than these two spoils the measurement.
fn is_paid(outcome: &proto::ItemOutcome) -> bool {
    match &outcome.outcome {
        Some(item_outcome::Outcome::Payment(outcome)) => {
            assert_paid(outcome);
            true
        }
        Some(item_outcome::Outcome::Error(error)) if error.reason == "QUEUE_FULL" => false,
        other => panic!("neither paid nor turned away: {other:?}"),
    }
}

pub(crate) fn assert_paid(outcome: &proto::PaymentOutcome) {
    assert!(matches!(outcome.result, Some(payment_outcome::Result::Payment(_))), "not paid: {outcome:?}");
    assert!(!outcome.replayed, "a key was used twice: {outcome:?}");
}

/// A call with nothing to do, which costs all that a call costs but its work: the balances of no wallets.
pub(crate) async fn nothing(client: &Client) {
    client.wallets.clone().get_balances(proto::GetBalancesRequest::default()).await.unwrap();
}

struct Empty {
    route: Route,
}

impl Caller for Empty {
    async fn call(&mut self) -> Answered {
        self.route.call::<proto::GetBalancesResponse>(&proto::GetBalancesRequest::default()).await;
        Answered { done: 1, turned_away: 0 }
    }
}

/// Sends while fewer than [`STREAM_WINDOW`] items wait. The tag is the time of sending, so that the answer tells how
/// long it took.
async fn one_stream(client: Client, payments: Payments, started: Instant, length: Duration) -> Load {
    let window = Arc::new(Semaphore::new(STREAM_WINDOW));
    let ends = started + length;
    let items = stream::unfold((payments, window.clone()), move |(mut payments, window)| async move {
        window.acquire().await.unwrap().forget();
        let now = Instant::now();
        let tag = u64::try_from((now - started).as_micros()).unwrap();
        let view = proto::OutcomeView::Brief.into();
        let item = proto::StreamPaymentsRequest { tag, item: Some(payments.next_item()), view };
        (now < ends).then_some((item, (payments, window)))
    });
    let mut client = client.payments.clone();
    let mut answers = client.stream_payments(items).await.unwrap().into_inner();
    let mut load = Load::default();
    while let Some(answer) = answers.next().await {
        let answer = answer.unwrap();
        if is_paid(&answer.outcome.unwrap()) {
            load.done += 1
        } else {
            load.turned_away += 1
        }
        load.latencies
            .push(milliseconds(started.elapsed().saturating_sub(Duration::from_micros(answer.tag))));
        window.add_permits(1);
    }
    load
}
