//! The steps of a Restore into the place of what is gone, one after the other as its Job and the Platform after it do them.
//! Nothing is waited for that a cluster would take to start pods.

use std::{fs, sync::Arc, time::Instant};

use super::{
    engine::{self, Engine},
    place::{Place, succeed},
    world::World,
};
use crate::support::postgres::Postgres;

const UNPACK: &str = include_str!("../../../operator/src/sealed/unpack.sh");
const PREPARE: &str = include_str!("../../../operator/src/restore/build/prepare.sh");
const RECOVER: &str = include_str!("../../../operator/src/restore/build/recover.sh");

/// What was done, and how long it took, in seconds.
type Steps = Vec<(&'static str, f64)>;

pub(crate) async fn run(postgres: &Postgres, place: &Arc<Place>, world: &mut World, name: &str) -> Steps {
    let mut steps = Steps::new();
    let recover =
        RECOVER.replace("-U payplane_owner -d payplane", &format!("-U postgres -d {}", world.database.name));
    timed(&mut steps, "open copy and log", || place.fetch(name));
    timed(&mut steps, "unpack the copy", || place.well(UNPACK, name));
    timed(&mut steps, "check both, lay the copy out", || {
        place.make_target();
        place.well(PREPARE, name);
    });
    timed(&mut steps, "replay the log", || place.well(&recover, name));
    timed(&mut steps, "start the server", || {
        fs::rename(place.path("target/ledger"), postgres.socket().join("data")).unwrap();
        postgres.launch();
    });
    timed(&mut steps, "make it a ledger of its own", || adopt(world, name));
    timed(&mut steps, "verify all of it", || Engine::verify(&world.database));
    let started = Instant::now();
    world.restart().await;
    steps.push(("start the engine", started.elapsed().as_secs_f64()));
    steps
}

fn timed(steps: &mut Steps, name: &'static str, step: impl FnOnce()) {
    let started = Instant::now();
    // Payers of the old engine still wait for their answers on other threads.
    tokio::task::block_in_place(step);
    steps.push((name, started.elapsed().as_secs_f64()));
    println!("restore: {name}, {:.1} s", started.elapsed().as_secs_f64());
}

fn adopt(world: &World, name: &str) {
    let owner = world.database.owner_dir();
    let mut command = engine::command("adopt");
    command.arg("--database-dir").arg(&owner).arg("--owner-database-dir").arg(&owner);
    succeed(command.args(["--restore-id", name]));
}
