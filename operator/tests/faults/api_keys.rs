//! API keys: the operator is killed at each write and call of a rotation. Whatever happens, the Secret ends with a key that
//! the ledger believes, the one before goes on for its overlap, no key without an end is left behind, and nothing that is
//! secret is said anywhere.

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use payplane_crds::Tenant;
use payplane_proto::v1::{self as proto, api_key_service_client::ApiKeyServiceClient};
use serde_json::{Value, json};
use tonic::Code;

use super::bed::{
    Bed, Books, Fault, Operator, Rule, eventually,
    site::{condition, create, wait},
    switch::Call,
};

const SECRET: &str = "payplane-api-keys";

/// More writes and calls than a rotation causes.
const STEPS_MAX: u64 = 20;

fn is_step(call: &Call) -> bool {
    let is_ours = call.name == SECRET || call.kind == "secrets" || call.kind == "tenants/status";
    (call.is_write() && is_ours) || ["PutApiKey", "EndApiKey"].contains(&&*call.kind)
}

async fn ask(bed: &Bed, keys: Value) {
    let tenants = Api::<Tenant>::all(bed.site.client.clone());
    let patch = Patch::Merge(json!({"spec": {"apiKeys": keys}}));
    tenants.patch("acme", &PatchParams::default(), &patch).await.unwrap();
}

fn secrets(bed: &Bed) -> Api<Secret> {
    Api::namespaced(bed.site.client.clone(), "acme")
}

async fn held(bed: &Bed) -> Option<String> {
    let data = secrets(bed).get_opt(SECRET).await.ok()??.data?;
    Some(String::from_utf8(data.get("partner")?.0.clone()).unwrap())
}

