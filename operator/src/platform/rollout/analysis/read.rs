//! What the engines of a rollout have answered, read from their own metrics.
//!
//! Bounds: [`PODS_MAX`] pods, [`AT_ONCE`] at a time. Only pods that belong to the Deployment's own ReplicaSets are asked.

use std::net::SocketAddr;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;

use super::{Counts, Sample};
use crate::scrape::{self, AT_ONCE, PODS_MAX, exposition};

/// What these pods have answered.
pub async fn samples(pods: Vec<(&Pod, bool)>) -> Vec<Sample> {
    let asked = pods.into_iter().filter_map(|(pod, is_new)| {
        let uid = pod.metadata.uid.clone()?;
        Some((uid, is_new, scrape::address(pod)))
    });
    let asked: Vec<_> = asked.take(PODS_MAX).collect();
    let read = stream::iter(asked)
        .map(|(pod, is_new, address)| async move { Sample { pod, is_new, counts: counts(address).await } });
    read.buffer_unordered(AT_ONCE).collect().await
}

async fn counts(address: Option<SocketAddr>) -> Option<Counts> {
    Some(exposition::calls(&scrape::text(address?).await?))
}
