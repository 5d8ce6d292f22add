//! Suspended tenants: what is refused, from when on, at every engine, and what goes on.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use payplane_proto::v1::{self as proto, RefusalReason};
use support::{
    client::{Client, capture, code, funding, hold, name, paid, payment, refund, refused},
    eventually,
    postgres::Postgres,
    world::World,
};
use tonic::Code;

/// How often the tenant is suspended and resumed while everybody pays.
const ROUNDS: usize = 20;
/// Callers that pay all the time, half of them at each engine.
const PAYERS: usize = 8;

async fn tenant(world: &World) -> proto::Tenant {
    let get = proto::GetTenantRequest { name: "acme".to_owned() };
    world.as_platform(None).tenants.clone().get_tenant(get).await.unwrap().into_inner().tenant.unwrap()
}

async fn put(world: &World, tenant: proto::Tenant) -> bool {
    let put = proto::PutTenantRequest { tenant: Some(tenant) };
    world.as_platform(None).tenants.clone().put_tenant(put).await.unwrap().into_inner().changed
}

async fn suspend(world: &World, suspended: bool) -> bool {
    let tenant = tenant(world).await;
    put(world, proto::Tenant { suspended, ..tenant }).await
}

async fn holdings(world: &World) -> (i64, i64, i64) {
    let get = proto::GetTenantHoldingsRequest { name: "acme".to_owned() };
    let found = world.as_platform(None).tenants.clone().get_tenant_holdings(get).await.unwrap();
    let proto::GetTenantHoldingsResponse { accounts, holds, refunds } = found.into_inner();
    (accounts, holds, refunds)
}

#[tokio::test(flavor = "multi_thread")]
async fn debits_are_refused_and_credits_and_reads_go_on() {
    let world = World::new().await;
    let (operator, treasury) = (world.as_role("acme", "operator"), world.as_role("acme", "treasury"));
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let before = paid(&operator.pay(payment("before", "alice", "bob", "10.00")).await.unwrap()).id.clone();
    let held = paid(&operator.hold(hold("held", "alice", "bob", "10.00")).await).id.clone();

    assert!(suspend(&world, true).await);
    assert!(!suspend(&world, true).await);
    assert!(tenant(&world).await.suspended);
    for (key, from, to) in [("a", "alice", "bob"), ("b", "bob", "alice")] {
        let outcome = operator.pay(payment(key, from, to, "1.00")).await.unwrap();
        assert_eq!(refused(&outcome), (RefusalReason::TenantSuspended, "from"));
    }
    let outcome = operator.hold(hold("c", "alice", "bob", "1.00")).await;
    assert_eq!(refused(&outcome), (RefusalReason::TenantSuspended, "from"));
    let back = operator.payments.clone().refund_payment(refund("d", &before, "1.00")).await;
    let back = back.unwrap().into_inner().outcome.unwrap();
    assert!(matches!(back.result, Some(proto::refund_outcome::Result::Refusal(found))
            if found.reason() == RefusalReason::TenantSuspended && found.definitive));
    // What was promised is kept, money comes in, everybody may look, and others are not concerned.
    let taken = operator.payments.clone().capture_payment(capture("e", &held, "10.00")).await.unwrap();
    paid(&taken.into_inner().outcome.unwrap());
    paid(&treasury.pay(funding("f", "alice", "5.00")).await.unwrap());
    assert_eq!(operator.available(name("alice")).await, "85.00");
    world.as_role("globex", "operator").wallet("carol", "USD").await;
    world.as_role("globex", "operator").wallet("dave", "USD").await;
    world.fund("globex", "carol", "5.00").await;
    paid(&world.as_role("globex", "operator").pay(payment("g", "carol", "dave", "1.00")).await.unwrap());

    assert!(suspend(&world, false).await);
    paid(&operator.pay(payment("h", "alice", "bob", "1.00")).await.unwrap());
    let again = operator.pay(payment("a", "alice", "bob", "1.00")).await.unwrap();
    assert!(again.replayed, "the refusal is stored");
    assert_eq!(refused(&again), (RefusalReason::TenantSuspended, "from"));
    world.assert_sound().await;
}

