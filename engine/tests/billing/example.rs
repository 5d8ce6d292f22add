//! The worked example of docs/billing.md: three tenants, three periods, and every number beside a hand calculation.
//!
//! The page is the only place that has the calculations. The test does what the page says, computes each of them with
//! decimals of its own, and compares rows of the page with the invoices' documents and the wallets: all of them, in order.
//! Periods are as short as what happens in them; that does not change what they cost.

use payplane_billing::{
    Discount, EventPrice, Metric, Model, Period, Plan, Price, Rate, TaxRate, Terms, Tier,
};
use payplane_engine::billing;
use payplane_ledger::{Currency, TenantId, Timestamp};
use payplane_proto::v1::{self as proto, InvoiceState, LateUsage, RefusalReason, UsageResult};
use serde_json::Value;
use sqlx::PgConnection;

use super::{
    collect::{collect, credit},
    recorded::{event, record},
    support::{
        client::{Client, funding, name, paid, payment, refund, refunded, usd},
        eventually,
        world::World,
    },
};

const PAGE: &str = include_str!("../../../docs/billing.md");
const TENANTS: [&str; 3] = ["flat", "tiered", "prepaid"];
const PERIODS: i64 = 3;

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

/// Dollars, and a tax of 8.1 %.
fn terms(version: &str, base_fee: i64) -> Terms {
    Terms {
        version: version.to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee,
        prices: Vec::new(),
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: vec![TaxRate { name: "VAT".to_owned(), percent: rate("8.1") }],
    }
}

fn flat(period: i64) -> Plan {
    let price = |metric, unit: &str| Price { metric, free: 0, model: Model::Flat(rate(unit)) };
    let first = vec![
        price(Metric::Payments, "0.10"),
        price(Metric::Volume, "0.0025"),
        price(Metric::Refunds, "0.50"),
    ];
    // The plan changes with the third period.
    let plan = match period {
        1 | 2 => Terms { prices: first, ..terms("1", 4_900) },
        _ => Terms { prices: vec![price(Metric::Volume, "0.002")], ..terms("2", 7_900) },
    };
    Plan::new(plan).unwrap()
}

fn tiered() -> Plan {
    let tier = |up_to, unit: &str| Tier { up_to, unit: rate(unit), flat_minor: 0 };
    let tiers = vec![tier(Some(1_000), "0.05"), tier(Some(5_000), "0.03"), tier(None, "0.01")];
    let events = vec![
        EventPrice { name: "api-calls".to_owned(), free: 100, model: Model::Graduated(tiers) },
        EventPrice { name: "storage".to_owned(), free: 0, model: Model::Package { size: 10, minor: 250 } },
    ];
    let discount = Some(Discount::Percent(rate("10")));
    Plan::new(Terms { events, minimum: 2_500, discount, ..terms("1", 0) }).unwrap()
}

fn prepaid() -> Plan {
    let events = vec![EventPrice { name: "messages".to_owned(), free: 0, model: Model::Flat(rate("0.015")) }];
    Plan::new(Terms { events, ..terms("1", 2_000) }).unwrap()
}

/// The tenants, and globex, which collects.
struct Example {
    world: World,
    database: PgConnection,
    begin: Timestamp,
    start: Timestamp,
    period: i64,
    events: usize,
}

impl Example {
    async fn new() -> Self {
        let world = World::new().await;
        for tenant in TENANTS {
            world.put_tenant(tenant).await;
            world.as_role(tenant, "operator").wallet("purse", "USD").await;
            world.as_role(tenant, "operator").wallet("shop", "USD").await;
        }
        for wallet in ["revenue", "tax"] {
            world.as_role("globex", "operator").wallet(wallet, "USD").await;
            let request = proto::PutCollectorRequest { wallet: wallet.to_owned(), collects: true };
            world.as_role("globex", "treasury").billing.clone().put_collector(request).await.unwrap();
        }
        let database = world.database.superuser().await;
        let begin = world.engines[0].engine.store.now().await.unwrap();
        Self { world, database, begin, start: begin, period: 1, events: 0 }
    }

    async fn fund(&self, tenant: &str, amount: &str) {
        let request = funding(&format!("fund {amount}"), "purse", amount);
        paid(&self.world.as_role(tenant, "treasury").pay(request).await.unwrap());
    }

    /// Pays from the purse to the shop, and gives the payment's id.
    async fn pay(&self, tenant: &str, key: &str, amount: &str) -> String {
        let request = payment(key, "purse", "shop", amount);
        paid(&self.world.as_role(tenant, "operator").pay(request).await.unwrap()).id.clone()
    }

