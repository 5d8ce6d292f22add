//! What is measured: cases, their rounds, and what is to hold.

use payplane_proto::v1::OutcomeView;

use super::{
    grpc::Bulk,
    measure::{self, Run, Side},
    requests::Pattern,
    rivals::{Link, raw::Shape},
    settings::{CLIENTS_MAX, Settings},
    statistics::{Ratio, Spread},
    world::World,
};
use crate::support::postgres::Postgres;

/// Fewer clients than `CLIENTS_MAX`: batches are small, so each costs much, and the machine is idle in between.
pub(crate) const CLIENTS_FEWER: usize = 32;

/// With fewer clients the ratio of a round varies by a tenth and what is wanted is near: a bound needs so many times the rounds.
pub(crate) const ROUNDS_WITH_FEWER: usize = 3;

/// The engine in one situation, and what it is compared with there.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) ours: Side,
    pub(crate) rivals: Vec<Rival>,
}

impl Case {
    fn rounds(&self, settings: &Settings) -> usize {
        let times = if matches!(self.ours, Side::Unary(CLIENTS_FEWER)) { ROUNDS_WITH_FEWER } else { 1 };
        settings.pairs * times
    }

    pub(crate) fn needs_raw(&self) -> bool {
        self.rivals.iter().any(|rival| matches!(rival.side, Side::Raw(_)))
    }
}

/// Another side and what is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rival {
    pub(crate) side: Side,
    pub(crate) goal: Goal,
}

/// What is to hold of the ratio to a rival, with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The rate is at least this many times the rival's.
    Rate(f64),
    /// The median latency is at most this many times the rival's.
    Latency(f64),
    /// For orientation.
    None,
}

/// All runs of a case, by round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) ours: Vec<Run>,
    /// In the order of the case's rivals.
    pub(crate) theirs: Vec<Vec<Run>>,
    /// MiB of the engine before its first call, and right after the last run.
    pub(crate) idle: f64,
    pub(crate) after: f64,
}

/// Every case of a complete run. `raw` is the faster way to send the engine's rows.
pub(crate) fn all(raw: Shape) -> Vec<Case> {
    let mut cases = Vec::new();
    for pattern in [Pattern::Uniform, Pattern::Hot] {
        for clients in [CLIENTS_FEWER, CLIENTS_MAX] {
            cases.push(unary(pattern, clients));
        }
    }
    cases.push(crowd());
    cases.push(Case {
        name: "lone".to_owned(),
        pattern: Pattern::Uniform,
        ours: Side::Unary(1),
        rivals: vec![
            Rival { side: Side::Pgbench(1, Link::Loopback), goal: Goal::Latency(1.5) },
            Rival { side: Side::Pgbench(1, Link::LocalSocket), goal: Goal::None },
            Rival { side: Side::Empty(1), goal: Goal::None },
        ],
    });
    let shapes = [
        ("bulk-8x1000", Side::Bulk(Bulk { callers: 8, items: 1_000, view: OutcomeView::Brief })),
        ("bulk-2x8000", Side::Bulk(Bulk { callers: 2, items: 8_000, view: OutcomeView::Brief })),
        ("stream-8", Side::Streams(8)),
    ];
    for (name, ours) in shapes {
        for pattern in [Pattern::Uniform, Pattern::Hot] {
            let mut rivals = vec![Rival { side: Side::Raw(raw), goal: Goal::Rate(0.6) }];
            if name == "bulk-8x1000" {
                rivals.push(Rival { side: Side::Raw(Shape::Narrow), goal: Goal::None });
            }
            cases.push(Case { name: format!("{name}-{}", pattern.name()), pattern, ours, rivals });
        }
    }
    let full = Side::Bulk(Bulk { callers: 8, items: 1_000, view: OutcomeView::Full });
    let rivals = vec![Rival { side: Side::Raw(raw), goal: Goal::None }];
    cases.push(Case { name: "bulk-full-uniform".to_owned(), pattern: Pattern::Uniform, ours: full, rivals });
    cases
}

