//! Plans that are agreed: versions that never change, periods that are cut while payments run, against an account of it in
//! SQL that shares nothing with the engine's.

use std::sync::Arc;

use futures::future::{join, join_all};
use payplane_billing::{Item, Metric, Model, PARTS_MAX, Period, Plan, Price, Rate, Terms};
use payplane_engine::{
    billing::{self, Next, Pricing},
    store::{Agreed, InvoiceRow},
};
use payplane_ledger::{Currency, TenantId, Timestamp};
use sqlx::{Executor as _, PgConnection, Row as _};

use super::close::Payers;
use crate::support::{eventually, postgres::Postgres, sized, world::World};

fn plan(version: usize, currency: &str, unit: &str) -> Plan {
    let prices =
        vec![Price { metric: Metric::Payments, free: 0, model: Model::Flat(Rate::parse(unit).unwrap()) }];
    Plan::new(Terms {
        version: format!("gold@{version}"),
        currency: Currency::parse(currency).unwrap(),
        base_fee: 1_000,
        prices,
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: Vec::new(),
    })
    .unwrap()
}

/// Each version has a price of its own: 0.001, 0.002 and so on.
fn numbered(version: usize) -> Plan {
    plan(version, "USD", &format!("0.{version:03}"))
}

async fn acme(database: &mut PgConnection) -> TenantId {
    let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
    TenantId::from_uuid(tenant.fetch_one(database).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_is_cut_where_a_plan_begins_to_hold() {
    let world = Arc::new(World::with_engines(Postgres::shared(), 2).await);
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob"] {
        operator.wallet(wallet, "USD").await;
    }
    let stores = [&world.engines[0].engine.store, &world.engines[1].engine.store];
    let begin = stores[0].now().await.unwrap();
    world.fund("acme", "alice", "100000.00").await;
    let mut database = world.database.superuser().await;
    let tenant = acme(&mut database).await;

    let payers = Payers::start(&world, 4);
    let more = async |than: usize| {
        eventually("some payments", async || (than < payers.paid()).then_some(())).await;
    };
    let (mut invoices, mut start, mut version) = (Vec::new(), begin, 1);
    let unending = |start| Ok(Period { start, end: Timestamp(i64::MAX) });
    assert!(matches!(
        stores[0].agree_plan(tenant, &numbered(version), None).await,
        Ok(Agreed::Now(Timestamp(0)))
    ));
    for round in 0..sized(5, 40) {
        for _ in 0..round % (PARTS_MAX - 1) {
            more(payers.paid() + 10).await;
            version += 1;
            let (store, plan) = (stores[round % 2], numbered(version));
            let agreed = billing::agree(store, tenant, (&plan, true), (begin, unending)).await;
            assert!(matches!(agreed, Ok(Agreed::Now(_))), "{agreed:?}");
            // Either engine has counted the parts, as far as they go, before the next one begins.
            for store in stores {
                let next = Next::find(store, tenant, begin, unending).await.unwrap();
                next.preview(store, tenant, Pricing::Agreed).await.unwrap();
            }
        }
        more(payers.paid() + 10).await;
        let end = stores[0].now().await.unwrap();
        let closes = (0..8).map(|number| async move {
            let period_from = |start| Ok(Period { start, end });
            billing::close(stores[number % 2], tenant, Pricing::Agreed, (start, 0), (begin, period_from))
                .await
        });
        // The next version begins to hold while the period is closed.
        version += 1;
        let next = numbered(version);
        let agreeing = billing::agree(stores[1], tenant, (&next, true), (begin, unending));
        let (closed, agreed) = join(join_all(closes), agreeing).await;
        // Whoever was asked before the period was invoiced may have cut it three times.
        let is_cut = matches!(agreed, Ok(Agreed::Now(_)));
        assert!(is_cut || matches!(agreed, Ok(Agreed::TooManyCuts)), "{agreed:?}");
        let closed: Vec<_> = closed.into_iter().map(Result::unwrap).collect();
        assert_eq!(closed.iter().filter(|closed| !closed.replayed).count(), 1, "round {round}");
        invoices.push(closed[0].invoice.clone());
        start = end;
    }
    payers.stop().await;

    let (mut parts, mut used) = (0, 0);
    for invoice in &invoices {
        let (found, payments) = check(&mut database, tenant, invoice).await;
        parts += found;
        used += payments;
    }
    let cuts: i64 = sqlx::query_scalar(
        "select count(*) from payplane.plan_agreements a join payplane.invoices i using (tenant_id)
         where a.cuts and i.start_us < a.effective_us and a.effective_us < i.end_us",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    println!("{} invoices with {parts} parts, {cuts} cuts, {used} payments", invoices.len());
    assert_eq!(parts, invoices.len() as i64 + cuts, "each cut is in the invoice of its period");
    assert!(6 <= cuts && 50 <= used, "{cuts} {used}");
    world.assert_sound().await;
}

/// The parts from the agreements, their seals and usage from the journal, and the total by the versions' prices.
async fn check(database: &mut PgConnection, tenant: TenantId, invoice: &InvoiceRow) -> (i64, i64) {
    let (start, end) = (invoice.period.start.0, invoice.period.end.0);
    let held: String = sqlx::query_scalar(
        "select version from payplane.plan_agreements where tenant_id = $1 and effective_us <= $2
         order by number desc limit 1",
    )
    .bind(tenant.uuid())
    .bind(start)
    .fetch_one(&mut *database)
    .await
    .unwrap();
    let cuts = sqlx::query(
        "select version, effective_us from payplane.plan_agreements
         where tenant_id = $1 and cuts and $2 < effective_us and effective_us < $3 order by number",
    )
    .bind(tenant.uuid())
    .bind(start)
    .bind(end)
    .fetch_all(&mut *database)
    .await
    .unwrap();
    let mut expected = vec![(held, start)];
    expected.extend(cuts.iter().map(|row| (row.get("version"), row.get("effective_us"))));
    let document = &invoice.document;
    let mut parts: Vec<(String, i64, i64)> =
        document.parts.iter().map(|part| (part.version.clone(), part.start_us, part.through_seal)).collect();
    if parts.is_empty() {
        parts.push((document.statement.plan_version.clone(), start, invoice.through_seal));
    }
    let found: Vec<_> = parts.iter().map(|(version, start, _)| (version.clone(), *start)).collect();
    assert_eq!(found, expected, "{invoice:?}");
    assert_eq!(parts.last().unwrap().2, invoice.through_seal);
    let versions: Vec<&str> = parts.iter().map(|(version, ..)| version.as_str()).collect();
    assert_eq!(document.statement.plan_version, versions.join(", "));

    let (mut after, mut payments, mut usage_cost) = (invoice.after_seal, 0, 0);
    for (place, (version, begins, through)) in parts.iter().enumerate() {
        let ends = parts.get(place + 1).map_or(end, |next| next.1);
        let row = sqlx::query(
            "select count(*) filter (where j.kind = 1 and j.refusal is null) as payments,
                    count(*) filter (where $4 <= b.decided_us) as early,
                    (round(count(*) filter (where j.kind = 1 and j.refusal is null) * $5::numeric, 2) * 100)::bigint
                    as cost
             from payplane.journal j
             join payplane.seals s on s.batch_id = j.sequence / 1024
             join payplane.batches b on b.batch_id = s.batch_id
             where j.tenant_id = $1 and $2 < s.seal and s.seal <= $3",
        )
        .bind(tenant.uuid())
        .bind(after)
        .bind(through)
        .bind(ends)
        .bind(format!("0.{:03}", version.trim_start_matches("gold@").parse::<usize>().unwrap()));
        let row = row.fetch_one(&mut *database).await.unwrap();
        assert_eq!(row.get::<i64, _>("early"), 0, "a part has what was decided after it: {invoice:?}");
        if let Some(part) = document.parts.get(place) {
            assert_eq!((part.usage.payments, part.end_us), (row.get("payments"), ends), "{invoice:?}");
        }
        assert!(*begins < ends);
        payments += row.get::<i64, _>("payments");
        usage_cost += row.get::<i64, _>("cost");
        after = *through;
    }
    let fees: i64 = document
        .statement
        .lines
        .iter()
        .filter(|line| line.item == Item::BaseFee)
        .map(|line| line.amount)
        .sum();
    // Every version has the same fee: its parts are the whole.
    assert_eq!((fees, document.statement.total), (1_000, 1_000 + usage_cost), "{invoice:?}");
    assert_eq!(document.usage.payments, payments);
    (parts.len() as i64, payments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_what_it_was_when_it_was_agreed() {
    let world = World::new().await;
    let mut database = world.database.superuser().await;
    let tenant = acme(&mut database).await;
    let store = &world.engines[0].engine.store;
    let begin = store.now().await.unwrap();
    let end = Timestamp(begin.0 + 3_600_000_000);
    let agree = async |plan: Plan, is_now: bool| {
        let period_from = |start| Ok(Period { start, end });
        billing::agree(store, tenant, (&plan, is_now), (begin, period_from)).await.unwrap()
    };
    let next = Next::find(store, tenant, begin, |start| Ok(Period { start, end })).await.unwrap();
    let shown = async || {
        let (invoice, _) = next.preview(store, tenant, Pricing::Agreed).await.unwrap();
        invoice.document.statement.plan_version
    };
    let nothing = next.preview(store, tenant, Pricing::Agreed).await.unwrap_err();
    assert!(matches!(nothing, billing::BillingError::NoPlan), "{nothing:?}");

    let dear = plan(1, "USD", "0.9");
    assert_eq!(agree(numbered(1), false).await, Agreed::Now(Timestamp(0)));
    assert_eq!(agree(numbered(1), true).await, Agreed::Before(Timestamp(0)));
    assert_eq!(agree(dear.clone(), false).await, Agreed::OtherTerms);
    assert_eq!(agree(numbered(2), false).await, Agreed::Now(end));
    assert_eq!(agree(numbered(2), false).await, Agreed::Before(end));
    assert_eq!(shown().await, "gold@1", "the next period begins with it");
    // What was to come is taken back without a cut, and comes again at once.
    assert!(matches!(agree(numbered(1), false).await, Agreed::Now(at) if begin < at && at < end));
    assert_eq!(shown().await, "gold@1");
    assert_eq!(agree(plan(2, "EUR", "0.002"), true).await, Agreed::OtherTerms);
    assert_eq!(agree(plan(3, "EUR", "0.003"), true).await, Agreed::OtherCurrency);
    for version in [2, 4, 5] {
        assert!(matches!(agree(numbered(version), true).await, Agreed::Now(at) if begin < at && at < end));
    }
    assert_eq!(agree(numbered(6), true).await, Agreed::TooManyCuts);
    assert_eq!(agree(dear, true).await, Agreed::OtherTerms, "of a version of before too");
    assert_eq!(shown().await, "gold@1, gold@2, gold@4, gold@5");
    assert_eq!(agree(plan(3, "EUR", "0.003"), false).await, Agreed::Now(end));

    // Nor can the engine's login change one, or issue by less than was agreed.
    let mut thief = world.database.as_engine().await;
    for sql in [
        "update payplane.plan_versions set terms = '{}'",
        "delete from payplane.plan_agreements",
        "insert into payplane.plan_versions values (gen_random_uuid(), 'x', 'USD', '{}')",
    ] {
        let refused = thief.execute(sql).await.unwrap_err().into_database_error().unwrap();
        assert_eq!(refused.code().as_deref(), Some("42501"), "{sql}");
    }
    let issue = sqlx::query(
        "select payplane.issue_agreed_invoice($1, $2, 1, 0, 1, 0, 0, 'USD', 0, '1', '{}', 0, '{}', '{}', '{}')",
    );
    let stale = issue.bind(3_i64).bind(tenant.uuid()).execute(&mut thief).await.unwrap_err();
    assert_eq!(stale.into_database_error().unwrap().code().as_deref(), Some("PP001"));
    let stored: i64 = sqlx::query_scalar("select count(*) from payplane.plan_agreements")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(stored, 7);
}
