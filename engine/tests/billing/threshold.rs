//! Thresholds: each is stored once in a period in which it is reached, whoever looks how often and whatever dies, and waits to
//! be published from then on.

use futures::future::join_all;
use payplane_proto::v1::{self as proto, billing_threshold::Bound};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tonic::Code;

use super::{recorded, wire};
use crate::support::{
    client::{Client, code, fields, payment, usd},
    eventually, insist,
    postgres::Postgres,
    world::{OPERATOR_OF_PLATFORM, World},
};

pub(crate) fn accrued(name: &str, bound: &str) -> proto::BillingThreshold {
    proto::BillingThreshold { name: name.to_owned(), bound: Some(Bound::Accrued(bound.to_owned())) }
}

fn metric(name: &str, metric: proto::BillingMetric, quantity: &str) -> proto::BillingThreshold {
    let bound = proto::MetricBound { metric: metric.into(), quantity: quantity.to_owned() };
    proto::BillingThreshold { name: name.to_owned(), bound: Some(Bound::Metric(bound)) }
}

fn event(name: &str, event: &str, quantity: &str) -> proto::BillingThreshold {
    let bound = proto::EventBound { event: event.to_owned(), quantity: quantity.to_owned() };
    proto::BillingThreshold { name: name.to_owned(), bound: Some(Bound::Event(bound)) }
}

