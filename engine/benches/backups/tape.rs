//! How old the last moment is of which everything is stored: what would come back, had the server been lost now.
//!
//! Ten times in a second it is noted how far the log is written, and how far it is stored. The age is that of the newest note up
//! to which everything is stored, so it is up to a tenth of a second too old, never too young.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::time::MissedTickBehavior;

use super::{
    cost::{PAYERS, all_is_stored},
    grpc,
    requests::{Pattern, Payments, new_run},
    settings::Settings,
    statistics::quantile,
    world::World,
};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Between payments of a quiet ledger. Their segments do not get full: time decides when they are stored.
const PAUSE: Duration = Duration::from_millis(200);

/// Bytes of a segment of the log.
const SEGMENT: i64 = 16 << 20;

/// Ages in seconds under one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    pub(crate) per_second: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
    pub(crate) looks: usize,
}

/// As many payments as payers can make, and few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points {
    pub(crate) busy: Ages,
    pub(crate) quiet: Ages,
}

pub(crate) async fn measure(world: &World, settings: &Settings) -> Points {
    let length = settings.watch;
    all_is_stored(world).await;
    let (load, ages) = tokio::join!(
        grpc::unary(world, Pattern::Uniform, PAYERS, length),
        watch(world.database.superuser().await, length)
    );
    let busy = ages_of(ages, load.per_second());
    println!("under load: {busy:?}");
    all_is_stored(world).await;
    let (paid, ages) =
        tokio::join!(pay_slowly(world, length), watch(world.database.superuser().await, length));
    let quiet = ages_of(ages, paid as f64 / length.as_secs_f64());
    println!("quiet: {quiet:?}");
    Points { busy, quiet }
}

async fn pay_slowly(world: &World, length: Duration) -> u64 {
    let (client, started) = (world.client(0), Instant::now());
    let mut payments = Payments::new(world.wallets.clone(), Pattern::Uniform, &new_run().into(), 0);
    let mut pause = tokio::time::interval(PAUSE);
    let mut paid = 0;
    while started.elapsed() < length {
        pause.tick().await;
        grpc::assert_paid(&client.pay(payments.next()).await.unwrap());
        paid += 1;
    }
    paid
}

/// Ages in seconds. Begins when everything is stored.
async fn watch(mut admin: PgConnection, length: Duration) -> Vec<f64> {
    // How far the log is written: the server tells it as a distance from the beginning.
    const LOOK: &str = "select (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint, last_archived_wal from pg_stat_archiver";
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (started, mut stored) = (Instant::now(), 0);
    let (mut notes, mut ages) = (VecDeque::new(), Vec::new());
    while started.elapsed() < length {
        tick.tick().await;
        let now = Instant::now();
        let (written, last): (i64, String) = sqlx::query_as(LOOK).fetch_one(&mut admin).await.unwrap();
        stored = end_of(&last).unwrap_or(stored);
        notes.push_back((now, written));
        while notes.get(1).is_some_and(|(_, written)| *written <= stored) {
            notes.pop_front();
        }
        if let Some((at, _)) = notes.front() {
            ages.push((now - *at).as_secs_f64());
        }
    }
    ages
}

/// Where a segment ends. None for what is stored beside segments.
fn end_of(name: &str) -> Option<i64> {
    let digits = name.get(8..24).filter(|_| name.len() == 24)?;
    let (high, low) = digits.split_at(8);
    let number = i64::from_str_radix(high, 16).ok()? * 256 + i64::from_str_radix(low, 16).ok()?;
    Some((number + 1) * SEGMENT)
}

fn ages_of(mut ages: Vec<f64>, per_second: f64) -> Ages {
    ages.sort_by(f64::total_cmp);
    let [median, p99, most] = [500, 990, 1_000].map(|thousandths| quantile(&ages, thousandths));
    Ages { per_second, median, p99, most, looks: ages.len() }
}