/// How the engine answers the bearer of a key.
async fn answer(bed: &Bed, token: &str) -> Code {
    let books = Books::new(bed.ledger.engine_port, token, "");
    let answer = books.wallet_client().list_wallets(proto::ListWalletsRequest::default()).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Waits for a key that is not this one, is believed, and is the one that the status names.
async fn settled(bed: &Bed, before: &str) -> String {
    let tenants = Api::<Tenant>::all(bed.site.client.clone());
    eventually("a new key that is believed and told", async || {
        let token = held(bed).await.filter(|token| token != before)?;
        let keys = tenants.get("acme").await.ok()?.status?.api_keys;
        let is_told = keys.first().is_some_and(|key| token.contains(&key.key_id));
        let endless = listed(bed).await.iter().filter(|key| key.expire_time.is_none()).count();
        (is_told && endless == 1 && answer(bed, &token).await == Code::Ok).then_some(token)
    })
    .await
}

/// Every key that has not ended.
async fn listed(bed: &Bed) -> Vec<proto::ApiKey> {
    let token = std::fs::read_to_string(bed.site.token_file()).unwrap();
    let books = Books::new(bed.ledger.engine_port, &token, "");
    let mut client = ApiKeyServiceClient::new(books.channel());
    let request = proto::ListApiKeysRequest { tenant: "acme".into() };
    client.list_api_keys(request).await.map(|answer| answer.into_inner().keys).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_of_a_rotation_the_operator_leaves_one_key_that_works() {
    let mut bed = Bed::new().await;
    let key = json!({"name": "partner", "namespace": "acme", "role": "Operator"});
    ask(&bed, json!([key])).await;
    let mut tokens = vec![settled(&bed, "").await];
    let (api, engine) = (bed.site.to_api.switch.clone(), bed.site.to_engine.switch.clone());
    let mut kills = Vec::new();
    for switch in [&api, &engine] {
        for number in 1..=STEPS_MAX {
            let strikes = switch.strikes();
            switch.set(vec![Rule::nth(number, Fault::HoldAnswer, is_step)]);
            secrets(&bed).delete(SECRET, &DeleteParams::default()).await.unwrap();
            let before = tokens.last().unwrap().clone();
            tokio::select! {
                () = switch.struck(strikes + 1) => {}
                _ = settled(&bed, &before) => {}
            }
            // What a write says can be seen before its answer is held.
            let struck = switch.is_spent();
            if struck {
                switch.struck(strikes + 1).await;
            }
            bed.operator.process.kill();
            switch.heal();
            bed.operator = Operator::start(&bed.site, &["--leader-elect=false"]);
            tokens.push(settled(&bed, &before).await);
            if !struck {
                kills.push(number - 1);
                break;
            }
        }
    }
    for token in &tokens {
        assert_eq!(answer(&bed, token).await, Code::Ok, "a key goes on for its overlap");
    }
    println!("killed at {kills:?} writes and calls, {} keys were in the Secret, each believed", tokens.len());
    let [writes, calls] = kills[..] else { panic!("{kills:?}") };
    assert!(
        2 <= writes && 3 <= calls,
        "a Secret and a status; registered, confirmed, the one before ended: {kills:?}"
    );

    // Another entry of somebody else is left alone, and does not make the operator write for ever.
    let patch = Patch::Merge(json!({"stringData": {"theirs": "x"}}));
    secrets(&bed).patch(SECRET, &PatchParams::default(), &patch).await.unwrap();

    ask(&bed, json!([])).await;
    eventually("the Secret is gone and no key is left", async || {
        let is_gone = secrets(&bed).get_opt(SECRET).await.ok()?.is_none();
        (is_gone && listed(&bed).await.is_empty()).then_some(())
    })
    .await;
    for token in &tokens {
        assert_eq!(answer(&bed, token).await, Code::Unauthenticated, "what is out of the spec has ended");
    }
    taken(&bed, &key).await;
    silent(&bed, &tokens).await;
}

/// A Secret of somebody else is left alone, and the Tenant says so until it goes.
async fn taken(bed: &Bed, key: &Value) {
    create(
        &bed.site.client,
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": "acme"},
            "stringData": {"partner": "mine"},
        }),
    )
    .await;
    ask(bed, json!([key])).await;
    let tenants = Api::<Tenant>::all(bed.site.client.clone());
    let is = |tenant: &Tenant, reason: &str| {
        condition(tenant, "ApiKeysCurrent").is_some_and(|condition| condition["reason"] == reason)
    };
    wait(&tenants, "acme", "says whose the Secret is", |tenant| is(tenant, "SecretTaken")).await;
    assert_eq!(held(bed).await.as_deref(), Some("mine"));
    secrets(bed).delete(SECRET, &DeleteParams::default()).await.unwrap();
    wait(&tenants, "acme", "has its key", |tenant| is(tenant, "KeysCurrent")).await;
    settled(bed, "").await;
}

/// Nothing that is secret is in an event, a status, or a log.
async fn silent(bed: &Bed, tokens: &[String]) {
    let events = Api::<Event>::all(bed.site.client.clone()).list(&ListParams::default()).await.unwrap();
    let tenant = Api::<Tenant>::all(bed.site.client.clone()).get("acme").await.unwrap();
    let reasons: Vec<_> = events.items.iter().filter_map(|event| event.reason.clone()).collect();
    let said = [
        serde_json::to_string(&events.items).unwrap(),
        serde_json::to_string(&tenant).unwrap(),
        std::fs::read_to_string(bed.site.log("operator.log")).unwrap(),
        bed.ledger.log(),
    ];
    for token in tokens {
        let secret = token.rsplit('_').next().unwrap();
        assert!(
            secret.len() == 64 && said.iter().all(|text| !text.contains(secret)),
            "somebody tells a secret"
        );
    }
    for reason in ["ApiKeyCreated", "ApiKeyRotated", "ApiKeyEnded"] {
        assert!(reasons.iter().any(|told| told == reason), "{reason} was not told: {reasons:?}");
    }
    assert!(said[1].contains("keyId"), "{}", tenant.name_any());
}
