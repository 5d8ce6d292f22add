//! One tenant asks for five times of what there is, without waiting for answers; another one pays quietly beside it.
//!
//! Each round has three parts: the quiet tenant alone; the peak, which is what callers get that wait for their answers;
//! and the noise, which comes at five times the peak whatever becomes of it. What counts is how much work still gets
//! done, how soon the rest is turned away, and what the quiet tenant feels. The driver needs processors too, and they
//! are the same ones: the offered rate is reported, not assumed.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::join_all;
use payplane_proto::v1 as proto;
use tokio::{sync::Semaphore, time::MissedTickBehavior};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    grpc::{self, Bulk},
    load::milliseconds,
    measure,
    requests::{Pattern, Payments, new_run},
    rivals::{self, pgbench},
    settings::Settings,
    statistics::{Ratio, quantile},
    world::World,
};
use crate::support::{client::Client, postgres::Postgres};

/// Times the peak.
const NOISE: f64 = 5.0;

/// Calls of the noise carry many items: five times the rate in single calls is more than the driver can send.
const ITEMS: usize = 250;

/// Calls of the noise that are under way at most. More would measure the driver's memory.
const UNDER_WAY_MAX: usize = 400;

/// Calls per second of the quiet tenant, and of those callers of the loud one that ask for one payment at a time.
const PACE: f64 = 100.0;

const QUIET: &str = "quiet";
const QUIET_WALLETS: usize = 200;

/// One round. Rates are payments per second, times milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub(crate) peak: f64,
    pub(crate) offered: f64,
    pub(crate) goodput: f64,
    /// Of single calls that were turned away: how soon, sorted.
    pub(crate) refusals: Vec<f64>,
    /// How many of them said when to try again.
    pub(crate) with_hint: usize,
    pub(crate) quiet_alone: Felt,
    pub(crate) quiet_beside: Felt,
    /// Calls that ended in any other way. None are expected.
    pub(crate) failed: usize,
    /// Of the engine, in MiB, the most so far.
    pub(crate) resident: f64,
}

/// What somebody quiet waits for, at the 99th of a hundred: for a payment, and for less than that, which no engine can be
/// faster than here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Felt {
    pub(crate) payment: f64,
    /// A call that leaves the database alone.
    pub(crate) empty_call: f64,
    /// pgbench with one client: the transfer without any engine.
    pub(crate) transfer: f64,
    /// A thread that sleeps, to go on after its time has come.
    pub(crate) wake_up: f64,
}

/// All rounds.
#[derive(Clone, Debug)]
pub(crate) struct Overload {
    pub(crate) rounds: Vec<Round>,
}

/// What callers of a part met, gathered from all its tasks.
#[derive(Debug, Default)]
struct Met {
    done: u64,
    offered: u64,
    latencies: Vec<f64>,
    /// From when calls were due until the thread went on.
    lateness: Vec<f64>,
    refusals: Vec<f64>,
    with_hint: usize,
    failed: usize,
    first_failure: Option<Status>,
}

pub(crate) async fn measure(postgres: &Postgres, settings: &Settings) -> Overload {
    let world = World::new(postgres, settings.connections).await;
    world.put_tenant(QUIET).await;
    let wallets = world.fill(QUIET, QUIET_WALLETS).await;
    let quiet = Quiet { engine: world.engine.grpc, token: world.token_of(QUIET), wallets };
    rivals::create(&mut world.database.superuser().await).await;
    let mut rounds = Vec::new();
    // A bound needs at least two.
    for number in 0..settings.pairs.max(2) {
        world.checkpoint().await;
        let round = round(postgres, &world, &quiet, settings.length).await;
        println!(
            "  overload {:>2}  peak {:.0}/s  offered {:.0}/s  done {:.0}/s  refused in {:.2} ms  quiet {:.2} to {:.2} ms",
            number + 1,
            round.peak,
            round.offered,
            round.goodput,
            quantile(&round.refusals, 500),
            round.quiet_alone.payment,
            round.quiet_beside.payment
        );
        rounds.push(round);
    }
    measure::verify_all(&world).await;
    world.remove(postgres).await;
    Overload { rounds }
}

