//! Tokens of tenants' own issuers: believed for one tenant, never for another, never for the platform.

use payplane_proto::v1 as proto;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::https::HttpsIssuer;
use crate::support::{
    client::{Client, code, payment, usd},
    eventually,
    issuer::{ISSUER, now},
    world::{OPERATOR_OF_PLATFORM, World},
};

const AUDIENCE: &str = "acme-payments";

/// A tenant's line about its issuer.
fn oidc(issuer: &HttpsIssuer, audience: &str) -> proto::OidcIssuer {
    let role =
        |value: &str, role: proto::Role| proto::OidcRole { value: value.to_owned(), role: role.into() };
    proto::OidcIssuer {
        issuer: issuer.url.clone(),
        audience: audience.to_owned(),
        ca_pem: issuer.ca_pem.clone(),
        role_claim: "groups".to_owned(),
        roles: vec![role("payers", proto::Role::Operator), role("auditors", proto::Role::Viewer)],
    }
}

async fn trust(world: &World, tenant: &str, oidc: Option<proto::OidcIssuer>) -> Result<bool, Status> {
    let wanted = proto::Tenant {
        name: tenant.to_owned(),
        namespaces: vec![tenant.to_owned()],
        settlement_caps: vec![usd("1000.00")],
        oidc,
        ..Default::default()
    };
    let request = proto::PutTenantRequest { tenant: Some(wanted) };
    Ok(world.as_platform(None).tenants.clone().put_tenant(request).await?.into_inner().changed)
}

fn claims(issuer: &HttpsIssuer, groups: Value) -> Value {
    let now = now();
    json!({
        "iss": issuer.url, "aud": [AUDIENCE, "other"], "sub": "bea", "groups": groups,
        "nbf": now, "iat": now, "exp": now + 600,
    })
}

