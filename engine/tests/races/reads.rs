//! What one engine has acknowledged, the other one shows at once.

use futures::future::join_all;

use super::{
    at_both,
    support::{
        client::{Client, id, paid, payment},
        insist, sized,
    },
    world,
};

const WORKERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_payment_is_seen_at_the_other_engine() {
    let (world, payments) = (world(&[("alice", "5000.00"), ("bob", "5000.00")]).await, sized(400, 10_000));
    let clients = at_both(&world, "operator");
    let workers = join_all((0..WORKERS).map(|worker| work(&clients, worker, payments / WORKERS)));
    let later: usize = workers.await.into_iter().sum();
    // Otherwise everybody was alone, and a stale answer would have been the right one.
    assert!(0 < later, "nobody paid between an answer and the look at it");
    let operations = world.assert_sound().await;
    println!(
        "reads: {payments} after a write at the other engine, {later} of them newer still, {operations} operations proved"
    );
}

/// How often others had paid meanwhile.
async fn work(clients: &[Client; 2], worker: usize, payments: usize) -> usize {
    let (writer, reader) = (&clients[worker % 2], &clients[(worker + 1) % 2]);
    let (from, to) = if worker % 4 < 2 { ("alice", "bob") } else { ("bob", "alice") };
    let mut later = 0;
    for number in 0..payments {
        let request = payment(&format!("{worker} {number}"), from, to, "0.01");
        let outcome = insist(async || writer.pay(request.clone()).await).await;
        let payment = paid(&outcome);
        let (wrote, wallet) = (payment.from_balance.as_ref().unwrap().version, id(&payment.from_wallet_id));
        let (read, found) = tokio::join!(reader.read_wallet(wallet), reader.read_payment(&payment.id));
        let read = read.balance.unwrap().version;
        assert!(wrote <= read, "version {read} after {wrote} was acknowledged");
        assert_eq!(found.sequence, payment.sequence);
        later += usize::from(wrote < read);
    }
    later
}