async fn round(postgres: &Postgres, world: &World, quiet: &Quiet, length: Duration) -> Round {
    let mut admin = world.database.superuser().await;
    let before = measure::books(&mut admin).await;
    let feel = async || {
        let (callers, transfers) =
            tokio::join!(quiet.call(length), pgbench::paced(postgres, world, PACE, length));
        let [payments, empty_calls] = callers.map(Met::sorted);
        let felt = Felt {
            payment: quantile(&payments.latencies, 990),
            empty_call: quantile(&empty_calls.latencies, 990),
            transfer: quantile(&transfers, 990),
            wake_up: quantile(&payments.lateness, 990),
        };
        (payments, felt)
    };
    let (alone, quiet_alone) = feel().await;
    let shape = Bulk { callers: 8, items: ITEMS, view: proto::OutcomeView::Brief };
    let peak = grpc::bulk(world, Pattern::Uniform, shape, length).await;
    let started = Instant::now();
    let (noise, probes, (beside, quiet_beside)) =
        tokio::join!(noise(world, peak.per_second(), length), probes(world, length), feel());
    let took = started.elapsed().as_secs_f64();
    let done = [&alone, &noise, &probes, &beside].iter().map(|met| met.done).sum::<u64>() + peak.done;
    measure::verify(world, &mut admin, before, done).await;
    let all = [alone, noise, probes, beside];
    if let Some(failure) = all.iter().find_map(|met| met.first_failure.as_ref()) {
        println!("  a call failed: {failure:?}");
    }
    let failed = all.iter().map(|met| met.failed).sum();
    let [_, noise, probes, _] = all.map(Met::sorted);
    Round {
        peak: peak.per_second(),
        offered: noise.offered as f64 / length.as_secs_f64(),
        goodput: (noise.done + probes.done) as f64 / took,
        refusals: probes.refusals,
        with_hint: probes.with_hint,
        quiet_alone,
        quiet_beside,
        failed,
        resident: world.engine.resident().peak,
    }
}

/// The tenant that bothers nobody. Its caller has a thread of its own, as it would have a process of its own: it waits for the
/// engine, not for the noise to be made.
struct Quiet {
    engine: SocketAddr,
    token: String,
    wallets: Arc<[String]>,
}

impl Quiet {
    /// Payments, and calls that leave the database alone.
    async fn call(&self, length: Duration) -> [Met; 2] {
        let (engine, token, wallets) = (self.engine, self.token.clone(), self.wallets.clone());
        let caller = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let clients = [(); 2].map(|()| Client::new(engine, &[("authorization", &token)]));
                let run: Arc<str> = new_run().into();
                let (payments, empty_calls) = tokio::join!(
                    one_by_one(length, &clients, |number| between(&wallets, &run, number)),
                    empty_calls(length, &clients),
                );
                [payments, empty_calls]
            })
        });
        caller.await.unwrap()
    }
}

async fn empty_calls(length: Duration, clients: &[Client]) -> Met {
    open_loop(PACE, length, |number, met| {
        let client = clients[number % clients.len()].clone();
        async move {
            let asked = Instant::now();
            grpc::nothing(&client).await;
            met.lock().unwrap().latencies.push(milliseconds(asked.elapsed()));
        }
    })
    .await
}

/// Among the quiet tenant's own wallets: the pattern knows the loud one's.
fn between(wallets: &[String], run: &str, number: usize) -> proto::CreatePaymentRequest {
    let wallet = |place: usize| Some(crate::support::client::id(&wallets[place % QUIET_WALLETS]));
    proto::CreatePaymentRequest { from: wallet(number), to: wallet(number + 1), ..payment(run, number) }
}

/// Callers of the loud tenant that ask for one payment at a time and feel each refusal.
async fn probes(world: &World, length: Duration) -> Met {
    let run: Arc<str> = new_run().into();
    let clients: Vec<Client> = (0..2).map(|worker| world.client(worker)).collect();
    let mut payments = Payments::new(world.wallets.clone(), Pattern::Uniform, &run, 0);
    one_by_one(length, &clients, |_| payments.next()).await
}