async fn read(client: &Client) -> Result<(), Status> {
    client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_tenants_issuer_is_believed_for_that_tenant_and_no_other() {
    let world = World::new().await;
    let (issuer, other) = (HttpsIssuer::new().await, HttpsIssuer::new().await);
    assert!(trust(&world, "acme", Some(oidc(&issuer, AUDIENCE))).await.unwrap());
    assert!(!trust(&world, "acme", Some(oidc(&issuer, AUDIENCE))).await.unwrap(), "the same again");
    trust(&world, "globex", Some(oidc(&other, "globex-payments"))).await.unwrap();
    let get = proto::GetTenantRequest { name: "acme".to_owned() };
    let told = world.as_platform(None).tenants.clone().get_tenant(get).await.unwrap().into_inner();
    assert_eq!(told.tenant.unwrap().oidc, Some(oidc(&issuer, AUDIENCE)));

    let good = claims(&issuer, json!(["staff", "payers"]));
    let with = |token: &str| world.with_token(token);
    let bea = with(&issuer.sign(&good));
    read(&bea).await.unwrap();
    for wallet in ["alice", "bob"] {
        bea.wallet(wallet, "USD").await;
    }
    let outcome = bea.pay(payment("k", "alice", "bob", "1.00")).await.unwrap();
    let refusal = outcome.payment_id;
    let listed = proto::ListWalletsRequest::default();
    let names = async |client: &Client| {
        client.wallets.clone().list_wallets(listed.clone()).await.unwrap().into_inner().wallets.len()
    };
    assert_eq!(names(&bea).await, 2);
    // Whoever is an auditor reads; a text counts like a list; whoever is neither is refused.
    let auditor = with(&issuer.sign(&claims(&issuer, json!("auditors"))));
    read(&auditor).await.unwrap();
    assert_eq!(code(auditor.pay(payment("l", "alice", "bob", "1.00")).await), Code::PermissionDenied);
    for groups in [json!(["staff"]), json!([]), json!(7), Value::Null] {
        let nobody = with(&issuer.sign(&claims(&issuer, groups.clone())));
        assert_eq!(code(read(&nobody).await), Code::PermissionDenied, "{groups}");
    }
    // The other tenant's issuer opens the other tenant.
    let mut theirs = claims(&other, json!("payers"));
    theirs["aud"] = json!("globex-payments");
    let stranger = with(&other.sign(&theirs));
    assert_eq!(names(&stranger).await, 0, "nothing of acme's");
    let get = proto::GetPaymentRequest { id: refusal };
    assert_eq!(code(stranger.payments.clone().get_payment(get).await), Code::NotFound);

    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let spoiled = [
        ("another audience", issuer.sign(&changed("aud", json!("other")))),
        ("the other tenant's audience", issuer.sign(&changed("aud", json!("globex-payments")))),
        ("the audience of the cluster", issuer.sign(&changed("aud", json!("payplane")))),
        ("as the other tenant's issuer", issuer.sign(&changed("iss", json!(other.url)))),
        ("as the cluster", issuer.sign(&changed("iss", json!(ISSUER)))),
        ("an issuer that nobody trusts", issuer.sign(&changed("iss", json!("https://localhost:1")))),
        ("expired", issuer.sign(&changed("exp", json!(now() - 120)))),
        ("not yet valid", issuer.sign(&changed("nbf", json!(now() + 120)))),
        ("signed by somebody else", other.sign(&good)),
        ("signed by the cluster", world.issuer.sign(&good)),
        ("an endless subject", issuer.sign(&changed("sub", json!("x".repeat(300))))),
        ("a subject with a line break", issuer.sign(&changed("sub", json!("a\nb")))),
    ];
    for (what, token) in &spoiled {
        assert_eq!(code(read(&with(token)).await), Code::Unauthenticated, "{what}");
    }
    println!("{} spoiled tokens were refused", spoiled.len());
    // Never the platform, whatever its subject is called.
    let posing = with(&issuer.sign(&changed("sub", json!(OPERATOR_OF_PLATFORM))));
    let request = proto::GetTenantRequest { name: "acme".to_owned() };
    assert_eq!(code(posing.tenants.clone().get_tenant(request).await), Code::PermissionDenied);
    let token = issuer.sign(&good);
    let chosen = world.with_token_at(0, &token, &[("payplane-namespace", "globex")]);
    assert_eq!(code(read(&chosen).await), Code::PermissionDenied);

    trust(&world, "acme", None).await.unwrap();
    assert_eq!(code(read(&bea).await), Code::Unauthenticated, "taken back, known here at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_tenants_issuer_is_refused_with_the_field() {
    let world = World::new().await;
    let issuer = HttpsIssuer::new().await;
    trust(&world, "acme", Some(oidc(&issuer, AUDIENCE))).await.unwrap();
    let with = |spoil: fn(&mut proto::OidcIssuer)| {
        let mut wanted = oidc(&issuer, "globex");
        spoil(&mut wanted);
        wanted
    };
    let cases = [
        (oidc(&issuer, AUDIENCE), "tenant.oidc.audience"),
        (with(|wanted| wanted.issuer = ISSUER.to_owned()), "tenant.oidc.issuer"),
        (with(|wanted| wanted.issuer = format!("{ISSUER}/")), "tenant.oidc.issuer"),
        (with(|wanted| wanted.issuer = "http://localhost".to_owned()), "tenant.oidc.issuer"),
        (with(|wanted| wanted.issuer = "https://user@localhost".to_owned()), "tenant.oidc.issuer"),
        (with(|wanted| wanted.issuer = "https://localhost/?a=b".to_owned()), "tenant.oidc.issuer"),
        (with(|wanted| wanted.issuer = "https:///x".to_owned()), "tenant.oidc.issuer"),
        (with(|wanted| wanted.audience.clear()), "tenant.oidc.audience"),
        (with(|wanted| wanted.role_claim.clear()), "tenant.oidc.role_claim"),
        (with(|wanted| wanted.ca_pem = "none".to_owned()), "tenant.oidc.ca_pem"),
        (with(|wanted| wanted.roles.clear()), "tenant.oidc.roles"),
        (with(|wanted| wanted.roles[1].role = proto::Role::Platform.into()), "tenant.oidc.roles[1].role"),
        (with(|wanted| wanted.roles[0].value.clear()), "tenant.oidc.roles[0].value"),
    ];
    for (wanted, field) in cases {
        let refused = trust(&world, "globex", Some(wanted.clone())).await.expect_err(&format!("{wanted:?}"));
        assert_eq!(refused.code(), Code::InvalidArgument, "{wanted:?}");
        let named = refused.get_details_bad_request().unwrap().field_violations[0].field.clone();
        assert_eq!(named, field);
    }
    // One issuer with another audience is another tenant's.
    trust(&world, "globex", Some(oidc(&issuer, "globex"))).await.unwrap();
    let good = claims(&issuer, json!("payers"));
    let acme = world.with_token(&issuer.sign(&good));
    acme.wallet("alice", "USD").await;
    let mut theirs = good.clone();
    theirs["aud"] = json!("globex");
    let globex = world.with_token(&issuer.sign(&theirs));
    let listed = globex.wallets.clone().list_wallets(proto::ListWalletsRequest::default()).await.unwrap();
    assert!(listed.into_inner().wallets.is_empty(), "the audience decides the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_keys_and_broken_issuers_are_asked_for_now_and_then_only() {
    let world = World::new().await;
    let issuer = HttpsIssuer::new().await;
    let good = claims(&issuer, json!("payers"));
    // One that says that it is another one, and one that sends its keys over plain http, have no keys.
    for (name, value) in [("issuer", "https://elsewhere"), ("jwks_uri", "http://localhost/keys")] {
        let broken = HttpsIssuer::new().await;
        let mut discovery = json!({"issuer": broken.url, "jwks_uri": format!("{}/keys", broken.url)});
        discovery[name] = json!(value);
        broken.say("/.well-known/openid-configuration", &discovery);
        trust(&world, "globex", Some(oidc(&broken, AUDIENCE))).await.unwrap();
        let mut theirs = good.clone();
        theirs["iss"] = json!(broken.url);
        for _ in 0..50 {
            let refused = read(&world.with_token(&broken.sign(&theirs))).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{name}: {refused:?}");
        }
        println!("{name}: 50 calls, asked {} times", broken.asked());
        assert!((1..=2).contains(&broken.asked()), "{name}: asked {} times", broken.asked());
    }
    trust(&world, "acme", Some(oidc(&issuer, AUDIENCE))).await.unwrap();
    read(&world.with_token(&issuer.sign(&good))).await.unwrap();
    assert_eq!(issuer.asked(), 2, "where the keys are, and the keys");
    for number in 0..200 {
        let token = issuer.sign_as(&format!("made-up-{number}"), &good);
        assert_eq!(code(read(&world.with_token(&token)).await), Code::Unauthenticated);
    }
    let asked = issuer.asked();
    println!("200 made-up keys, asked {asked} times");
    assert!(asked <= 8, "asked {asked} times: every five seconds at most");
    // A new key is found when the pause is over.
    issuer.rotate("second");
    let token = issuer.sign(&good);
    eventually("the new key is found", async || read(&world.with_token(&token)).await.ok()).await;
}
