//! Redis beside the ledger: what it remembers, what is not believed, and that money moves on whatever becomes of it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use payplane_proto::v1::{self as proto, revoke_token_request::Revoked};
use serde_json::json;
use support::{
    client::{Client, code, name, paid, payment, refund, refunded},
    eventually, insist,
    issuer::claims,
    redis::Redis,
    world::World,
};
use tonic::Code;
use tonic_types::StatusExt as _;

/// The engine without Redis, whose answers come from PostgreSQL alone, and the one with it.
const PLAIN: usize = 0;
const CACHED: usize = 1;

async fn world(redis: &Redis) -> World {
    let mut world = World::new().await;
    world.redis_dir = Some(redis.directory());
    world.add_engine(world.database.app_dir()).await;
    world
}

async fn connected(world: &World) {
    let cache = world.engines[CACHED].engine.cache.clone();
    eventually("Redis is used", async || cache.is_up().then_some(())).await;
}

/// A counter of the engine with Redis.
fn counted(world: &World, name: &str) -> u64 {
    counted_at(world, CACHED, name)
}

fn counted_at(world: &World, engine: usize, name: &str) -> u64 {
    let text = world.engines[engine].engine.exposition();
    let line = text.lines().find(|line| line.starts_with(&format!("payplane_engine_{name} ")));
    line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap_or_default()
}

fn reads(world: &World, result: &str) -> u64 {
    counted(world, &format!("cache_reads_total{{result=\"{result}\"}}"))
}

async fn get(client: &Client, id: &str) -> proto::PaymentOutcome {
    let request = proto::GetPaymentRequest { id: id.to_owned() };
    let get = async || client.payments.clone().get_payment(request.clone()).await;
    insist(get).await.into_inner().outcome.unwrap()
}

/// A payment that was given back: nothing will ever change it again.
async fn returned(client: &Client, key: &str) -> String {
    let request = payment(key, "alice", "bob", "1.00");
    let outcome = insist(async || client.pay(request.clone()).await).await;
    let id = paid(&outcome).id.clone();
    let back = refund(&format!("{key} back"), &id, "1.00");
    let outcome = insist(async || client.payments.clone().refund_payment(back.clone()).await).await;
    refunded(&outcome.into_inner().outcome.unwrap());
    id
}

async fn wallets(world: &World) {
    world.as_role("acme", "operator").wallet("alice", "USD").await;
    world.as_role("acme", "operator").wallet("bob", "USD").await;
    world.fund("acme", "alice", "1000.00").await;
}

fn stored(redis: &mut redis::Connection) -> Vec<String> {
    redis::cmd("KEYS").arg("payplane:payment:*").query(redis).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_final_is_remembered_and_what_somebody_made_up_is_not_believed() {
    let redis = Redis::start();
    let world = world(&redis).await;
    wallets(&world).await;
    connected(&world).await;
    let (plain, cached) =
        (world.as_role_at(PLAIN, "acme", "operator"), world.as_role_at(CACHED, "acme", "operator"));
    let mut admin = redis.admin();

    let open = insist(async || cached.pay(payment("open", "alice", "bob", "2.00")).await).await;
    let open = paid(&open).id.clone();
    assert_eq!(get(&cached, &open).await, get(&plain, &open).await);
    assert_eq!(stored(&mut admin), Vec::<String>::new(), "it can still be refunded, so it is not final");

    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(returned(&cached, &format!("returned {number}")).await);
    }
    for id in &ids {
        assert_eq!(get(&cached, id).await, get(&plain, id).await);
    }
    assert_eq!((stored(&mut admin).len(), reads(&world, "hit")), (4, 0));
    for id in &ids {
        assert_eq!(get(&cached, id).await, get(&plain, id).await);
    }
    assert_eq!(reads(&world, "hit"), 4);

    // Another payment's own value, one bit of the right one, what never was one, and what is no value at all.
    let keys: Vec<String> =
        ids.iter().map(|id| stored(&mut admin).into_iter().find(|key| key.ends_with(id)).unwrap()).collect();
    let value: Vec<u8> = redis::cmd("GET").arg(&keys[1]).query(&mut admin).unwrap();
    redis::cmd("SET").arg(&keys[0]).arg(&value).exec(&mut admin).unwrap();
    let mut spoiled = value.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    redis::cmd("SET").arg(&keys[1]).arg(&spoiled).exec(&mut admin).unwrap();
    redis::cmd("SET").arg(&keys[2]).arg("rich").exec(&mut admin).unwrap();
    redis::cmd("DEL").arg(&keys[3]).exec(&mut admin).unwrap();
    redis::cmd("LPUSH").arg(&keys[3]).arg("list").exec(&mut admin).unwrap();
    for id in &ids {
        assert_eq!(get(&cached, id).await, get(&plain, id).await, "poison is a miss");
    }
    assert_eq!(reads(&world, "forged"), 3);
    for id in &ids {
        assert_eq!(get(&cached, id).await, get(&plain, id).await);
    }
    println!(
        "poisoned 4, believed 0, forged {}, hits {}, errors {}",
        reads(&world, "forged"),
        reads(&world, "hit"),
        counted(&world, "cache_errors_total")
    );
    assert_eq!(reads(&world, "hit"), 4 + 4, "what was forged was replaced");
    let stranger = world.as_role_at(CACHED, "globex", "operator");
    let request = proto::GetPaymentRequest { id: ids[0].clone() };
    assert_eq!(code(stranger.payments.clone().get_payment(request).await), Code::NotFound);
}

