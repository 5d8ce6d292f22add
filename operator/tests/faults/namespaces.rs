//! K8: a namespace with money in it is deleted while the engine is away. It goes; the money stays in the ledger.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use serde_json::json;

use super::bed::{
    Bed, eventually,
    site::{condition, dollar, wait},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_goes_though_the_engine_is_away_and_its_money_stays() {
    let mut bed = Bed::new().await;
    let mut spec = dollar();
    spec["hold"] = json!({"timeoutSeconds": 600});
    bed.tenant.create("Payment", "held", spec).await;
    wait(&bed.tenant.payments(), "held", "is held", |payment| {
        condition(payment, "Ready").is_some_and(|ready| ready["reason"] == "Held")
    })
    .await;
    bed.site.api.end_namespaces();
    let namespaces = Api::<Namespace>::all(bed.site.client.clone());
    let before = namespaces.get("acme").await.unwrap().uid();

    bed.site.to_engine.switch.go_away();
    bed.tenant.pay("in-flight").await;
    namespaces.delete("acme", &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", async || {
        let now = namespaces.get_opt("acme").await.ok()?;
        (now.and_then(|namespace| namespace.uid()) != before).then_some(())
    })
    .await;

    bed.site.to_engine.switch.heal();
    // The Tenant makes it again. Nothing in it but what is applied again; the ledger has what it had.
    eventually("the Tenant's namespace is back", async || {
        let namespace = namespaces.get_opt("acme").await.ok()??;
        (namespace.metadata.deletion_timestamp.is_none() && namespace.uid() != before).then_some(())
    })
    .await;
    let books = bed.books();
    assert_eq!(
        books.balance("alice").await,
        ("999999.00".into(), "1.00".into()),
        "the money and the hold stay"
    );
    for wallet in ["alice", "bob"] {
        eventually("a wallet is applied again", async || {
            let body = bed.tenant.object("Wallet", wallet, json!({"currency": "USD"}));
            super::bed::site::try_create(&bed.site.client, body).await.ok()
        })
        .await;
    }
    bed.tenant.pay("in-flight").await;
    bed.tenant.completed("in-flight").await;
    let facts = books.payments().await;
    assert_eq!(facts.len(), 3, "funding, the hold, and the one that was in flight");
    println!("a namespace of {} wallets and {} payments went with the engine away", 2, 3);
}