/// 49.00, and calls that others record at 0.01.
pub(crate) fn plan() -> proto::BillingPlan {
    let model = proto::metric_price::Model::Flat(proto::FlatPrice { unit_price: "0.01".to_owned() });
    proto::BillingPlan {
        version: "1".to_owned(),
        currency: "USD".to_owned(),
        base_fee: Some(usd("49.00")),
        prices: vec![proto::MetricPrice {
            event: "calls".to_owned(),
            model: Some(model),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Names of those that were reached.
async fn look(client: &Client, thresholds: &[proto::BillingThreshold]) -> Result<Vec<String>, tonic::Status> {
    let (plan, cycle) = (Some(plan()), Some(wire::days(0)));
    let request = proto::PreviewInvoiceRequest { plan, cycle, thresholds: thresholds.to_vec() };
    let answer = client.billing.clone().preview_invoice(request).await?.into_inner();
    Ok(answer.reached.into_iter().map(|reached| reached.threshold.unwrap().name).collect())
}

pub(crate) async fn list(client: &Client, page_size: i32) -> Vec<proto::ReachedThreshold> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListReachedThresholdsRequest { page_size, page_token };
        let page = client.billing.clone().list_reached_thresholds(request).await.unwrap().into_inner();
        assert!(page.thresholds.len() <= usize::try_from(page_size).unwrap());
        all.extend(page.thresholds);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Facts by name, counted past the engine, and how many of them wait to be published.
async fn stored(database: &mut PgConnection) -> (Vec<(String, i64)>, i64) {
    let facts = "select name, count(*) from payplane.reached_thresholds group by name order by name";
    let waiting = "select count(*) from payplane.unpublished_thresholds \
                   join payplane.reached_thresholds using (tenant_id, threshold_id)";
    let facts = sqlx::query_as(facts).fetch_all(&mut *database).await.unwrap();
    (facts, sqlx::query_scalar(waiting).fetch_one(database).await.unwrap())
}

fn once(names: &[&str]) -> (Vec<(String, i64)>, i64) {
    let facts: Vec<_> = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
    let count = i64::try_from(facts.len()).unwrap();
    (facts, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_is_stored_once_however_often_somebody_looks() {
    const LOOKS: usize = 24;
    let world = World::with_engines(Postgres::shared(), 2).await;
    let mut database = world.database.superuser().await;
    let token = world.issuer.token(OPERATOR_OF_PLATFORM);
    let at = |engine| world.with_token_at(engine, &token, &[("payplane-namespace", "acme")]);
    let (client, operator) = (at(0), world.as_role("acme", "operator"));
    let asked = [
        accrued("fee", "49"),
        metric("paid", proto::BillingMetric::Payments, "2"),
        event("called", "calls", "5"),
        accrued("never", "1000000"),
    ];
    // Many at once over both engines, and every third caller goes away while it is asked.
    let looks = (0..LOOKS).map(|number| {
        let (client, asked) = (at(number % 2), &asked);
        async move {
            let patience = std::time::Duration::from_millis(if number % 3 == 0 { 1 } else { 60_000 });
            tokio::time::timeout(patience, look(&client, asked)).await.ok()
        }
    });
    let answers: Vec<_> = join_all(looks).await.into_iter().flatten().collect();
    assert!(LOOKS / 2 < answers.len(), "{}", answers.len());
    for answer in answers {
        assert_eq!(answer.unwrap(), ["fee"]);
    }
    assert_eq!(stored(&mut database).await, once(&["fee"]));

    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    operator.pay(payment("1", "alice", "bob", "1.00")).await.unwrap();
    let now = world.engines[0].engine.store.now().await.unwrap();
    recorded::record(&client, vec![recorded::event(1, "calls", 5, now)], proto::LateUsage::NextInvoice).await;
    eventually("all are reached", async || (look(&client, &asked).await.unwrap().len() == 3).then_some(()))
        .await;
    assert_eq!(stored(&mut database).await, once(&["called", "fee", "paid"]));

    // As it is written says nothing; another bound is another threshold.
    assert_eq!(look(&client, &[accrued("fee", "49.00")]).await.unwrap(), ["fee"]);
    assert_eq!(stored(&mut database).await.1, 3);
    assert_eq!(look(&client, &[accrued("fee", "49.05")]).await.unwrap(), ["fee"]);
    assert_eq!(look(&client, &[accrued("fee", "49.06")]).await.unwrap(), [""; 0]);
    assert_eq!(stored(&mut database).await.1, 4);

    let viewer = world.as_role("acme", "viewer");
    let facts = list(&viewer, 1).await;
    assert_eq!(facts, list(&viewer, 1_000).await);
    let name = |fact: &proto::ReachedThreshold| fact.threshold.as_ref().unwrap().name.clone();
    assert_eq!((name(&facts[0]), name(&facts[3])), ("fee".to_owned(), "fee".to_owned()));
    let last = &facts[0];
    assert_eq!((last.threshold.clone(), &*last.value), (Some(accrued("fee", "49.05")), "49.05"));
    assert_eq!((&*last.currency, last.start_time), ("USD", wire::days(0).start_time));
    assert!(facts.iter().all(|fact| fact.reach_time.unwrap().seconds <= now.0 / 1_000_000 + 600));
    assert_eq!(list(&world.as_role("globex", "viewer"), 10).await, []);
    let nobody = proto::ListReachedThresholdsRequest { page_token: "x".to_owned(), ..Default::default() };
    let refused = viewer.billing.clone().list_reached_thresholds(nobody).await.unwrap_err();
    assert_eq!(fields(&refused), ["page_token"]);
    assert_eq!(code(look(&world.as_role("acme", "admin"), &asked).await), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_that_is_none_is_refused_with_its_field() {
    let world = World::new().await;
    let client = world.as_platform(Some("acme"));
    let payments = proto::BillingMetric::Payments;
    let cases = [
        (accrued("", "1"), "thresholds[0].name"),
        (accrued("Half", "1"), "thresholds[0].name"),
        (accrued(&"x".repeat(64), "1"), "thresholds[0].name"),
        (accrued("a", "0"), "thresholds[0].accrued"),
        (accrued("a", "1.123456789"), "thresholds[0].accrued"),
        (metric("a", payments, "1.5"), "thresholds[0].metric"),
        (metric("a", proto::BillingMetric::Unspecified, "1"), "thresholds[0].metric"),
        (event("a", "Calls", "1"), "thresholds[0].event"),
        (event("a", "calls", ""), "thresholds[0].event"),
        (proto::BillingThreshold { name: "a".to_owned(), bound: None }, "thresholds[0]"),
    ];
    for (threshold, field) in cases {
        let refused = look(&client, std::slice::from_ref(&threshold)).await.unwrap_err();
        assert_eq!(fields(&refused), [field], "{threshold:?}");
    }
    let twice = [accrued("a", "1"), accrued("a", "2")];
    assert_eq!(fields(&look(&client, &twice).await.unwrap_err()), ["thresholds[1].name"]);
    let many: Vec<_> = (0..9).map(|number| accrued(&format!("t{number}"), "1")).collect();
    assert_eq!(fields(&look(&client, &many).await.unwrap_err()), ["thresholds"]);
    assert_eq!(stored(&mut world.database.superuser().await).await, once(&[]));
}

/// Ends all that wait for a lock; says how many.
async fn end_waiting(database: &mut PgConnection) -> usize {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
               and wait_event_type = 'Lock'";
    sqlx::query(end).fetch_all(database).await.unwrap().len()
}

/// Whoever closes is killed before thresholds are stored, and between that and the invoice; nobody looked before.
#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_closing_loses_no_threshold_and_repeats_none() {
    const CLOSES: usize = 6;
    let world = World::with_engines(Postgres::shared(), 2).await;
    let (mut holder, mut database) = (world.database.superuser().await, world.database.superuser().await);
    let token = world.issuer.token(OPERATOR_OF_PLATFORM);
    let thresholds = vec![accrued("fee", "49"), accrued("never", "49.01")];
    let cycle = wire::days(1);
    let request = proto::CloseInvoiceRequest {
        plan: Some(plan()),
        start_time: cycle.start_time,
        cycle: Some(cycle),
        thresholds,
        ..Default::default()
    };
    let close = |number: usize| {
        let client = world.with_token_at(number % 2, &token, &[("payplane-namespace", "acme")]);
        let request = request.clone();
        async move { client.billing.clone().close_invoice(request).await }
    };
    let invoices = "select count(*) from payplane.invoices";
    let mut killed = 0;
    for (table, facts) in [("reached_thresholds", once(&[])), ("invoices", once(&["fee"]))] {
        let mut held = holder.begin().await.unwrap();
        let lock = format!("lock table payplane.{table} in exclusive mode");
        held.execute(AssertSqlSafe(lock)).await.unwrap();
        let calls: Vec<_> = (0..CLOSES).map(|number| tokio::spawn(close(number))).collect();
        // One killed backend is met by a retry of the engine's own at most a few times: until all calls have ended.
        let mut of_table = 0;
        eventually("all calls to end", async || {
            of_table += end_waiting(&mut database).await;
            calls.iter().all(tokio::task::JoinHandle::is_finished).then_some(())
        })
        .await;
        assert!(0 < of_table, "nobody waited for {table}");
        killed += of_table;
        assert!(join_all(calls).await.into_iter().all(|answer| answer.unwrap().is_err()));
        held.rollback().await.unwrap();
        assert_eq!(stored(&mut database).await, facts, "{table}");
        let count: i64 = sqlx::query_scalar(invoices).fetch_one(&mut database).await.unwrap();
        assert_eq!(count, 0, "closed although {table} was held");
    }
    let answers = join_all((0..CLOSES).map(|number| {
        let close = &close;
        async move { insist(async || close(number).await).await }
    }))
    .await;
    let issued = answers.iter().filter(|answer| !answer.get_ref().replayed).count();
    assert_eq!((issued, stored(&mut database).await), (1, once(&["fee"])));
    let fact = list(&world.as_role("acme", "viewer"), 10).await.pop().unwrap();
    assert_eq!((fact.start_time, &*fact.value), (wire::days(1).start_time, "49.00"));
    println!("{killed} killed while closing, {CLOSES} calls after them, 1 invoice, 1 threshold");
}
