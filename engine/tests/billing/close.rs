//! Closing while payments run, from two engines at once, against an account of it in SQL that shares nothing with the
//! engine's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::future::join_all;
use payplane_billing::{Metric, Model, Period, Plan, Price, Rate, TaxRate, Terms};
use payplane_engine::{
    billing::{self, Closed, Next},
    store::{InvoiceRow, Store},
};
use payplane_ledger::{Currency, TenantId, Timestamp};
use sqlx::{Executor as _, PgConnection, Row as _};

use crate::support::{
    client::{paid, payment},
    eventually, may_ask_again,
    postgres::Postgres,
    sized,
    world::World,
};

/// How often each period is closed, half of it by either engine.
const CLOSES: usize = 20;

fn plan() -> Plan {
    let rate = |text: &str| Rate::parse(text).unwrap();
    let price = |metric, unit: &str| Price { metric, free: 0, model: Model::Flat(rate(unit)) };
    Plan::new(Terms {
        version: "7".to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 1_000,
        prices: vec![price(Metric::Payments, "0.015"), price(Metric::Volume, "0.0025")],
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: vec![TaxRate { name: "VAT".to_owned(), percent: rate("8.1") }],
    })
    .unwrap()
}

async fn close(
    store: &Store,
    tenant: TenantId,
    start: Timestamp,
    end: Timestamp,
    begin: Timestamp,
) -> Closed {
    let period_from = |start| Ok(Period { start, end });
    billing::close(store, tenant, &plan(), (start, 0), (begin, period_from)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payment_is_in_exactly_one_invoice() {
    let world = Arc::new(World::with_engines(Postgres::shared(), 2).await);
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob"] {
        operator.wallet(wallet, "USD").await;
    }
    let begin = world.engines[0].engine.store.now().await.unwrap();
    world.fund("acme", "alice", "100000.00").await;
    let mut database = world.database.superuser().await;
    let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
    let tenant = TenantId::from_uuid(tenant.fetch_one(&mut database).await.unwrap());

    let payers = Payers::start(&world, 4);
    let mut invoices = Vec::new();
    let (mut start, mut previewed) = (begin, 0);
    for period in 0..sized(6, 60) {
        // Periods are as long as it takes to pay some more.
        let paid = payers.paid();
        eventually("some payments", async || (paid + 25 < payers.paid()).then_some(())).await;
        // Either engine has counted a part when the period ends, each another one.
        for engine in &world.engines {
            let open = |start| Ok(Period { start, end: Timestamp(i64::MAX) });
            let next = Next::find(&engine.engine.store, tenant, begin, open).await.unwrap();
            let (shown, is_over) = next.preview(&engine.engine.store, tenant, &plan()).await.unwrap();
            assert!(!is_over);
            previewed += usize::from(0 < shown.document.usage.payments);
        }
        let paid = payers.paid();
        eventually("more payments", async || (paid + 5 < payers.paid()).then_some(())).await;
        let end = world.engines[0].engine.store.now().await.unwrap();
        let closes = (0..CLOSES).map(|close_number| {
            let store = world.engines[close_number % 2].engine.store.clone();
            async move { close(&store, tenant, start, end, begin).await }
        });
        let closed = join_all(closes).await;
        let first = closed.iter().filter(|closed| !closed.replayed).count();
        assert_eq!(first, 1, "period {period} was issued {first} times");
        assert!(closed.iter().all(|each| each.invoice == closed[0].invoice));
        invoices.push(closed[0].invoice.clone());
        start = end;
    }
    let paid = payers.stop().await;
    eventually("all is sealed", async || {
        let left: i64 = count(&mut database, "select count(*) from payplane.unsealed").await;
        (left == 0).then_some(())
    })
    .await;
    // Nobody pays any more: what is left is in the last one.
    let end = world.engines[0].engine.store.now().await.unwrap();
    invoices.push(close(&world.engines[1].engine.store, tenant, start, end, begin).await.invoice);

    for invoice in &invoices {
        check(&mut database, tenant, invoice).await;
    }
    let numbers: Vec<i64> = invoices.iter().map(|invoice| invoice.number).collect();
    assert_eq!(numbers, (1..=invoices.len() as i64).collect::<Vec<_>>());
    let stored = count(&mut database, "select count(*) from payplane.invoices").await;
    assert_eq!(stored, invoices.len() as i64);
    let billed: i64 = invoices.iter().map(|invoice| invoice.document.usage.payments).sum();
    let made = "select count(*) from payplane.journal where kind = 1 and refusal is null";
    assert_eq!((billed, billed), (count(&mut database, made).await, paid as i64 + 1));
    let busy = invoices.iter().filter(|invoice| 0 < invoice.document.usage.payments).count();
    println!(
        "{} invoices, {busy} of them with payments, {billed} payments, {CLOSES} closes each",
        invoices.len()
    );
    assert!(6 <= busy && 6 <= previewed, "{busy} {previewed}");
    world.assert_sound().await;
}

/// Seals of the tenant's operations, usage and total, from the rows themselves.
async fn check(database: &mut PgConnection, tenant: TenantId, invoice: &InvoiceRow) {
    const ACCOUNT: &str = "\
        with operations as (
            select j.*, b.decided_us from payplane.journal j
            join payplane.seals s on s.batch_id = j.sequence / 1024
            join payplane.batches b on b.batch_id = s.batch_id
            where j.tenant_id = $1 and s.seal > $2 and s.seal <= $3 and j.refusal is null
        ),
        used as (
            select count(*) filter (where kind = 1) as payments,
                   coalesce(sum(posted) filter (where kind in (1, 3, 6, 8)), 0) as volume,
                   count(*) filter (where $4 <= decided_us) as early
            from operations
        ),
        lines as (
            select u.*, 10.00 + round(u.payments * 0.015, 2) + round(u.volume / 100.0 * 0.0025, 2) as subtotal from used u
        )
        select payments, volume::bigint as volume, early, ((subtotal + round(subtotal * 0.081, 2)) * 100)::bigint as total,
               (select count(*) from payplane.seals s join payplane.batches b using (batch_id)
                where s.seal = $3 + 1 and b.decided_us < $4) as not_cut
        from lines";
    let query = sqlx::query(ACCOUNT).bind(tenant.uuid()).bind(invoice.after_seal).bind(invoice.through_seal);
    let found = query.bind(invoice.period.end.0).fetch_one(database).await.unwrap();
    let number = |column: &str| found.get::<i64, _>(column);
    let (usage, statement) = (&invoice.document.usage, &invoice.document.statement);
    assert_eq!((usage.payments, usage.volume), (number("payments"), number("volume")), "{invoice:?}");
    assert_eq!(statement.total, number("total"), "{invoice:?}");
    assert_eq!(number("early"), 0, "decided after the period's end: {invoice:?}");
    assert_eq!(number("not_cut"), 0, "the next seal was decided before the period's end: {invoice:?}");
}

