//! An engine whose clock is wrong: hours, days and years off, jumping while it serves, running at twice the rate. Money
//! knows only the database's clock. Deadlines, limits by day and stored times follow it whatever the engine believes; only
//! tokens are judged by the engine's own clock, with the leeway that is documented.
//!
//! The engine is a process of its own under libfaketime, which reads what time it is from a file.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    path::PathBuf,
    process::{Child, Stdio},
};

use payplane_proto::v1::{
    self as proto, ParameterName, PaymentState, RefusalReason, payment_outcome::Result as Is,
};
use support::{
    TempDir,
    client::{Client, capture, hold, name, paid, payment, refused},
    eventually, insist,
    issuer::{claims, now},
    postgres::free_port,
    world::World,
};
use tonic::Code;

const OPERATOR: &str = "system:serviceaccount:acme:operator";

const DAY: i64 = 86_400;

/// So far the clock is off, as libfaketime writes it and in seconds, one after the other while the engine serves. From
/// the end of one to the next it jumps in both directions.
const JUMPS: [(&str, i64); 7] = [
    ("+3600", 3_600),
    ("-3600", -3_600),
    ("+86400", DAY),
    ("-86400", -DAY),
    ("+315360000", 3_650 * DAY),
    ("+0 x2", 0),
    ("+0", 0),
];

/// Payments that alice may make per day and month.
const ALLOWED: i64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn money_follows_the_clock_of_the_database() {
    let world = world().await;
    let mut engine = Engine::start(&world).await;
    let (mut judged, mut swept) = (0, 0);
    for (jump, (text, seconds)) in JUMPS.into_iter().enumerate() {
        engine.jump(text, seconds, &world).await;
        // A clock that runs fast is wrong by something else every moment.
        if !text.contains('x') {
            judged += tokens(&engine, &world, seconds).await;
        }
        let client = engine.client(&world);
        assert_limited(&client, jump).await;
        swept += holds(&client, &world, jump).await;
    }
    let log = engine.stop();
    assert!(!log.contains("panicked"), "{log}");
    assert_no_time_runs_back(&world).await;
    let operations = world.assert_sound().await;
    println!(
        "clocks: {} jumps, {judged} tokens judged, {swept} holds swept and {} kept, {operations} operations proved",
        JUMPS.len(),
        JUMPS.len()
    );
}

/// Nobody but the engine under test sweeps.
async fn world() -> World {
    let world = World::without_sweeps().await;
    let (operator, admin) = (world.as_role("acme", "operator"), world.as_role("acme", "admin"));
    for wallet in ["alice", "bob", "carol"] {
        operator.wallet(wallet, "USD").await;
        world.fund("acme", wallet, "1000.00").await;
    }
    let scope = proto::settings_scope::Scope::Wallet(name("alice"));
    let setting = |name: ParameterName| proto::Setting {
        name: name.into(),
        value: Some(proto::setting::Value::Count(ALLOWED)),
        ..Default::default()
    };
    // By month too, so that a run over midnight is no other run.
    let request = proto::PutSettingsRequest {
        scope: Some(proto::SettingsScope { scope: Some(scope) }),
        settings: vec![setting(ParameterName::DailyCount), setting(ParameterName::MonthlyCount)],
    };
    insist(async || admin.settings.clone().put_settings(request.clone()).await).await;
    for number in 0..ALLOWED {
        let request = payment(&format!("allowed {number}"), "alice", "bob", "1.00");
        paid(&insist(async || operator.pay(request.clone()).await).await);
    }
    world
}

/// A process whose clock is in a file.
struct Engine {
    child: Child,
    port: u16,
    files: TempDir,
}

impl Engine {
    async fn start(world: &World) -> Self {
        let (port, files) = (free_port(), TempDir::new());
        let clock = files.write("clock", "+0");
        let log = std::fs::File::create(files.path().join("log")).unwrap();
        let mut command = world.engine_command(port);
        command
            .args(["--sweep-millis", "20"])
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", clock);
        // A jump is seen at once, and only by the clock on the wall: time that has passed passes as before.
        command
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stderr(Stdio::from(log));
        let engine = Self { child: command.spawn().unwrap(), port, files };
        serves(&engine.client(world)).await;
        engine
    }

    /// Sets the clock and waits until the engine judges by it.
    async fn jump(&self, text: &str, seconds: i64, world: &World) {
        self.files.write("clock", text);
        eventually("the clock to jump", async || {
            (self.judge(world, seconds, 600).await == Code::Ok).then_some(())
        })
        .await;
    }

    /// What a token meets that was made by this clock and expires so many seconds later. Each is another token, because
    /// the engine remembers those that it has seen.
    async fn judge(&self, world: &World, clock: i64, lasting: i64) -> Code {
        let mut claims = claims(OPERATOR);
        let made = now() as i64 + clock;
        claims["nbf"] = made.into();
        claims["exp"] = (made + lasting).into();
        claims["jti"] = uuid::Uuid::new_v4().to_string().into();
        let client = world.with_token_at_port(self.port, &world.issuer.sign(&claims));
        let request = proto::GetWalletRequest { wallet: Some(name("alice")), ..Default::default() };
        support::client::code(client.wallets.clone().get_wallet(request).await)
    }

