//! What happens to a run beside its clients: servers and replicas come and go, clocks step, settings and caps change,
//! holds are swept, batches are sealed.

use std::sync::Arc;

use payplane_ledger::{Kind, OperationId, Origin, Phase, Provenance, Request, Terms};

use super::{
    client::World,
    fixture::{CAP, settings, settlement, tenants},
    rng::Rng,
};

/// Less than what commit_batch lets two clocks differ, even if one steps from one end to the other.
const STEP_US: i64 = 2_400_000;

/// Until the clients are gone.
pub(crate) async fn disturb(world: Arc<World>, seed: u64) {
    let mut rng = Rng::new(seed, 2);
    while !world.is_over() {
        // From one event to the next.
        tokio::time::sleep(rng.millis(50, 1_500)).await;
        match rng.below(16) {
            0 => restart_server(&world, &mut rng).await,
            1..=2 => kill(&world, &mut rng).await,
            4 => {
                let number = world.replicas.any(&mut rng);
                world.server.trace.count("fault: replica drained");
                world.replicas.drain(number).await;
                world.replicas.restart(number);
            }
            3 | 5 | 6 => change_settings(&world, &mut rng),
            9 => step_clock(&world, &mut rng, STEP_US),
            10 => step_clock(&world, &mut rng, 4 * STEP_US),
            _ => {}
        }
        world.replicas.check();
    }
}

async fn restart_server(world: &World, rng: &mut Rng) {
    world.server.trace.count("fault: server restarted");
    world.server.trace.note(format_args!("the server restarts"));
    world.server.restart(false);
    // As long as recovery takes.
    tokio::time::sleep(rng.millis(0, 1_500)).await;
    world.server.restart(true);
}

async fn kill(world: &World, rng: &mut Rng) {
    let number = world.replicas.any(rng);
    world.server.trace.count("fault: replica killed");
    world.server.trace.note(format_args!("r{number} is killed"));
    world.replicas.kill(number);
    // Until somebody starts it again.
    tokio::time::sleep(rng.millis(0, 1_000)).await;
    world.replicas.restart(number);
}

/// As `put_settings`.
fn change_settings(world: &World, rng: &mut Rng) {
    let (tenant, number) = (*rng.pick(&tenants()).unwrap(), rng.below(10));
    // Limits now and then, and only for a while: they keep memory out of it.
    let number = if number < 4 { number + 1 } else { 0 };
    world.server.trace.count("fault: settings changed");
    world.server.trace.note(format_args!("settings of {tenant}: {number}"));
    let mut guard = world.server.lock();
    let state = &mut *guard;
    state.tables.settings.insert(tenant, settings(tenant, number));
    state.tables.settings_version += 1;
    if let Some(auditor) = &mut state.auditor {
        auditor.settings_changed(&state.tables);
    }
}

/// Caps follow the Tenant objects.
pub(crate) async fn change_caps(world: Arc<World>, seed: u64) {
    let mut rng = Rng::new(seed, 6);
    while !world.is_over() {
        // From one change to the next.
        tokio::time::sleep(rng.millis(50, 600)).await;
        change_cap(&world, &mut rng).await;
    }
}

/// As `put_tenant`: under the account's lock, and without a new version of the account.
async fn change_cap(world: &World, rng: &mut Rng) {
    let tenant = *rng.pick(&tenants()).unwrap();
    let cap = if rng.chance(300) { CAP } else { rng.between(150_000, 200_000) };
    if world.server.put_cap(tenant, settlement(tenant), cap).await {
        world.server.trace.count("fault: cap changed");
    }
}

fn step_clock(world: &World, rng: &mut Rng, most: i64) {
    world.server.trace.count(if most == STEP_US {
        "fault: clock stepped"
    } else {
        "fault: clock stepped too far"
    });
    world.server.lock().clock_us = rng.between(-most, most);
}

/// Like engine/src/background/sweep.rs: whoever sweeps finds the same facts.
pub(crate) async fn sweep(world: Arc<World>, seed: u64, number: usize) {
    let mut rng = Rng::new(seed, 3 + number as u64);
    while !world.is_over() {
        // Less often than in an engine, whose second is long here.
        tokio::time::sleep(rng.millis(100, 600)).await;
        for request in due(&world) {
            let (world, mut rng) = (world.clone(), rng.clone());
            rng.next();
            tokio::spawn(async move { world.call(&mut rng, &[request], false).await });
        }
    }
}

fn due(world: &World) -> Vec<Request> {
    let now = world.server.now();
    let state = world.server.lock();
    let open = state.tables.payments.iter().filter(|(_, payment)| payment.phase == Phase::Pending);
    open.filter_map(|((tenant, id), payment)| {
        let is_expired = payment.deadline.is_some_and(|deadline| deadline <= now);
        let is_due = payment.capture_at.is_some_and(|date| date <= now);
        let (kind, operation) = match (is_expired, is_due) {
            (true, _) => (Kind::Expire, OperationId::expiry(*id)),
            (false, true) => (Kind::CaptureDue, OperationId::due_capture(*id)),
            (false, false) => return None,
        };
        let empty: Arc<str> = Arc::from("");
        Some(Request {
            tenant: *tenant,
            operation,
            kind,
            from: None,
            to: None,
            minor: 0,
            currency: None,
            reference: empty.clone(),
            target: Some(*id),
            terms: Terms::default(),
            provenance: Provenance {
                origin: Origin::Api,
                key: Arc::from(id.to_string()),
                origin_ref: empty.clone(),
                actor: Arc::from("payplane:sweep"),
                correlation_id: empty,
            },
            only_known: false,
        })
    })
    .collect()
}

/// Like engine/src/background/seal.rs.
pub(crate) async fn seal(world: Arc<World>, seed: u64) {
    let mut rng = Rng::new(seed, 5);
    while !world.is_over() {
        // Whenever a replica gets to it.
        tokio::time::sleep(rng.millis(5, 200)).await;
        let most = 1 + rng.below(20);
        let sealed = world.server.lock().tables.seal(most);
        world.server.trace.add("server: sealed", sealed as u64);
    }
}