async fn count(database: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

/// Pays as fast as it goes, over both engines.
pub(super) struct Payers {
    paid: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Payers {
    pub(super) fn start(world: &Arc<World>, payers: usize) -> Self {
        let (paid, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let task = |payer: usize| {
            let (client, paid, stop) =
                (world.as_role_at(payer % 2, "acme", "operator"), paid.clone(), stop.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let amount = format!("0.{:02}", 1 + number % 99);
                    let request = payment(&format!("{payer}-{number}"), "alice", "bob", &amount);
                    while let Err(status) =
                        client.pay(request.clone()).await.map(|outcome| self::paid(&outcome).clone())
                    {
                        assert!(may_ask_again(&status), "{status:?}");
                    }
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..payers).map(task).collect();
        Self { paid, stop, tasks }
    }

    pub(super) fn paid(&self) -> usize {
        self.paid.load(Ordering::Relaxed)
    }

    pub(super) async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in join_all(self.tasks).await {
            task.unwrap();
        }
        self.paid.load(Ordering::Relaxed)
    }
}

/// Three full blocks and some more, with batch numbers that run in another order than the seals.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_seals_knows_its_batch_numbers() {
    let database = Postgres::shared().database().await;
    let mut superuser = database.superuser().await;
    superuser
        .execute(
            "insert into payplane.seals (seal, batch_id, link, sealed_us)
             select s, 4 * row_number() over (order by s + 300 * (s % 7)), sha256(int8send(s)), s
             from generate_series(1, 14000) s",
        )
        .await
        .unwrap();
    let ranges =
        [(0, 1), (0, 14_000), (4_095, 4_096), (4_095, 8_191), (4_096, 8_191), (4_094, 12_288), (10, 20)];
    let random = (1..40_i64).map(|n| (n * 7_919 % 14_000, n * 104_729 % 14_000));
    let mut empty = 0;
    for (after, through) in ranges.into_iter().chain(random) {
        let found: (Option<i64>, Option<i64>) =
            sqlx::query_as("select * from payplane.billing_window($1, $2)")
                .bind(after)
                .bind(through)
                .fetch_one(&mut superuser)
                .await
                .unwrap();
        let expected: (Option<i64>, Option<i64>) = sqlx::query_as(
            "select min(batch_id), max(batch_id) from payplane.seals where $1 < seal and seal <= $2",
        )
        .bind(after)
        .bind(through)
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        assert_eq!(found, expected, "({after}, {through}]");
        empty += usize::from(found.0.is_none());
    }
    assert!((5..35).contains(&empty), "{empty}");
    let blocks: i64 = count(&mut superuser, "select count(*) from payplane.seal_blocks").await;
    assert_eq!(blocks, 2, "two blocks after the first seal are full");
}

/// The database says itself what an invoice may be, whatever an engine asks for.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_does_not_follow_is_refused_by_the_database() {
    let world = World::new().await;
    let mut superuser = world.database.superuser().await;
    let tenant: uuid::Uuid = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    let now = world.engines[0].engine.store.now().await.unwrap().0;
    let mut thief = world.database.as_engine().await;
    let mut issue =
        async |number: i64, (start, end): (i64, i64), (after, through): (i64, i64), total: i64| {
            let query = sqlx::query_scalar(
                "select payplane.issue_invoice($1, $2, $3, $4, $5, $6, 'USD', $7, '1', '{}')",
            );
            let query =
                query.bind(tenant).bind(number).bind(start).bind(end).bind(after).bind(through).bind(total);
            let issued: Result<bool, sqlx::Error> = query.fetch_one(&mut thief).await;
            issued.map_err(|error| {
                let error = error.into_database_error().unwrap();
                error.constraint().map_or_else(|| error.code().unwrap().into_owned(), str::to_owned)
            })
        };
    let head: i64 = count(&mut superuser, "select seal from payplane.seal_head").await;
    let (first, second) = ((now - 2_000, now - 1_000), (now - 1_000, now - 500));
    let refused = |problem: &str| Err(problem.to_owned());
    // Nothing was decided yet, so every cut is the head.
    let cut = (head, head);
    assert_eq!(issue(1, first, (head, head + 1), 1).await, refused("PP001"));
    assert_eq!(issue(1, (now, now + 60_000_000), cut, 1).await, refused("PP002"));
    assert_eq!(issue(2, first, cut, 1).await, refused("invoices_follow_each_other"));
    assert_eq!(issue(0, first, cut, 1).await, refused("invoices_numbered_from_one"));
    assert_eq!(issue(1, first, cut, -1).await, refused("invoices_total_not_negative"));
    assert_eq!(issue(1, (now - 1, now - 2), cut, 1).await, refused("invoices_period_ends"));
    assert_eq!(issue(1, first, cut, 1).await, Ok(true));
    assert_eq!(issue(1, first, cut, 2).await, Ok(false));
    assert_eq!(issue(1, second, cut, 2).await, refused("PP001"));
    assert_eq!(issue(3, second, cut, 1).await, refused("invoices_follow_each_other"));
    assert_eq!(issue(2, (now - 999, now - 500), cut, 1).await, refused("invoices_follow_each_other"));
    assert_eq!(issue(2, second, cut, 1).await, Ok(true));
    // Once issued, it is not even the functions' owner's to change.
    for sql in ["update payplane.invoices set total_minor = 0", "delete from payplane.invoices"] {
        let refused = thief.execute(sql).await.unwrap_err().into_database_error().unwrap();
        assert_eq!(refused.code().as_deref(), Some("42501"), "{sql}");
    }
}

/// A plan that reads all of the tenant's rows for each batch would exceed the time that a statement has.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_journal_is_read_through_its_index() {
    const COPIES: i64 = 200_000;
    let world = World::new().await;
    world.as_role("acme", "operator").wallet("alice", "USD").await;
    let store = &world.engines[0].engine.store;
    let begin = store.now().await.unwrap();
    world.fund("acme", "alice", "1.00").await;
    let mut superuser = world.database.superuser().await;
    eventually("it is sealed", async || {
        (count(&mut superuser, "select count(*) from payplane.unsealed").await == 0).then_some(())
    })
    .await;
    superuser
        .execute(
            "create temp table copies as
             select setval('payplane.batch_ids', nextval('payplane.batch_ids') + 40000) - 40000 + 4 * n as batch_id,
                    n, (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
             from generate_series(1, 2000) n;
             insert into payplane.batches select batch_id, sha256(int8send(batch_id)), now_us from copies;
             insert into payplane.seals
             select h.seal + c.n, c.batch_id, sha256(int8send(c.batch_id)), c.now_us from copies c, payplane.seal_head h;
             update payplane.seal_head set seal = seal + 2000;
             insert into payplane.batch_tenants
             select j.tenant_id, c.batch_id, sha256(int8send(c.batch_id)), 100 from copies c, payplane.journal j
             where j.kind = 1;
             insert into payplane.journal
             select (json_populate_record(
                 j, json_build_object('operation_id', gen_random_uuid(), 'sequence', c.batch_id * 1024 + line)
             )).*
             from payplane.journal j, copies c, generate_series(0, 99) line where j.kind = 1;
             analyze",
        )
        .await
        .unwrap();
    let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
    let tenant = TenantId::from_uuid(tenant.fetch_one(&mut superuser).await.unwrap());
    let end = store.now().await.unwrap();
    let invoice = close(store, tenant, begin, end, begin).await.invoice;
    let usage = invoice.document.usage;
    assert_eq!((usage.payments, usage.volume, usage.active_wallets), (COPIES + 1, 100 * (COPIES + 1), 1));
}