    /// A caller whose token is good by every clock.
    fn client(&self, world: &World) -> Client {
        let mut claims = claims(OPERATOR);
        claims["nbf"] = (now() as i64 - 2 * DAY).into();
        claims["exp"] = (now() as i64 + 4_000 * DAY).into();
        world.with_token_at_port(self.port, &world.issuer.sign(&claims))
    }

    /// It has served until now. What it wrote beside its log.
    fn stop(&mut self) -> String {
        assert_eq!(self.child.try_wait().unwrap(), None, "the engine has ended");
        self.kill();
        std::fs::read_to_string(self.files.path().join("log")).unwrap()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serves(client: &Client) {
    let request = proto::GetWalletRequest { wallet: Some(name("alice")), ..Default::default() };
    insist(async || client.wallets.clone().get_wallet(request.clone()).await).await;
}

/// Tokens count by the engine's clock and half a minute more, no further. Returns how many were judged.
async fn tokens(engine: &Engine, world: &World, clock: i64) -> usize {
    let table = [
        // A moment ahead or behind, as clocks of two machines are.
        (clock + 20, 600, Code::Ok),
        (clock - 610, 600, Code::Ok),
        // Not valid yet; expired.
        (clock + 120, 600, Code::Unauthenticated),
        (clock - 720, 600, Code::Unauthenticated),
    ];
    for (made, lasting, expected) in table {
        assert_eq!(engine.judge(world, made, lasting).await, expected, "made {} s from now", made - clock);
    }
    if clock != 0 {
        // By the time of everybody else nothing is wrong with it.
        assert_eq!(engine.judge(world, 0, 600).await, Code::Unauthenticated);
    }
    table.len() + usize::from(clock != 0)
}

/// The day of the limit is the database's: no jump opens another one.
async fn assert_limited(client: &Client, jump: usize) {
    let request = payment(&format!("too many {jump}"), "alice", "bob", "1.00");
    let outcome = insist(async || client.pay(request.clone()).await).await;
    match outcome.result {
        Some(Is::Refusal(refusal)) => assert_eq!(refusal.reason(), RefusalReason::LimitExceeded),
        other => panic!("not refused: {other:?}"),
    }
}

/// A hold that lasts is kept; one that is over is swept, and can never be taken; both are dated by the database. Returns
/// how many were swept.
async fn holds(client: &Client, world: &World, jump: usize) -> usize {
    let before = database_time(world).await;
    let kept = held(client, &format!("kept {jump}"), (600, 0)).await;
    let short = held(client, &format!("short {jump}"), (0, 1_000)).await;
    let after = database_time(world).await;
    for made in [&kept, &short] {
        let at = micros(made.create_time);
        assert!((before..=after).contains(&at), "{at} is not from {before} to {after}");
    }
    assert_eq!(micros(kept.deadline) - micros(kept.create_time), 600 * 1_000_000);
    let late = capture(&format!("late {jump}"), &short.id, "1.00");
    let late = insist(async || client.payments.clone().capture_payment(late.clone()).await).await;
    assert_eq!(refused(&late.into_inner().outcome.unwrap()).0, RefusalReason::HoldExpired);
    eventually("a sweep", async || {
        (client.read_payment(&short.id).await.state() == PaymentState::Expired).then_some(())
    })
    .await;
    // The sweep that ended the one has seen the other.
    assert_eq!(client.read_payment(&kept.id).await.state(), PaymentState::Pending);
    let taken = capture(&format!("taken {jump}"), &kept.id, "0.50");
    let taken = insist(async || client.payments.clone().capture_payment(taken.clone()).await).await;
    assert_eq!(paid(&taken.into_inner().outcome.unwrap()).captured, "0.50");
    1
}

async fn held(client: &Client, key: &str, (seconds, nanos): (i64, i32)) -> proto::Payment {
    let request = proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds, nanos }),
        ..hold(key, "carol", "bob", "1.00")
    };
    let made = insist(async || client.payments.clone().authorize_payment(request.clone()).await).await;
    paid(&made.into_inner().outcome.unwrap()).clone()
}

/// In the order of the journal no operation is before the one that it follows on an account, and the day that the limit
/// counted is the database's.
async fn assert_no_time_runs_back(world: &World) {
    let mut superuser = world.database.superuser().await;
    let (steps, back, days): (i64, i64, i64) = sqlx::query_as(
        "with dated as (select decided_us, lag(decided_us) over (order by batch_id) as before from payplane.batches) \
         select (select count(*) from dated), (select count(*) from dated where decided_us < before), \
         (select count(*) from payplane.usages u where u.day not between \
          (select min(decided_us) / 86400000000 from dated) and (select max(decided_us) / 86400000000 from dated))",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert!(10 < steps);
    assert_eq!((back, days), (0, 0), "of {steps} batches");
}

async fn database_time(world: &World) -> i64 {
    let mut superuser = world.database.superuser().await;
    let query = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    sqlx::query_scalar(query).fetch_one(&mut superuser).await.unwrap()
}

fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.unwrap();
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|path| path.exists());
    library.expect("libfaketime is not installed; on Debian or Ubuntu: apt-get install faketime")
}
