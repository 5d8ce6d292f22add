//! From an invoice to money: once, whoever asks how often and whatever dies meanwhile.

use futures::future::join_all;
use payplane_billing::{Period, Plan, Rate, TaxRate, Terms};
use payplane_engine::billing::{self, Closed};
use payplane_ledger::{Currency, TenantId, Timestamp};
use payplane_proto::v1::{self as proto, InvoiceState, RefusalReason};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tonic::{Code, Status};

use crate::support::{
    client::{Client, capture, code, fields, hold, name, paid, payment, refund, refused, usd},
    eventually,
    postgres::Postgres,
    world::World,
};

/// A hundred dollars and a tax of 8.1 %.
fn plan() -> Plan {
    Plan::new(Terms {
        version: "1".to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 10_000,
        prices: Vec::new(),
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: vec![TaxRate { name: "VAT".to_owned(), percent: Rate::parse("8.1").unwrap() }],
    })
    .unwrap()
}

/// Two tenants: acme owes, globex collects.
struct Billed {
    world: World,
    database: PgConnection,
    acme: TenantId,
    begin: Timestamp,
}

impl Billed {
    async fn new(engines: usize) -> Self {
        let world = World::with_engines(Postgres::shared(), engines).await;
        let operator = world.as_role("acme", "operator");
        operator.wallet("purse", "USD").await;
        operator.wallet("shop", "USD").await;
        for wallet in ["revenue", "tax"] {
            world.as_role("globex", "operator").wallet(wallet, "USD").await;
            let request = proto::PutCollectorRequest { wallet: wallet.to_owned(), collects: true };
            world.as_role("globex", "treasury").billing.clone().put_collector(request).await.unwrap();
        }
        let mut database = world.database.superuser().await;
        let tenant = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
        let acme = TenantId::from_uuid(tenant.fetch_one(&mut database).await.unwrap());
        let begin = world.engines[0].engine.store.now().await.unwrap();
        Self { world, database, acme, begin }
    }

    /// Closes a period from the last one's end until now.
    async fn close(&self) -> Closed {
        let store = &self.world.engines[0].engine.store;
        let last = store.invoices(self.acme, None, 1).await.unwrap().invoices.pop();
        let start = last.map_or(self.begin, |last| last.period.end);
        let end = store.now().await.unwrap();
        let period_from = |start| Ok(Period { start, end });
        billing::close(store, self.acme, &plan(), (start, 0), (self.begin, period_from)).await.unwrap()
    }

    async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.database).await.unwrap()
    }

    /// What acme's purse and globex's wallets have.
    async fn balances(&self) -> [String; 3] {
        let (acme, globex) = (self.world.as_role("acme", "viewer"), self.world.as_role("globex", "viewer"));
        [
            acme.available(name("purse")).await,
            globex.available(name("revenue")).await,
            globex.available(name("tax")).await,
        ]
    }

    async fn sound(&mut self) {
        let off = "select count(*) from (select 1 from payplane.accounts where kind = 3 group by currency \
                   having sum(posted_credits) <> sum(posted_debits)) off";
        assert_eq!(self.count(off).await, 0, "clearing accounts sum to zero");
        self.world.assert_sound().await;
    }
}

pub(super) fn request(number: i64, known_attempts: i32) -> proto::CollectInvoiceRequest {
    let receiver = proto::CollectionReceiver {
        tenant: "globex".to_owned(),
        revenue_wallet: "revenue".to_owned(),
        tax_wallet: "tax".to_owned(),
    };
    let (wallet, receiver) = ("purse".to_owned(), Some(receiver));
    proto::CollectInvoiceRequest { number, wallet, receiver, known_attempts }
}

pub(super) async fn collect(
    client: &Client,
    number: i64,
    known: i32,
) -> Result<proto::InvoiceCollection, Status> {
    let answer = client.billing.clone().collect_invoice(request(number, known)).await?;
    Ok(answer.into_inner().invoice.unwrap().collection.unwrap())
}

