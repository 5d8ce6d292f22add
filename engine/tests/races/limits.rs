//! The tenant's limit has room for one more payment, and wallets that have nothing in common want it at both engines: the
//! accounts do not meet, so nothing but the count itself stands between them.

use futures::future::join_all;
use payplane_proto::v1::{self as proto, ParameterName, RefusalReason, payment_outcome::Result as Is};

use super::{
    at_both,
    support::{
        client::{Client, payment},
        insist, sized,
        world::World,
    },
    world,
};

const PAYERS: [(&str, &str); 8] = [
    ("payer-0", "500.00"),
    ("payer-1", "500.00"),
    ("payer-2", "500.00"),
    ("payer-3", "500.00"),
    ("payer-4", "500.00"),
    ("payer-5", "500.00"),
    ("payer-6", "500.00"),
    ("payer-7", "500.00"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_last_payment_that_a_limit_allows_is_made_once() {
    let (world, races) = (world(&PAYERS).await, sized(40, 1_000));
    for number in 0..PAYERS.len() {
        world.as_role("acme", "operator").wallet(&format!("payee-{number}"), "USD").await;
    }
    let clients = at_both(&world, "operator");
    let mut won = [0; 2];
    for race in 0..races {
        allow(&world, race as i64 + 1).await;
        // Neither engine is always asked first.
        let racers = (0..PAYERS.len()).map(|place| pay(&clients, race, (place + race) % PAYERS.len()));
        let outcomes = join_all(racers).await;
        let winners: Vec<usize> =
            outcomes.iter().filter_map(|(engine, won)| won.then_some(*engine)).collect();
        assert_eq!(winners.len(), 1, "race {race}: {winners:?}");
        won[winners[0]] += 1;
    }
    assert!(won.iter().all(|won| 0 < *won), "one engine always won: {won:?}");
    let counted = counted(&world).await;
    assert_eq!(counted, races as i64);
    let operations = world.assert_sound().await;
    println!(
        "limit of a tenant: {races} races of {}, won by either engine {won:?}, {counted} counted, {operations} operations \
         proved",
        PAYERS.len()
    );
}

/// From the payer at this place, at an engine of its own; whether there was room.
async fn pay(clients: &[Client; 2], race: usize, place: usize) -> (usize, bool) {
    let engine = place % 2;
    let request =
        payment(&format!("{race} {place}"), &format!("payer-{place}"), &format!("payee-{place}"), "0.01");
    let outcome = insist(async || clients[engine].pay(request.clone()).await).await;
    match outcome.result {
        Some(Is::Payment(_)) => (engine, true),
        Some(Is::Refusal(refusal)) => {
            assert_eq!(refusal.reason(), RefusalReason::LimitExceeded);
            assert_eq!(refusal.limit.unwrap().name(), ParameterName::TenantMonthlyCount);
            (engine, false)
        }
        None => panic!("neither paid nor refused"),
    }
}

/// By month: a run over midnight is no other run.
async fn allow(world: &World, payments: i64) {
    let setting = proto::Setting {
        name: ParameterName::TenantMonthlyCount.into(),
        value: Some(proto::setting::Value::Count(payments)),
        ..Default::default()
    };
    let scope = proto::settings_scope::Scope::Tenant(proto::TenantScope {});
    let scope = Some(proto::SettingsScope { scope: Some(scope) });
    let request = proto::PutSettingsRequest { scope, settings: vec![setting] };
    let admin = world.as_role("acme", "admin");
    insist(async || admin.settings.clone().put_settings(request.clone()).await).await;
}

async fn counted(world: &World) -> i64 {
    let mut superuser = world.database.superuser().await;
    let query = "select month_count from payplane.usages where subject = tenant_id";
    sqlx::query_scalar(query).fetch_one(&mut superuser).await.unwrap()
}
