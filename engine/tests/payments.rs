//! Payments over gRPC on a real database: what moves money and what is refused.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::collections::HashMap;

use payplane_proto::v1::{self as proto, RefusalReason};
use support::{
    client::{fields, funding, id, name, paid, payment, refused, settlement, usd},
    world::World,
};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn money_enters_moves_and_is_counted() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let alice = operator.wallet("alice", "USD").await;
    let bob = operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let outcome = operator.pay(payment("first", "alice", "bob", "12.50")).await.unwrap();
    let moved = paid(&outcome);
    assert_eq!((&moved.from_wallet_id, &moved.to_wallet_id), (&alice, &bob));
    assert_eq!(moved.amount, Some(usd("12.50")));
    assert_eq!(moved.from_balance.as_ref().unwrap().available, "87.50");
    assert_eq!(moved.to_balance.as_ref().unwrap().available, "12.50");
    assert_eq!(moved.actor, "system:serviceaccount:acme:operator");
    assert!(!outcome.replayed);
    assert_eq!(world.assert_balanced().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_gets_the_first_answer() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let alice = operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let request =
        proto::CreatePaymentRequest { origin_ref: "one".to_owned(), ..payment("k", "alice", "bob", "60.00") };
    let first = operator.pay(request.clone()).await.unwrap();
    let again =
        proto::CreatePaymentRequest { origin_ref: "two".to_owned(), from: Some(id(&alice)), ..request };
    let second = operator.pay(again).await.unwrap();
    assert!(second.replayed);
    assert_eq!((second.origin_ref.as_str(), paid(&second)), ("one", paid(&first)));
    let refusal = operator.pay(payment("too much", "alice", "bob", "60.00")).await.unwrap();
    world.fund("acme", "bob", "500.00").await;
    operator.pay(payment("back", "bob", "alice", "500.00")).await.unwrap();
    let same = operator.pay(payment("too much", "alice", "bob", "60.00")).await.unwrap();
    assert_eq!(refused(&same), (RefusalReason::InsufficientFunds, "from"));
    assert_eq!((refusal.replayed, same.replayed), (false, true));
    let found = operator
        .payments
        .clone()
        .get_payment(proto::GetPaymentRequest { id: first.payment_id.clone() })
        .await;
    assert_eq!(paid(found.unwrap().into_inner().outcome.as_ref().unwrap()), paid(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_another_body_names_the_field() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob", "carol"] {
        operator.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "100.00").await;
    let first = payment("k", "alice", "bob", "5.00");
    paid(&operator.pay(first.clone()).await.unwrap());
    let euro = proto::Money { amount: "5.00".to_owned(), currency: "EUR".to_owned() };
    let others = [
        ("amount.currency", proto::CreatePaymentRequest { amount: Some(euro), ..first.clone() }),
        ("amount.amount", proto::CreatePaymentRequest { amount: Some(usd("5.01")), ..first.clone() }),
        ("from", proto::CreatePaymentRequest { from: Some(name("carol")), ..first.clone() }),
        ("to", proto::CreatePaymentRequest { to: Some(name("nobody")), ..first.clone() }),
        ("reference", proto::CreatePaymentRequest { reference: "x".to_owned(), ..first.clone() }),
        ("metadata", proto::CreatePaymentRequest { metadata: labels(&[("order", "7")]), ..first.clone() }),
    ];
    for (field, other) in others {
        let outcome = operator.pay(other).await.unwrap();
        assert_eq!(refused(&outcome), (RefusalReason::IdempotencyConflict, field));
    }
    assert_eq!(world.assert_balanced().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_reason_and_field() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    for (wallet, currency) in [("alice", "USD"), ("bob", "USD"), ("euros", "EUR")] {
        operator.wallet(wallet, currency).await;
    }
    let foreign = world.as_role("globex", "operator").wallet("theirs", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    let to =
        |reference| proto::CreatePaymentRequest { to: Some(reference), ..payment("", "alice", "", "1.00") };
    let absent = "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a";
    #[rustfmt::skip]
    let table = [
        (payment("", "nobody", "bob", "1.00"),     RefusalReason::WalletNotFound,    "from"),
        (payment("", "alice", "nobody", "1.00"),   RefusalReason::WalletNotFound,    "to"),
        (to(id(absent)),                           RefusalReason::WalletNotFound,    "to"),
        (to(id(&foreign)),                         RefusalReason::WalletNotFound,    "to"),
        (payment("", "alice", "alice", "1.00"),    RefusalReason::SameWallet,        "to"),
        (payment("", "euros", "bob", "1.00"),      RefusalReason::CurrencyMismatch,  "from"),
        (payment("", "alice", "euros", "1.00"),    RefusalReason::CurrencyMismatch,  "to"),
        (payment("", "alice", "bob", "10.01"),     RefusalReason::InsufficientFunds, "from"),
    ];
    for (index, (request, reason, field)) in table.into_iter().enumerate() {
        let key = format!("refused-{index}");
        let request = proto::CreatePaymentRequest { idempotency_key: key, ..request };
        assert_eq!(refused(&operator.pay(request).await.unwrap()), (reason, field));
    }
    let treasury = world.as_role("acme", "treasury");
    let over = treasury.pay(funding("over", "alice", "999999.00")).await.unwrap();
    assert_eq!(refused(&over), (RefusalReason::SettlementCapExceeded, "from"));
    // Money of a currency without a settlement account can go nowhere.
    let euros = Some(proto::Money { amount: "1.00".to_owned(), currency: "EUR".to_owned() });
    let request = proto::CreatePaymentRequest {
        to: Some(settlement()),
        amount: euros,
        ..payment("out", "euros", "", "")
    };
    assert_eq!(refused(&operator.pay(request).await.unwrap()), (RefusalReason::WalletNotFound, "to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_name_every_field() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let long = "9".repeat(40);
    for amount in
        ["", "0", "0.00", "-1", "1e3", "1,00", " 1", "+1", "1.001", &long, "NaN", "١٢٣", "007", ".5", "5."]
    {
        let error = operator.pay(payment("k", "alice", "bob", amount)).await.unwrap_err();
        assert_eq!(fields(&error), ["amount.amount"], "{amount:?}: {error:?}");
    }
    let good = || payment("k", "alice", "bob", "1.00");
    let text = |text: &str| text.to_owned();
    #[rustfmt::skip]
    let table = [
        ("amount.currency", proto::CreatePaymentRequest { amount: Some(proto::Money { amount: text("1"), currency: text("usd") }), ..good() }),
        ("amount.currency", proto::CreatePaymentRequest { amount: Some(proto::Money { amount: text("1"), currency: text("XXX") }), ..good() }),
        ("amount",          proto::CreatePaymentRequest { amount: None, ..good() }),
        ("idempotency_key", proto::CreatePaymentRequest { idempotency_key: text(""), ..good() }),
        ("idempotency_key", proto::CreatePaymentRequest { idempotency_key: text("a\u{0}b"), ..good() }),
        ("idempotency_key", proto::CreatePaymentRequest { idempotency_key: text("a\nb"), ..good() }),
        ("idempotency_key", proto::CreatePaymentRequest { idempotency_key: "k".repeat(256), ..good() }),
        ("idempotency_key", proto::CreatePaymentRequest { idempotency_key: text("ключ"), ..good() }),
        ("reference",       proto::CreatePaymentRequest { reference: text("a\tb"), ..good() }),
        ("reference",       proto::CreatePaymentRequest { reference: "r".repeat(257), ..good() }),
        ("metadata",        proto::CreatePaymentRequest { metadata: labels(&[("Order", "7")]), ..good() }),
        ("metadata",        proto::CreatePaymentRequest { metadata: labels(&[("order", "7\n")]), ..good() }),
        ("origin_ref",      proto::CreatePaymentRequest { origin_ref: "r".repeat(129), ..good() }),
        ("from",            proto::CreatePaymentRequest { from: None, ..good() }),
        ("from.id",         proto::CreatePaymentRequest { from: Some(id("1")), ..good() }),
        ("to.name",         proto::CreatePaymentRequest { to: Some(name("Bob")), ..good() }),
        ("to.name",         proto::CreatePaymentRequest { to: Some(name("")), ..good() }),
    ];
    for (field, request) in table {
        assert_eq!(fields(&operator.pay(request).await.unwrap_err()), [field]);
    }
    let error = operator.pay(proto::CreatePaymentRequest::default()).await.unwrap_err();
    assert_eq!(fields(&error), ["idempotency_key", "amount", "from", "to"]);
    assert_eq!(world.assert_balanced().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_are_created_once_and_found_by_everybody_in_the_tenant() {
    let world = World::new().await;
    let (operator, platform) = (world.as_role("acme", "operator"), world.as_platform(Some("acme")));
    let minimum = Some(usd("-50.00"));
    let request = proto::CreateWalletRequest {
        name: "credit".to_owned(),
        currency: "USD".to_owned(),
        owner: "somebody".to_owned(),
        minimum,
        ..Default::default()
    };
    let first = operator.wallets.clone().create_wallet(request.clone()).await.unwrap().into_inner();
    let again = operator.wallets.clone().create_wallet(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.result, again.result);
    let other = proto::CreateWalletRequest { minimum: None, ..request.clone() };
    assert_eq!(conflict(&operator, other).await, "minimum");
    assert_eq!(conflict(&platform, request).await, "name");
    // The operator's wallets carry the namespace; callers of the API reach them by that name, and the reverse.
    platform.wallet("acme/rent", "USD").await;
    let paid_out = operator.pay(payment("k", "credit", "acme/rent", "50.00")).await.unwrap();
    assert_eq!(paid(&paid_out).from_balance.as_ref().unwrap().available, "-50.00");
    assert_eq!(platform.available(name("credit")).await, "-50.00");
    let below = operator.pay(payment("l", "credit", "acme/rent", "0.01")).await.unwrap();
    assert_eq!(refused(&below), (RefusalReason::InsufficientFunds, "from"));
    let list =
        |origin: proto::Origin| proto::ListWalletsRequest { origin: origin.into(), ..Default::default() };
    let mut names = Vec::new();
    for origin in [proto::Origin::Unspecified, proto::Origin::Api, proto::Origin::Resource] {
        names.push(
            operator.wallets.clone().list_wallets(list(origin)).await.unwrap().into_inner().wallets.len(),
        );
    }
    assert_eq!(names, [2, 1, 1]);
    let theirs = world.as_role("globex", "viewer");
    let request = proto::GetWalletRequest { wallet: Some(name("credit")), ..Default::default() };
    assert_eq!(theirs.wallets.clone().get_wallet(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let alice = operator.wallet("alice", "USD").await;
    let bob = operator.wallet("bob", "USD").await;
    operator.wallet("carol", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    for number in 0..5 {
        paid(&operator.pay(payment(&format!("b{number}"), "alice", "bob", "1.00")).await.unwrap());
        paid(&operator.pay(payment(&format!("c{number}"), "alice", "carol", "1.00")).await.unwrap());
    }
    assert_eq!(keys(&operator, &bob, 2).await, ["b4", "b3", "b2", "b1", "b0"]);
    assert_eq!(keys(&operator, &alice, 3).await.len(), 11);
    assert_eq!(keys(&operator, "", 4).await[..3], ["c4", "b4", "c3"]);
    let theirs = world.as_role("globex", "operator");
    assert!(keys(&theirs, &alice, 3).await.is_empty());
    let request = proto::GetBalancesRequest { wallet_ids: vec![bob.clone(), alice.clone()] };
    let balances =
        operator.wallets.clone().get_balances(request.clone()).await.unwrap().into_inner().balances;
    assert_eq!(balances.iter().map(|balance| balance.version).collect::<Vec<_>>(), [5, 11]);
    assert_eq!(theirs.wallets.clone().get_balances(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_found_by_their_labels() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    let labelled = |key: &str, given: &[(&str, &str)]| proto::CreatePaymentRequest {
        metadata: labels(given),
        ..payment(key, "alice", "bob", "1.00")
    };
    for (key, given) in
        [("plain", &[][..]), ("one", &[("order", "7")]), ("two", &[("order", "7"), ("shop", "a")])]
    {
        let first = operator.pay(labelled(key, given)).await.unwrap();
        assert_eq!(paid(&first).metadata, labels(given));
        let again = operator.pay(labelled(key, given)).await.unwrap();
        assert!(again.replayed);
        assert_eq!(paid(&again).metadata, labels(given));
    }
    for (given, found) in [
        (&[("order", "7")][..], vec!["two", "one"]),
        (&[("shop", "a"), ("order", "7")], vec!["two"]),
        (&[("order", "8")], vec![]),
    ] {
        let request = proto::ListPaymentsRequest { metadata: labels(given), ..Default::default() };
        let page = operator.payments.clone().list_payments(request).await.unwrap().into_inner();
        let keys: Vec<_> = page.payments.iter().map(|payment| &*payment.idempotency_key).collect();
        assert_eq!(keys, found, "{given:?}");
        assert!(page.payments.iter().all(|payment| payment.metadata["order"] == "7"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_that_goes_away_stops_debits_and_not_credits() {
    let world = World::new().await;
    world.as_role("acme", "operator").wallet("alice", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    let platform = world.as_platform(None);
    let get = proto::GetTenantRequest { name: "acme".to_owned() };
    let tenant = platform.tenants.clone().get_tenant(get).await.unwrap().into_inner().tenant.unwrap();
    let put = |tenant: &proto::Tenant| proto::PutTenantRequest { tenant: Some(tenant.clone()) };
    assert!(!platform.tenants.clone().put_tenant(put(&tenant)).await.unwrap().into_inner().changed);
    let without = proto::Tenant { settlement_caps: Vec::new(), ..tenant };
    assert!(platform.tenants.clone().put_tenant(put(&without)).await.unwrap().into_inner().changed);
    let treasury = world.as_role("acme", "treasury");
    let more = treasury.pay(funding("more", "alice", "1.00")).await.unwrap();
    assert_eq!(refused(&more), (RefusalReason::SettlementCapExceeded, "from"));
    let back =
        proto::CreatePaymentRequest { to: Some(settlement()), ..payment("back", "alice", "", "10.00") };
    paid(&treasury.pay(back).await.unwrap());
    let taken = proto::Tenant {
        name: "initech".to_owned(),
        namespaces: vec!["acme".to_owned()],
        ..Default::default()
    };
    let error = platform.tenants.clone().put_tenant(put(&taken)).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

/// The keys of all payments of a wallet, newest first, read page by page.
fn labels(given: &[(&str, &str)]) -> HashMap<String, String> {
    given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn keys(client: &support::client::Client, wallet: &str, page_size: i32) -> Vec<String> {
    let mut request =
        proto::ListPaymentsRequest { page_size, wallet_id: wallet.to_owned(), ..Default::default() };
    let mut keys = Vec::new();
    loop {
        let page = client.payments.clone().list_payments(request.clone()).await.unwrap().into_inner();
        assert!(page.payments.len() <= page_size as usize);
        keys.extend(page.payments.into_iter().map(|payment| payment.idempotency_key));
        if page.next_page_token.is_empty() {
            return keys;
        }
        request.page_token = page.next_page_token;
    }
}

async fn conflict(client: &support::client::Client, request: proto::CreateWalletRequest) -> String {
    let answer = client.wallets.clone().create_wallet(request).await.unwrap().into_inner();
    match answer.result {
        Some(proto::create_wallet_response::Result::Refusal(refusal)) => refusal.field,
        other => panic!("not refused: {other:?}"),
    }
}
