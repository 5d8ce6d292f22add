//! Usage that others record: once, whoever sends it how often, and in exactly one invoice.

use futures::future::join_all;
use payplane_billing::{EventPrice, Model, Period, Plan, Rate, Terms};
use payplane_engine::billing;
use payplane_ledger::{Currency, TenantId, Timestamp};
use payplane_proto::v1::{self as proto, LateUsage, UsageResult};
use sqlx::{PgConnection, Row as _};
use tonic::Code;

use crate::support::{
    client::{Client, code, fields},
    insist,
    postgres::Postgres,
    world::{OPERATOR_OF_PLATFORM, World},
};

const SECOND: i64 = 1_000_000;

fn plan() -> Plan {
    let event = |name: &str, unit: &str| EventPrice {
        name: name.to_owned(),
        free: 0,
        model: Model::Flat(Rate::parse(unit).unwrap()),
    };
    Plan::new(Terms {
        version: "1".to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 0,
        prices: Vec::new(),
        events: vec![event("calls", "0.015"), event("storage", "0.2")],
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: Vec::new(),
    })
    .unwrap()
}

pub(super) fn event(id: usize, metric: &str, quantity: i64, at: Timestamp) -> proto::UsageEvent {
    let nanos = i32::try_from(at.0.rem_euclid(SECOND) * 1_000).unwrap();
    let time = Some(prost_types::Timestamp { seconds: at.0.div_euclid(SECOND), nanos });
    proto::UsageEvent {
        source: "gateway".to_owned(),
        id: id.to_string(),
        metric: metric.to_owned(),
        quantity,
        time,
    }
}

pub(super) async fn record(
    client: &Client,
    events: Vec<proto::UsageEvent>,
    late: LateUsage,
) -> Vec<UsageResult> {
    let request = proto::RecordUsageRequest { events, late: late.into() };
    let answer = insist(async || client.billing.clone().record_usage(request.clone()).await).await;
    answer.into_inner().results.into_iter().map(|each| UsageResult::try_from(each).unwrap()).collect()
}

async fn acme(database: &mut PgConnection) -> TenantId {
    let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
    TenantId::from_uuid(tenant.fetch_one(database).await.unwrap())
}

