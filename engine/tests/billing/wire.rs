//! The API: preview, close, get, list; who may; and which plans are refused.

use std::time::{SystemTime, UNIX_EPOCH};

use payplane_proto::v1::{
    self as proto, BillingMetric, BillingUnit, billing_discount::Discount, invoice_line::Item,
    metric_price::Model,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    client::{Client, capture, code, fields, hold, paid, payment, refund, refunded, usd},
    eventually,
    world::World,
};

const DAY: i64 = 86_400;

fn flat(metric: BillingMetric, unit_price: &str) -> proto::MetricPrice {
    let model = Some(Model::Flat(proto::FlatPrice { unit_price: unit_price.to_owned() }));
    proto::MetricPrice { metric: metric.into(), model, ..Default::default() }
}

fn plan() -> proto::BillingPlan {
    proto::BillingPlan {
        version: "1".to_owned(),
        currency: "USD".to_owned(),
        base_fee: Some(usd("49.00")),
        prices: vec![flat(BillingMetric::Payments, "0.015"), flat(BillingMetric::Volume, "0.0025")],
        taxes: vec![proto::TaxRate { name: "VAT".to_owned(), percent: "8.1".to_owned() }],
        ..Default::default()
    }
}

fn seconds(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// Days in UTC, from so many days ago.
pub(crate) fn days(ago: i64) -> proto::BillingCycle {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let midnight = i64::try_from(now).unwrap() / DAY * DAY;
    proto::BillingCycle {
        unit: BillingUnit::Day.into(),
        time_zone: "UTC".to_owned(),
        anchor: String::new(),
        start_time: seconds(midnight - ago * DAY),
    }
}

async fn preview(
    client: &Client,
    plan: proto::BillingPlan,
    cycle: proto::BillingCycle,
) -> Result<proto::PreviewInvoiceResponse, Status> {
    let request =
        proto::PreviewInvoiceRequest { plan: Some(plan), cycle: Some(cycle), thresholds: Vec::new() };
    client.billing.clone().preview_invoice(request).await.map(tonic::Response::into_inner)
}

async fn close(
    client: &Client,
    (plan, cycle): (proto::BillingPlan, proto::BillingCycle),
    start_time: Option<prost_types::Timestamp>,
    grace_seconds: i64,
) -> Result<proto::CloseInvoiceResponse, Status> {
    let grace = Some(prost_types::Duration { seconds: grace_seconds, nanos: 0 });
    let (plan, cycle) = (Some(plan), Some(cycle));
    let request = proto::CloseInvoiceRequest { plan, cycle, start_time, grace, thresholds: Vec::new() };
    client.billing.clone().close_invoice(request).await.map(tonic::Response::into_inner)
}

async fn list(client: &Client, page_size: i32, page_token: String) -> proto::ListInvoicesResponse {
    let request = proto::ListInvoicesRequest { page_size, page_token };
    client.billing.clone().list_invoices(request).await.unwrap().into_inner()
}

async fn get(client: &Client, number: i64) -> Result<proto::Invoice, Status> {
    let answer = client.billing.clone().get_invoice(proto::GetInvoiceRequest { number }).await?;
    Ok(answer.into_inner().invoice.unwrap())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

fn quantities(invoice: &proto::Invoice) -> Vec<&str> {
    invoice.usage.iter().map(|usage| usage.quantity.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_what_was_done() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob", "carol", "idle"] {
        operator.wallet(wallet, "USD").await;
    }
    operator.wallet("euros", "EUR").await;
    // Three payments, one of them money that enters; a fourth is refused.
    world.fund("acme", "alice", "1000.00").await;
    let first = operator.pay(payment("1", "alice", "bob", "100.00")).await.unwrap();
    paid(&operator.pay(payment("2", "bob", "alice", "0.50")).await.unwrap());
    operator.pay(payment("3", "bob", "alice", "9999.00")).await.unwrap();
    // Two holds, one of them captured in two parts.
    let held = operator.hold(hold("h1", "alice", "carol", "30.00")).await;
    operator.hold(hold("h2", "alice", "carol", "5.00")).await;
    for (key, amount) in [("c1", "10.00"), ("c2", "7.25")] {
        operator.payments.clone().capture_payment(capture(key, &paid(&held).id, amount)).await.unwrap();
    }
    let request = refund("r1", &paid(&first).id, "40.00");
    let answer = operator.payments.clone().refund_payment(request).await.unwrap().into_inner();
    refunded(&answer.outcome.unwrap());

    let platform = world.as_platform(Some("acme"));
    let invoice = eventually("all of it is sealed", async || {
        let found = preview(&platform, plan(), days(0)).await.unwrap();
        assert!(!found.is_over);
        found.invoice.filter(|invoice| quantities(invoice)[3] == "1").zip(found.forecast)
    });
    let (invoice, forecast) = invoice.await;
    // The same, or more by what the rest of the day will bring.
    let cents: i64 = forecast.amount.replace('.', "").parse().unwrap();
    assert!(5_604 <= cents && forecast.currency == "USD", "{forecast:?}");
    // 1,000.00 + 100.00 + 0.50 + 10.00 + 7.25.
    assert_eq!(quantities(&invoice), ["3", "1117.75", "2", "1", "3", "0", "0"]);
    let lines: Vec<_> = invoice
        .lines
        .iter()
        .map(|line| (line.item.clone().unwrap(), line.amount.clone().unwrap().amount))
        .collect();
    // 3 at 1.5 cents: 4.5. A quarter of a percent: 2.794375.
    assert_eq!(
        lines,
        [
            (Item::BaseFee(proto::BaseFeeItem {}), "49.00".to_owned()),
            (Item::Metric(BillingMetric::Payments.into()), "0.05".to_owned()),
            (Item::Metric(BillingMetric::Volume.into()), "2.79".to_owned()),
        ]
    );
    // 8.1 % of 51.84: 4.19904.
    assert_eq!((invoice.subtotal, invoice.total), (Some(usd("51.84")), Some(usd("56.04"))));
    assert_eq!(
        (invoice.taxes[0].amount.clone(), invoice.taxes[0].percent.as_str()),
        (Some(usd("4.20")), "8.1")
    );
    assert_eq!((invoice.number, invoice.issue_time), (1, None));
    // The other tenant did nothing.
    let other = preview(&world.as_platform(Some("globex")), plan(), days(0)).await.unwrap().invoice.unwrap();
    assert_eq!(quantities(&other), ["0", "0.00", "0", "0", "0", "0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_periods_are_closed_once_and_in_order() {
    let world = World::new().await;
    let platform = world.as_platform(Some("acme"));
    let cycle = days(3);
    let ask = |version: &str| (proto::BillingPlan { version: version.to_owned(), ..plan() }, cycle.clone());
    // The third one first: no.
    let status = close(&platform, ask("1"), seconds(cycle.start_time.unwrap().seconds + 2 * DAY), 0).await;
    assert_eq!(reason(&status.unwrap_err()), "PERIOD_OUT_OF_ORDER");
    let mut issued = Vec::new();
    loop {
        let next = preview(&platform, plan(), cycle.clone()).await.unwrap();
        let (start, is_over) = (next.invoice.unwrap().start_time, next.is_over);
        if !is_over {
            let status = close(&platform, ask("1"), start, 0).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "PERIOD_OPEN"));
            break;
        }
        // Grace counts: 31 days have not passed since.
        let status = close(&platform, ask("1"), start, 31 * DAY).await.unwrap_err();
        assert_eq!(reason(&status), "PERIOD_OPEN");
        let first = close(&platform, ask("1"), start, 0).await.unwrap();
        assert!(!first.replayed);
        for version in ["1", "2"] {
            // The plan may have changed; the invoice has not.
            let again = close(&platform, ask(version), start, 0).await.unwrap();
            assert!(again.replayed);
            assert_eq!(again.invoice, first.invoice);
        }
        issued.push(first.invoice.unwrap());
    }
    assert_eq!(issued.iter().map(|invoice| invoice.number).collect::<Vec<_>>(), [1, 2, 3]);
    for pair in issued.windows(2) {
        assert_eq!((pair[0].end_time, pair[0].through_seal), (pair[1].start_time, pair[1].after_seal));
    }
    // However often they were closed, three were issued: one a day or two late, one two or three, one today's.
    let metrics = world.engines[0].engine.exposition();
    assert!(metrics.contains("payplane_engine_billing_close_seconds_count 3\n"), "{metrics}");
    assert!(
        metrics.contains("payplane_engine_billing_close_delay_seconds_bucket{le=\"86400\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("payplane_engine_billing_close_delay_seconds_bucket{le=\"604800\"} 3\n"),
        "{metrics}"
    );
    assert_eq!(issued[0].total, Some(usd("52.97")));
    let viewer = world.as_role("acme", "viewer");
    let first = list(&viewer, 2, String::new()).await;
    let second = list(&viewer, 2, first.next_page_token).await;
    let listed: Vec<_> = first.invoices.into_iter().chain(second.invoices).rev().collect();
    assert_eq!((&listed, second.next_page_token.as_str()), (&issued, ""));
    assert_eq!(get(&viewer, 2).await.unwrap(), issued[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_bills_and_nobody_sees_anothers_invoices() {
    let world = World::new().await;
    let platform = world.as_platform(Some("acme"));
    let cycle = days(1);
    close(&platform, (plan(), cycle.clone()), cycle.start_time, 0).await.unwrap();
    for role in ["viewer", "operator", "treasury", "admin"] {
        let client = world.as_role("acme", role);
        assert_eq!(code(preview(&client, plan(), cycle.clone()).await), Code::PermissionDenied, "{role}");
        let closed = close(&client, (plan(), cycle.clone()), cycle.start_time, 0).await;
        assert_eq!(code(closed), Code::PermissionDenied, "{role}");
        assert_eq!(get(&client, 1).await.unwrap().number, 1);
    }
    let stranger = world.as_role("globex", "admin");
    assert_eq!(list(&stranger, 0, String::new()).await, proto::ListInvoicesResponse::default());
    for number in [1, 0, -1, i64::MAX] {
        assert_eq!(code(get(&stranger, number).await), Code::NotFound, "{number}");
    }
    assert_eq!(code(get(&platform, 2).await), Code::NotFound);
    // Whose, if it does not say?
    let nobody = preview(&world.as_platform(None), plan(), cycle).await.unwrap_err();
    assert_eq!(reason(&nobody), "NAMESPACE_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_cycles_that_make_no_sense_are_refused_by_field() {
    let world = World::new().await;
    let platform = world.as_platform(Some("acme"));
    let tier = |up_to: &str, unit_price: &str| proto::PriceTier {
        up_to: up_to.to_owned(),
        unit_price: unit_price.to_owned(),
        flat_fee: None,
    };
    let tiers = |tiers: Vec<proto::PriceTier>| proto::MetricPrice {
        metric: BillingMetric::Holds.into(),
        model: Some(Model::Graduated(proto::TieredPrice { tiers })),
        ..Default::default()
    };
    let with = |prices: Vec<proto::MetricPrice>| proto::BillingPlan { prices, ..plan() };
    let percent = |text: &str| {
        Some(proto::BillingDiscount {
            discount: Some(Discount::Percent(text.to_owned())),
            ..Default::default()
        })
    };
    let yen = proto::Money { amount: "1".to_owned(), currency: "JPY".to_owned() };
    let plans = [
        (
            with(vec![tiers(vec![tier("10", "1"), tier("5", "1"), tier("", "1")])]),
            "plan.prices[0].graduated.tiers[1].up_to",
        ),
        (with(vec![tiers(vec![tier("", "-1")])]), "plan.prices[0].graduated.tiers[0].unit_price"),
        (
            with(vec![proto::MetricPrice { metric: 99, ..flat(BillingMetric::Holds, "1") }]),
            "plan.prices[0].metric",
        ),
        (with(vec![proto::MetricPrice { model: None, ..flat(BillingMetric::Holds, "1") }]), "plan.prices[0]"),
        (
            with(vec![proto::MetricPrice { free: "1.5".to_owned(), ..flat(BillingMetric::Holds, "1") }]),
            "plan.prices[0].free",
        ),
        (
            with(vec![flat(BillingMetric::Holds, "1"), flat(BillingMetric::Holds, "1")]),
            "plan.prices[1].metric",
        ),
        (with(vec![flat(BillingMetric::Holds, "1"); 8]), "plan.prices"),
        (proto::BillingPlan { currency: "XXX".to_owned(), ..plan() }, "plan.currency"),
        (proto::BillingPlan { base_fee: Some(usd("-1.00")), ..plan() }, "plan.base_fee.amount"),
        (proto::BillingPlan { base_fee: Some(yen), ..plan() }, "plan.base_fee.currency"),
        (proto::BillingPlan { discount: percent("101"), ..plan() }, "plan.discount.percent"),
        (proto::BillingPlan { version: String::new(), ..plan() }, "plan.version"),
    ];
    for (plan, field) in plans {
        let status = preview(&platform, plan, days(0)).await.unwrap_err();
        assert_eq!(fields(&status), [field]);
    }
    let cycles = [
        (proto::BillingCycle { unit: 0, ..days(0) }, "cycle.unit"),
        (proto::BillingCycle { time_zone: "Europe/Nowhere".to_owned(), ..days(0) }, "cycle.time_zone"),
        (proto::BillingCycle { anchor: "2026-02-30".to_owned(), ..days(0) }, "cycle.anchor"),
        (proto::BillingCycle { start_time: None, ..days(0) }, "cycle.start_time"),
    ];
    for (cycle, field) in cycles {
        let status = preview(&platform, plan(), cycle).await.unwrap_err();
        assert_eq!(fields(&status), [field]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_plan_what_was_agreed_is_billed() {
    let world = World::new().await;
    let platform = world.as_platform(Some("acme"));
    let agree = async |plan: proto::BillingPlan, start: proto::PlanStart| {
        let request = proto::AgreePlanRequest { plan: Some(plan), cycle: Some(days(0)), start: start.into() };
        platform.billing.clone().agree_plan(request).await.map(tonic::Response::into_inner)
    };
    let shown = async || {
        let request = proto::PreviewInvoiceRequest { cycle: Some(days(0)), ..Default::default() };
        let answer = platform.billing.clone().preview_invoice(request).await?;
        Ok::<_, Status>(answer.into_inner().invoice.unwrap())
    };
    let (next, now) = (proto::PlanStart::NextPeriod, proto::PlanStart::Now);
    let version = |version: &str, fee: &str| proto::BillingPlan {
        version: version.to_owned(),
        base_fee: Some(usd(fee)),
        ..plan()
    };
    assert_eq!(reason(&shown().await.unwrap_err()), "NO_PLAN");
    assert!(agree(version("1", "49.00"), next).await.unwrap().changed);
    assert!(!agree(version("1", "49.00"), now).await.unwrap().changed);
    assert_eq!(reason(&agree(version("1", "59.00"), next).await.unwrap_err()), "VERSION_TAKEN");
    let midnight = days(0).start_time.unwrap().seconds + DAY;
    let later = agree(version("2", "59.00"), next).await.unwrap();
    assert_eq!(later.effective_time, seconds(midnight));
    let invoice = shown().await.unwrap();
    assert_eq!((invoice.plan_version.as_str(), invoice.parts.len()), ("1", 0));

    agree(version("2", "59.00"), now).await.unwrap();
    let invoice = shown().await.unwrap();
    assert_eq!((invoice.plan_version.as_str(), invoice.parts.len()), ("1, 2", 2));
    assert_eq!(
        (&invoice.parts[0].end_time, &invoice.parts[1].end_time),
        (&invoice.parts[1].start_time, &invoice.end_time)
    );
    let named: Vec<&str> = invoice.lines.iter().map(|line| line.plan_version.as_str()).collect();
    assert_eq!(named, ["1", "1", "1", "2", "2", "2"]);

    let euros = proto::BillingPlan {
        version: "3".to_owned(),
        currency: "EUR".to_owned(),
        base_fee: None,
        prices: Vec::new(),
        ..plan()
    };
    assert_eq!(reason(&agree(euros, now).await.unwrap_err()), "CURRENCY_CHANGED");
    for fee in ["1.00", "2.00"] {
        agree(version(fee, fee), now).await.unwrap();
    }
    assert_eq!(reason(&agree(version("4", "4.00"), now).await.unwrap_err()), "TOO_MANY_CHANGES");
    let unspecified = agree(version("", "1"), proto::PlanStart::Unspecified).await.unwrap_err();
    assert_eq!(fields(&unspecified), ["plan.version", "start"]);
    let operator = world.as_role("acme", "admin");
    let denied = operator.billing.clone().agree_plan(proto::AgreePlanRequest::default()).await;
    assert_eq!(code(denied), Code::PermissionDenied);
}