/// Everybody pays all the time, at two engines that decide from memory, while the tenant is suspended and resumed: no
/// payment that was asked for after the suspension was answered is taken, and none is refused after the resumption.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_holds_at_every_engine_from_its_answer_on() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    for payer in 0..PAYERS {
        world.as_role("acme", "operator").wallet(&format!("from-{payer}"), "USD").await;
        world.as_role("acme", "operator").wallet(&format!("to-{payer}"), "USD").await;
        world.fund("acme", &format!("from-{payer}"), "1000.00").await;
    }
    // Odd from the answer of a suspension until the resumption is asked for, and never the same twice.
    let (stop, phase) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let payers: Vec<_> = (0..PAYERS)
        .map(|payer| {
            let client = world.as_role_at(payer % 2, "acme", "operator");
            let (stop, phase) = (stop.clone(), phase.clone());
            tokio::spawn(async move {
                let (mut done, mut number) = (0, 0);
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let known = phase.load(Ordering::SeqCst);
                    let outcome = pay(&client, payer, number).await;
                    let is_done = matches!(outcome.result, Some(proto::payment_outcome::Result::Payment(_)));
                    // Suspended before it was asked, and nobody resumed before it was answered.
                    let suspended = known % 2 == 1 && phase.load(Ordering::SeqCst) == known;
                    assert!(!(suspended && is_done), "paid while suspended");
                    done += u32::from(is_done);
                }
                done
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        suspend(&world, true).await;
        phase.fetch_add(1, Ordering::SeqCst);
        for payer in 0..2 {
            let outcome = pay(&world.as_role_at(payer, "acme", "operator"), payer, fresh()).await;
            assert_eq!(refused(&outcome), (RefusalReason::TenantSuspended, "from"), "engine {payer}");
        }
        phase.fetch_add(1, Ordering::SeqCst);
        suspend(&world, false).await;
        for payer in 0..2 {
            paid(&pay(&world.as_role_at(payer, "acme", "operator"), payer, fresh()).await);
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut done = 0;
    for payer in payers {
        done += payer.await.unwrap();
    }
    println!("{done} payments beside {ROUNDS} suspensions");
    assert!(50 < done, "too few payments to prove anything: {done}");
    world.assert_sound().await;
}

async fn pay(client: &Client, payer: usize, number: usize) -> proto::PaymentOutcome {
    let (from, to) = (format!("from-{payer}"), format!("to-{payer}"));
    client.pay(payment(&format!("{payer} {number}"), &from, &to, "0.01")).await.unwrap()
}

/// A number that no payer comes to by counting.
fn fresh() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1_000_000);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn holdings_count_what_is_left() {
    let world = World::new().await;
    let (operator, treasury) = (world.as_role("acme", "operator"), world.as_role("acme", "treasury"));
    assert_eq!(holdings(&world).await, (0, 0, 0));
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    assert_eq!(holdings(&world).await, (0, 0, 0), "an empty wallet is nothing");
    world.fund("acme", "alice", "10.00").await;
    assert_eq!(holdings(&world).await, (1, 0, 0));
    let held = paid(&operator.hold(hold("h", "alice", "bob", "10.00")).await).id.clone();
    assert_eq!(holdings(&world).await, (2, 1, 0), "both sides of a hold");
    let taken = operator.payments.clone().capture_payment(capture("c", &held, "10.00")).await.unwrap();
    paid(&taken.into_inner().outcome.unwrap());
    assert_eq!(holdings(&world).await, (1, 0, 0));
    let out = proto::CreatePaymentRequest {
        to: Some(support::client::settlement()),
        ..payment("out", "bob", "", "10.00")
    };
    paid(&treasury.pay(out).await.unwrap());
    assert_eq!(holdings(&world).await, (0, 0, 0));
    let nobody = proto::GetTenantHoldingsRequest { name: "nobody".to_owned() };
    assert_eq!(
        code(world.as_platform(None).tenants.clone().get_tenant_holdings(nobody).await),
        Code::NotFound
    );
    let mine = proto::GetTenantHoldingsRequest { name: "acme".to_owned() };
    let admin = world.as_role("acme", "admin");
    assert_eq!(code(admin.tenants.clone().get_tenant_holdings(mine).await), Code::PermissionDenied);
}

/// What offboarding leaves: the money and its history, and nobody who may touch it.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_tenant_without_namespaces_are_not_accepted() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let alice = operator.wallet("alice", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    let tenant = tenant(&world).await;
    let archived = proto::Tenant { name: tenant.name.clone(), suspended: true, ..Default::default() };
    assert!(put(&world, archived).await);
    // Who was known stays so for some seconds.
    let read = || proto::GetWalletRequest { wallet: Some(support::client::id(&alice)), ..Default::default() };
    eventually("the token is refused", async || {
        let answer = code(operator.wallets.clone().get_wallet(read()).await);
        (answer == Code::PermissionDenied).then_some(())
    })
    .await;
    assert_eq!(holdings(&world).await, (1, 0, 0), "the money is still there");
    // Applied again, it finds its money.
    assert!(put(&world, tenant).await);
    eventually("the token is accepted", async || operator.wallets.clone().get_wallet(read()).await.ok())
        .await;
    assert_eq!(operator.available(name("alice")).await, "10.00");
}