/// Accepts on a port and answers whatever comes with bytes that are no answer.
fn talk_nonsense(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let mut answered = 0;
        while !stop.load(Ordering::SeqCst) {
            let Ok((mut stream, _)) = listener.accept() else {
                std::thread::yield_now();
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut asked = [0; 512];
            // Right for the password and the first question, so that it is believed to be a server; then nonsense.
            for answer in [&b"+OK\r\n"[..], b"+PONG\r\n", b"$-7\r\n*99999999\r\n\xff\x00:1:\r\n!!"] {
                let _ = stream.read(&mut asked);
                let _ = stream.write_all(answer);
                answered += 1;
            }
        }
        answered
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_on_whatever_becomes_of_redis() {
    let mut redis = Redis::absent();
    let world = world(&redis).await;
    wallets(&world).await;
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let caller = async |caller: u32| {
        let cached = world.as_role_at(CACHED, "acme", "operator");
        let plain = world.as_role_at(PLAIN, "acme", "operator");
        let mut number = 0_usize;
        while !stop.load(Ordering::SeqCst) {
            let id = returned(&cached, &format!("{caller} {number}")).await;
            for _ in 0..2 {
                assert_eq!(get(&cached, &id).await, get(&plain, &id).await);
            }
            number += 1;
            done.fetch_add(1, Ordering::SeqCst);
        }
        number
    };
    let faults = async {
        let said = harass(&world, &mut redis, &done).await;
        stop.store(true, Ordering::SeqCst);
        said
    };
    let (said, one, two, three, four) = tokio::join!(faults, caller(1), caller(2), caller(3), caller(4));
    let operations = world.assert_sound().await;
    world.assert_balanced().await;
    // Every payment went and came back.
    let wallet = world.as_role_at(PLAIN, "acme", "operator").read_wallet(name("alice")).await;
    assert_eq!(wallet.balance.unwrap().available, "1000.00");
    println!(
        "{} payments and refunds, {operations} operations sound, 0 wrong answers; {said}; hits {}, misses {}, away {}",
        one + two + three + four,
        reads(&world, "hit"),
        reads(&world, "miss"),
        reads(&world, "away"),
    );
}

/// Does to Redis what can happen to it, each time until enough was paid; says what came of it.
async fn harass(world: &World, redis: &mut Redis, done: &AtomicUsize) -> String {
    let mut figures = Vec::new();
    let errors = || counted(world, "cache_errors_total");
    let goes_on = async |what: &'static str, figures: &mut Vec<(&'static str, usize)>| {
        let before = done.load(Ordering::SeqCst);
        eventually(what, async || (before + 40 <= done.load(Ordering::SeqCst)).then_some(())).await;
        figures.push((what, done.load(Ordering::SeqCst) - before));
    };

    goes_on("started without Redis", &mut figures).await;
    redis.launch();
    connected(world).await;
    goes_on("with Redis", &mut figures).await;
    assert!(0 < reads(world, "hit"), "it is used");
    redis::cmd("FLUSHALL").exec(&mut redis.admin()).unwrap();
    goes_on("after FLUSHALL", &mut figures).await;
    let before = errors();
    redis.signal("-STOP");
    goes_on("while it is stopped", &mut figures).await;
    let stopped = errors() - before;
    redis.signal("-CONT");
    connected(world).await;
    goes_on("after it went on", &mut figures).await;
    redis.kill();
    goes_on("after kill -9", &mut figures).await;
    let (talks, before) = (Arc::new(AtomicBool::new(false)), errors());
    let nonsense = talk_nonsense(redis.port, talks.clone());
    goes_on("while somebody else answers", &mut figures).await;
    let started = Instant::now();
    while errors() == before {
        assert!(started.elapsed() < support::PATIENCE, "nobody met the nonsense");
        // Between two looks: nothing that is waited for here can wake us.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    talks.store(true, Ordering::SeqCst);
    let answered = nonsense.join().unwrap();
    redis.launch();
    connected(world).await;
    goes_on("with a new Redis", &mut figures).await;

    assert!(1 <= stopped && 1 <= answered);
    assert!(stopped <= 64, "the breaker is open: not every caller waits for a Redis that is away");
    format!("{figures:?}, errors {} ({stopped} while stopped), nonsense {answered}", errors())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_a_certificate_is_encrypted_and_checked() {
    let redis = Redis::with_tls();
    let world = world(&redis).await;
    connected(&world).await;
    let other = Redis::with_tls();
    // The other server's certificate is of an authority that this engine does not know.
    std::fs::write(redis.directory().join("port"), other.port.to_string()).unwrap();
    redis.signal("-KILL");
    let cache = world.engines[CACHED].engine.cache.clone();
    eventually("the old one is gone", async || (!cache.is_up()).then_some(())).await;
    // Longer than the wait before a new connection: one that would be made is made by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!cache.is_up(), "a server that cannot prove its name is not used");
    let right = std::fs::read(other.directory().join("ca.crt")).unwrap();
    std::fs::write(redis.directory().join("ca.crt"), right).unwrap();
    connected(&world).await;
}

async fn put_rates(world: &World, rates: Option<proto::Rates>) {
    let platform = world.as_platform(None);
    let request = proto::GetTenantRequest { name: "acme".to_owned() };
    let tenant = platform.tenants.clone().get_tenant(request).await.unwrap().into_inner().tenant.unwrap();
    let request = proto::PutTenantRequest { tenant: Some(proto::Tenant { rates, ..tenant }) };
    let answer = platform.tenants.clone().put_tenant(request.clone()).await.unwrap().into_inner();
    assert!(answer.changed);
    assert_eq!(answer.tenant.unwrap().rates, rates);
    let again = platform.tenants.clone().put_tenant(request).await.unwrap().into_inner();
    assert!(!again.changed, "the same tenant again is no change");
}

/// Calls as often as it can for a while: how often it was let in, and how often it was told to wait.
async fn hammer(client: &Client, lasts: Duration) -> (u32, u32) {
    let (began, mut let_in, mut refused) = (Instant::now(), 0, 0);
    while began.elapsed() < lasts {
        match client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await {
            Ok(_) => let_in += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_EXCEEDED");
                let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
                assert!(Duration::ZERO < wait && wait <= Duration::from_secs(1), "{wait:?}");
                refused += 1;
            }
        }
    }
    (let_in, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_that_of_all_engines_together_and_of_each_without_redis() {
    const RATE: u32 = 10;
    const BURST: u32 = 8;
    let mut redis = Redis::start();
    let mut world = world(&redis).await;
    world.add_engine(world.database.app_dir()).await;
    put_rates(&world, Some(proto::Rates { calls_per_second: RATE, burst: BURST })).await;
    connected(&world).await;
    let other = world.engines[2].engine.cache.clone();
    eventually("Redis is used", async || other.is_up().then_some(())).await;
    let clients = [1, 2].map(|engine| world.as_role_at(engine, "acme", "viewer"));
    let lasts = Duration::from_secs(3);

    let both = async || {
        let began = Instant::now();
        let ((one, refused), (two, also)) =
            tokio::join!(hammer(&clients[0], lasts), hammer(&clients[1], lasts));
        assert!(0 < refused + also, "the callers are faster than the rate");
        (one + two, began.elapsed())
    };
    // On a busy machine a question may take too long, and then each engine counts by itself for a moment: such a round
    // shows nothing about Redis, so another one is made.
    let errors = || counted_at(&world, 1, "cache_errors_total") + counted_at(&world, 2, "cache_errors_total");
    let is_up = || [1, 2].iter().all(|engine| world.engines[*engine].engine.cache.is_up());
    let undisturbed = async |prepare: &mut dyn FnMut()| {
        for _ in 0..8 {
            eventually("Redis is used", async || is_up().then_some(())).await;
            let before = errors();
            prepare();
            let round = both().await;
            if errors() == before && is_up() {
                return round;
            }
        }
        panic!("no round without a question that took too long");
    };
    let most = |took: Duration| BURST + u32::try_from(took.as_millis()).unwrap() * RATE / 1_000;
    let (let_in, took) = undisturbed(&mut || {}).await;
    println!("together: {let_in} let in of at most {} in {took:?}", most(took));
    assert!(let_in <= most(took) + 1, "{let_in} of {}", most(took));
    assert!(RATE / 2 < let_in, "the rate can be used");

    // Whoever spoils the bucket neither opens it for ever nor closes it for long.
    let key: Vec<String> = redis::cmd("KEYS").arg("payplane:rate:*").query(&mut redis.admin()).unwrap();
    let [key] = &key[..] else { panic!("{key:?}") };
    for poison in ["-1e300", "9e300", "x"] {
        let mut spoil = || redis::cmd("SET").arg(key).arg(poison).exec(&mut redis.admin()).unwrap();
        let (let_in, took) = undisturbed(&mut spoil).await;
        println!("after {poison}: {let_in} let in of at most {} in {took:?}", most(took) + BURST);
        assert!((RATE / 2..=most(took) + BURST + 1).contains(&let_in), "{poison}: {let_in}");
    }
    let mut spoil = || {
        redis::cmd("DEL").arg(key).exec(&mut redis.admin()).unwrap();
        redis::cmd("LPUSH").arg(key).arg("x").exec(&mut redis.admin()).unwrap();
    };
    let (let_in, took) = undisturbed(&mut spoil).await;
    assert!(let_in <= most(took) + BURST + 1);

    redis.kill();
    let caches = [1, 2].map(|engine| world.engines[engine].engine.cache.clone());
    eventually("Redis is away", async || caches.iter().all(|cache| !cache.is_up()).then_some(())).await;
    let (let_in, took) = both().await;
    println!("each: {let_in} let in of at most {} in {took:?}", 2 * most(took));
    assert!((RATE..=2 * most(took) + 2).contains(&let_in), "{let_in}");

    // The operator speaks for everybody, and another tenant has no rate.
    for free in [world.as_platform(Some("acme")), world.as_role("globex", "viewer")] {
        for _ in 0..2 * BURST {
            free.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await.unwrap();
        }
    }
}

async fn revoke(world: &World, revoked: Revoked, seconds: i64) {
    let until = support::issuer::now() as i64 + seconds;
    let until = Some(prost_types::Timestamp { seconds: until, nanos: 0 });
    let request =
        proto::RevokeTokenRequest { revoked: Some(revoked), until, reason: "lost laptop".to_owned() };
    world.as_platform(None).tokens.clone().revoke_token(request).await.unwrap();
}

async fn reads_at(world: &World, engine: usize, token: &str) -> Code {
    let client = world.with_token_at(engine, token, &[]);
    let answer = client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await;
    if let Err(status) = &answer {
        assert_eq!(status.get_details_error_info().unwrap().reason, "TOKEN_REVOKED");
    }
    code(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_here_at_once_and_there_within_a_second() {
    let redis = Redis::start();
    let mut world = World::new().await;
    world.add_engine(world.database.app_dir()).await;
    world.redis_dir = Some(redis.directory());
    world.add_engine(world.database.app_dir()).await;
    let viewer = "system:serviceaccount:acme:viewer";
    let token = |id: &str| {
        let mut claims = claims(viewer);
        claims["jti"] = json!(id);
        world.issuer.sign(&claims)
    };
    let (lost, kept) = (token("lost"), token("kept"));
    for engine in 0..3 {
        for token in [&lost, &kept] {
            assert_eq!(reads_at(&world, engine, token).await, Code::Ok);
        }
    }
    revoke(&world, Revoked::TokenId("lost".to_owned()), 3_600).await;
    let began = Instant::now();
    assert_eq!(reads_at(&world, 0, &lost).await, Code::Unauthenticated, "the engine that was asked");
    for engine in [1, 2] {
        eventually("another engine refuses it", async || {
            (reads_at(&world, engine, &lost).await == Code::Unauthenticated).then_some(())
        })
        .await;
    }
    println!("refused everywhere after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for engine in 0..3 {
        assert_eq!(reads_at(&world, engine, &kept).await, Code::Ok, "only that token");
    }

    revoke(&world, Revoked::Subject(viewer.to_owned()), 3_600).await;
    assert_eq!(reads_at(&world, 0, &kept).await, Code::Unauthenticated, "every token of the subject");
    // An engine that starts later knows it too, before it believes anybody.
    world.add_engine(world.database.app_dir()).await;
    assert_eq!(reads_at(&world, 3, &kept).await, Code::Unauthenticated);
    revoke(&world, Revoked::Subject(viewer.to_owned()), -1).await;
    assert_eq!(reads_at(&world, 0, &kept).await, Code::Ok, "a time that has passed ends it");
    assert_eq!(reads_at(&world, 0, &lost).await, Code::Unauthenticated, "and nothing else");

    let request = proto::RevokeTokenRequest::default();
    let admin = world.as_role("acme", "admin");
    assert_eq!(code(admin.tokens.clone().revoke_token(request.clone()).await), Code::PermissionDenied);
    let refused = world.as_platform(None).tokens.clone().revoke_token(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