    /// Records usage as of a moment, twice; the second time changes nothing.
    async fn used(&mut self, tenant: &str, metric: &str, quantity: i64, at: Timestamp) {
        self.events += 1;
        let client = self.platform(tenant);
        for expected in [UsageResult::Recorded, UsageResult::Repeated] {
            let sent = vec![event(self.events, metric, quantity, at)];
            assert_eq!(record(&client, sent, LateUsage::NextInvoice).await, [expected]);
        }
    }

    /// Ends the period for everybody.
    async fn close(&mut self) {
        eventually("all is sealed", async || {
            let left = sqlx::query_scalar("select count(*) from payplane.unsealed");
            let left: i64 = left.fetch_one(&mut self.database).await.unwrap();
            (left == 0).then_some(())
        })
        .await;
        let store = &self.world.engines[0].engine.store;
        let end = store.now().await.unwrap();
        let (start, begin) = (self.start, self.begin);
        for (tenant, plan) in [("flat", flat(self.period)), ("tiered", tiered()), ("prepaid", prepaid())] {
            let id =
                sqlx::query_scalar("select tenant_id from payplane.tenants where name = $1").bind(tenant);
            let id = TenantId::from_uuid(id.fetch_one(&mut self.database).await.unwrap());
            let period_from = |start| Ok(Period { start, end });
            let closed = billing::close(store, id, &plan, (start, 0), (begin, period_from)).await.unwrap();
            assert_eq!((closed.invoice.number, closed.replayed), (self.period, false), "{tenant}");
        }
        (self.start, self.period) = (end, self.period + 1);
    }

    async fn collect(&self, tenant: &str, number: i64, known: i32) -> proto::InvoiceCollection {
        collect(&self.platform(tenant), number, known).await.unwrap()
    }

    fn platform(&self, tenant: &str) -> Client {
        self.world.as_platform(Some(tenant))
    }

    async fn wallet(&self, tenant: &str, wallet: &str) -> String {
        self.world.as_role(tenant, "viewer").available(name(wallet)).await
    }

