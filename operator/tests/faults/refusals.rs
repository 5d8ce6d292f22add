//! A step that is refused for now is done when it may be, however long that takes, and the ledger keeps one refusal of it and
//! not one of every look.

use kube::api::{Patch, PatchParams};
use payplane_proto::v1::{self as proto, operation::Result as Told};
use serde_json::json;

use super::bed::{
    Bed, Books, eventually,
    site::{condition, dollar, wait},
};

/// How often the operator looks at a frozen payee: more often than a defect needs to show.
const LOOKS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_for_a_frozen_payee_waits_for_the_thaw_and_fills_no_journal() {
    let bed = Bed::new().await;
    let (books, payments) = (bed.books(), bed.tenant.objects("Payment"));
    let mut spec = dollar();
    spec["hold"] = json!({"timeoutSeconds": 600});
    bed.tenant.create("Payment", "held", spec).await;
    let held =
        wait(&payments, "held", "is held", |payment| payment.data["status"]["state"] == "Pending").await;
    let id = held.data["status"]["paymentId"].as_str().unwrap();

    // Only the operator's watch of the ledger tells of this one: the watch is on from here.
    let body = proto::CapturePaymentRequest {
        idempotency_key: "by-grpc".into(),
        payment_id: id.into(),
        amount: Some(proto::Money { amount: "0.25".into(), currency: "USD".into() }),
        ..Default::default()
    };
    books.payment_client().capture_payment(body).await.unwrap();
    wait(&payments, "held", "tells of the capture", |payment| payment.data["status"]["captured"] == "0.25")
        .await;

    set(&books, "freeze", proto::WalletStatus::FrozenCredit).await;
    let capture = Patch::Merge(json!({"spec": {"capture": {"total": "0.75"}}}));
    payments.patch("held", &PatchParams::default(), &capture).await.unwrap();
    let captures = || bed.site.to_engine.switch.calls("CALL", "CapturePayment");
    let before = captures();
    eventually("the capture is tried again and again", async || (before + LOOKS <= captures()).then_some(()))
        .await;
    let waits = payments.get("held").await.unwrap();
    assert_eq!(condition(&waits, "Ready").unwrap()["reason"], "WalletFrozen");
    let looks = captures() - before;

    set(&books, "thaw", proto::WalletStatus::Active).await;
    wait(&payments, "held", "is captured", |payment| payment.data["status"]["captured"] == "0.75").await;
    assert_eq!(books.balance("bob").await.0, "0.75");
    let refusals = refusals(&books, id, "0.75").await;
    assert_eq!(refusals, 1, "the ledger has a refusal of the same capture for every look");
    println!("{looks} looks at a frozen payee, {refusals} refusal");
}

/// Sets whether bob takes part in payments, as somebody with a gRPC client.
async fn set(books: &Books, key: &str, status: proto::WalletStatus) {
    let request = proto::UpdateWalletRequest {
        idempotency_key: key.into(),
        wallet: Some(books.named("bob")),
        status: status.into(),
        ..Default::default()
    };
    let answer = books.wallet_client().update_wallet(request).await.unwrap().into_inner();
    let is_changed = matches!(answer.result, Some(proto::update_wallet_response::Result::Wallet(_)));
    assert!(is_changed, "{answer:?}");
}

/// How many refused operations on this payment the journal has up to the one that captured so much.
async fn refusals(books: &Books, id: &str, captured: &str) -> usize {
    let whole = proto::WatchPaymentsRequest { start_seal: 1, ..Default::default() };
    let mut watch = books.payment_client().watch_payments(whole).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(told) = watch.message().await.unwrap() {
        for operation in told.operations.into_iter().filter(|operation| operation.target_id == id) {
            match operation.result {
                Some(Told::Refusal(_)) => count += 1,
                Some(Told::Payment(payment)) if payment.captured == captured => return count,
                _ => {}
            }
        }
    }
    panic!("the watch ended")
}