fn payment(run: &str, number: usize) -> proto::CreatePaymentRequest {
    crate::support::client::payment(&format!("{run}-{number}"), "", "", "0.01")
}

async fn one_by_one(
    length: Duration,
    clients: &[Client],
    mut request: impl FnMut(usize) -> proto::CreatePaymentRequest,
) -> Met {
    open_loop(PACE, length, |number, met| {
        let (client, request) = (clients[number % clients.len()].clone(), request(number));
        async move {
            let asked = Instant::now();
            let answer = client.pay(request).await;
            let took = milliseconds(asked.elapsed());
            let mut met = met.lock().unwrap();
            met.offered += 1;
            match answer {
                Ok(_) => {
                    met.done += 1;
                    met.latencies.push(took);
                }
                Err(status) if status.code() == Code::ResourceExhausted => {
                    met.refusals.push(took);
                    met.with_hint += usize::from(status.get_details_retry_info().is_some());
                }
                Err(status) => met.fail(status),
            }
        }
    })
    .await
}

async fn noise(world: &World, peak: f64, length: Duration) -> Met {
    let run: Arc<str> = new_run().into();
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    open_loop(peak * NOISE / ITEMS as f64, length, |number, met| {
        let (client, permit) = (world.client(number), room.clone().try_acquire_owned());
        let mut payments = Payments::new(world.wallets.clone(), Pattern::Uniform, &run, number);
        async move {
            let Ok(_permit) = permit else { return };
            let items = (0..ITEMS).map(|_| payments.next_item()).collect();
            let request = proto::CreatePaymentsRequest { items, view: proto::OutcomeView::Brief.into() };
            let answer = client.payments.clone().create_payments(request).await;
            let mut met = met.lock().unwrap();
            met.offered += ITEMS as u64;
            match answer {
                Ok(answer) => met.done += grpc::count(&answer.into_inner().outcomes).done,
                Err(status) if status.code() == Code::ResourceExhausted => {}
                Err(status) => met.fail(status),
            }
        }
    })
    .await
}

/// Starts calls at a fixed rate, whatever becomes of those before, and waits for all.
async fn open_loop<F>(
    per_second: f64,
    length: Duration,
    mut call: impl FnMut(usize, Arc<Mutex<Met>>) -> F,
) -> Met
where
    F: Future<Output = ()> + Send + 'static,
{
    let met: Arc<Mutex<Met>> = Arc::default();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let ends = Instant::now() + length;
    let mut calls = Vec::new();
    while Instant::now() < ends {
        let due = ticks.tick().await;
        met.lock().unwrap().lateness.push(milliseconds(due.elapsed()));
        calls.push(tokio::spawn(call(calls.len(), met.clone())));
    }
    join_all(calls).await.into_iter().for_each(|call| call.unwrap());
    let mut met = met.lock().unwrap();
    std::mem::take(&mut *met)
}

impl Met {
    fn fail(&mut self, status: Status) {
        self.failed += 1;
        self.first_failure.get_or_insert(status);
    }

    fn sorted(mut self) -> Self {
        self.latencies.sort_by(f64::total_cmp);
        self.lateness.sort_by(f64::total_cmp);
        self.refusals.sort_by(f64::total_cmp);
        self
    }
}

impl Overload {
    /// Work done under noise over the peak.
    pub(crate) fn goodput(&self) -> Ratio {
        Ratio::of(&self.rounds.iter().map(|round| (round.goodput, round.peak)).collect::<Vec<_>>())
    }

    /// What the noise does to the quiet tenant's 99th of a hundred.
    pub(crate) fn quiet(&self, what: impl Fn(&Felt) -> f64) -> Ratio {
        let pair = |round: &Round| (what(&round.quiet_beside), what(&round.quiet_alone));
        Ratio::of(&self.rounds.iter().map(pair).collect::<Vec<_>>())
    }

    /// Of all rounds, sorted.
    pub(crate) fn refusals(&self) -> Vec<f64> {
        let mut refusals: Vec<f64> = self.rounds.iter().flat_map(|round| round.refusals.clone()).collect();
        refusals.sort_by(f64::total_cmp);
        refusals
    }
}
