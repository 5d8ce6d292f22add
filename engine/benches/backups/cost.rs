//! What storing the log, and making a copy, cost payments: the same load with and without, by turns.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Executor as _};

use super::{
    grpc, load::Load, place::Place, programs::Copied, requests::Pattern, settings::Settings,
    statistics::quantile, world::World,
};

/// Who pays, and waits for each answer.
pub(crate) const PAYERS: usize = 32;

/// What payers met while something else ran, or did not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half {
    pub(crate) per_second: f64,
    pub(crate) p99: f64,
}

/// Both halves of each pair, and how many segments of the log were stored in those that store it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) pairs: Vec<[Half; 2]>,
    pub(crate) segments: usize,
}

/// Both halves of each pair, and the copies that were made.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(crate) pairs: Vec<[Half; 2]>,
    pub(crate) copies: Vec<Copied>,
}

impl Half {
    fn of(load: &Load) -> Self {
        Self { per_second: load.per_second(), p99: quantile(&load.latencies, 990) }
    }
}

/// With the log being stored, and without. What is waiting at the end of a half is stored before the next one begins.
pub(crate) async fn log(world: &World, place: &Place, settings: &Settings) -> Log {
    let mut found = Log { pairs: Vec::new(), segments: 0 };
    all_is_stored(world).await;
    for pair in 0..settings.pairs {
        let mut halves = [None; 2];
        for stores in [pair % 2 == 0, pair % 2 == 1] {
            // A command that does nothing, because the mode itself can only be changed by a restart.
            let command = if stores { place.archive_command() } else { "true".to_owned() };
            archive_by(world, &command).await;
            world.checkpoint().await;
            let before = place.segments();
            let load = grpc::unary(world, Pattern::Uniform, PAYERS, settings.length).await;
            all_is_stored(world).await;
            let stored = place.segments() - before;
            assert_eq!(stored != 0, stores, "{stored} segments were stored");
            found.segments += stored;
            halves[usize::from(!stores)] = Some(Half::of(&load));
        }
        found.pairs.push(halves.map(Option::unwrap));
        println!("the log, pair {} of {}: {:?}", pair + 1, settings.pairs, found.pairs[pair]);
    }
    archive_by(world, &place.archive_command()).await;
    found
}

/// During a copy, and for as long as the last one took without any.
pub(crate) async fn copies(world: &World, place: &Arc<Place>, settings: &Settings) -> Copies {
    let mut found = Copies { pairs: Vec::new(), copies: Vec::new() };
    // The first one says how long it takes; a copy that reads what nobody has read is no part of a pair.
    let (_, copied, mut took) = during(world, place, 0).await;
    println!("a copy, before the pairs: {copied:?}");
    for pair in 0..settings.pairs {
        let mut halves = [None; 2];
        for copies in [pair % 2 == 0, pair % 2 == 1] {
            world.checkpoint().await;
            if !copies {
                let load = grpc::unary(world, Pattern::Uniform, PAYERS, took).await;
                halves[1] = Some(Half::of(&load));
                continue;
            }
            let (load, copied, length) = during(world, place, pair + 1).await;
            place.prune(&name(pair));
            (took, halves[0]) = (length, Some(Half::of(&load)));
            found.copies.push(copied);
        }
        found.pairs.push(halves.map(Option::unwrap));
        println!("copies, pair {} of {}: {:?}", pair + 1, settings.pairs, found.pairs[pair]);
    }
    found
}

/// What the copy of this pair is called; the first one is made before there are pairs.
pub(crate) fn name(number: usize) -> String {
    format!("copy-{number}")
}

async fn during(world: &World, place: &Arc<Place>, number: usize) -> (Load, Copied, Duration) {
    let (place, started) = (place.clone(), Instant::now());
    let copying = tokio::task::spawn_blocking(move || place.copy(&name(number)));
    let handle = copying.abort_handle();
    let load = grpc::unary_while(world, Pattern::Uniform, PAYERS, move || !handle.is_finished()).await;
    (load, copying.await.unwrap(), started.elapsed())
}

async fn archive_by(world: &World, command: &str) {
    let set = format!("alter system set archive_command = '{command}'");
    let mut admin = world.database.superuser().await;
    admin.execute(AssertSqlSafe(set)).await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
}

/// Begins a new segment, and waits until those before it are stored, or were given to a command that does nothing.
pub(crate) async fn all_is_stored(world: &World) {
    const PATIENCE: Duration = Duration::from_secs(600);
    let mut admin = world.database.superuser().await;
    let last = "select pg_walfile_name(pg_switch_wal() - 1)";
    let last: String = sqlx::query_scalar(last).fetch_one(&mut admin).await.unwrap();
    let started = Instant::now();
    let is_stored = "select coalesce(last_archived_wal >= $1, false) from pg_stat_archiver";
    while !sqlx::query_scalar::<_, bool>(is_stored).bind(&last).fetch_one(&mut admin).await.unwrap() {
        assert!(started.elapsed() < PATIENCE, "segment {last} is not stored");
        // Between two looks: the server tells nobody.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
