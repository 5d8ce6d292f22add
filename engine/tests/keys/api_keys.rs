//! API keys.

use std::time::{Duration, Instant};

use payplane_proto::v1::{self as proto, revoke_token_request::Revoked};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::support::{
    self,
    client::{Client, code, funding, paid, payment},
    eventually,
    world::World,
};

/// A key as the operator makes them.
struct Key {
    id: String,
    token: String,
}

impl Key {
    fn new() -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let token = format!("payplane_{id}_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { id, token }
    }

    fn request(&self, tenant: &str, role: proto::Role) -> proto::PutApiKeyRequest {
        let key = proto::ApiKey {
            id: self.id.clone(),
            name: "partner".to_owned(),
            role: role.into(),
            hash: Sha256::digest(&self.token).to_vec(),
            ..Default::default()
        };
        proto::PutApiKeyRequest { tenant: tenant.to_owned(), key: Some(key) }
    }

    async fn put(world: &World, tenant: &str, role: proto::Role) -> Self {
        let key = Self::new();
        put(world, key.request(tenant, role)).await.unwrap();
        key
    }
}

async fn put(world: &World, request: proto::PutApiKeyRequest) -> Result<(), Status> {
    world.as_platform(None).api_keys.clone().put_api_key(request).await.map(|_| ())
}

async fn end(world: &World, tenant: &str, id: &str, at: Option<i64>) -> Result<(), Status> {
    let at = at.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
    let request = proto::EndApiKeyRequest { tenant: tenant.to_owned(), id: id.to_owned(), at };
    world.as_platform(None).api_keys.clone().end_api_key(request).await.map(|_| ())
}

async fn list(world: &World, tenant: &str) -> Vec<proto::ApiKey> {
    let request = proto::ListApiKeysRequest { tenant: tenant.to_owned() };
    world.as_platform(None).api_keys.clone().list_api_keys(request).await.unwrap().into_inner().keys
}

