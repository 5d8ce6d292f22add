//! Wallets: their terms, their labels, and what they held.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::collections::HashMap;

use payplane_proto::v1::{
    self as proto, PaymentState, RefusalReason, WalletStatus, get_balance_at_request::At,
    update_wallet_request::MaximumChange, update_wallet_response::Result as Updated,
};
use support::{
    client::{
        Client, capture, code, fields, hold, id, name, paid, payment, refund, refused, settlement, usd,
    },
    eventually,
    world::World,
};
use tonic::Code;

async fn create(client: &Client, request: proto::CreateWalletRequest) -> proto::CreateWalletResponse {
    client.wallets.clone().create_wallet(request).await.unwrap().into_inner()
}

async fn update(client: &Client, request: proto::UpdateWalletRequest) -> proto::UpdateWalletResponse {
    client.wallets.clone().update_wallet(request).await.unwrap().into_inner()
}

fn change(key: &str, wallet: &str) -> proto::UpdateWalletRequest {
    proto::UpdateWalletRequest {
        idempotency_key: key.to_owned(),
        wallet: Some(name(wallet)),
        ..Default::default()
    }
}

fn status(key: &str, wallet: &str, status: WalletStatus) -> proto::UpdateWalletRequest {
    proto::UpdateWalletRequest { status: status.into(), ..change(key, wallet) }
}

fn updated(answer: &proto::UpdateWalletResponse) -> &proto::Wallet {
    match &answer.result {
        Some(Updated::Wallet(wallet)) => wallet,
        other => panic!("not updated: {other:?}"),
    }
}

fn why_not(answer: &proto::UpdateWalletResponse) -> (RefusalReason, &str) {
    match &answer.result {
        Some(Updated::Refusal(refusal)) => (refusal.reason(), &refusal.field),
        other => panic!("not refused: {other:?}"),
    }
}

fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A customer's wallet with everything.
fn customer(wallet: &str) -> proto::CreateWalletRequest {
    proto::CreateWalletRequest {
        name: wallet.to_owned(),
        currency: "USD".to_owned(),
        owner: "customer-1".to_owned(),
        minimum: Some(usd("-5.00")),
        maximum: Some(usd("100.00")),
        wallet_class: "retail".to_owned(),
        metadata: labels(&[("tier", "gold"), ("country", "de")]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_what_it_was_created_as() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let made = create(&operator, customer("alice")).await;
    let wallet = operator.read_wallet(name("alice")).await;
    assert_eq!(made.result, Some(proto::create_wallet_response::Result::Wallet(wallet.clone())));
    assert_eq!((&*wallet.minimum, &*wallet.maximum, &*wallet.wallet_class), ("-5.00", "100.00", "retail"));
    assert_eq!((wallet.kind(), wallet.metadata), (proto::WalletKind::Wallet, customer("").metadata));
    let full = operator.pay(payment("k", "alice", "alice", "1.00")).await.unwrap();
    assert_eq!(refused(&full).0, RefusalReason::SameWallet);
    let treasury = world.as_role("acme", "treasury");
    let much = treasury.pay(support::client::funding("f", "alice", "100.01")).await.unwrap();
    assert_eq!(refused(&much), (RefusalReason::MaximumExceeded, "to"));
    let conflicts = [
        ("owner", proto::CreateWalletRequest { owner: String::new(), ..customer("alice") }),
        ("minimum", proto::CreateWalletRequest { minimum: None, ..customer("alice") }),
        ("maximum", proto::CreateWalletRequest { maximum: None, ..customer("alice") }),
        ("wallet_class", proto::CreateWalletRequest { wallet_class: String::new(), ..customer("alice") }),
    ];
    for (field, request) in conflicts {
        match create(&operator, request).await.result.unwrap() {
            proto::create_wallet_response::Result::Refusal(refusal) => assert_eq!(refusal.field, field),
            other => panic!("not refused: {other:?}"),
        }
    }
    let relabelled = proto::CreateWalletRequest { metadata: HashMap::new(), ..customer("alice") };
    assert!(create(&operator, relabelled).await.replayed, "labels are not compared");
    let wrong = proto::CreateWalletRequest {
        maximum: Some(proto::Money { amount: "-1".to_owned(), currency: "USD".to_owned() }),
        wallet_class: "Retail".to_owned(),
        metadata: labels(&[("Tier", "gold")]),
        ..customer("bob")
    };
    let error = operator.wallets.clone().create_wallet(wrong).await.unwrap_err();
    assert_eq!(fields(&error), ["wallet_class", "metadata", "maximum.amount"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_change_by_operations_of_the_journal() {
    let world = World::new().await;
    let (operator, admin) = (world.as_role("acme", "operator"), world.as_role("acme", "admin"));
    create(&operator, customer("alice")).await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "50.00").await;

    let frozen = update(&operator, status("freeze", "alice", WalletStatus::Frozen)).await;
    assert_eq!((updated(&frozen).status(), frozen.replayed), (WalletStatus::Frozen, false));
    assert_eq!(updated(&frozen).balance.as_ref().unwrap().version, 2);
    let stopped = operator.pay(payment("k", "alice", "bob", "1.00")).await.unwrap();
    assert_eq!(refused(&stopped), (RefusalReason::WalletFrozen, "from"));
    for thaw in [WalletStatus::Active, WalletStatus::FrozenCredit, WalletStatus::Closed] {
        let answer = operator.wallets.clone().update_wallet(status("thaw", "alice", thaw)).await;
        assert_eq!(code(answer), Code::PermissionDenied, "{thaw:?}");
    }
    assert_eq!(
        updated(&update(&admin, status("thaw", "alice", WalletStatus::Active)).await).status(),
        WalletStatus::Active
    );
    let again = update(&operator, status("freeze", "alice", WalletStatus::Frozen)).await;
    assert!(again.replayed);
    assert_eq!(updated(&again), updated(&frozen), "the first answer, whatever came later");

    let bounds = proto::UpdateWalletRequest {
        minimum: Some(usd("0.00")),
        maximum_change: Some(MaximumChange::NoMaximum(true)),
        ..change("bounds", "alice")
    };
    assert_eq!(code(operator.wallets.clone().update_wallet(bounds.clone()).await), Code::PermissionDenied);
    let bounded = update(&admin, bounds).await;
    assert_eq!((&*updated(&bounded).minimum, &*updated(&bounded).maximum), ("0.00", ""));
    assert_eq!(operator.read_wallet(name("alice")).await, *updated(&bounded));
    let low = proto::UpdateWalletRequest {
        maximum_change: Some(MaximumChange::Maximum(usd("49.99"))),
        ..change("low", "alice")
    };
    assert_eq!(why_not(&update(&admin, low).await), (RefusalReason::MaximumExceeded, "maximum"));
    let euros = proto::Money { amount: "0.00".to_owned(), currency: "EUR".to_owned() };
    let euros = proto::UpdateWalletRequest { minimum: Some(euros), ..change("euros", "alice") };
    assert_eq!(why_not(&update(&admin, euros).await).0, RefusalReason::CurrencyMismatch);
    let full = update(&admin, status("close", "alice", WalletStatus::Closed)).await;
    assert_eq!(why_not(&full), (RefusalReason::WalletNotEmpty, "status"));
    let closed = update(&admin, status("close", "bob", WalletStatus::Closed)).await;
    assert_eq!(why_not(&closed), (RefusalReason::IdempotencyConflict, "wallet"));
    let closed = update(&admin, status("close bob", "bob", WalletStatus::Closed)).await;
    assert_eq!(updated(&closed).status(), WalletStatus::Closed);
    let late = operator.pay(payment("late", "alice", "bob", "1.00")).await.unwrap();
    assert_eq!(refused(&late), (RefusalReason::WalletClosed, "to"));
    // Changed terms do not make another wallet of it.
    assert!(create(&operator, customer("alice")).await.replayed);
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tenants_own_accounts_and_others_wallets_keep_their_terms() {
    let world = World::new().await;
    let admin = world.as_role("acme", "admin");
    let theirs = world.as_role("globex", "operator").wallet("theirs", "USD").await;
    let till = admin.read_wallet(settlement()).await;
    assert_eq!((till.kind(), &*till.minimum), (proto::WalletKind::Settlement, "-1000000.00"));
    for foreign in [till.id, theirs, "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a".to_owned()] {
        let freeze = status(&format!("f {foreign}"), "", WalletStatus::Frozen);
        let freeze = proto::UpdateWalletRequest { wallet: Some(id(&foreign)), ..freeze };
        assert_eq!(why_not(&update(&admin, freeze).await), (RefusalReason::WalletNotFound, "wallet"));
        let label = proto::PutWalletMetadataRequest { wallet: Some(id(&foreign)), ..Default::default() };
        assert_eq!(code(admin.wallets.clone().put_wallet_metadata(label).await), Code::NotFound);
    }
    let own =
        proto::UpdateWalletRequest { wallet: Some(settlement()), ..status("s", "", WalletStatus::Frozen) };
    assert_eq!(fields(&admin.wallets.clone().update_wallet(own).await.unwrap_err())[0], "wallet");
    let nothing = admin.wallets.clone().update_wallet(change("n", "theirs")).await.unwrap_err();
    assert_eq!(fields(&nothing), [""]);
    let clearing = proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Clearing(proto::Clearing {})) };
    let fee = proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Fee(proto::Fee {})) };
    let suspense = proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Suspense(proto::Suspense {})) };
    for (reference, kind) in [
        (clearing, proto::WalletKind::Clearing),
        (fee, proto::WalletKind::Fee),
        (suspense, proto::WalletKind::Suspense),
    ] {
        let own = admin.read_wallet(reference).await;
        assert_eq!((own.kind(), &*own.minimum, &*own.name, own.create_time), (kind, "0.00", "", None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_are_listed_by_owner_class_and_labels() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    create(&operator, customer("alice")).await;
    let other = proto::CreateWalletRequest {
        owner: "customer-2".to_owned(),
        metadata: labels(&[("tier", "gold")]),
        ..customer("bob")
    };
    create(&operator, other).await;
    operator.wallet("plain", "USD").await;
    let relabel = proto::PutWalletMetadataRequest {
        wallet: Some(name("plain")),
        metadata: labels(&[("country", "de")]),
    };
    let relabelled = operator.wallets.clone().put_wallet_metadata(relabel).await.unwrap().into_inner();
    assert_eq!(relabelled.wallet.unwrap(), operator.read_wallet(name("plain")).await);
    let any = proto::ListWalletsRequest::default;
    #[rustfmt::skip]
    let table: [(proto::ListWalletsRequest, &[&str]); 8] = [
        (any(),                                                                                   &["alice", "bob", "plain"]),
        (proto::ListWalletsRequest { owner: "customer-1".into(), ..any() },                       &["alice"]),
        (proto::ListWalletsRequest { owner: "nobody".into(), ..any() },                           &[]),
        (proto::ListWalletsRequest { wallet_class: "retail".into(), ..any() },                    &["alice", "bob"]),
        (proto::ListWalletsRequest { metadata: labels(&[("tier", "gold")]), ..any() },            &["alice", "bob"]),
        (proto::ListWalletsRequest { metadata: labels(&[("country", "de")]), ..any() },           &["alice", "plain"]),
        (proto::ListWalletsRequest { metadata: labels(&[("country", "de"), ("tier", "gold")]), ..any() }, &["alice"]),
        (proto::ListWalletsRequest { wallet_class: "retail".into(), owner: "customer-2".into(), ..any() }, &["bob"]),
    ];
    for (request, expected) in table {
        let found = operator.wallets.clone().list_wallets(request.clone()).await.unwrap().into_inner();
        let mut names: Vec<_> = found.wallets.iter().map(|wallet| &*wallet.name).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{request:?}");
    }
    let theirs = world.as_role("globex", "viewer").wallets.clone().list_wallets(any()).await.unwrap();
    assert!(theirs.into_inner().wallets.is_empty());
}

/// Alice got 100 dollars, paid 10, held 30 and 5, of which 20 and nothing were taken, and got 4 back.
async fn history(world: &World) -> (Client, [String; 3]) {
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let ten = operator.pay(payment("ten", "alice", "bob", "10.00")).await.unwrap().payment_id;
    let thirty = operator.hold(hold("thirty", "alice", "bob", "30.00")).await.payment_id;
    let five = operator.hold(hold("five", "alice", "bob", "5.00")).await.payment_id;
    let taken = operator.payments.clone().capture_payment(capture("c", &thirty, "20.00")).await.unwrap();
    paid(&taken.into_inner().outcome.unwrap());
    operator.payments.clone().refund_payment(refund("r", &ten, "4.00")).await.unwrap();
    (operator, [ten, thirty, five])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_shows_each_operation_with_the_balance_after_it() {
    use proto::OperationKind::{Authorize, Capture, Pay, Refund};
    let world = World::new().await;
    let (operator, [ten, thirty, _]) = history(&world).await;
    let request =
        proto::GetStatementRequest { wallet: Some(name("alice")), page_size: 4, ..Default::default() };
    let page = operator.wallets.clone().get_statement(request.clone()).await.unwrap().into_inner();
    let next = proto::GetStatementRequest { page_token: page.next_page_token.clone(), ..request.clone() };
    let rest = operator.wallets.clone().get_statement(next).await.unwrap().into_inner();
    assert_eq!(rest.next_page_token, "");
    let lines: Vec<_> = page.lines.iter().chain(&rest.lines).collect();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (line.kind(), &*line.posted, &*line.pending, &*line.balance.as_ref().unwrap().available))
        .collect();
    #[rustfmt::skip]
    assert_eq!(shown, [
        (Refund,    "4.00",   "0.00",   "59.00"),
        (Capture,   "-20.00", "20.00",  "55.00"),
        (Authorize, "0.00",   "-5.00",  "55.00"),
        (Authorize, "0.00",   "-30.00", "60.00"),
        (Pay,       "-10.00", "0.00",   "90.00"),
        (Pay,       "100.00", "0.00",   "100.00"),
    ]);
    assert_eq!((&lines[0].target_id, &lines[1].target_id, &*lines[4].target_id), (&ten, &thirty, ""));
    assert_eq!(lines[4].operation_id, ten);
    let till = operator.read_wallet(settlement()).await;
    assert_eq!(lines[5].counterparty_wallet_id, till.id);
    // From the second line's time on, and before the last one's.
    let between = proto::GetStatementRequest {
        start_time: lines[4].time,
        end_time: lines[0].time,
        page_size: 0,
        ..request.clone()
    };
    let between = operator.wallets.clone().get_statement(between).await.unwrap().into_inner();
    assert_eq!(between.lines.len(), 4);
    let theirs = world.as_role("globex", "viewer").wallets.clone().get_statement(request).await;
    assert_eq!(code(theirs), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_with_its_holds_adds_up() {
    let world = World::new().await;
    let (operator, [_, thirty, five]) = history(&world).await;
    let request = proto::GetWalletWithHoldsRequest { wallet: Some(name("alice")), ..Default::default() };
    let found = operator.wallets.clone().get_wallet_with_holds(request.clone()).await.unwrap().into_inner();
    let mut holds: Vec<_> =
        found.holds.iter().map(|hold| (&*hold.held, &*hold.payment_id, hold.state())).collect();
    holds.sort_unstable_by_key(|(held, _, _)| held.len());
    assert_eq!(holds, [("5.00", &*five, PaymentState::Pending), ("10.00", &*thirty, PaymentState::Pending)]);
    assert_eq!(found.wallet.unwrap().balance.unwrap().pending_debits, "15.00");
    assert!(!found.more);
    let one = proto::GetWalletWithHoldsRequest { holds_max: 1, ..request.clone() };
    let one = operator.wallets.clone().get_wallet_with_holds(one).await.unwrap().into_inner();
    assert_eq!((one.holds.len(), one.more), (1, true));
    let payee = proto::GetWalletWithHoldsRequest { wallet: Some(name("bob")), ..request.clone() };
    let payee = operator.wallets.clone().get_wallet_with_holds(payee).await.unwrap().into_inner();
    assert_eq!((payee.holds.len(), &*payee.wallet.unwrap().balance.unwrap().pending_credits), (0, "15.00"));
    let theirs = world.as_role("globex", "viewer").wallets.clone().get_wallet_with_holds(request).await;
    assert_eq!(code(theirs), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_of_the_past_says_what_it_covers() {
    let world = World::new().await;
    let (operator, _) = history(&world).await;
    let request = proto::GetStatementRequest { wallet: Some(name("alice")), ..Default::default() };
    let lines = operator.wallets.clone().get_statement(request).await.unwrap().into_inner().lines;
    let at = async |at: At| {
        let request =
            proto::GetBalanceAtRequest { wallet: Some(name("alice")), at: Some(at), ..Default::default() };
        operator.wallets.clone().get_balance_at(request).await.unwrap().into_inner()
    };
    // Sealing follows the commits.
    let newest = lines[0].sequence;
    let now = eventually("seals", async || {
        Some(at(At::Sequence(i64::MAX)).await).filter(|now| now.sequence == newest)
    })
    .await;
    assert_eq!((now.balance, now.time), (lines[0].balance.clone(), lines[0].time));
    assert!(0 < now.watermark.as_ref().unwrap().seal && now.watermark.unwrap().decide_time.is_some());
    for line in &lines {
        let then = at(At::Sequence(line.sequence)).await;
        assert_eq!((then.sequence, &then.balance), (line.sequence, &line.balance));
        let then = at(At::Time(line.time.unwrap())).await;
        assert_eq!((then.sequence, &then.balance), (line.sequence, &line.balance));
    }
    let before = at(At::Sequence(lines[5].sequence - 1)).await;
    assert_eq!((before.sequence, before.time, &*before.balance.unwrap().available), (0, None, "0.00"));
    assert!(0 < before.watermark.unwrap().seal, "an empty answer says what it covers, too");
    let long_ago = at(At::Time(prost_types::Timestamp { seconds: 1, nanos: 0 })).await;
    assert_eq!(long_ago.sequence, 0);
    let missing = proto::GetBalanceAtRequest { wallet: Some(name("alice")), ..Default::default() };
    let error = operator.wallets.clone().get_balance_at(missing.clone()).await.unwrap_err();
    assert_eq!(fields(&error), ["at"]);
    let theirs = proto::GetBalanceAtRequest { at: Some(At::Sequence(1)), ..missing };
    assert_eq!(
        code(world.as_role("globex", "viewer").wallets.clone().get_balance_at(theirs).await),
        Code::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_listed_by_state_time_and_reference() {
    use proto::list_payments_request::ReferenceFilter::{Reference, ReferencePrefix};
    let world = World::new().await;
    let (operator, [ten, thirty, five]) = history(&world).await;
    let labelled = proto::CreatePaymentRequest {
        reference: "invoice 17".to_owned(),
        ..payment("invoice", "alice", "bob", "1.00")
    };
    let invoice = paid(&operator.pay(labelled).await.unwrap()).clone();
    refused(&operator.pay(payment("poor", "alice", "bob", "999.00")).await.unwrap());
    let any = proto::ListPaymentsRequest::default;
    let bob = operator.read_wallet(name("bob")).await.id;
    let made = operator.read_payment(&thirty).await.create_time;
    #[rustfmt::skip]
    let table: [(proto::ListPaymentsRequest, &[&str]); 10] = [
        (any(),                                                                              &["invoice", "five", "thirty", "ten", "fund alice"]),
        (proto::ListPaymentsRequest { wallet_id: bob.clone(), ..any() },                     &["invoice", "five", "thirty", "ten"]),
        (proto::ListPaymentsRequest { state: PaymentState::Pending.into(), ..any() },        &["five", "thirty"]),
        (proto::ListPaymentsRequest { state: PaymentState::Completed.into(), ..any() },      &["invoice", "ten", "fund alice"]),
        (proto::ListPaymentsRequest { state: PaymentState::Voided.into(), ..any() },         &[]),
        (proto::ListPaymentsRequest { reference_filter: Some(Reference("invoice 17".into())), ..any() },   &["invoice"]),
        (proto::ListPaymentsRequest { reference_filter: Some(Reference("invoice".into())), ..any() },      &[]),
        (proto::ListPaymentsRequest { reference_filter: Some(ReferencePrefix("invoice".into())), wallet_id: bob.clone(), ..any() }, &["invoice"]),
        (proto::ListPaymentsRequest { start_time: made, end_time: invoice.create_time, ..any() },          &["five", "thirty"]),
        (proto::ListPaymentsRequest { end_time: made, wallet_id: bob, ..any() },             &["ten"]),
    ];
    for (mut request, expected) in table {
        for page_size in [0, 1] {
            request.page_size = page_size;
            request.page_token.clear();
            let mut keys = Vec::new();
            loop {
                let page =
                    operator.payments.clone().list_payments(request.clone()).await.unwrap().into_inner();
                keys.extend(page.payments.into_iter().map(|payment| payment.idempotency_key));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(keys, expected, "{request:?}");
        }
    }
    let states: Vec<_> = [ten, thirty, five].into_iter().collect();
    for id in states {
        assert_eq!(operator.read_payment(&id).await.id, id);
    }
}