/// Senders send each event twice, over both engines, on time, late and early, while periods are closed.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_in_exactly_one_invoice() {
    const SENDERS: usize = 4;
    const ROUNDS: usize = 6;
    const EVENTS: usize = 200;
    let world = World::with_engines(Postgres::shared(), 2).await;
    let mut database = world.database.superuser().await;
    let tenant = acme(&mut database).await;
    let begin = world.engines[0].engine.store.now().await.unwrap();
    let token = world.issuer.token(OPERATOR_OF_PLATFORM);
    let mut start = begin;
    let mut recorded = 0;
    let mut invoices = Vec::new();
    for round in 0..ROUNDS {
        let now = world.engines[0].engine.store.now().await.unwrap();
        let senders = (0..SENDERS).map(|sender| {
            let client = world.with_token_at(sender % 2, &token, &[("payplane-namespace", "acme")]);
            async move {
                // Two senders send the same.
                let first = (round * SENDERS + sender / 2) * EVENTS;
                let events = (0..EVENTS).map(|number| {
                    // From a period ago until a period ahead, as far as there are any.
                    let shift = (number as i64 % 7 - 3) * 40_000;
                    let at = Timestamp((now.0 + shift).max(begin.0));
                    let metric = if number % 3 == 0 { "storage" } else { "calls" };
                    event(first + number, metric, 1 + number as i64 % 5, at)
                });
                record(&client, events.collect(), LateUsage::NextInvoice).await
            }
        });
        // Whatever is recorded meanwhile is in this invoice or in the next one.
        let closing = async {
            let end = world.engines[0].engine.store.now().await.unwrap();
            let period_from = |start| Ok(Period { start, end });
            let store = &world.engines[round % 2].engine.store;
            (billing::close(store, tenant, &plan(), (start, 0), (begin, period_from)).await.unwrap(), end)
        };
        let (answers, (closed, end)) = futures::future::join(join_all(senders), closing).await;
        let count = |wanted: UsageResult| answers.iter().flatten().filter(|each| **each == wanted).count();
        assert_eq!(count(UsageResult::Recorded), SENDERS / 2 * EVENTS);
        assert_eq!(count(UsageResult::Recorded), count(UsageResult::Repeated), "round {round}");
        recorded += count(UsageResult::Recorded);
        invoices.push(closed.invoice);
        start = end;
    }
    // The last period ends after everything that was sent: wait for the clock to pass it.
    let last: i64 =
        sqlx::query_scalar("select max(time_us) from payplane.usage_events where source = 'gateway'")
            .fetch_one(&mut database)
            .await
            .unwrap();
    let store = &world.engines[0].engine.store;
    let end = crate::support::eventually("the clock to pass", async || {
        let now = store.now().await.unwrap();
        (last < now.0).then_some(now)
    });
    let end = end.await;
    let period_from = |start| Ok(Period { start, end });
    let closed = billing::close(store, tenant, &plan(), (start, 0), (begin, period_from)).await.unwrap();
    invoices.push(closed.invoice);

    // By the rows themselves: the first invoice that reaches an event has it.
    let mut late = 0;
    let mut sums = std::collections::BTreeMap::new();
    // Engines record calls of the API too, every quarter of an hour.
    let rows =
        "select metric, quantity, position, time_us from payplane.usage_events where source = 'gateway'";
    let rows = sqlx::query(rows);
    for row in rows.fetch_all(&mut database).await.unwrap() {
        let (position, time): (i64, i64) = (row.get("position"), row.get("time_us"));
        let holder = invoices
            .iter()
            .find(|invoice| position <= invoice.through_event && time < invoice.period.end.0)
            .unwrap();
        late += usize::from(time < holder.period.start.0);
        *sums.entry((holder.number, row.get::<String, _>("metric"))).or_insert(0) +=
            row.get::<i64, _>("quantity");
    }
    let mut billed = 0;
    for invoice in &invoices {
        for name in ["calls", "storage"] {
            let of_invoice = invoice.document.usage.events.get(name).copied().unwrap_or_default();
            let by_hand = sums.get(&(invoice.number, name.to_owned())).copied().unwrap_or_default();
            assert_eq!(of_invoice, by_hand, "{name} of invoice {}", invoice.number);
            billed += of_invoice;
        }
        let events = &invoice.document.usage.events;
        let cents = |name: &str, hundredths: i64| {
            let exact = events.get(name).copied().unwrap_or_default() * hundredths;
            (exact + 50) / 100
        };
        assert_eq!(invoice.document.statement.total, cents("calls", 150) + cents("storage", 2_000));
    }
    let all = "select sum(quantity)::bigint from payplane.usage_events where source = 'gateway'";
    let all: i64 = sqlx::query_scalar(all).fetch_one(&mut database).await.unwrap();
    let busy = invoices.iter().filter(|invoice| !invoice.document.usage.events.is_empty()).count();
    println!("{recorded} events sent twice, {late} of them late, in {busy} of {} invoices", invoices.len());
    assert_eq!(billed, all);
    assert!(2 < busy && 0 < late, "{busy} {late}");
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_apart_summed_by_windows_and_refused_by_field() {
    let world = World::new().await;
    let mut database = world.database.superuser().await;
    let tenant = acme(&mut database).await;
    let platform = world.as_platform(Some("acme"));
    let store = &world.engines[0].engine.store;
    let begin = store.now().await.unwrap();
    let at = |seconds: i64| Timestamp(begin.0 - 100 * SECOND + seconds * SECOND);
    let sent = vec![
        event(1, "calls", 5, at(0)),
        event(2, "calls", 7, at(9)),
        event(3, "storage", 1, at(9)),
        event(4, "calls", 1, at(25)),
        event(1, "calls", 5, at(0)),
        event(2, "calls", 8, at(9)),
    ];
    use UsageResult::{Conflict, Late, Recorded, Repeated};
    let first = record(&platform, sent.clone(), LateUsage::NextInvoice).await;
    assert_eq!(first, [Recorded, Recorded, Recorded, Recorded, Repeated, Conflict]);
    let again = record(&platform, sent, LateUsage::NextInvoice).await;
    assert_eq!(again, [Repeated, Repeated, Repeated, Repeated, Repeated, Conflict]);
    let time = |at: Timestamp| event(0, "x", 0, at).time;
    let query = proto::QueryUsageRequest {
        metric: "calls".to_owned(),
        start_time: time(at(0)),
        end_time: time(at(30)),
        window: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        ..Default::default()
    };
    let windows = platform.billing.clone().query_usage(query.clone()).await.unwrap().into_inner().windows;
    let found: Vec<_> = windows.iter().map(|window| (window.quantity, window.events)).collect();
    assert_eq!(found, [(12, 2), (1, 1)]);
    assert_eq!((windows[1].start_time, windows[1].end_time), (time(at(20)), time(at(30))));

    // Among known ones the new ones are recorded, once, wherever they stand.
    let new = |id, quantity| event(id, "mixed", quantity, at(3));
    let mixed = vec![new(5, 1), event(4, "calls", 1, at(25)), event(2, "calls", 9, at(9)), new(0, 2)];
    let answers = record(&platform, mixed, LateUsage::NextInvoice).await;
    assert_eq!(answers, [Recorded, Repeated, Conflict, Recorded]);
    let of_mixed = proto::QueryUsageRequest { metric: "mixed".to_owned(), window: None, ..query.clone() };
    let found = platform.billing.clone().query_usage(of_mixed).await.unwrap().into_inner().windows;
    assert_eq!((found[0].quantity, found[0].events), (3, 2));

    // By who counted: another one has the same ids for other events.
    let other = proto::UsageEvent { source: "apps".to_owned(), ..event(1, "calls", 2, at(1)) };
    assert_eq!(record(&platform, vec![other], LateUsage::NextInvoice).await, [Recorded]);
    let query = proto::QueryUsageRequest { by_source: true, ..query };
    let found = platform.billing.clone().query_usage(query).await.unwrap().into_inner();
    let windows: Vec<_> = found.windows.iter().map(|window| (&*window.source, window.quantity)).collect();
    assert_eq!((windows, found.has_more), (vec![("apps", 2), ("gateway", 12), ("gateway", 1)], false));

    // Once the period is invoiced, the caller chooses.
    let end = store.now().await.unwrap();
    let period_from = |start| Ok(Period { start, end });
    billing::close(store, tenant, &plan(), (at(0), 0), (at(0), period_from)).await.unwrap();
    let late = || vec![event(9, "calls", 1, at(50))];
    assert_eq!(record(&platform, late(), LateUsage::Refuse).await, [Late]);
    assert_eq!(record(&platform, late(), LateUsage::NextInvoice).await, [Recorded]);
    assert_eq!(record(&platform, late(), LateUsage::Refuse).await, [Repeated]);
    let metrics = world.engines[0].engine.exposition();
    for (result, events) in [("recorded", 8), ("repeated", 8), ("conflict", 3), ("late", 1)] {
        let line = format!("payplane_engine_usage_events_total{{result=\"{result}\"}} {events}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    // The oldest event of the first request was a hundred seconds old, and that of every other one too.
    assert!(metrics.contains("payplane_engine_usage_event_age_seconds_bucket{le=\"10\"} 0\n"), "{metrics}");
    assert!(metrics.contains("payplane_engine_usage_event_age_seconds_bucket{le=\"300\"} 7\n"), "{metrics}");

    let wrong = [
        (proto::UsageEvent { source: String::new(), ..event(1, "a", 1, at(0)) }, "events[0].source"),
        (proto::UsageEvent { id: "\n".to_owned(), ..event(1, "a", 1, at(0)) }, "events[0].id"),
        (event(1, "Calls", 1, at(0)), "events[0].metric"),
        (event(1, "payplane.api-calls", 1, at(0)), "events[0].metric"),
        (event(1, "calls", -1, at(0)), "events[0].quantity"),
        (event(1, "calls", 1, at(100_000)), "events[0].time"),
        (proto::UsageEvent { time: None, ..event(1, "a", 1, at(0)) }, "events[0].time"),
    ];
    for (event, field) in wrong {
        let request = proto::RecordUsageRequest { events: vec![event], late: 1 };
        assert_eq!(fields(&platform.billing.clone().record_usage(request).await.unwrap_err()), [field]);
    }
    let stranger = world.as_role("globex", "admin");
    let request = proto::RecordUsageRequest { events: late(), late: 1 };
    assert_eq!(code(stranger.billing.clone().record_usage(request).await), Code::PermissionDenied);
}
