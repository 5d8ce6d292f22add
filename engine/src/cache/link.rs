//! The connection to Redis, with a breaker: a question that fails takes the connection away from everybody, and only the
//! task that makes connections brings a new one. So no caller ever waits for a Redis that is known to be away.

use std::{path::PathBuf, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection};
use tokio::sync::watch;

use super::{Cache, RedisConfig};
use crate::{metrics::Metrics, telemetry::Causes};

/// How long a caller waits for an answer. Then the question counts as not answered.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(40);

/// How long a connection may take to make, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a connection that nobody uses is tried.
const PING_EVERY: Duration = Duration::from_secs(1);

/// The wait before the first new connection, which doubles with each failure up to the second.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(3);

/// A connection that works as far as is known, and its number.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    number: u64,
}

/// The connection that everybody shares.
pub(super) struct Link {
    directory: PathBuf,
    live: watch::Sender<Option<Live>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Link").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(directory: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self { directory, live: watch::Sender::new(None), metrics }
    }

    pub(super) fn is_up(&self) -> bool {
        self.live.borrow().is_some()
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Asks, unless Redis is away. Nothing when there is no answer in time, or none that makes sense.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Option<T> {
        let Live { mut connection, number } = self.live.borrow().clone()?;
        match tokio::time::timeout(ANSWER_TIMEOUT, question.query_async(&mut connection)).await {
            Ok(Ok(answer)) => Some(answer),
            // It answered, though not what was asked for: the connection is good, what is stored is not.
            Ok(Err(error)) if is_answer(&error) => {
                self.metrics.count_cache_error();
                None
            }
            Ok(Err(_)) | Err(_) => {
                self.metrics.count_cache_error();
                self.give_up(number);
                None
            }
        }
    }

    /// Only this connection: a newer one may be there by now.
    fn give_up(&self, number: u64) {
        let gave_up = self.live.send_if_modified(|live| {
            let is_this = live.as_ref().is_some_and(|live| live.number == number);
            if is_this {
                *live = None;
            }
            is_this
        });
        if gave_up {
            self.metrics.set_redis_up(false);
            tracing::warn!("Redis does not answer; everything goes on without it");
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Box<dyn std::error::Error + Send + Sync>> {
        let client = RedisConfig::read(&self.directory)?.client()?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let connecting = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            // A server that accepts connections and does not answer is away.
            redis::cmd("PING").query_async::<String>(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        };
        Ok(tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??)
    }
}

/// Whether an error is an answer of the server, or an answer of another type than was asked for.
fn is_answer(error: &RedisError) -> bool {
    use redis::ErrorKind::{Extension, Server, UnexpectedReturnType};
    matches!(error.kind(), Server(_) | Extension | UnexpectedReturnType)
}

/// Makes connections whenever there is none, until the process ends.
pub(super) async fn keep_connected(cache: Arc<Cache>) {
    let Some(link) = &cache.link else { return };
    let (mut number, mut again, mut known) = (0, AGAIN, link.live.subscribe());
    loop {
        match link.connect().await {
            Ok(connection) => {
                (number, again) = (number + 1, AGAIN);
                link.live.send_replace(Some(Live { connection, number }));
                link.metrics.set_redis_up(true);
                tracing::info!("Redis is available");
                while known.borrow_and_update().is_some() {
                    let changed = tokio::time::timeout(PING_EVERY, known.changed()).await;
                    if changed.is_err() {
                        let _: Option<String> = link.ask(&redis::cmd("PING")).await;
                    }
                }
            }
            // The first failure is news; its repetitions are not.
            Err(error) if again == AGAIN => {
                tracing::warn!(reason = %Causes(error.as_ref()), "Redis is not available");
            }
            Err(_) => {}
        }
        tokio::time::sleep(again).await;
        again = (again * 2).min(AGAIN_MAX);
    }
}
