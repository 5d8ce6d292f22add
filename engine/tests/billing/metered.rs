//! What engines count themselves: calls of the API, each once whatever fails, and what the ledger keeps.

use payplane_billing::{API_CALLS, Metric, Model, Period, Plan, Price, Rate, Terms};
use payplane_engine::{
    billing::{self, Next, Pricing},
    store::{Agreed, InvoiceRow, Store},
};
use payplane_ledger::{Currency, TenantId, Timestamp};
use payplane_proto::v1 as proto;
use sqlx::{Executor as _, PgConnection};
use tonic::Code;

use crate::support::{
    client::{Client, code, payment, refused},
    eventually,
    postgres::Postgres,
    world::World,
};

fn plan(version: &str, prices: &[(Metric, &str)]) -> Plan {
    let price = |(metric, unit): &(Metric, &str)| Price {
        metric: *metric,
        free: 0,
        model: Model::Flat(Rate::parse(unit).unwrap()),
    };
    Plan::new(Terms {
        version: version.to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 0,
        prices: prices.iter().map(price).collect(),
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: Vec::new(),
    })
    .unwrap()
}

async fn tenant(database: &mut PgConnection, name: &str) -> TenantId {
    let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = $1");
    TenantId::from_uuid(tenant.bind(name).fetch_one(database).await.unwrap())
}

/// Closes a period that ends now.
async fn close(
    store: &Store,
    tenant: TenantId,
    pricing: impl Into<Pricing<'_>>,
    (start, begin): (Timestamp, Timestamp),
) -> InvoiceRow {
    let end = store.now().await.unwrap();
    let period_from = |start| Ok(Period { start, end });
    let closed = billing::close(store, tenant, pricing, (start, 0), (begin, period_from)).await.unwrap();
    assert!(!closed.replayed);
    closed.invoice
}

async fn calls(client: &Client, times: i64) {
    for _ in 0..times {
        client.wallets.clone().list_wallets(proto::ListWalletsRequest::default()).await.unwrap();
    }
}

/// Over two engines, with a database that refuses to record, and with calls that do not count.
#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_tenant_is_in_exactly_one_invoice() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    let mut database = world.database.superuser().await;
    let (acme, globex) = (tenant(&mut database, "acme").await, tenant(&mut database, "globex").await);
    let engines = [&world.engines[0].engine, &world.engines[1].engine];
    let flush = async || {
        for engine in engines {
            engine.calls.flush().await.unwrap();
        }
    };
    // What was called before billing began is in no invoice.
    calls(&world.as_role("acme", "viewer"), 3).await;
    flush().await;
    let begin = engines[0].store.now().await.unwrap();
    let plan = plan("1", &[(Metric::ApiCalls, "0.5")]);

    flush().await;
    calls(&world.as_role_at(0, "acme", "viewer"), 5).await;
    calls(&world.as_role_at(1, "acme", "admin"), 7).await;
    calls(&world.as_role_at(1, "globex", "viewer"), 2).await;
    // An answer that refuses is an answer; a caller who may not is no call, and the platform's are not the tenant's.
    let viewer = world.as_role("acme", "viewer");
    let absent = proto::GetPaymentRequest { id: uuid::Uuid::nil().to_string() };
    assert_eq!(code(viewer.payments.clone().get_payment(absent).await), Code::NotFound);
    let wallet = proto::CreateWalletRequest::default();
    assert_eq!(code(viewer.wallets.clone().create_wallet(wallet).await), Code::PermissionDenied);
    calls(&world.as_platform(Some("acme")), 4).await;

    // Nothing can be recorded; what was taken is kept, and recorded once with what came meanwhile.
    let refuse = "alter table payplane.usage_events add constraint no_calls check (metric <> 'payplane.api-calls') not valid";
    database.execute(refuse).await.unwrap();
    for engine in engines {
        engine.calls.flush().await.unwrap_err();
    }
    calls(&viewer, 1).await;
    for engine in engines {
        engine.calls.flush().await.unwrap_err();
    }
    database.execute("alter table payplane.usage_events drop constraint no_calls").await.unwrap();
    flush().await;
    flush().await;
    let first = close(&engines[1].store, acme, &plan, (begin, begin)).await;
    assert_eq!(first.document.usage.api_calls, 5 + 7 + 1 + 1);
    assert_eq!(first.document.statement.total, 14 * 50);
    let of_globex = close(&engines[0].store, globex, &plan, (begin, begin)).await;
    assert_eq!(of_globex.document.usage.api_calls, 2);

    // What is recorded after the invoice is in the next one.
    calls(&world.as_role_at(1, "acme", "viewer"), 6).await;
    flush().await;
    let second = close(&engines[0].store, acme, &plan, (first.period.end, begin)).await;
    assert_eq!(second.document.usage.api_calls, 6);
    let sum = "select sum(quantity)::bigint from payplane.usage_events where tenant_id = $1 and metric = $2";
    let sum = sqlx::query_scalar::<_, i64>(sum).bind(acme.uuid()).bind(API_CALLS);
    assert_eq!(sum.fetch_one(&mut database).await.unwrap(), 3 + 14 + 6);
}

