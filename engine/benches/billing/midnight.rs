//! Many tenants whose periods end at the same moment, while others pay.
//!
//! 1. Each tenant has a wallet with money in it, which is what its invoice is about.
//! 2. Payers pay for some seconds; then four workers, as many as the operator has, close the period of one tenant after the other
//!    and collect its invoice, while the payers go on; then these pay for some seconds alone again.
//! 3. That each tenant has one invoice of what it used, that each is paid, and that the receiver has the sum, is checked in SQL.
//!
//! Memory is that of this process: the engine and the payers. Closing goes through the engine's functions and not over gRPC.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use payplane_billing::Period;
use payplane_engine::billing::{self, Collect, Receiver};
use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use sqlx::PgConnection;

use super::{
    Bench,
    load::{Load, Paid},
    plan,
    process::Resident,
};

/// As many as the operator has.
const WORKERS: usize = 4;

/// How many tenants are made at once.
const MAKERS: usize = 16;

/// The whole case; gives its part of the page.
pub(crate) async fn run(bench: &mut Bench, tenants: usize, seconds: i64, payers: i64) -> String {
    let ids = prepare(bench, tenants).await;
    let receiver = tenant(&mut bench.database, "globex").await;
    let length = Duration::from_secs(u64::try_from(seconds).unwrap());
    let alone = async || {
        let load = Load::start(bench, payers);
        tokio::time::sleep(length).await;
        load.stop().await
    };
    let before = alone().await;
    let memory = Resident::of(std::process::id()).now;
    let load = Load::start(bench, payers);
    let (took, most) = all_close(bench, &ids, receiver).await;
    let during = load.stop().await;
    let after = alone().await;
    check(bench, &ids, receiver).await;
    let after_memory = Resident::of(std::process::id()).now;
    text(ids.len(), took, [before, during, after], [memory, most, after_memory])
}

/// Tenants with a funded wallet each, all sealed.
async fn prepare(bench: &mut Bench, tenants: usize) -> Vec<TenantId> {
    let world = &bench.world;
    let globex = world.as_role("globex", "operator");
    globex.wallet("revenue", "USD").await;
    let request = proto::PutCollectorRequest { wallet: "revenue".to_owned(), collects: true };
    world.as_role("globex", "treasury").billing.clone().put_collector(request).await.unwrap();
    let make = |number: usize| async move {
        let name = format!("midnight-{number}");
        world.put_tenant(&name).await;
        world.as_role(&name, "operator").wallet("purse", "USD").await;
        world.fund(&name, "purse", "100.00").await;
    };
    stream::iter(0..tenants).map(make).buffer_unordered(MAKERS).collect::<()>().await;
    bench.all_is_sealed().await;
    let ids =
        sqlx::query_scalar("select tenant_id from payplane.tenants where name like 'midnight-%' order by 1");
    let ids: Vec<uuid::Uuid> = ids.fetch_all(&mut bench.database).await.unwrap();
    assert_eq!(ids.len(), tenants);
    ids.into_iter().map(TenantId::from_uuid).collect()
}

async fn tenant(database: &mut PgConnection, name: &str) -> TenantId {
    let id = sqlx::query_scalar("select tenant_id from payplane.tenants where name = $1").bind(name);
    TenantId::from_uuid(id.fetch_one(database).await.unwrap())
}

/// Closes and collects; gives how long that took for all, and the most memory on the way.
async fn all_close(bench: &Bench, ids: &[TenantId], receiver: TenantId) -> (Duration, f64) {
    let engine = &bench.world.engines[0].engine;
    let (begin, end) = (bench.begin, engine.store.now().await.unwrap());
    let (next, ids, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(ids.to_vec()), Instant::now());
    let workers = (0..WORKERS).map(|_| {
        let (engine, next, ids) = (engine.clone(), next.clone(), ids.clone());
        tokio::spawn(async move {
            let mut most = 0_f64;
            while let Some(tenant) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                let period_from = |start| Ok(Period { start, end });
                let cycle = (begin, period_from);
                let closed =
                    billing::close(&engine.store, *tenant, &plan(), (begin, 0), cycle).await.unwrap();
                let asked = Collect {
                    tenant: *tenant,
                    number: closed.invoice.number,
                    wallet: "purse".to_owned(),
                    receiver: Receiver {
                        tenant: receiver,
                        revenue: "revenue".to_owned(),
                        tax: "revenue".to_owned(),
                    },
                    known_attempts: 0,
                };
                let collected = billing::collect(&engine, &asked).await.unwrap();
                assert_eq!(collected.standing.due(), 0);
                most = most.max(Resident::of(std::process::id()).now);
            }
            most
        })
    });
    let most = futures::future::join_all(workers).await.into_iter().map(Result::unwrap);
    (started.elapsed(), most.fold(0.0, f64::max))
}

/// One invoice each, of the hundred that came in: a quarter; all collected, and the receiver has the sum.
async fn check(bench: &mut Bench, ids: &[TenantId], receiver: TenantId) {
    const EACH: i64 = 25;
    let uuids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let count = i64::try_from(ids.len()).unwrap();
    let invoices = "select count(*), count(distinct tenant_id), coalesce(sum(total_minor), 0)::bigint \
                    from payplane.invoices where tenant_id = any ($1)";
    let invoices: (i64, i64, i64) =
        sqlx::query_as(invoices).bind(uuids).fetch_one(&mut bench.database).await.unwrap();
    assert_eq!(invoices, (count, count, count * EACH));
    let revenue = "select (posted_credits - posted_debits)::bigint from payplane.accounts a \
                   join payplane.wallets w using (tenant_id, account_id) where tenant_id = $1 and w.name = 'revenue'";
    let revenue = sqlx::query_scalar(revenue).bind(receiver.uuid());
    let revenue: i64 = revenue.fetch_one(&mut bench.database).await.unwrap();
    assert_eq!(revenue, count * EACH);
}

fn text(tenants: usize, took: Duration, paid: [Paid; 3], memory: [f64; 3]) -> String {
    let [before, during, after] = paid;
    let mut text = format!(
        "{tenants} tenants whose periods end at the same moment: all invoices were issued and collected after {:.0} s, {:.0} in a \
         second, {WORKERS} at once. The process, which is the engine and the payers, had {:.0} MiB before, {:.0} at most meanwhile and {:.0} \
         after.\n\n| payments | per second | median, ms | p99, ms |\n|---|---|---|---|\n",
        took.as_secs_f64(),
        tenants as f64 / took.as_secs_f64(),
        memory[0],
        memory[1],
        memory[2],
    );
    for (name, Paid { per_second, p50, p99 }) in [("before", before), ("meanwhile", during), ("after", after)]
    {
        let _ = writeln!(text, "| {name} | {per_second:.0} | {p50:.1} | {p99:.1} |");
    }
    let quiet = (before.p99 + after.p99) / 2.0;
    let _ = writeln!(
        text,
        "\np99 meanwhile beside the mean of both (wanted: at most 1.5): {:.2}",
        during.p99 / quiet
    );
    text
}
