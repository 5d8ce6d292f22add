//! Watches of objects that are not ours to reconcile, but that tell when to look again: children of Platforms, Secrets
//! that Platforms refer to, namespaces of Tenants and what is made in them. Only metadata is watched, and nothing is kept.

use std::{fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt, future::join_all, stream::BoxStream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, LimitRange, Namespace, ResourceQuota, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::RoleBinding,
    },
};
use kube::{
    Api, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

use crate::{
    context::Context,
    meta::{BACKUP, MANAGER, PLATFORM, RESTORE, TENANT},
    platform, tenant,
    watch::{self, Health},
};

/// Children wake their Platform, in the served namespaces.
pub async fn wake_by_children(context: Arc<Context>, health: Arc<Health>) {
    let namespaces = &context.settings.platform_namespaces;
    let watches = namespaces.iter().flat_map(|namespace| {
        [
            children::<Deployment>(&context, &health, namespace, "Deployment").boxed(),
            children::<StatefulSet>(&context, &health, namespace, "StatefulSet").boxed(),
            children::<Service>(&context, &health, namespace, "Service").boxed(),
            children::<ConfigMap>(&context, &health, namespace, "ConfigMap").boxed(),
            children::<ServiceAccount>(&context, &health, namespace, "ServiceAccount").boxed(),
            children::<PodDisruptionBudget>(&context, &health, namespace, "PodDisruptionBudget").boxed(),
            secrets(&context, &health, namespace).boxed(),
        ]
    });
    join_all(watches.map(|changed| wake_platforms(&context, changed))).await;
}

/// Wakes each Platform that is named, by namespace and name.
pub(super) async fn wake_platforms(context: &Context, changed: impl Stream<Item = (String, String)>) {
    let wake = |(namespace, name): (String, String)| {
        context.wake.platform(&namespace, &name);
        std::future::ready(())
    };
    changed.for_each(wake).await;
}

/// Jobs wake the Backup, the Restore or the Platform that they work for, in the served namespaces.
pub async fn wake_by_jobs(context: Arc<Context>, health: Arc<Health>) {
    let namespaces = &context.settings.platform_namespaces;
    let watches = namespaces.iter().map(|namespace| {
        let jobs = Api::<PartialObjectMeta<Job>>::namespaced(context.client.clone(), namespace);
        touched(&context, &health, jobs, "Job", watch::config().labels(PLATFORM)).for_each(|job| {
            let namespace = job.namespace().unwrap_or_default();
            if let Some(name) = job.labels().get(BACKUP) {
                context.wake.backup(&namespace, name);
            }
            if let Some(name) = job.labels().get(RESTORE) {
                context.wake.restore(&namespace, name);
            }
            if let (Some(name), true) = (job.labels().get(PLATFORM), platform::awaits(job.labels())) {
                context.wake.platform(&namespace, name);
            }
            std::future::ready(())
        })
    });
    join_all(watches).await;
}

/// Platforms of changed children, by the children's label.
pub(super) fn children<K>(
    context: &Arc<Context>,
    health: &Arc<Health>,
    namespace: &str,
    kind: &'static str,
) -> impl Stream<Item = (String, String)> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::namespaced(context.client.clone(), namespace);
    touched(context, health, api, kind, watch::config().labels(PLATFORM)).filter_map(|child| {
        let platform = child.labels().get(PLATFORM).cloned();
        std::future::ready(platform.map(|name| (child.namespace().unwrap_or_default(), name)))
    })
}

/// Platforms of changed Secrets: their own, and the one that an external database is described in.
fn secrets(
    context: &Arc<Context>,
    health: &Arc<Health>,
    namespace: &str,
) -> impl Stream<Item = (String, String)> + Send + use<> {
    let here = context.clone();
    let api = Api::<PartialObjectMeta<Secret>>::namespaced(context.client.clone(), namespace);
    touched(context, health, api, "Secret", watch::config()).flat_map(move |secret| {
        let namespace = secret.namespace().unwrap_or_default();
        let label = secret.labels().get(PLATFORM).cloned();
        let users = here.stores.users_of_secret(&namespace, &secret.name_any());
        let named = label.into_iter().chain(users).map(move |name| (namespace.clone(), name));
        futures::stream::iter(named.collect::<Vec<_>>())
    })
}

/// Objects that changed or went, as far as their metadata could be read.
fn touched<K>(
    context: &Arc<Context>,
    health: &Arc<Health>,
    api: Api<PartialObjectMeta<K>>,
    kind: &'static str,
    config: watcher::Config,
) -> impl Stream<Item = PartialObjectMeta<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watch::events(api, config, kind, context.metrics.clone(), health.clone())
        .touched_objects()
        .filter_map(|child| std::future::ready(child.ok()))
}

/// Children wake their Tenant, in every namespace: what somebody changed or removed comes back at once.
pub async fn wake_by_children_of_tenants(context: Arc<Context>, health: Arc<Health>) {
    let watches = [
        children_of_tenants::<ResourceQuota>(&context, &health, "ResourceQuota").boxed(),
        children_of_tenants::<LimitRange>(&context, &health, "LimitRange").boxed(),
        children_of_tenants::<NetworkPolicy>(&context, &health, "NetworkPolicy").boxed(),
        children_of_tenants::<RoleBinding>(&context, &health, "RoleBinding").boxed(),
    ];
    let wake = |stream: BoxStream<'static, String>| {
        stream.for_each(|tenant| {
            context.wake.tenant(&tenant);
            std::future::ready(())
        })
    };
    join_all(watches.map(wake)).await;
}

/// Secrets of API keys wake the Tenants that list their namespace: keys come back when somebody deletes or changes them.
/// They are watched by their one name, so that the right to do it covers no other Secret.
pub async fn wake_by_api_keys(context: Arc<Context>, health: Arc<Health>) {
    let api = Api::<PartialObjectMeta<Secret>>::all(context.client.clone());
    let named = watch::config().fields(&format!("metadata.name={}", tenant::SECRET));
    touched(&context, &health, api, "Secret of API keys", named)
        .for_each(|secret| {
            context.wake.claimants_of_namespace(&context.stores, &secret.namespace().unwrap_or_default());
            std::future::ready(())
        })
        .await;
}

/// Tenants of changed children, by the children's labels.
fn children_of_tenants<K>(
    context: &Arc<Context>,
    health: &Arc<Health>,
    kind: &'static str,
) -> impl Stream<Item = String> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::all(context.client.clone());
    let ours = watch::config().labels(&format!("{TENANT},app.kubernetes.io/managed-by={MANAGER}"));
    touched(context, health, api, kind, ours)
        .filter_map(|child| std::future::ready(child.labels().get(TENANT).cloned()))
}

/// Namespaces wake the Tenants that list them: consent may have come, or somebody deleted one.
pub async fn wake_by_namespaces(context: Arc<Context>, health: Arc<Health>) {
    let api = Api::<PartialObjectMeta<Namespace>>::all(context.client.clone());
    touched(&context, &health, api, "Namespace", watch::config())
        .for_each(|namespace| {
            context.wake.claimants_of_namespace(&context.stores, &namespace.name_any());
            std::future::ready(())
        })
        .await;
}
