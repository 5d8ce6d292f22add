//! Two engines, each a process of its own, and one of them is always being killed.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use super::{
    history::Storm,
    ready,
    snapshots::Snapshots,
    support::{
        client::{Client, name},
        insist,
        postgres::{Postgres, free_port},
        sized,
        world::World,
    },
};

/// What a restart may take until the engine serves.
const READY_MAX: Duration = Duration::from_secs(10);

/// What a caller may wait for an answer while there are two engines.
const GAP_MAX: Duration = Duration::from_secs(15);

/// A process that ends with the test, however that ends.
struct Engine {
    child: Child,
    port: u16,
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_are_killed_lose_nothing_and_double_nothing() {
    let (world, kills) = (World::with_engines(Postgres::shared(), 1).await, sized(8, 60));
    ready(&world).await;
    let mut engines = [free_port(), free_port()].map(|port| Engine::start(&world, port));
    let clients: Vec<Client> =
        engines.iter().map(|engine| world.as_role_at_port(engine.port, "acme", "operator")).collect();
    for client in &clients {
        serves(client).await;
    }
    let snapshots = Snapshots::start(&world);
    let storm = Storm::start(clients.clone());
    let mut slowest = Duration::ZERO;
    for number in 0..kills {
        storm.flows(40).await;
        let victim = number % engines.len();
        engines[victim] = engines[victim].kill_and_start_again(&world);
        let started = Instant::now();
        serves(&clients[victim]).await;
        slowest = slowest.max(started.elapsed());
    }
    storm.flows(40).await;
    let told = storm.end(&world).await;
    let looks = snapshots.end().await;
    assert!(0 < told.doubts, "no call met a kill");
    assert!(
        slowest < READY_MAX && told.gap < GAP_MAX,
        "ready after {slowest:?}, longest wait {:?}",
        told.gap
    );
    println!(
        "engines: {kills} kills, {} calls cut off, {} payments, each once, {looks} snapshots in balance",
        told.doubts, told.payments
    );
}

async fn serves(client: &Client) {
    let request = payplane_proto::v1::GetWalletRequest { wallet: Some(name("alice")), ..Default::default() };
    insist(async || client.wallets.clone().get_wallet(request.clone()).await).await;
}

impl Engine {
    fn start(world: &World, port: u16) -> Self {
        Self { child: world.engine_command(port).spawn().unwrap(), port }
    }

    fn kill_and_start_again(&mut self, world: &World) -> Self {
        self.kill();
        Self::start(world, self.port)
    }

    fn kill(&mut self) {
        // One that is dead already, as after kill_and_start_again, has no process to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}