    /// What the page has to say about an invoice: period, item, quantity and amount. Zeros that nobody expects are left out.
    async fn rows(&self, tenant: &str, number: i64) -> Vec<[String; 5]> {
        let request = proto::GetInvoiceDocumentRequest {
            number,
            format: proto::DocumentFormat::Json.into(),
            ..Default::default()
        };
        let viewer = self.world.as_role(tenant, "viewer");
        let found = viewer.billing.clone().get_invoice_document(request).await.unwrap().into_inner();
        let document: Value = serde_json::from_slice(&found.content).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut rows = Vec::new();
        let mut row = |item: String, quantity: String, amount: String| {
            rows.push([tenant.to_owned(), number.to_string(), item, quantity, amount]);
        };
        for line in document["lines"].as_array().unwrap() {
            row(text(&line["item"]), text(&line["quantity"]), text(&line["amount"]));
        }
        for item in ["subtotal", "discount"] {
            row(item.to_owned(), String::new(), text(&document[item]));
        }
        for tax in document["taxes"].as_array().unwrap() {
            let item = format!("{} {} %", text(&tax["name"]), text(&tax["percent"]));
            row(item, String::new(), text(&tax["amount"]));
        }
        for item in ["total", "prepaid", "credited", "collected", "due"] {
            row(item.to_owned(), String::new(), text(&document[item]));
        }
        let may_be_left_out = ["discount", "prepaid", "credited", "collected"];
        rows.retain(|row| row[4] != "0.00" || !may_be_left_out.contains(&row[2].as_str()));
        rows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example_of_the_page_is_what_is_billed() {
    let mut example = Example::new().await;
    let first = example.begin;

    // The first period.
    example.fund("flat", "1000.00").await;
    let order = example.pay("flat", "order-1", "120.00").await;
    example.pay("flat", "order-2", "80.00").await;
    example.fund("tiered", "100.00").await;
    example.used("tiered", "api-calls", 1_000, first).await;
    example.used("tiered", "api-calls", 600, first).await;
    example.used("tiered", "storage", 25, first).await;
    example.fund("prepaid", "100.00").await;
    let hour = first.0 / 1_000_000 + 3_600;
    for (key, amount, expires) in [("paid-ahead", "100.00", None), ("trial", "10.00", Some(hour))] {
        let request = proto::GrantPrepaidCreditRequest {
            idempotency_key: key.to_owned(),
            amount: Some(usd(amount)),
            expire_time: expires.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        };
        example.platform("prepaid").billing.clone().grant_prepaid_credit(request).await.unwrap();
    }
    example.used("prepaid", "messages", 1_000, first).await;
    example.close().await;
    for tenant in TENANTS {
        assert_eq!(example.collect(tenant, 1, 0).await.state(), InvoiceState::Paid, "{tenant}");
    }

    // The second one: usage of the first that comes late, a refund, and a purse that is too empty.
    let second = example.start;
    example.pay("flat", "order-3", "50.00").await;
    let operator = example.world.as_role("flat", "operator");
    let back = operator.payments.clone().refund_payment(refund("back", &order, "20.00")).await.unwrap();
    refunded(&back.into_inner().outcome.unwrap());
    example.used("tiered", "api-calls", 400, first).await;
    example.used("tiered", "api-calls", 1_000, second).await;
    example.used("prepaid", "messages", 2_001, second).await;
    example.close().await;
    for tenant in ["flat", "prepaid"] {
        assert_eq!(example.collect(tenant, 2, 0).await.state(), InvoiceState::Paid, "{tenant}");
    }
    let refused = example.collect("tiered", 2, 0).await;
    assert_eq!((refused.state(), refused.attempts), (InvoiceState::Uncollected, 1));
    assert_eq!((refused.refusal(), refused.due), (RefusalReason::InsufficientFunds, Some(usd("57.40"))));
    example.fund("tiered", "60.00").await;
    let recovered = example.collect("tiered", 2, 1).await;
    assert_eq!((recovered.state(), recovered.attempts), (InvoiceState::Paid, 2));

    // The third one: another plan, usage of the second, a minimum, and a credit note on the first invoice.
    let third = example.start;
    example.pay("flat", "order-4", "100.00").await;
    example.used("tiered", "api-calls", 200, third).await;
    example.used("prepaid", "messages", 40, second).await;
    example.used("prepaid", "messages", 1_500, third).await;
    example.close().await;
    for tenant in TENANTS {
        assert_eq!(example.collect(tenant, 3, 0).await.state(), InvoiceState::Paid, "{tenant}");
    }
    credit(&example.platform("flat"), "goodwill", 1, "10.00").await.unwrap();
    assert_eq!(example.collect("flat", 1, 1).await.collected, Some(usd("46.54")));

    let mut computed = Vec::new();
    for tenant in TENANTS {
        for number in 1..=PERIODS {
            computed.extend(example.rows(tenant, number).await);
        }
    }
    let wallets = TENANTS.map(|tenant| (tenant, tenant, "purse")).into_iter();
    for (tenant, shown, wallet) in
        wallets.chain([("globex", "receiver", "revenue"), ("globex", "receiver", "tax")])
    {
        let left = example.wallet(tenant, wallet).await;
        computed.push([shown, "", wallet, "", &left].map(str::to_owned));
    }
    let documented = documented();
    for row in &documented {
        let shown = minor(&row.amount);
        assert_eq!(by_hand(&row.by_hand), shown, "{row:?}");
    }
    let read: Vec<_> = documented.into_iter().map(Row::told).collect();
    println!("{} numbers of the page, each as computed by hand and as billed", read.len());
    assert_eq!(read, computed);
    assert!(60 < read.len());
    example.world.assert_sound().await;
}

/// A row of the page.
#[derive(Debug)]
struct Row {
    tenant: String,
    period: String,
    item: String,
    quantity: String,
    by_hand: String,
    amount: String,
}

impl Row {
    fn told(self) -> [String; 5] {
        [self.tenant, self.period, self.item, self.quantity, self.amount]
    }
}

/// The rows of the page's table.
fn documented() -> Vec<Row> {
    let (_, rest) = PAGE.split_once("| tenant | period | item |").unwrap();
    let table = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let read = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let mut next = || cells.next().unwrap();
        let (tenant, period, item) = (next(), next(), next());
        Row { tenant, period, item, quantity: next(), by_hand: next(), amount: next() }
    };
    table.map(read).collect()
}

/// Decimals in every number of a calculation.
const DECIMALS: usize = 6;

/// A sum of products such as "3 × 0.10 − 0.05", in minor units, rounded half up; what follows on a semicolon is for people.
fn by_hand(text: &str) -> i128 {
    let (formula, _) = text.split_once(';').unwrap_or((text, ""));
    let (mut sum, mut product, mut sign) = (0, 1, 1);
    let mut factors = 0;
    for word in formula.split_whitespace() {
        match word {
            "+" | "−" => {
                sum += sign * to_two(product, factors);
                (product, factors) = (1, 0);
                sign = if word == "+" { 1 } else { -1 };
            }
            "×" => {}
            number => {
                product *= decimal(number);
                factors += 1;
            }
        }
    }
    sum += sign * to_two(product, factors);
    // Two products of six decimals are left.
    let unit = 10_i128.pow(2 * DECIMALS as u32 - 2);
    (sum + unit / 2).div_euclid(unit)
}

/// With the decimals of a product of two numbers.
fn to_two(product: i128, factors: u32) -> i128 {
    match factors {
        1 => product * 10_i128.pow(DECIMALS as u32),
        2 => product,
        _ => panic!("{factors} factors"),
    }
}

fn decimal(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<DECIMALS$}").parse().unwrap()
}

fn minor(text: &str) -> i128 {
    decimal(text) / 10_i128.pow(DECIMALS as u32 - 2)
}