async fn read(client: &Client) -> Result<(), Status> {
    client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_acts_for_its_tenant_in_its_role_and_the_journal_names_it() {
    let world = World::new().await;
    for wallet in ["alice", "bob"] {
        world.as_role("acme", "operator").wallet(wallet, "USD").await;
    }
    #[rustfmt::skip]
    let table = [
        //                       read   pay    fund   settings platform
        (proto::Role::Viewer,   [true,  false, false, false,   false]),
        (proto::Role::Operator, [true,  true,  false, false,   false]),
        (proto::Role::Treasury, [true,  true,  true,  false,   false]),
    ];
    for (role, expected) in table {
        let key = Key::put(&world, "acme", role).await;
        let client = world.with_token(&key.token);
        let outcomes = [
            code(read(&client).await),
            code(client.pay(payment(&format!("pay {role:?}"), "alice", "bob", "1.00")).await),
            code(client.pay(funding(&format!("fund {role:?}"), "alice", "5.00")).await),
            code(client.settings.clone().put_settings(proto::PutSettingsRequest::default()).await),
            code(client.api_keys.clone().list_api_keys(proto::ListApiKeysRequest::default()).await),
        ];
        let allowed = |may| if may { Code::Ok } else { Code::PermissionDenied };
        assert_eq!(outcomes, expected.map(allowed), "{role:?}");
    }
    let key = Key::put(&world, "acme", proto::Role::Operator).await;
    let outcome = world.with_token(&key.token).pay(payment("k", "alice", "bob", "1.00")).await.unwrap();
    assert_eq!(paid(&outcome).actor, format!("payplane:api-key:partner:{}", key.id));
    // Another tenant's wallets are absent for it, and it speaks for no namespace.
    let theirs = Key::put(&world, "globex", proto::Role::Operator).await;
    let theirs = world.with_token(&theirs.token);
    let get = proto::GetPaymentRequest { id: outcome.payment_id };
    assert_eq!(code(theirs.payments.clone().get_payment(get).await), Code::NotFound);
    let chosen = world.with_token_at(0, &key.token, &[("payplane-namespace", "globex")]);
    assert_eq!(code(read(&chosen).await), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_that_is_not_valid_gets_the_same_answer() {
    let world = World::new().await;
    let put_one = || Key::put(&world, "acme", proto::Role::Operator);
    let (good, ended, expired, revoked) = (put_one().await, Key::new(), Key::new(), put_one().await);
    let theirs = Key::put(&world, "globex", proto::Role::Operator).await;
    put(&world, ended.request("acme", proto::Role::Operator)).await.unwrap();
    end(&world, "acme", &ended.id, None).await.unwrap();
    let mut short = expired.request("acme", proto::Role::Operator);
    let soon = i64::try_from(support::issuer::now()).unwrap() + 1;
    short.key.as_mut().unwrap().expire_time = Some(prost_types::Timestamp { seconds: soon, nanos: 0 });
    put(&world, short).await.unwrap();
    let until = Some(prost_types::Timestamp { seconds: soon + 3_600, nanos: 0 });
    let request = proto::RevokeTokenRequest {
        revoked: Some(Revoked::TokenId(revoked.id.clone())),
        until,
        reason: "found in a log".to_owned(),
    };
    world.as_platform(None).tokens.clone().revoke_token(request).await.unwrap();
    eventually("the key expires", async || read(&world.with_token(&expired.token)).await.err()).await;

    let (id, secret) = (&good.id, &theirs.token[42..]);
    let unknown = Key::new();
    let tokens = [
        unknown.token.clone(),
        ended.token,
        expired.token,
        revoked.token,
        // The secret of another key, and of another tenant's.
        format!("payplane_{id}_{secret}"),
        format!("payplane_{}_{}", theirs.id, &good.token[42..]),
        good.token.to_uppercase().replace("PAYPLANE", "payplane"),
        format!("{}0", good.token),
        good.token[..good.token.len() - 1].to_owned(),
        format!("payplane_{id}_"),
        "payplane_".to_owned(),
        "payplane_a_b_c".to_owned(),
    ];
    let told = async |token: &str| {
        let status = read(&world.with_token(token)).await.expect_err(token);
        (status.code(), status.message().to_owned(), status.details().to_vec())
    };
    let first = told(&tokens[0]).await;
    assert_eq!((first.0, &*first.1), (Code::Unauthenticated, "the API key is not valid"));
    for token in &tokens {
        assert_eq!(told(token).await, first, "{token}");
    }
    println!("{} tokens that are no valid key were refused alike", tokens.len());
    for valid in [&good, &theirs] {
        read(&world.with_token(&valid.token)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_about_a_key_is_known_here_at_once_and_there_within_a_second() {
    let mut world = World::new().await;
    world.add_engine(world.database.app_dir()).await;
    let at = |engine: usize, key: &Key| world.with_token_at(engine, &key.token, &[]);
    let (old, new) = (Key::put(&world, "acme", proto::Role::Viewer).await, Key::new());
    eventually("the other engine believes it", async || read(&at(1, &old)).await.ok()).await;
    put(&world, new.request("acme", proto::Role::Viewer)).await.unwrap();
    read(&at(0, &new)).await.unwrap();
    // A key that is registered for a moment can be confirmed, until its end is decided.
    let lease = |key: &Key, seconds: Option<u64>| {
        let mut request = key.request("acme", proto::Role::Viewer);
        let at = seconds.map(|seconds| i64::try_from(support::issuer::now() + seconds).unwrap());
        request.key.as_mut().unwrap().expire_time =
            at.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
        request
    };
    put(&world, lease(&new, Some(600))).await.unwrap();
    assert!(list(&world, "acme").await.iter().any(|key| key.expire_time.is_some() && !key.is_ending));
    put(&world, lease(&new, None)).await.unwrap();
    // Overlap: the old one goes on until its time, and is never given longer.
    let now = i64::try_from(support::issuer::now()).unwrap();
    end(&world, "acme", &old.id, Some(now + 600)).await.unwrap();
    end(&world, "acme", &old.id, Some(now + 6_000)).await.unwrap();
    put(&world, lease(&old, None)).await.unwrap();
    let listed = list(&world, "acme").await;
    assert_eq!(listed.iter().map(|key| key.is_ending).collect::<Vec<_>>(), [true, false]);
    let ends: Vec<_> = listed.iter().map(|key| (&*key.id, key.expire_time.map(|at| at.seconds))).collect();
    assert_eq!(ends, [(&*old.id, Some(now + 600)), (&*new.id, None)], "the eldest first");
    assert!(listed.iter().all(|key| key.create_time.is_some() && key.hash.len() == 32));
    for engine in [0, 1] {
        eventually("both are believed", async || {
            (read(&at(engine, &old)).await.is_ok() && read(&at(engine, &new)).await.is_ok()).then_some(())
        })
        .await;
    }
    end(&world, "acme", &old.id, None).await.unwrap();
    let began = Instant::now();
    assert_eq!(code(read(&at(0, &old)).await), Code::Unauthenticated, "the engine that was asked");
    eventually("the other engine refuses it", async || read(&at(1, &old)).await.err()).await;
    println!("refused everywhere after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    read(&at(1, &new)).await.unwrap();
    assert_eq!(list(&world, "acme").await.len(), 1);

    // Its role changes with the same id; after a few seconds everywhere.
    put(&world, new.request("acme", proto::Role::Operator)).await.unwrap();
    eventually("the new role is in force", async || {
        let refused = at(1, &new).pay(payment("k", "a", "b", "1.00")).await;
        (code(refused) != Code::PermissionDenied).then_some(())
    })
    .await;
    // An archived tenant has no namespace, and its keys open nothing.
    let archived = proto::Tenant { name: "acme".to_owned(), suspended: true, ..Default::default() };
    let request = proto::PutTenantRequest { tenant: Some(archived) };
    world.as_platform(None).tenants.clone().put_tenant(request).await.unwrap();
    for engine in [0, 1] {
        eventually("the archived tenant's key is refused", async || {
            (code(read(&at(engine, &new)).await) == Code::Unauthenticated).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_registers_keys_and_only_such_that_can_be() {
    let world = World::new().await;
    let key = Key::new();
    let good = || key.request("acme", proto::Role::Operator);
    for role in ["viewer", "operator", "approver", "treasury", "admin"] {
        let client = world.as_role("acme", role).api_keys;
        let ended = proto::EndApiKeyRequest::default();
        let listed = proto::ListApiKeysRequest { tenant: "acme".to_owned() };
        assert_eq!(code(client.clone().put_api_key(good()).await), Code::PermissionDenied, "{role}");
        assert_eq!(code(client.clone().list_api_keys(listed).await), Code::PermissionDenied, "{role}");
        assert_eq!(code(client.clone().end_api_key(ended).await), Code::PermissionDenied, "{role}");
    }
    let spoiled = |spoil: fn(&mut proto::ApiKey)| {
        let mut request = good();
        spoil(request.key.as_mut().unwrap());
        request
    };
    let cases = [
        (spoiled(|key| key.role = proto::Role::Approver.into()), "key.role"),
        (spoiled(|key| key.role = proto::Role::Admin.into()), "key.role"),
        (spoiled(|key| key.role = proto::Role::Platform.into()), "key.role"),
        (spoiled(|key| key.role = 0), "key.role"),
        (spoiled(|key| key.hash.truncate(31)), "key.hash"),
        (spoiled(|key| key.id.make_ascii_uppercase()), "key.id"),
        (spoiled(|key| key.id.clear()), "key.id"),
        (spoiled(|key| key.name = "a:b".to_owned()), "key.name"),
    ];
    for (request, field) in cases {
        let refused = put(&world, request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}");
        let named = refused.get_details_bad_request().unwrap().field_violations[0].field.clone();
        assert_eq!(named, field, "{request:?}");
    }
    let nobody = proto::PutApiKeyRequest { tenant: "nobody".to_owned(), ..good() };
    assert_eq!(code(put(&world, nobody).await), Code::NotFound);
    assert!(list(&world, "acme").await.is_empty(), "nothing of all this was stored");

    put(&world, good()).await.unwrap();
    put(&world, good()).await.unwrap();
    assert_eq!(list(&world, "acme").await.len(), 1, "the same again is the same");
    let stolen = proto::PutApiKeyRequest { tenant: "globex".to_owned(), ..good() };
    let other_hash = spoiled(|key| key.hash[0] ^= 1);
    for taken in [stolen, other_hash] {
        assert_eq!(code(put(&world, taken).await), Code::AlreadyExists);
    }
    assert_eq!(code(end(&world, "globex", &key.id, None).await), Code::NotFound, "another tenant's");
    end(&world, "acme", &key.id, None).await.unwrap();
    assert_eq!(code(put(&world, good()).await), Code::AlreadyExists, "what has ended never begins again");
    for number in 0..65 {
        let answer = put(&world, Key::new().request("acme", proto::Role::Viewer)).await;
        let expected = if number < 64 { Code::Ok } else { Code::ResourceExhausted };
        assert_eq!(code(answer), expected, "key {number}");
    }
}
