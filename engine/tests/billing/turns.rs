//! Who closes or collects takes turns. Nothing is asked of a database here; the clock is the test's own.

use std::{sync::Arc, time::Duration};

use payplane_engine::store::Store;
use sqlx::postgres::PgConnectOptions;
use tokio::time::Instant;

/// It connects with the first statement, and there is none.
fn store() -> Arc<Store> {
    Arc::new(Store::new(PgConnectOptions::new_without_pgpass(), 1))
}

/// Takes a turn of this length, and says when it began.
async fn turn(store: Arc<Store>, length: Duration) -> Instant {
    let _turn = store.billing_turn().await.unwrap();
    let began = Instant::now();
    // What a turn takes, on the test's own clock.
    tokio::time::sleep(length).await;
    began
}

#[tokio::test(start_paused = true)]
async fn each_turn_is_followed_by_a_rest_of_half_its_length() {
    let (store, started) = (store(), Instant::now());
    // How long each takes and, in milliseconds from the start, when it may begin.
    for (length, begins) in [(10, 0), (20, 15), (3_000, 45), (0, 3_065), (0, 3_065)] {
        let began = turn(store.clone(), Duration::from_millis(length)).await;
        assert_eq!((began - started).as_millis(), begins, "a turn of {length} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_takes_its_turns_one_by_one_in_its_order() {
    const CROWD: u128 = 20;
    let (store, started) = (store(), Instant::now());
    let length = Duration::from_millis(10);
    let crowd: Vec<_> = (0..CROWD).map(|_| tokio::spawn(turn(store.clone(), length))).collect();
    let mut begun = Vec::new();
    for one in crowd {
        begun.push((one.await.unwrap() - started).as_millis());
    }
    assert_eq!(begun, (0..CROWD).map(|number| number * 15).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_waiting_keeps_nobody() {
    let (store, started) = (store(), Instant::now());
    let held = store.billing_turn().await.unwrap();
    let gone = tokio::spawn(turn(store.clone(), Duration::ZERO));
    let waits = tokio::spawn(turn(store.clone(), Duration::ZERO));
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(held);
    assert_eq!(waits.await.unwrap(), started);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_too_long_is_sent_away() {
    let (store, started) = (store(), Instant::now());
    let held = store.billing_turn().await.unwrap();
    assert!(store.billing_turn().await.is_none());
    assert_eq!(started.elapsed(), Duration::from_secs(4));
    drop(held);
    assert!(store.billing_turn().await.is_some());
}
