//! An object that cannot be read as its kind, stored before the CRD was as strict as it is now, hurts only itself.

use k8s_openapi::{
    api::events::v1::Event, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    Paid,
    bed::{
        Bed, Operator, eventually,
        site::{condition, try_create, wait},
    },
    settle_up, sized,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_told_so_and_nothing_else_waits() {
    let mut bed = Bed::new().await;
    let poisons = [
        ("Payment", "payments", json!({"from": "alice", "to": ["bob"], "amount": 7})),
        ("Wallet", "wallets", json!({"currency": {"code": "USD"}})),
    ];
    for (kind, plural, spec) in &poisons {
        // The operator comes when the CRD is strict again: then the API server takes no status of the object.
        if *kind == "Wallet" {
            bed.operator.process.kill();
        }
        let strict = loosen(&bed, plural).await;
        let poison = bed.tenant.object(kind, "poison", spec.clone());
        eventually("the loose CRD takes the poison", async || {
            try_create(&bed.site.client, poison.clone()).await.ok()
        })
        .await;
        if *kind == "Payment" {
            a_changed_body_is_a_conflict(&bed).await;
        }
        tighten(&bed, strict).await;
    }
    bed.operator = Operator::start(&bed.site, &["--leader-elect=false"]);
    bed.operator.is_ready().await;
    let mut paid = Paid::dollars(["changed".to_owned()]);
    for round in 0..sized(1, 3) {
        for number in 0..5 {
            let name = format!("pay-{round}-{number}");
            bed.tenant.pay(&name).await;
            paid.dollars.push(name);
        }
        settle_up(&bed.tenant, &bed.books(), &paid).await;
        wait(&bed.tenant.objects("Payment"), "poison", "is told so", |object| {
            condition(object, "Stalled").is_some_and(|stalled| stalled["reason"] == "Malformed")
        })
        .await;
        for (kind, ..) in &poisons {
            an_event_tells_of(&bed, kind).await;
        }
        bed.operator.process.kill();
        bed.operator = Operator::start(&bed.site, &["--leader-elect=false"]);
        bed.operator.is_ready().await;
    }
    println!(
        "{} poisons, {} payments beside them, {} restarts",
        poisons.len(),
        paid.dollars.len(),
        sized(1, 3)
    );
}

async fn an_event_tells_of(bed: &Bed, kind: &str) {
    let events = Api::<Event>::namespaced(bed.site.client.clone(), &bed.tenant.name);
    eventually("an Event tells of the poison", async || {
        let found = events.list(&ListParams::default()).await.ok()?;
        found.into_iter().find(|event| {
            let about = &event.regarding.as_ref().unwrap();
            let is_about = about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some("poison");
            is_about && event.reason.as_deref() == Some("Malformed")
        })
    })
    .await;
}

/// K9: without its CRD's rules a Payment that was paid can be changed. The ledger knows its body, and pays nothing.
async fn a_changed_body_is_a_conflict(bed: &Bed) {
    bed.tenant.pay("changed").await;
    let id = bed.tenant.completed("changed").await;
    let transfers = bed.books().transfers().await;
    let payments = bed.tenant.objects("Payment");
    for (amount, ends) in [("9.00", "Failed"), ("1.00", "Completed")] {
        let change = Patch::Merge(json!({"spec": {"amount": amount}}));
        payments.patch("changed", &PatchParams::default(), &change).await.unwrap();
        bed.tenant.forge("Payment", "changed", json!(null)).await;
        let payment = wait(&payments, "changed", "is asked about again", |payment| {
            payment.data["status"]["state"] == ends
        })
        .await;
        let succeeded = condition(&payment, "Succeeded").unwrap();
        assert_eq!(succeeded["status"] == "True", ends == "Completed", "{succeeded}");
        assert!(ends == "Completed" || succeeded["reason"] == "IdempotencyConflict", "{succeeded}");
        assert_eq!(bed.books().transfers().await, transfers, "another amount under the same key moved money");
    }
    assert_eq!(bed.tenant.completed("changed").await, id);
}

/// Makes a CRD accept anything as a spec; gives it as it was.
async fn loosen(bed: &Bed, plural: &str) -> CustomResourceDefinition {
    let crds = Api::<CustomResourceDefinition>::all(bed.site.client.clone());
    let strict = crds.get(&format!("{plural}.payplane.io")).await.unwrap();
    let mut loose = serde_json::to_value(&strict).unwrap();
    let schema = &mut loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
    schema["properties"]["spec"] = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        // It is a selectable field, which the schema has to know.
        "properties": {"ttlSecondsAfterSettled": {"type": "integer"}},
    });
    let loose: CustomResourceDefinition = serde_json::from_value(loose).unwrap();
    crds.replace(&loose.name_any(), &PostParams::default(), &loose).await.unwrap();
    strict
}

async fn tighten(bed: &Bed, strict: CustomResourceDefinition) {
    let crds = Api::<CustomResourceDefinition>::all(bed.site.client.clone());
    let versions: Value = serde_json::to_value(&strict.spec.versions).unwrap();
    let patch = Patch::Merge(json!({"spec": {"versions": versions}}));
    crds.patch(&strict.name_any(), &PatchParams::default(), &patch).await.unwrap();
    let strange = json!({"from": "alice"});
    let kind = strict.spec.names.kind.clone();
    eventually("the strict CRD refuses the poison", async || {
        try_create(&bed.site.client, bed.tenant.object(&kind, "late", strange.clone())).await.err()
    })
    .await;
}
