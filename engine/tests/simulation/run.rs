//! One run: faults while the clients live, then none, and everything has to come to an end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use super::{
    auditor::Auditor,
    chaos,
    client::World,
    fixture,
    history::{History, Known},
    replica::Replicas,
    rng::Rng,
    server::{Faults, Server},
    trace::{Report, Trace},
};

const REPLICAS: usize = 3;
const CLIENTS: usize = 12;
const OPERATIONS: usize = 30;

/// Nothing in a run takes longer, by its own clock.
const CONVERGES: Duration = Duration::from_secs(900);

/// Longer than a host is silent, and than anything that is under way can take.
const SILENCE: Duration = Duration::from_secs(90);

pub(crate) fn run(seed: u64) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async move {
        let trace = Arc::new(Trace::new());
        let mut rng = Rng::new(seed, 0);
        let mut tables = fixture::tables();
        for tenant in fixture::tenants() {
            tables.settings.insert(tenant, fixture::settings(tenant, 0));
        }
        let server = Server::new(seed, tables, trace.clone());
        let auditor = Auditor::new(trace.clone(), &server.lock().tables);
        {
            let mut state = server.lock();
            state.auditor = Some(auditor);
            state.faults = faults(&mut rng);
        }
        let world = Arc::new(World {
            replicas: Replicas::new(server.clone(), seed, REPLICAS),
            history: History::new(server.clone()),
            book: Arc::default(),
            faithful: [0, 900, 990][rng.below(3)],
            over: AtomicBool::new(false),
            server,
        });
        let lived = timeout(CONVERGES, live(&world, seed)).await.is_ok();
        if !lived || timeout(CONVERGES, heal(&world, &mut rng)).await.is_err() {
            trace.violation("the run does not come to an end");
        }
        trace.report()
    })
}

/// Runs differ in what goes wrong most.
fn faults(rng: &mut Rng) -> Faults {
    let network = [0, 5, 12, 30][rng.below(4)];
    let server = [0, 2, 5, 15][rng.below(4)];
    let slow = [5, 20, 60][rng.below(3)];
    Faults { network, server, slow }
}

async fn live(world: &Arc<World>, seed: u64) {
    let mut others = vec![tokio::spawn(chaos::disturb(world.clone(), seed))];
    others.extend((0..2).map(|number| tokio::spawn(chaos::sweep(world.clone(), seed, number))));
    others.push(tokio::spawn(chaos::change_caps(world.clone(), seed)));
    others.push(tokio::spawn(chaos::seal(world.clone(), seed)));
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(world.clone().live(seed, number, OPERATIONS))).collect();
    for client in clients {
        if client.await.is_err() {
            world.server.trace.violation("a client panicked");
        }
    }
    world.over.store(true, Ordering::Relaxed);
    for other in others {
        if other.await.is_err() {
            world.server.trace.violation("chaos panicked");
        }
    }
}

/// No more faults: everything that is open is resolved, every key keeps its answer, nothing is left.
async fn heal(world: &Arc<World>, rng: &mut Rng) {
    let trace = &world.server.trace;
    if trace.is_broken() {
        return;
    }
    trace.note(format_args!("faults end"));
    world.server.restart(true);
    world.server.lock().faults = Faults::default();
    world.replicas.heal();
    // What is under way arrives, and who is silent is given up.
    tokio::time::sleep(SILENCE).await;
    world.replicas.check();
    for round in 0..3 {
        for group in world.history.unresolved() {
            let known = world.call(rng, &group, false).await;
            if known != Known::Decided && known != Known::Declined {
                trace.violation(&format!("in round {round} without faults: {known:?}"));
            }
        }
    }
    for group in world.history.decided() {
        if world.call(rng, &group, false).await != Known::Decided {
            trace.violation("a decided key has no answer any more");
        }
    }
    for number in 0..world.replicas.count() {
        world.replicas.drain(number).await;
    }
    // The last goodbyes.
    tokio::time::sleep(SILENCE).await;
    if world.server.left_open() != (0, 0) {
        trace.violation(&format!("transactions and locks are left: {:?}", world.server.left_open()));
    }
    world.history.finish();
    let mut guard = world.server.lock();
    let state = &mut *guard;
    while 0 < state.tables.seal(100) {}
    if let Some(auditor) = &state.auditor {
        auditor.finish(&state.tables);
    }
}
