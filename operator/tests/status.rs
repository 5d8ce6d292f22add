//! The status writer, on the real API server.
//!
//! The payments here say that they are completed, because an operator that runs in the same cluster leaves those alone.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use payplane_crds::{Payment, PaymentState, PaymentStatus};
use payplane_operator::{
    condition::Conditions,
    status::{Reported, Written, patch},
};
use serde_json::json;
use support::{create, in_namespace, objects, payment};

/// A payment that nobody else writes to.
async fn quiet(client: &Client, namespace: &str) -> (Api<Payment>, Payment) {
    create(&objects(client, "Payment", namespace), payment("rent")).await.unwrap();
    let payments = Api::<Payment>::namespaced(client.clone(), namespace);
    let completed = Patch::Merge(json!({"status": {"state": "Completed"}}));
    let made = payments.patch_status("rent", &PatchParams::default(), &completed).await.unwrap();
    (payments, made)
}

fn completed(payment: &Payment, id: Option<&str>) -> PaymentStatus {
    let conditions = Conditions::new(payment.current(), payment.metadata.generation, jiff::Timestamp::now());
    PaymentStatus {
        state: PaymentState::Completed,
        payment_id: id.map(String::from),
        observed_generation: payment.metadata.generation,
        conditions: conditions.ready("Completed", "The money moved.").into_vec(),
        ..PaymentStatus::default()
    }
}

#[tokio::test]
async fn the_same_status_is_written_once() {
    in_namespace("status", |client, namespace| async move {
        let (payments, fresh) = quiet(&client, &namespace).await;
        let written = patch(&client, &fresh, &completed(&fresh, Some("p-1"))).await.unwrap();
        assert_eq!(written, Written::Patched);

        let once = payments.get("rent").await.unwrap();
        let written = patch(&client, &once, &completed(&once, Some("p-1"))).await.unwrap();
        assert_eq!(written, Written::Skipped);

        let twice = payments.get("rent").await.unwrap();
        assert_eq!(once.resource_version(), twice.resource_version());
    })
    .await;
}

#[tokio::test]
async fn what_is_no_longer_said_goes_away() {
    in_namespace("status", |client, namespace| async move {
        let (payments, fresh) = quiet(&client, &namespace).await;
        let mut status = completed(&fresh, Some("p-1"));
        status.conditions = Conditions::new(&[], None, jiff::Timestamp::now())
            .set("Replayed", "True", "Replayed", "")
            .into_vec();
        patch(&client, &fresh, &status).await.unwrap();
        let shown = payments.get("rent").await.unwrap();
        assert_eq!(shown.status.as_ref().unwrap().payment_id.as_deref(), Some("p-1"));

        patch(&client, &shown, &completed(&shown, None)).await.unwrap();
        let status = payments.get("rent").await.unwrap().status.unwrap();
        assert_eq!(status.payment_id, None);
        assert!(status.conditions.iter().all(|condition| condition.type_ != "Replayed"));
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_wrote_goes_too() {
    in_namespace("status", |client, namespace| async move {
        let (payments, fresh) = quiet(&client, &namespace).await;
        patch(&client, &fresh, &completed(&fresh, Some("p-1"))).await.unwrap();
        let forged = Patch::Merge(json!({"status": {"approver": "bea", "bodyHash": "sha256:0"}}));
        let forged = payments.patch_status("rent", &PatchParams::default(), &forged).await.unwrap();
        assert_eq!(
            patch(&client, &forged, &completed(&forged, Some("p-1"))).await.unwrap(),
            Written::Patched
        );
        let mended = payments.get("rent").await.unwrap();
        let status = mended.status.as_ref().unwrap();
        assert_eq!((&status.approver, &status.body_hash), (&None, &None));
        assert_eq!(status.payment_id.as_deref(), Some("p-1"));
        let again = patch(&client, &mended, &completed(&mended, Some("p-1"))).await.unwrap();
        assert_eq!(again, Written::Skipped, "and it is over with that");
    })
    .await;
}

#[tokio::test]
async fn an_answer_for_a_deleted_object_never_lands_on_its_successor() {
    in_namespace("status", |client, namespace| async move {
        let (payments, old) = quiet(&client, &namespace).await;
        payments.delete("rent", &Default::default()).await.unwrap();
        assert_eq!(patch(&client, &old, &completed(&old, Some("old"))).await.unwrap(), Written::Gone);

        let (payments, _) = quiet(&client, &namespace).await;
        assert!(patch(&client, &old, &completed(&old, Some("old"))).await.is_err(), "this is another object");
        assert_eq!(payments.get("rent").await.unwrap().status.unwrap().payment_id, None);
    })
    .await;
}

#[tokio::test]
async fn a_second_look_at_an_old_copy_does_not_undo_the_first() {
    in_namespace("status", |client, namespace| async move {
        let (payments, old) = quiet(&client, &namespace).await;
        patch(&client, &old, &completed(&old, Some("p-1"))).await.unwrap();
        let again = patch(&client, &old, &completed(&old, None)).await;
        assert_eq!(again.unwrap_err().category(), "raced");
        assert_eq!(payments.get("rent").await.unwrap().status.unwrap().payment_id.as_deref(), Some("p-1"));
    })
    .await;
}
