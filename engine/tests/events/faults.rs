//! Brokers and publishers that are killed.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _};

use super::{
    flow::status,
    oracle::Expected,
    support::{PATIENCE, client::payment, eventually, kafka::Kafka, sized, world::World},
    traffic::{Traffic, wallets},
};

const KILLS: usize = 2;

/// How long what waited for a broker may take, after a short outage.
const DRAINED_IN: Duration = Duration::from_secs(60);

/// How long a publisher may take to find brokers that are there. Less than the minute that it would take anyway.
const FOUND_IN: Duration = Duration::from_secs(45);

const POSITION: &str = "select seal from payplane.event_head";

const WAITS: &str = "select count(*) from pg_stat_activity where datname = current_database() \
                     and wait_event_type = 'Lock' and query like '%payplane.%_events(%'";

const END: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                   and wait_event_type = 'Lock' and query like '%payplane.%_events(%'";

/// X6 and X7 of the catalogue: nothing is lost, order is kept, payments do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_holds_up_no_payment_and_misses_nothing() {
    let (kafka, mut world) = (Kafka::start().await, World::new().await);
    let operator = wallets(&world).await;
    let platform = world.as_platform(None);
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let traffic = Traffic::start(&operator);
    let mut reader = kafka.reader(&topic).await;
    let outage = Duration::from_secs(sized(0, 600) as u64);
    let (mut during, mut lag) = (0, 0);
    for _ in 0..KILLS {
        let count = reader.seen.len();
        reader.until("events to flow", |seen| count + 200 < seen.len()).await;
        kafka.kill();
        let (killed, before) = (Instant::now(), traffic.acknowledged());
        // Payments go on, and whoever asks learns why events do not.
        traffic.flows(200).await;
        let told = eventually("the reason", async || {
            Some(status(&platform).await).filter(|told| !told.last_error.is_empty() && 0 < told.lag_seals)
        });
        lag = lag.max(told.await.lag_seals);
        // The length of the outage is what is proved.
        tokio::time::sleep(outage.saturating_sub(killed.elapsed())).await;
        lag = lag.max(status(&platform).await.lag_seals);
        during += traffic.acknowledged() - before;
        kafka.launch();
        kafka.answers().await;
    }
    let made = traffic.stop().await;
    let expected = Expected::read(&world).await;
    // Faster than they came, or it would never catch up with such payments.
    let bound = DRAINED_IN.max(outage);
    let seen = reader.until_in(bound, "all that was sealed", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!(
        "{KILLS} kills of the broker, {made} payments, {during} of them without it, {lag} seals behind at most, {} \
         events, {repeated} repeated",
        expected.len()
    );
    assert!(0 < during && 0 < lag, "the outage was not noticed");
}

/// A client that has lost all brokers and never finds them again is replaced within seconds, not after the minute in which a
/// connection may bring nothing: here because they are somewhere else now.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_goes_where_the_files_say_as_soon_as_its_brokers_are_gone() {
    let (from, to) = tokio::join!(Kafka::start(), Kafka::start());
    let mut world = World::new().await;
    let operator = wallets(&world).await;
    let platform = world.as_platform(None);
    let (files, topic) = from.files();
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let before = Expected::read(&world).await;
    eventually("everything to be published", async || {
        (status(&platform).await.published_seal == before.newest).then_some(())
    })
    .await;
    from.kill();
    files.write("brokers", &to.address());
    operator.pay(payment("afterwards", "alice", "bob", "1.00")).await.unwrap();
    let began = Instant::now();
    let count = Expected::read(&world).await.len() - before.len();
    let mut reader = to.reader(&topic).await;
    let seen = reader.until_in(FOUND_IN, "what came afterwards", |seen| count <= seen.len()).await;
    assert_eq!(seen.len(), count, "what was published before came once more: {seen:?}");
    assert!(began.elapsed() < FOUND_IN, "found after {:?}", began.elapsed());
    println!("found after {:?}", began.elapsed());
}

