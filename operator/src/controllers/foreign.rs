//! Watches of other operators' kinds. A kind that the API server does not know cannot be watched, and that is no failure:
//! each is asked for once a minute, and watched while it is served.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{FutureExt, future::join_all};
use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::children::{children, wake_platforms};
use crate::{
    context::Context,
    platform::foreign::{
        self,
        cloudnative_pg::Cluster,
        redis_operator::RedisReplication,
        strimzi::{Kafka, KafkaNodePool, KafkaTopic, KafkaUser},
    },
    watch::Health,
};

/// How often a kind is asked for.
const PAUSE: Duration = Duration::from_secs(60);

/// Databases, Kafka and Redis that other operators run wake their Platform, in the served namespaces.
pub async fn wake_by_foreign(context: Arc<Context>, health: Arc<Health>) {
    let namespaces = &context.settings.platform_namespaces;
    let watches = namespaces.iter().flat_map(|namespace| {
        [
            follow::<Cluster>(&context, &health, namespace, "Cluster").boxed(),
            follow::<Kafka>(&context, &health, namespace, "Kafka").boxed(),
            follow::<KafkaNodePool>(&context, &health, namespace, "KafkaNodePool").boxed(),
            follow::<KafkaTopic>(&context, &health, namespace, "KafkaTopic").boxed(),
            follow::<KafkaUser>(&context, &health, namespace, "KafkaUser").boxed(),
            follow::<RedisReplication>(&context, &health, namespace, "RedisReplication").boxed(),
        ]
    });
    join_all(watches).await;
}

/// Watches a kind whenever it is served.
async fn follow<K>(context: &Arc<Context>, health: &Arc<Health>, namespace: &str, kind: &'static str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    loop {
        if matches!(foreign::serves::<K>(&context.client).await, Ok(true)) {
            tracing::info!(kind, namespace, "another operator's kind is served; watching it");
            wake_all(context, namespace);
            tokio::select! {
                () = wake_platforms(context, children::<K>(context, health, namespace, kind)) => {}
                () = gone::<K>(context) => tracing::info!(kind, namespace, "another operator's kind is gone"),
            }
        }
        // Nobody says when a kind comes.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns when a kind is no longer served. Before, its watch fails and comes again like any other.
async fn gone<K: Resource<DynamicType = ()>>(context: &Context) {
    loop {
        // Nobody says when a kind goes.
        tokio::time::sleep(PAUSE).await;
        if matches!(foreign::serves::<K>(&context.client).await, Ok(false)) {
            return;
        }
    }
}

/// Whoever waited for the kind goes on.
fn wake_all(context: &Context, namespace: &str) {
    for platform in context.stores.platforms.state() {
        if platform.namespace().as_deref() == Some(namespace) {
            context.wake.platform(namespace, &platform.name_any());
        }
    }
}