pub(super) async fn credit(
    client: &Client,
    key: &str,
    number: i64,
    amount: &str,
) -> Result<proto::CreditNote, Status> {
    let request = proto::IssueCreditNoteRequest {
        idempotency_key: key.to_owned(),
        invoice_number: number,
        amount: Some(usd(amount)),
        reason: "goodwill".to_owned(),
    };
    let answer = client.billing.clone().issue_credit_note(request).await?;
    Ok(answer.into_inner().credit_note.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_collected_once_by_however_many() {
    const CALLS: usize = 24;
    let mut billed = Billed::new(2).await;
    billed.world.fund("acme", "purse", "500.00").await;
    let first = billed.close().await.invoice;
    let number = first.number;
    let namespace = [("payplane-namespace", "acme")];
    let token = billed.world.issuer.token(crate::support::world::OPERATOR_OF_PLATFORM);
    let calls = (0..CALLS).map(|call| {
        let client = billed.world.with_token_at(call % 2, &token, &namespace);
        async move {
            let request = request(number, 0);
            let call = async || client.billing.clone().collect_invoice(request.clone()).await;
            crate::support::insist(call).await.into_inner().invoice.unwrap().collection.unwrap()
        }
    });
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.state() == InvoiceState::Paid && answer.attempts == 1));
    // 100.00 and 8.10, of 500.00.
    assert_eq!(billed.balances().await, ["391.90", "100.00", "8.10"]);
    let collected = "select count(*) from payplane.collections where posted = 10810";
    let moved =
        "select count(*) from payplane.journal j where j.reference = 'invoice 1' and j.refusal is null";
    let (collected, moved) = (billed.count(collected).await, billed.count(moved).await);
    println!("{CALLS} calls over 2 engines: {collected} collection, {moved} payments");
    assert_eq!((collected, moved), (1, 3));
    billed.sound().await;
    // The bill is no usage. There is one payment, which funded the purse, in whichever invoice was cut after its seal.
    let next = billed.close().await.invoice;
    let used = [&first, &next].map(|invoice| &invoice.document.usage);
    let payments = used.iter().map(|usage| usage.payments).sum::<i64>();
    let volume = used.iter().map(|usage| usage.volume).sum::<i64>();
    assert_eq!((payments, volume), (1, 50_000), "{first:?} {next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_and_collecting_wait_for_a_turn_and_payments_for_none() {
    /// Takes several times as long as closing and collecting do without waiting.
    const PAYMENTS: i64 = 50;
    const DONE: &str =
        "select (select count(*) from payplane.invoices) + (select count(*) from payplane.collections)";
    let mut billed = Billed::new(1).await;
    billed.world.fund("acme", "purse", "500.00").await;
    let first = billed.close().await.invoice;
    let store = billed.world.engines[0].engine.store.clone();
    let end = store.now().await.unwrap();
    let turn = store.billing_turn().await.unwrap();
    let platform = billed.world.as_platform(Some("acme"));
    let collecting = tokio::spawn(async move { collect(&platform, 1, 0).await });
    let (closes, begin, acme) = (store.clone(), billed.begin, billed.acme);
    let closing = tokio::spawn(async move {
        let cycle = (begin, move |start| Ok(Period { start, end }));
        billing::close(&closes, acme, &plan(), (first.period.end, 0), cycle).await
    });
    let operator = billed.world.as_role("acme", "operator");
    for number in 0..PAYMENTS {
        paid(&operator.pay(payment(&number.to_string(), "purse", "shop", "0.01")).await.unwrap());
    }
    assert_eq!(billed.count(DONE).await, 1, "the first invoice alone");
    assert!(!collecting.is_finished() && !closing.is_finished());
    drop(turn);
    assert_eq!(collecting.await.unwrap().unwrap().state(), InvoiceState::Paid);
    assert!(!closing.await.unwrap().unwrap().replayed);
    assert_eq!(billed.count(DONE).await, 3);
    billed.sound().await;
}

/// Where an engine dies, by what it waits for then.
const STEPS: [(&str, &str); 4] = [
    ("before the invoice is issued", "lock table payplane.invoices in share mode"),
    (
        "before the money moves",
        "select 1 from payplane.accounts a join payplane.wallets w using (tenant_id, account_id) \
         where w.name = 'purse' for update of a",
    ),
    (
        "before the receiver's half moves",
        "select 1 from payplane.accounts a join payplane.wallets w using (tenant_id, account_id) \
         where w.name = 'revenue' for update of a",
    ),
    ("before it is noted that it moved", "lock table payplane.collections in share mode"),
];

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_there_is_one_invoice_and_one_collection() {
    const DAY: i64 = 86_400;
    let mut billed = Billed::new(1).await;
    billed.world.fund("acme", "purse", "1000.00").await;
    let now = billed.begin.0 / 1_000_000;
    let start = now / DAY * DAY - 4 * DAY;
    let token = billed.world.issuer.token(crate::support::world::OPERATOR_OF_PLATFORM);
    let at = |port: u16| {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let bearer = format!("Bearer {token}");
        Client::new(address, &[("authorization", &bearer), ("payplane-namespace", "acme")])
    };
    let close = |day: i64| {
        let plan = proto::BillingPlan {
            version: "1".to_owned(),
            currency: "USD".to_owned(),
            base_fee: Some(usd("100.00")),
            taxes: vec![proto::TaxRate { name: "VAT".to_owned(), percent: "8.1".to_owned() }],
            ..Default::default()
        };
        let cycle = proto::BillingCycle {
            unit: proto::BillingUnit::Day.into(),
            time_zone: "UTC".to_owned(),
            anchor: String::new(),
            start_time: Some(prost_types::Timestamp { seconds: start, nanos: 0 }),
        };
        let start_time = Some(prost_types::Timestamp { seconds: start + day * DAY, nanos: 0 });
        proto::CloseInvoiceRequest { plan: Some(plan), cycle: Some(cycle), start_time, ..Default::default() }
    };
    let (mut kills, mut moved_before) = (0, 0);
    for (day, (step, lock)) in STEPS.iter().enumerate() {
        let number = day as i64 + 1;
        let (mut process, port) = billed.world.spawn_engine();
        let client = at(port);
        eventually("the engine to serve", async || {
            let request = proto::ListInvoicesRequest::default();
            client.billing.clone().list_invoices(request).await.ok()
        })
        .await;
        let mut holder = billed.world.database.superuser().await;
        let mut held = holder.begin().await.unwrap();
        held.execute(AssertSqlSafe(*lock)).await.unwrap();
        let call = tokio::spawn({
            let (client, close) = (client.clone(), close(day as i64));
            async move {
                client.billing.clone().close_invoice(close).await?;
                client.billing.clone().collect_invoice(request(number, 0)).await
            }
        });
        let waiting = "select count(*) from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";
        eventually(step, async || (0 < billed.count(waiting).await).then_some(())).await;
        process.kill().unwrap();
        process.wait().unwrap();
        kills += 1;
        assert!(call.await.unwrap().is_err(), "{step}: answered by the dead");
        let moved =
            "select count(*) from payplane.journal where reference like 'invoice %' and refusal is null";
        let noted = "select coalesce(sum(3), 0)::bigint from payplane.collections where posted <> 0";
        moved_before += i64::from(billed.count(noted).await < billed.count(moved).await);
        held.rollback().await.unwrap();

        // Another engine is told the same until it is done.
        let heir = at(billed.world.engines[0].grpc_address.port());
        let close = close(day as i64);
        let invoice =
            crate::support::insist(async || heir.billing.clone().close_invoice(close.clone()).await);
        assert_eq!(invoice.await.into_inner().invoice.unwrap().number, number, "{step}");
        let answer =
            crate::support::insist(async || heir.billing.clone().collect_invoice(request(number, 0)).await);
        let collection = answer.await.into_inner().invoice.unwrap().collection.unwrap();
        assert_eq!((collection.state(), collection.attempts), (InvoiceState::Paid, 1), "{step}");
    }
    let (invoices, collections) = (
        billed.count("select count(*) from payplane.invoices").await,
        billed.count("select count(*) from payplane.collections where posted = 10810").await,
    );
    println!(
        "{kills} kills, one at each step; {moved_before} with money that had moved and was not noted; {invoices} \
         invoices, {collections} collections"
    );
    assert_eq!((invoices, collections), (4, 4));
    assert_eq!(moved_before, 1);
    // Four times 100.00 and 8.10.
    assert_eq!(billed.balances().await, ["567.60", "400.00", "32.40"]);
    billed.sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paid_is_tried_again_only_when_somebody_decides_so() {
    let mut billed = Billed::new(1).await;
    let number = billed.close().await.invoice.number;
    let platform = billed.world.as_platform(Some("acme"));
    for known in [0, 0, 5] {
        let refused = collect(&platform, number, known).await.unwrap();
        assert_eq!((refused.state(), refused.attempts), (InvoiceState::Uncollected, 1), "{known}");
        assert_eq!(refused.refusal(), RefusalReason::InsufficientFunds);
        assert_eq!((refused.refusal_field.as_str(), refused.due), ("from", Some(usd("108.10"))));
    }
    // The receiver's half can be at fault too, and nothing of the payer's moves then.
    billed.world.fund("acme", "purse", "200.00").await;
    let freeze = proto::UpdateWalletRequest {
        wallet: Some(name("tax")),
        idempotency_key: "freeze".to_owned(),
        status: proto::WalletStatus::Frozen.into(),
        ..Default::default()
    };
    let admin = billed.world.as_role("globex", "admin");
    admin.wallets.clone().update_wallet(freeze.clone()).await.unwrap();
    let refused = collect(&platform, number, 1).await.unwrap();
    assert_eq!((refused.refusal(), refused.refusal_field.as_str()), (RefusalReason::WalletFrozen, "to"));
    assert_eq!(billed.balances().await, ["200.00", "0.00", "0.00"]);
    let thaw = proto::UpdateWalletRequest {
        idempotency_key: "thaw".to_owned(),
        status: proto::WalletStatus::Active.into(),
        ..freeze
    };
    admin.wallets.clone().update_wallet(thaw).await.unwrap();
    // A suspended tenant pays what it owes, and nothing else.
    let tenant = |suspended| proto::Tenant {
        name: "acme".to_owned(),
        namespaces: vec!["acme".to_owned()],
        settlement_caps: vec![usd("1000000.00")],
        service_accounts: ["viewer", "operator", "treasury", "admin"]
            .into_iter()
            .zip([proto::Role::Viewer, proto::Role::Operator, proto::Role::Treasury, proto::Role::Admin])
            .map(|(name, role)| proto::ServiceAccountGrant {
                namespace: "acme".to_owned(),
                name: name.to_owned(),
                role: role.into(),
            })
            .collect(),
        suspended,
        ..Default::default()
    };
    let everybody = billed.world.as_platform(None);
    let put = |suspended| proto::PutTenantRequest { tenant: Some(tenant(suspended)) };
    everybody.tenants.clone().put_tenant(put(true)).await.unwrap();
    let operator = billed.world.as_role("acme", "operator");
    let spent = operator.pay(payment("spend", "purse", "shop", "1.00")).await.unwrap();
    assert!(matches!(spent.result, Some(proto::payment_outcome::Result::Refusal(_))), "{spent:?}");
    let done = collect(&platform, number, 2).await.unwrap();
    assert_eq!(
        (done.state(), done.attempts, done.refusal()),
        (InvoiceState::Paid, 3, RefusalReason::Unspecified)
    );
    assert_eq!(billed.balances().await, ["91.90", "100.00", "8.10"]);
    // The bill's reason is another one: neither takes the other away.
    let owes = async |suspended| {
        let request = proto::PutBillingSuspensionRequest { suspended, ..Default::default() };
        platform.billing.clone().put_billing_suspension(request).await.unwrap().into_inner().changed
    };
    let can_spend = async |key: &str| {
        let spent = operator.pay(payment(key, "purse", "shop", "0.01")).await.unwrap();
        matches!(spent.result, Some(proto::payment_outcome::Result::Payment(_)))
    };
    assert!(owes(true).await && !owes(true).await);
    everybody.tenants.clone().put_tenant(put(false)).await.unwrap();
    assert!(!can_spend("owes").await);
    everybody.tenants.clone().put_tenant(put(true)).await.unwrap();
    assert!(owes(false).await && !can_spend("suspended").await);
    everybody.tenants.clone().put_tenant(put(false)).await.unwrap();
    assert!(can_spend("neither").await);

    // Nobody else moves money between tenants, and nobody takes a half of it back.
    let clearing = proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Clearing(proto::Clearing {})) };
    let treasury = billed.world.as_role("acme", "treasury");
    let out =
        proto::CreatePaymentRequest { from: Some(clearing.clone()), ..payment("x", "purse", "shop", "1.00") };
    assert_eq!(fields(&treasury.pay(out).await.unwrap_err()), ["from"]);
    let into = proto::CreatePaymentRequest { to: Some(clearing), ..payment("y", "purse", "shop", "1.00") };
    assert_eq!(fields(&treasury.pay(into).await.unwrap_err()), ["to"]);
    let id: uuid::Uuid =
        sqlx::query_scalar("select operation_id from payplane.collections where posted <> 0")
            .fetch_one(&mut billed.database)
            .await
            .unwrap();
    let back =
        treasury.payments.clone().refund_payment(refund("mine", &id.to_string(), "1.00")).await.unwrap();
    let why = format!("{:?}", back.into_inner().outcome.unwrap().result);
    assert!(why.contains("Refusal") && why.contains("payment_id"), "{why}");
    // And without the receiver's grant nobody collects.
    let unknown = billed.close().await.invoice.number;
    let revoke = proto::PutCollectorRequest { wallet: "tax".to_owned(), collects: false };
    billed.world.as_role("globex", "treasury").billing.clone().put_collector(revoke).await.unwrap();
    assert_eq!(code(collect(&platform, unknown, 0).await), Code::FailedPrecondition);
    for role in ["viewer", "operator", "treasury", "admin"] {
        let client = billed.world.as_role("acme", role);
        assert_eq!(code(collect(&client, unknown, 0).await), Code::PermissionDenied, "{role}");
        assert_eq!(code(credit(&client, "k", number, "1.00").await), Code::PermissionDenied, "{role}");
    }
    billed.sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_notes_and_prepaid_credits_reduce_what_is_due_and_are_never_used_twice() {
    let mut billed = Billed::new(1).await;
    billed.world.fund("acme", "purse", "500.00").await;
    let platform = billed.world.as_platform(Some("acme"));
    let grant = |key: &str, amount: &str, expires: Option<i64>| proto::GrantPrepaidCreditRequest {
        idempotency_key: key.to_owned(),
        amount: Some(usd(amount)),
        expire_time: expires.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
    };
    let soon = billed.begin.0 / 1_000_000 + 3_600;
    let grants =
        [grant("later", "100.00", None), grant("soon", "30.00", Some(soon)), grant("gone", "50.00", Some(1))];
    for request in grants.iter().chain(&grants) {
        platform.billing.clone().grant_prepaid_credit(request.clone()).await.unwrap();
    }
    let other = grant("later", "100.01", None);
    assert_eq!(code(platform.billing.clone().grant_prepaid_credit(other).await), Code::AlreadyExists);

    // 108.10: 30.00 of what expires soon, 78.10 of the rest. Nothing is left to collect.
    let first = billed.close().await.invoice;
    let used: Vec<_> = first.document.prepaid.iter().map(|used| (used.key.as_str(), used.minor)).collect();
    assert_eq!(used, [("soon", 3_000), ("later", 7_810)]);
    let paid_by_credit = collect(&platform, first.number, 0).await.unwrap();
    assert_eq!((paid_by_credit.state(), paid_by_credit.attempts), (InvoiceState::Paid, 0));
    // 21.90 are left for the second one.
    let second = billed.close().await.invoice;
    assert_eq!((second.standing.prepaid, second.standing.due()), (2_190, 8_620));
    assert_eq!(billed.balances().await, ["500.00", "0.00", "0.00"]);
    let listed = platform.billing.clone().list_prepaid_credits(proto::ListPrepaidCreditsRequest {}).await;
    let left: Vec<_> =
        listed.unwrap().into_inner().prepaid_credits.into_iter().map(|each| each.idempotency_key).collect();
    assert_eq!(left, ["gone"]);

    // Before it is collected a note reduces what is due: 86.20 less 6.20. 8.1 parts of 108.1 are tax: 5.99.
    let note = credit(&platform, "a", second.number, "6.20").await.unwrap();
    assert_eq!(
        (note.number, credit(&platform, "a", second.number, "6.20").await.unwrap()),
        (1, note.clone())
    );
    assert_eq!(code(credit(&platform, "a", second.number, "6.21").await), Code::AlreadyExists);
    let done = collect(&platform, second.number, 0).await.unwrap();
    assert_eq!((done.state(), done.collected), (InvoiceState::Paid, Some(usd("80.00"))));
    assert_eq!(billed.balances().await, ["420.00", "74.01", "5.99"]);
    // Afterwards it is given back, once: 50.00, of it 3.75 tax.
    assert_eq!(credit(&platform, "b", second.number, "50.00").await.unwrap().number, 2);
    for _ in 0..3 {
        let back = collect(&platform, second.number, 1).await.unwrap();
        assert_eq!((back.collected, back.to_return), (Some(usd("30.00")), Some(usd("0.00"))));
    }
    assert_eq!(billed.balances().await, ["470.00", "27.76", "2.24"]);
    // Never more than was invoiced: 108.10 less 56.20 are 51.90. What was prepaid is not given back in money.
    assert_eq!(code(credit(&platform, "c", second.number, "51.91").await), Code::FailedPrecondition);
    let calls = (0..8).map(|call| {
        let platform = platform.clone();
        async move { credit(&platform, &format!("race {call}"), 2, "10.00").await }
    });
    let answers = join_all(calls).await;
    let issued = answers.iter().filter(|answer| answer.is_ok()).count() as i64;
    let numbers = billed.count("select max(number) from payplane.credit_notes").await;
    let credited =
        billed.count("select max(credited_after) from payplane.credit_notes where invoice = 2").await;
    println!("8 notes at once: {issued} issued, {credited} of 10810 credited");
    assert_eq!((numbers, credited), (2 + issued, 5_620 + 1_000 * issued));
    assert!((1..=5).contains(&issued), "{issued}");
    billed.sound().await;
    paid(
        &billed.world.as_role("acme", "operator").pay(payment("on", "purse", "shop", "1.00")).await.unwrap(),
    );

    documents(&billed.world.as_role("acme", "viewer")).await;
    let stranger = billed.world.as_role("globex", "viewer");
    let request = proto::GetInvoiceDocumentRequest { number: 1, format: 1, locale: String::new() };
    assert_eq!(code(stranger.billing.clone().get_invoice_document(request).await), Code::NotFound);
    let request = proto::GetStatementDocumentRequest { format: 1, ..Default::default() };
    let nothing = stranger.billing.clone().get_statement_document(request).await.unwrap().into_inner();
    assert!(!String::from_utf8(nothing.content).unwrap().contains("108.10"));
}

/// Two invoices over 108.10 each, as documents of every format. `PAYPLANE_DOCUMENTS` names a folder to put them into, to look
/// at them.
async fn documents(viewer: &Client) {
    let folder = std::env::var_os("PAYPLANE_DOCUMENTS").map(std::path::PathBuf::from);
    let has = |content: &[u8], text: &[u8]| content.windows(text.len()).any(|window| window == text);
    for (format, ending, kind) in [
        (proto::DocumentFormat::Json, "json", "application/json"),
        (proto::DocumentFormat::Csv, "csv", "text/csv; charset=utf-8"),
        (proto::DocumentFormat::Html, "html", "text/html; charset=utf-8"),
        (proto::DocumentFormat::Pdf, "pdf", "application/pdf"),
    ] {
        let format = i32::from(format);
        let one = async |locale: &str| {
            let request = proto::GetInvoiceDocumentRequest { number: 1, format, locale: locale.to_owned() };
            let found = viewer.billing.clone().get_invoice_document(request).await.unwrap().into_inner();
            assert_eq!(found.content_type, kind);
            found.content
        };
        let all = async |through_number| {
            let request =
                proto::GetStatementDocumentRequest { format, locale: "fr".to_owned(), through_number };
            let found = viewer.billing.clone().get_statement_document(request).await.unwrap().into_inner();
            assert_eq!(found.content_type, kind);
            found.content
        };
        let (invoice, statement) = (one("").await, all(0).await);
        assert!(has(&invoice, b"108.10") && invoice == one("").await, "{kind}");
        // Only people read words.
        assert_eq!(ending == "json" || ending == "csv", invoice == one("de").await, "{kind}");
        let total: &[u8] = if ending == "json" || ending == "csv" { b"108.10" } else { b"216,20" };
        assert!(has(&statement, total) && !has(&all(1).await, b"216,20"), "{kind}");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("invoice.{ending}")), invoice).unwrap();
            std::fs::write(folder.join(format!("statement.{ending}")), statement).unwrap();
        }
    }
    let request = proto::GetStatementDocumentRequest { locale: "xx".to_owned(), ..Default::default() };
    let status = viewer.billing.clone().get_statement_document(request).await.unwrap_err();
    assert_eq!(fields(&status), ["locale", "format"]);
}

