//! Payments: single ones for the latency, then rounds of few and of many, by the operator and by a client without one;
//! then what many settled ones cost an operator that starts, and one that has nothing to do.
//!
//! Each side begins with an empty namespace, and the operator's with a new operator. Every other round runs in reverse. No
//! round begins that would end after [`ROUNDS_MAX`]; what was measured by then counts. At the end the ledger is asked:
//! one fact per payment, or there are no figures.

use std::time::{Duration, Instant};

use super::{
    counts::Costs,
    load::{self, Load},
    settings::Settings,
    statistics::Ratio,
    world::{Idle, Restart, World},
};

/// For all rounds together.
const ROUNDS_MAX: Duration = Duration::from_secs(480);
/// For all payments of a round to become final.
const FINAL_MAX: Duration = Duration::from_secs(600);
/// Events and wallets follow a moment after the last status, and are counted with what they belong to.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// One side of one round.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub size: u64,
    pub took: Duration,
    pub created: Duration,
    /// Writes: of Payments' statuses, of Wallets' statuses, of Events, and all.
    pub writes: [u64; 4],
    pub peak: u64,
    pub resident: u64,
    pub costs: Costs,
    /// What the API server was asked for, per payment.
    pub calls: String,
}

impl Run {
    /// Final payments per second.
    pub fn rate(&self) -> f64 {
        self.size as f64 / self.took.as_secs_f64()
    }
}

/// The rounds of one size.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    pub operator: Vec<Run>,
    pub raw: Vec<Run>,
}

impl Rounds {
    /// The operator's rate over the raw client's, within rounds.
    pub fn ratio(&self) -> Ratio {
        let pairs = self.operator.iter().zip(&self.raw).map(|(operator, raw)| (operator.rate(), raw.rate()));
        Ratio::of(&pairs.collect::<Vec<_>>())
    }

    pub fn last(&self) -> Run {
        self.operator.last().cloned().unwrap_or_default()
    }
}

/// Everything about payments.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub latencies: Vec<Duration>,
    pub few: Rounds,
    pub many: Rounds,
    pub restart: Restart,
    pub idle: Idle,
    pub facts: u64,
}

pub async fn measure(settings: &Settings) -> Figures {
    super::say("payments: a bed");
    let mut world = World::new().await;
    let load = Load::new(&world.bed);
    super::say(&format!("{} single payments", settings.lone));
    let mut figures =
        Figures { latencies: load.lone_payments("lone", settings.lone).await, ..Figures::default() };
    let holds_many = rounds(&mut world, &load, settings, &mut figures).await;
    let runs = || figures.few.operator.iter().chain(&figures.many.operator);
    // One of each run told when the operator was there.
    let mut paid = settings.lone + runs().map(|run| run.size + 1).sum::<u64>();
    if !holds_many {
        super::say("once more, so that objects are there");
        paid += operator_side(&mut world, &load, settings.rounds, settings.payments).await.size + 1;
    }
    super::say("a new operator among them");
    figures.restart = world.restart().await;
    super::say(&format!("nothing for {:?}", settings.idle));
    figures.idle = world.idle(settings.idle).await;
    let books = world.bed.books();
    assert_eq!(books.payments().await.len() as u64, paid + 1, "one fact per payment, and the funding");
    assert_eq!(books.balance("bob").await.0, format!("{paid}.00"));
    books.transfers().await;
    figures.facts = paid;
    figures
}

/// Whether the objects of the last run are the operator's, and many.
async fn rounds(world: &mut World, load: &Load, settings: &Settings, figures: &mut Figures) -> bool {
    let started = Instant::now();
    let mut holds_many = false;
    for round in 0..settings.rounds {
        let begun = Instant::now();
        let forward = [
            (settings.few, false),
            (settings.few, true),
            (settings.payments, false),
            (settings.payments, true),
        ];
        let mut sides: Vec<_> = forward.into();
        if round % 2 == 1 {
            sides.reverse();
        }
        for (place, (size, is_ours)) in sides.into_iter().enumerate() {
            let run = match is_ours {
                true => operator_side(world, load, round, size).await,
                false => raw_side(world, load, round, size).await,
            };
            let who = if is_ours { "operator" } else { "raw client" };
            super::say(&format!("round {}, {size}, {who}: {:.0} per second", round + 1, run.rate()));
            // By place, because both sizes may be the same.
            let is_few = (place < 2) == (round % 2 == 0);
            let rounds = if is_few { &mut figures.few } else { &mut figures.many };
            if is_ours {
                rounds.operator.push(run)
            } else {
                rounds.raw.push(run)
            }
            holds_many = is_ours && !is_few;
        }
        if ROUNDS_MAX < started.elapsed() + begun.elapsed() {
            super::say(&format!("no further round after {:?}", started.elapsed()));
            break;
        }
    }
    holds_many
}

/// From the first object to the last final status. The operator is a new one, so its memory is of this round.
async fn operator_side(world: &mut World, load: &Load, round: u64, size: u64) -> Run {
    world.bed.operator.process.kill();
    load.empty().await;
    world.renew().await;
    // It knows its engine when a payment is through.
    load.lone_payments(&format!("probe-{round}-{size}"), 1).await;
    let (before, started, work) = (world.counts().await, Instant::now(), world.costs());
    load.create(round, size).await;
    let created = started.elapsed();
    let operator = &world.bed.operator;
    load::patient("all payments are final", FINAL_MAX, async || {
        // Its own count first, because a list of ten thousand objects costs what is measured.
        (size < operator.patched().await && load.are_final(size + 1).await).then_some(())
    })
    .await;
    let (took, costs) = (started.elapsed(), world.costs() - work);
    // Writes that come late count, too.
    tokio::time::sleep(AFTERWARDS).await;
    let counts = world.counts().await - before;
    let [payments, wallets, events] =
        ["payments/status", "wallets/status", "events"].map(|what| counts.writes(what));
    let calls = counts.table(size);
    let (resident, peak) = world.bed.operator.process.resident();
    Run {
        size,
        took,
        created,
        writes: [payments, wallets, events, counts.all_writes()],
        peak,
        resident,
        costs,
        calls,
    }
}

/// The same objects with the same status, written by nobody but a client. The operator is away.
async fn raw_side(world: &mut World, load: &Load, round: u64, size: u64) -> Run {
    world.bed.operator.process.kill();
    load.empty().await;
    let (before, started, work) = (world.counts().await, Instant::now(), world.costs());
    load.create_and_patch(round, size).await;
    let (took, costs) = (started.elapsed(), world.costs() - work);
    let writes = (world.counts().await - before).writes("payments/status");
    assert_eq!(writes, size, "the raw client writes each status once");
    Run { size, took, created: took, writes: [writes, 0, 0, writes], costs, ..Run::default() }
}