/// Against a count in SQL: refused operations too, before billing began too, from invoice to invoice and where it is cut.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_what_the_ledger_keeps_at_the_cut() {
    let world = World::new().await;
    let mut database = world.database.superuser().await;
    let acme = tenant(&mut database, "acme").await;
    let store = &world.engines[0].engine.store;
    let operator = world.as_role("acme", "operator");
    let mut paid = 0;
    let mut pay = async |count: usize| {
        for _ in 0..count {
            paid += 1;
            operator.pay(payment(&format!("p{paid}"), "alice", "bob", "0.01")).await.unwrap();
        }
    };
    for wallet in ["alice", "bob"] {
        operator.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "1.00").await;
    pay(7).await;
    all_sealed(&mut database).await;
    let begin = store.now().await.unwrap();
    pay(5).await;
    let dear = operator.pay(payment("too much", "alice", "bob", "5.00")).await.unwrap();
    refused(&dear);
    all_sealed(&mut database).await;

    let priced = plan("1", &[(Metric::Storage, "0.01")]);
    let first = close(store, acme, &priced, (begin, begin)).await;
    let level = stored(&mut database, acme, first.through_seal).await;
    assert_eq!(first.document.usage.storage, level);
    assert!(1 + 7 + 5 < level, "{level}");
    assert_eq!(first.document.statement.total, level);

    // Not priced, not counted; and counted anew after that.
    pay(2).await;
    let unpriced = plan("2", &[(Metric::Payments, "0.01")]);
    let second = close(store, acme, &unpriced, (first.period.end, begin)).await;
    assert_eq!(second.document.usage.storage, 0);

    // Cut where another plan begins to hold: both parts have their share of what there is at the end.
    let unending = |start| Ok(Period { start, end: Timestamp(i64::MAX) });
    assert!(matches!(store.agree_plan(acme, &priced, None).await, Ok(Agreed::Now(_))));
    pay(3).await;
    let dearer = plan("3", &[(Metric::Storage, "0.02")]);
    let agreed = billing::agree(store, acme, (&dearer, true), (begin, unending)).await;
    assert!(matches!(agreed, Ok(Agreed::Now(_))), "{agreed:?}");
    pay(4).await;
    all_sealed(&mut database).await;
    let third = close(store, acme, Pricing::Agreed, (second.period.end, begin)).await;
    let level = stored(&mut database, acme, third.through_seal).await;
    let parts: Vec<i64> = third.document.parts.iter().map(|part| part.usage.storage).collect();
    assert_eq!((parts.len(), parts.iter().sum::<i64>()), (2, level), "{parts:?}");
    assert_eq!(third.document.usage.storage, level);
    assert_eq!(third.document.statement.total, parts[0] + 2 * parts[1]);

    // The last invoice says what was stored; what is new is added to it.
    pay(6).await;
    all_sealed(&mut database).await;
    let next = Next::find(store, acme, begin, unending).await.unwrap();
    let (shown, _) = next.preview(store, acme, &priced).await.unwrap();
    assert_eq!(shown.document.usage.storage, stored(&mut database, acme, shown.through_seal).await);
    assert_eq!(shown.document.usage.storage, level + 6);
}

async fn all_sealed(database: &mut PgConnection) {
    eventually("all is sealed", async || {
        let left = sqlx::query_scalar::<_, i64>("select count(*) from payplane.unsealed");
        (left.fetch_one(&mut *database).await.unwrap() == 0).then_some(())
    })
    .await;
}

/// Rows of the journal up to a seal.
async fn stored(database: &mut PgConnection, tenant: TenantId, through: i64) -> i64 {
    let count =
        "select count(*) from payplane.journal j join payplane.seals s on s.batch_id = j.sequence / 1024
                 where j.tenant_id = $1 and s.seal <= $2";
    let count = sqlx::query_scalar(count).bind(tenant.uuid()).bind(through);
    count.fetch_one(database).await.unwrap()
}