/// The limit of a debt holds at every engine from its answer on, beside what the treasury has set, and ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_owes_pays_only_small_amounts_until_it_has_paid() {
    let mut billed = Billed::new(2).await;
    billed.world.fund("acme", "purse", "300.00").await;
    let platform = billed.world.as_platform(Some("acme"));
    let number = billed.close().await.invoice.number;
    let operators: Vec<Client> =
        (0..2).map(|engine| billed.world.as_role_at(engine, "acme", "operator")).collect();
    let limit = async |maximum: Option<&str>| {
        let payment_maximum = maximum.map(usd);
        let request = proto::PutBillingSuspensionRequest { suspended: false, payment_maximum };
        platform.billing.clone().put_billing_suspension(request).await.unwrap().into_inner().changed
    };
    let held = operators[0].hold(hold("before", "purse", "shop", "20.00")).await;
    // Each engine has decided from memory before.
    for (engine, operator) in operators.iter().enumerate() {
        paid(&operator.pay(payment(&format!("before-{engine}"), "purse", "shop", "10.00")).await.unwrap());
    }
    assert!(limit(Some("5.00")).await && !limit(Some("5.00")).await);
    for (engine, operator) in operators.iter().enumerate() {
        let outcome =
            operator.pay(payment(&format!("large-{engine}"), "purse", "shop", "5.01")).await.unwrap();
        assert_eq!(refused(&outcome).0, RefusalReason::LimitExceeded);
        let Some(proto::payment_outcome::Result::Refusal(refusal)) = &outcome.result else { panic!() };
        let source = refusal.limit.as_ref().unwrap();
        assert_eq!(
            (source.name(), source.level()),
            (proto::ParameterName::DebtPaymentMaximum, proto::ParameterLevel::Tenant)
        );
        let held = operator.hold(hold(&format!("held-{engine}"), "purse", "shop", "5.01")).await;
        assert_eq!(refused(&held).0, RefusalReason::LimitExceeded);
        paid(&operator.pay(payment(&format!("small-{engine}"), "purse", "shop", "5.00")).await.unwrap());
    }
    // What was promised before is kept, and what is owed is paid.
    let taken = capture("taken", &paid(&held).id, "20.00");
    operators[1].payments.clone().capture_payment(taken).await.unwrap();
    let done = collect(&platform, number, 0).await.unwrap();
    assert_eq!(done.state(), InvoiceState::Paid);
    // Nobody sets it as a setting.
    let setting = proto::Setting {
        name: proto::ParameterName::DebtPaymentMaximum.into(),
        value: Some(proto::setting::Value::Amount(usd("9.00"))),
        ..Default::default()
    };
    let request = proto::PutSettingsRequest {
        scope: Some(proto::SettingsScope {
            scope: Some(proto::settings_scope::Scope::Tenant(proto::TenantScope {})),
        }),
        settings: vec![setting],
    };
    let admin = billed.world.as_role("acme", "admin");
    let settable = admin.settings.clone().put_settings(request).await.unwrap_err();
    assert_eq!(fields(&settable), ["settings[0].name"]);
    assert!(limit(None).await && !limit(None).await);
    for (engine, operator) in operators.iter().enumerate() {
        paid(&operator.pay(payment(&format!("after-{engine}"), "purse", "shop", "6.00")).await.unwrap());
    }
    let left = billed.count("select count(*) from payplane.billing_limits").await;
    assert_eq!(left, 0);
    billed.world.assert_sound().await;
}
