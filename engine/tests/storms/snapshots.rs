//! Twenty times a second somebody adds up all money in one snapshot. Whatever happens to engines and servers, nothing is
//! missing, nothing is too much, and no wallet has less than it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::task::JoinHandle;

use super::support::world::World;

const EVERY: Duration = Duration::from_millis(50);

const SUMS: &str = "select coalesce(bool_and(posted = 0 and pending = 0 and 0 <= room), true) from ( \
                    select sum(posted_credits - posted_debits) as posted, \
                           sum(pending_credits - pending_debits) as pending, \
                           min(posted_credits - posted_debits - pending_debits - floor_minor) as room \
                    from payplane.accounts group by currency) sums";

/// Somebody who looks.
#[derive(Debug)]
pub(crate) struct Snapshots {
    stop: Arc<AtomicBool>,
    looker: JoinHandle<usize>,
}

impl Snapshots {
    pub(crate) fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let looker = tokio::spawn(look(world.database.superuser_options(), stop.clone()));
        Self { stop, looker }
    }

    /// How many were looked at, all of them in order.
    pub(crate) async fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let looks = self.looker.await.unwrap();
        assert!(10 < looks, "only {looks} snapshots");
        looks
    }
}

async fn look(options: PgConnectOptions, stop: Arc<AtomicBool>) -> usize {
    let (mut connection, mut looks): (Option<PgConnection>, _) = (None, 0);
    let mut pace = tokio::time::interval(EVERY);
    while !stop.load(Ordering::SeqCst) {
        pace.tick().await;
        // The server may be away at the moment.
        let Some(mut open) = (match connection.take() {
            Some(open) => Some(open),
            None => options.connect().await.ok(),
        }) else {
            continue;
        };
        if let Ok(is_right) = sqlx::query_scalar::<_, bool>(SUMS).fetch_one(&mut open).await {
            assert!(is_right, "money is missing or too much");
            looks += 1;
            connection = Some(open);
        }
    }
    looks
}
