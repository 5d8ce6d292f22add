//! Tells other engines that there is something new in the database, and listens for it. The message has no content that
//! anybody believes: whoever hears it looks, and looks by itself a moment later anyway.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;

use super::{Cache, RedisConfig};

const CHANNEL: &str = "payplane:revoked";

/// How long a connection for listening may take to make.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two connections, however quickly they break.
const AGAIN: Duration = Duration::from_secs(1);

impl Cache {
    /// Tells whoever listens, if Redis is there.
    pub(crate) async fn nudge(&self) {
        if let Some(link) = &self.link {
            let _: Option<i64> = link.ask(redis::cmd("PUBLISH").arg(CHANNEL).arg("look")).await;
        }
    }
}

/// Listens until the process ends.
pub(super) async fn listen(cache: Arc<Cache>) {
    loop {
        // What ends this is the connection's end; the next one may work.
        let _ = subscribe(&cache).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(cache: &Cache) -> Option<()> {
    let client = RedisConfig::read(&cache.link.as_ref()?.directory()).ok()?.client().ok()?;
    let connecting = async {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(CHANNEL).await?;
        Ok::<_, redis::RedisError>(connection)
    };
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.ok()?.ok()?;
    let mut messages = connection.into_on_message();
    while messages.next().await.is_some() {
        cache.nudged.notify_one();
    }
    Some(())
}