/// Waits until whoever publishes has moved the position: it has the turn and is at work.
async fn moves(watcher: &mut sqlx::PgConnection) {
    let started = Instant::now();
    let mut first = None;
    loop {
        let seal: i64 = sqlx::query_scalar(POSITION).fetch_one(&mut *watcher).await.unwrap();
        if *first.get_or_insert(seal) < seal {
            return;
        }
        assert!(started.elapsed() < 3 * PATIENCE, "the position stays at {seal}");
        // Between two looks.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Between the acknowledgement and the position, and between the reading and the acknowledgement.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_killed_repeats_and_never_skips() {
    let (kafka, mut world) = (Kafka::start().await, World::new().await);
    let operator = wallets(&world).await;
    let platform = world.as_platform(None);
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    let spawn = || {
        let mut command = world.engine_command(crate::support::postgres::free_port());
        command.arg("--kafka-dir").arg(files.path());
        command.spawn().unwrap()
    };
    let traffic = Traffic::start(&operator);
    let (mut holder, mut watcher) = (world.database.superuser().await, world.database.superuser().await);
    let mut engine = spawn();
    let mut reader = kafka.reader(&topic).await;
    for _ in 0..KILLS {
        moves(&mut watcher).await;
        // Kafka has acknowledged a page, the position has not moved: somebody holds its row.
        let mut held = holder.begin().await.unwrap();
        held.execute("select 1 from payplane.event_head for update").await.unwrap();
        eventually("the position to wait", async || {
            let count: i64 = sqlx::query_scalar(WAITS).fetch_one(&mut watcher).await.unwrap();
            (0 < count).then_some(())
        })
        .await;
        engine.kill().unwrap();
        engine.wait().unwrap();
        // Its last statement ends with it, before the row is free: a server process looks at its client only when it waits
        // for nothing else.
        watcher.execute(END).await.unwrap();
        held.rollback().await.unwrap();
        engine = spawn();
    }
    moves(&mut watcher).await;
    // Read and under way, but the broker is dead: whoever had moved the position would lose these.
    kafka.kill();
    traffic.flows(50).await;
    eventually("the publisher to wait for Kafka", async || {
        let told = status(&platform).await;
        (told.publishing && !told.last_error.is_empty() && 0 < told.lag_seals).then_some(())
    })
    .await;
    engine.kill().unwrap();
    engine.wait().unwrap();
    kafka.launch();
    kafka.answers().await;
    let mut last = spawn();
    let made = traffic.stop().await;
    let expected = Expected::read(&world).await;
    let seen = reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    last.kill().unwrap();
    last.wait().unwrap();
    println!(
        "{} kills of the publisher, {made} payments, {} events, {repeated} repeated, none lost",
        KILLS + 1,
        expected.len()
    );
    assert!(0 < repeated, "no kill came between the acknowledgement and the position");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_from_the_start_the_engine_serves() {
    let (kafka, mut world) = (Kafka::prepare(), World::new().await);
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    let first = world.engines.remove(0);
    first.drain().await.unwrap();
    // Ready without Kafka: this waits for the database only.
    world.add_engine(world.database.app_dir()).await;
    let operator = wallets(&world).await;
    let traffic = Traffic::start(&operator);
    traffic.flows(100).await;
    let platform = world.as_platform(None);
    let told = eventually("the reason", async || {
        Some(status(&platform).await).filter(|told| !told.last_error.is_empty())
    });
    let told = told.await;
    assert_eq!(told.published_seal, 0);
    assert!(told.last_error.contains("127.0.0.1"), "{}", told.last_error);
    let ready = reqwest::get(format!("http://{}/readyz", world.engines[0].http_address)).await.unwrap();
    assert!(ready.status().is_success(), "{}", ready.status());
    let made = traffic.stop().await;
    kafka.launch();
    kafka.answers().await;
    let expected = Expected::read(&world).await;
    let mut reader = kafka.reader(&topic).await;
    let seen = reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!("{made} payments before there was a broker, {} events, {repeated} repeated", expected.len());
}
