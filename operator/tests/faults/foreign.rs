//! S6: ids of another tenant in every field of the engine's API that takes one get, word for word, the answer that an id
//! gets which nobody has.

use std::fmt::Debug;

use payplane_proto::v1::{self as proto, wallet_ref::Ref};
use tonic::{Response, Status};

use super::bed::{Bed, site::dollar};
use serde_json::json;

const RANDOM: &str = "77777777-1234-5678-9abc-def012345678";

/// A call's answer with every id and key in it made the same.
fn told<T: Debug>(answer: Result<Response<T>, Status>, key: &str) -> (bool, String) {
    let text = match &answer {
        Ok(answer) => format!("{:?}", answer.get_ref()),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    };
    let refused = answer.is_err() || text.contains("Refusal") || text.contains("refusal");
    let words = text.replace(key, "KEY");
    let is_of_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    let words = words
        .split(|letter| !is_of_id(letter))
        .filter(|word| word.len() == 36)
        .fold(words.clone(), |text, id| text.replace(id, "ID"));
    (refused, words)
}

/// Every call with an id in it, with these ids. Name, whether it was refused, and what was said.
async fn calls(bed: &Bed, wallet: &str, payment: &str, key: &str) -> Vec<(&'static str, bool, String)> {
    let books = bed.ledger.books("mallory");
    let (payments, wallets) = (books.payment_client(), books.wallet_client());
    let by_id = |id: &str| Some(proto::WalletRef { r#ref: Some(Ref::Id(id.into())) });
    let purse = || Some(proto::WalletRef { r#ref: Some(Ref::Name("mallory/alice".into())) });
    let amount = || Some(proto::Money { amount: "1.00".into(), currency: "USD".into() });
    let payment_id = payment.to_owned();
    let mut answers = Vec::new();
    macro_rules! call {
        ($client:ident . $method:ident ( $kind:ident { $($field:ident : $value:expr),* $(,)? })) => {{
            #[allow(clippy::needless_update, reason = "some kinds have no other field")]
            let request = proto::$kind { $($field: $value,)* ..Default::default() };
            let (refused, text) = told($client.clone().$method(request).await, key);
            answers.push((stringify!($method), refused, text));
        }};
    }
    call!(payments.get_payment(GetPaymentRequest { id: payment.into() }));
    call!(payments.get_refund(GetRefundRequest { id: payment.into() }));
    call!(payments.list_refunds(ListRefundsRequest { payment_id: payment_id.clone() }));
    call!(payments.list_payments(ListPaymentsRequest { wallet_id: wallet.into() }));
    call!(wallets.get_wallet(GetWalletRequest { wallet: by_id(wallet) }));
    call!(wallets.update_wallet(UpdateWalletRequest {
        idempotency_key: format!("{key}-u"),
        wallet: by_id(wallet),
        status: proto::WalletStatus::Frozen.into(),
    }));
    call!(wallets.put_wallet_metadata(PutWalletMetadataRequest { wallet: by_id(wallet) }));
    call!(payments.create_payment(CreatePaymentRequest {
        idempotency_key: format!("{key}-from"),
        from: by_id(wallet),
        to: purse(),
        amount: amount(),
    }));
    call!(payments.create_payment(CreatePaymentRequest {
        idempotency_key: format!("{key}-to"),
        from: purse(),
        to: by_id(wallet),
        amount: amount(),
    }));
    call!(payments.authorize_payment(AuthorizePaymentRequest {
        idempotency_key: format!("{key}-hold"),
        from: by_id(wallet),
        to: purse(),
        amount: amount(),
    }));
    call!(payments.capture_payment(CapturePaymentRequest {
        idempotency_key: format!("{key}-c"),
        payment_id: payment_id.clone(),
        amount: amount(),
    }));
    call!(payments.void_payment(VoidPaymentRequest {
        idempotency_key: format!("{key}-v"),
        payment_id: payment_id.clone()
    }));
    call!(payments.hand_over_payment(HandOverPaymentRequest {
        idempotency_key: format!("{key}-h"),
        payment_id: payment_id.clone(),
        gateway_reference: "g".into(),
    }));
    call!(payments.settle_payment(SettlePaymentRequest {
        event_id: format!("{key}-s"),
        payment_id: payment_id.clone()
    }));
    call!(
        payments.fail_payment(FailPaymentRequest {
            event_id: format!("{key}-f"),
            payment_id: payment_id.clone()
        })
    );
    call!(payments.refund_payment(RefundPaymentRequest {
        idempotency_key: format!("{key}-r"),
        payment_id: payment_id.clone(),
        amount: amount(),
    }));
    call!(payments.reverse_payment(ReversePaymentRequest {
        idempotency_key: format!("{key}-x"),
        payment_id: payment_id.clone()
    }));
    call!(payments.approve_refund(ApproveRefundRequest {
        idempotency_key: format!("{key}-a"),
        refund_id: payment_id.clone()
    }));
    call!(payments.reject_refund(RejectRefundRequest { idempotency_key: key.into(), refund_id: payment_id }));
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_others_are_ids_of_nobody() {
    let bed = Bed::new().await;
    let mut spec = dollar();
    spec["hold"] = json!({"timeoutSeconds": 600});
    bed.tenant.create("Payment", "held", spec).await;
    bed.tenant.pay("paid").await;
    let paid = bed.tenant.completed("paid").await;
    let _mallory = bed.site.tenant("mallory").await;
    let books = bed.books();
    let held = super::bed::eventually("the hold", async || {
        books.payments().await.get("acme/held").map(|payment| payment.id.clone())
    })
    .await;
    let wallet = bed.tenant.wallets().get("alice").await.unwrap().status.unwrap().wallet_id.unwrap();
    let before = (books.payments().await.len(), books.balance("alice").await, books.balance("bob").await);

    let mut compared = 0;
    for (number, payment) in [&paid, &held].into_iter().enumerate() {
        let foreign = calls(&bed, &wallet, payment, &format!("foreign-{number}")).await;
        let absent = calls(&bed, RANDOM, RANDOM, &format!("nobodys-{number}")).await;
        for ((method, refused, theirs), (_, _, nobodys)) in foreign.iter().zip(&absent) {
            assert_eq!(theirs, nobodys, "{method} tells an id of others from an id of nobody");
            let is_list = ["list_refunds", "list_payments"].contains(method);
            assert!(*refused || is_list, "{method} with an id of others: {theirs}");
            compared += 1;
        }
    }
    let after = (books.payments().await.len(), books.balance("alice").await, books.balance("bob").await);
    assert_eq!(before, after, "something happened to the other tenant");
    println!("{compared} calls with ids of others, each answered like an id of nobody");
    assert!(38 <= compared);
}
