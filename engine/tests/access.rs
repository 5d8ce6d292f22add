//! Who may call what: tokens, roles, tenants.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use payplane_engine::{config::AuthConfig, server::Server};
use payplane_proto::v1 as proto;
use serde_json::{Value, json};
use support::{
    client::{Client, code, funding, id, name, payment},
    eventually,
    issuer::{ISSUER, Issuer, KEY_ID, claims, now},
    world::{OPERATOR_OF_PLATFORM, World},
};
use tonic::Code;
use tonic_types::StatusExt as _;

const VIEWER: &str = "system:serviceaccount:acme:viewer";

#[tokio::test(flavor = "multi_thread")]
async fn only_good_tokens_are_believed() {
    let world = World::new().await;
    let good = claims(VIEWER);
    assert_eq!(read(&world.with_token(&world.issuer.sign(&good))).await, Code::Ok);
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let spoiled = [
        changed("aud", json!(["https://kubernetes.default.svc"])),
        changed("iss", json!(format!("{ISSUER}/"))),
        changed("exp", json!(now() - 120)),
        changed("exp", json!("9999999999")),
        changed("nbf", json!(now() + 120)),
        without("exp"),
        without("nbf"),
        without("sub"),
        without("aud"),
        without("iss"),
    ];
    for claims in &spoiled {
        assert_eq!(
            read(&world.with_token(&world.issuer.sign(claims))).await,
            Code::Unauthenticated,
            "{claims}"
        );
    }
    let mut forged = world.issuer.sign(&good);
    forged.truncate(forged.len() - 4);
    let tokens = [
        Issuer::new().sign(&good),
        world.issuer.sign_as("key-2", &good),
        signed_with_the_public_key(&world.issuer, &good),
        unsigned(&world.issuer.sign(&good)),
        forged,
        "x".repeat(9_000),
        "not a token".to_owned(),
        String::new(),
    ];
    for token in &tokens {
        assert_eq!(read(&world.with_token(token)).await, Code::Unauthenticated, "{token}");
    }
    let anonymous = Client::new(world.engines[0].grpc_address, &[]);
    assert_eq!(read(&anonymous).await, Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_nobody_is_believed() {
    let world = World::new().await;
    let mut config = world.config(world.database.app_dir());
    config.auth = AuthConfig { audience: "payplane".to_owned(), ..Default::default() };
    let server = Server::start(config).await.unwrap();
    let authorization = format!("Bearer {}", world.issuer.token(OPERATOR_OF_PLATFORM));
    let client = Client::new(server.grpc_address, &[("authorization", &authorization)]);
    // Until it knows the tenants' own issuers, it cannot tell whose the token is.
    let error = eventually("an answer", async || {
        let answer = client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await;
        Some(answer.unwrap_err()).filter(|error| error.code() != Code::Unavailable)
    })
    .await;
    assert_eq!(error.code(), Code::Unauthenticated);
    assert!(error.message().contains("no issuer is configured"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_may_do_what_the_table_says() {
    let world = World::new().await;
    world.as_role("acme", "operator").wallet("alice", "USD").await;
    world.as_role("acme", "operator").wallet("bob", "USD").await;
    #[rustfmt::skip]
    let table = [
        //            read      pay       fund      tenants
        ("viewer",    [true,    false,    false,    false]),
        ("operator",  [true,    true,     false,    false]),
        ("approver",  [true,    true,     false,    false]),
        ("treasury",  [true,    true,     true,     false]),
        ("admin",     [true,    true,     true,     false]),
        ("stranger",  [false,   false,    false,    false]),
    ];
    for (role, expected) in table {
        let client = world.as_role("acme", role);
        let outcomes = [
            read(&client).await,
            code(client.pay(payment(&format!("pay {role}"), "alice", "bob", "1.00")).await),
            code(client.pay(funding(&format!("fund {role}"), "alice", "1.00")).await),
            code(client.tenants.clone().get_tenant(proto::GetTenantRequest::default()).await),
        ];
        let allowed = |may| if may { Code::Ok } else { Code::PermissionDenied };
        assert_eq!(outcomes, expected.map(allowed), "{role}");
    }
    let put = world
        .as_platform(None)
        .tenants
        .clone()
        .get_tenant(proto::GetTenantRequest { name: "acme".into() })
        .await;
    assert_eq!(code(put), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_methods_need_the_roles_that_they_name() {
    let world = World::new().await;
    #[rustfmt::skip]
    let table = [
        //            statement void      approve   settings  people    freeze
        ("viewer",    [true,    false,    false,    false,    false,    false]),
        ("operator",  [true,    true,     false,    false,    false,    true]),
        ("approver",  [true,    true,     true,     false,    false,    true]),
        ("treasury",  [true,    true,     false,    false,    false,    true]),
        ("admin",     [true,    true,     true,     true,     true,     true]),
        ("stranger",  [false,   false,    false,    false,    false,    false]),
    ];
    for (role, expected) in table {
        let client = world.as_role("acme", role);
        // Empty requests are malformed, which only those learn who may call.
        let outcomes = [
            code(client.wallets.clone().get_statement(proto::GetStatementRequest::default()).await),
            code(client.payments.clone().void_payment(proto::VoidPaymentRequest::default()).await),
            code(client.payments.clone().approve_refund(proto::ApproveRefundRequest::default()).await),
            code(client.settings.clone().put_settings(proto::PutSettingsRequest::default()).await),
            code(client.people.clone().erase_personal_data(proto::ErasePersonalDataRequest::default()).await),
            code(client.wallets.clone().update_wallet(proto::UpdateWalletRequest::default()).await),
        ];
        let allowed = |may| if may { Code::InvalidArgument } else { Code::PermissionDenied };
        assert_eq!(outcomes, expected.map(allowed), "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settlement_account_needs_the_treasury_whatever_it_is_called() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    let wanted =
        proto::GetWalletRequest { wallet: Some(support::client::settlement()), currency: "USD".to_owned() };
    let till = operator.wallets.clone().get_wallet(wanted).await.unwrap().into_inner().wallet.unwrap();
    let by_id = proto::CreatePaymentRequest { from: Some(id(&till.id)), ..payment("k", "", "alice", "1.00") };
    assert_eq!(code(operator.pay(by_id).await), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_chosen_by_the_platform_only() {
    let world = World::new().await;
    let token = world.issuer.token(VIEWER);
    let chosen = world.with_token_at(0, &token, &[("payplane-namespace", "globex")]);
    assert_eq!(read(&chosen).await, Code::PermissionDenied);
    assert_eq!(read(&world.as_platform(Some("acme"))).await, Code::Ok);
    let unknown = world.as_platform(Some("nowhere"));
    let error = unknown.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("nowhere"), "{error:?}");
    let nobody = world.as_platform(None);
    assert_eq!(code(nobody.pay(payment("k", "a", "b", "1.00")).await), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_acts_on_behalf_of_somebody() {
    let world = World::new().await;
    for role in ["viewer", "operator", "approver", "treasury", "admin"] {
        let token = world.issuer.token(&format!("system:serviceaccount:acme:{role}"));
        let client = world.with_token_at(0, &token, &[("payplane-on-behalf-of", "bea")]);
        let request = proto::GetWalletRequest { wallet: Some(name("none")), ..Default::default() };
        let error = client.wallets.clone().get_wallet(request).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{role}");
        assert_eq!(error.get_details_error_info().unwrap().reason, "ON_BEHALF_OF_NOT_ALLOWED", "{role}");
    }
    assert_eq!(read(&world.on_behalf_of("acme", "bea@example.com")).await, Code::Ok);
    for nobody in ["", "payplane:sweep", &"x".repeat(257)] {
        let client = world.on_behalf_of("acme", nobody);
        let error = client.pay(payment("k", "a", "b", "1.00")).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{nobody:?}");
        assert!(error.message().contains("payplane-on-behalf-of"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_that_are_no_service_account_of_a_tenant_are_turned_away() {
    let world = World::new().await;
    let subjects = [
        "system:serviceaccount:nowhere:viewer",
        "system:serviceaccount:acme",
        "system:serviceaccount:acme:viewer:x",
        "system:serviceaccount::viewer",
        "acme:viewer",
        "",
    ];
    for subject in subjects {
        let client = world.with_token(&world.issuer.token(subject));
        assert_eq!(read(&client).await, Code::PermissionDenied, "{subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_correlation_id_comes_back_and_is_kept() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    world.fund("acme", "alice", "1.00").await;
    operator.wallet("bob", "USD").await;
    let token = world.issuer.token("system:serviceaccount:acme:operator");
    let traced = world.with_token_at(0, &token, &[("payplane-correlation-id", "trace-7")]);
    let answer = traced.payments.clone().create_payment(payment("k", "alice", "bob", "1.00")).await.unwrap();
    assert_eq!(answer.metadata().get("payplane-correlation-id").unwrap(), "trace-7");
    let outcome = answer.into_inner().outcome.unwrap();
    assert_eq!(support::client::paid(&outcome).correlation_id, "trace-7");
    let answer =
        operator.payments.clone().create_payment(payment("l", "bob", "alice", "1.00")).await.unwrap();
    assert!(!answer.metadata().get("payplane-correlation-id").unwrap().is_empty());
    let long = "x".repeat(129);
    let rude = world.with_token_at(0, &token, &[("payplane-correlation-id", &long)]);
    let error = rude.pay(payment("m", "alice", "bob", "1.00")).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.get_details_bad_request().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_others_look_absent() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    let funded = world.as_role("acme", "treasury").pay(funding("k", "alice", "1.00")).await.unwrap();
    let theirs = world.as_role("globex", "admin");
    let get = |id: &str| proto::GetPaymentRequest { id: id.to_owned() };
    let foreign = theirs.payments.clone().get_payment(get(&funded.payment_id)).await.unwrap_err();
    let absent =
        theirs.payments.clone().get_payment(get("6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a")).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (absent.code(), absent.message()));
    assert_eq!(foreign.details(), absent.details());
    assert_eq!(foreign.code(), Code::NotFound);
}

/// Algorithm confusion: the public key taken for a shared secret.
fn signed_with_the_public_key(issuer: &Issuer, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(KEY_ID.to_owned());
    encode(&header, claims, &EncodingKey::from_secret(issuer.public_key_pem().as_bytes())).unwrap()
}

/// The same token with `alg: none` and no signature: header {"alg":"none","typ":"JWT","kid":"key-1"}.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoia2V5LTEifQ.{claims}.")
}

async fn read(client: &Client) -> Code {
    let request = proto::GetWalletRequest { wallet: Some(name("none")), ..Default::default() };
    match code(client.wallets.clone().get_wallet(request).await) {
        Code::NotFound | Code::InvalidArgument => Code::Ok,
        other => other,
    }
}
