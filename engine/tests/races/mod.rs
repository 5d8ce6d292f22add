//! Two engines on one database, and everybody wants the same thing at the same moment: the same hold, the last part of a
//! payment that can be refunded, the last payment that a limit allows, the same event, the same account. Each test says
//! how many raced and who won, and ends with the proof of the whole ledger.
//!
//! `PAYPLANE_PROVE=1` asks for the full size.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod events;
mod holds;
mod hot;
mod limits;
mod reads;
mod refunds;

use crate::support;

use support::{client::Client, postgres::Postgres, world::World};

/// Two engines, one database, and wallets of acme with so much in them.
async fn world(wallets: &[(&str, &str)]) -> World {
    let world = World::with_engines(Postgres::shared(), 2).await;
    let operator = world.as_role("acme", "operator");
    for (wallet, amount) in wallets {
        operator.wallet(wallet, "USD").await;
        if !amount.is_empty() {
            world.fund("acme", wallet, amount).await;
        }
    }
    world
}

/// The same caller at either engine.
fn at_both(world: &World, role: &str) -> [Client; 2] {
    [0, 1].map(|engine| world.as_role_at(engine, "acme", role))
}

/// An amount of dollars in cents.
fn cents(amount: &str) -> i64 {
    amount.replace('.', "").parse().unwrap()
}