fn unary(pattern: Pattern, clients: usize) -> Case {
    let goal = match (pattern, clients) {
        (Pattern::Uniform, _) => Goal::Rate(1.0),
        (Pattern::Hot, CLIENTS_FEWER) => Goal::Rate(5.0),
        (Pattern::Hot, _) => Goal::Rate(8.0),
    };
    let mut rivals = vec![
        Rival { side: Side::Pgbench(clients, Link::Loopback), goal },
        Rival { side: Side::Pgbench(clients, Link::LocalSocket), goal: Goal::None },
    ];
    if pattern == Pattern::Uniform {
        rivals.push(Rival { side: Side::Empty(clients), goal: Goal::Rate(0.6) });
    }
    Case { name: format!("unary-{clients}-{}", pattern.name()), pattern, ours: Side::Unary(clients), rivals }
}

/// Whether one account stands many at once: contention must not take away what batches win.
fn crowd() -> Case {
    Case {
        name: "crowd-hot".to_owned(),
        pattern: Pattern::Hot,
        ours: Side::Unary(64),
        rivals: vec![Rival { side: Side::Few(8), goal: Goal::Rate(0.7) }],
    }
}

/// Rounds of one run per side. Every other round goes backwards, so that nobody always comes after the same neighbour.
pub(crate) async fn measure(postgres: &Postgres, world: &World, settings: &Settings, case: Case) -> Measured {
    let mut sides = vec![case.ours];
    sides.extend(case.rivals.iter().map(|rival| rival.side));
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); sides.len()];
    // Not counted: connections, plans, and what a first run finds cold.
    let warm_up = Settings { length: std::time::Duration::from_secs(1), ..settings.clone() };
    for side in &sides {
        measure::run(postgres, world, &warm_up, *side, case.pattern).await;
    }
    for round in 0..case.rounds(settings) {
        world.checkpoint().await;
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for place in order {
            let run = measure::run(postgres, world, settings, sides[place], case.pattern).await;
            println!(
                "  {:<20} {:>2}  {:<11} {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms  cores {:.2} + {:.2} + {:.2}",
                case.name,
                round + 1,
                sides[place].name(),
                run.per_second,
                run.p50,
                run.p99,
                run.cores[0],
                run.cores[1],
                run.cores[2]
            );
            runs[place].push(run);
        }
    }
    measure::verify_all(world).await;
    let after = world.engine.resident().now;
    let ours = runs.remove(0);
    Measured { case, ours, theirs: runs, idle: world.idle, after }
}

impl Measured {
    pub(crate) fn ratio(&self, rival: usize) -> Ratio {
        let value: fn(&Run) -> f64 = match self.case.rivals[rival].goal {
            Goal::Latency(_) => |run| run.p50,
            Goal::Rate(_) | Goal::None => |run| run.per_second,
        };
        let pairs = self.ours.iter().zip(&self.theirs[rival]);
        Ratio::of(&pairs.map(|(ours, theirs)| (value(ours), value(theirs))).collect::<Vec<_>>())
    }

    /// Nothing where nothing is wanted. One pair proves nothing, so it is never enough.
    pub(crate) fn is_met(&self, rival: usize) -> Option<bool> {
        let ratio = self.ratio(rival);
        match self.case.rivals[rival].goal {
            Goal::Rate(least) => Some(least <= ratio.lower),
            Goal::Latency(most) => Some(ratio.upper <= most),
            Goal::None => None,
        }
    }

    /// Sides with their runs, ours first.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (Side, &[Run])> {
        let theirs =
            self.case.rivals.iter().zip(&self.theirs).map(|(rival, runs)| (rival.side, runs.as_slice()));
        std::iter::once((self.case.ours, self.ours.as_slice())).chain(theirs)
    }
}

/// Of any figure of some runs.
pub(crate) fn spread(runs: &[Run], value: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(runs.iter().map(value))
}

/// Bytes, batches and the like per payment, over all runs together.
pub(crate) fn per_payment(runs: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
    let done: u64 = runs.iter().map(|run| run.done).sum();
    runs.iter().map(value).sum::<f64>() / done as f64
}

/// Which way of sending the engine's rows is the faster one for the raw program: both once, after a warm-up.
pub(crate) async fn faster_shape(postgres: &Postgres, world: &World, settings: &Settings) -> Shape {
    let mut best = (0.0, Shape::Rows);
    for warm in [false, true] {
        for shape in [Shape::Rows, Shape::Columns] {
            let run = measure::run(postgres, world, settings, Side::Raw(shape), Pattern::Uniform).await;
            if warm {
                println!("  raw program, {shape:?}: {:.0}/s", run.per_second);
                best = if best.0 < run.per_second { (run.per_second, shape) } else { best };
            }
        }
    }
    best.1
}
