//! Faults: processes that die without a word.

use std::{fs, process::Command};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt};

use crate::cluster::{SYSTEM, pods, wait_for};

/// Sends SIGKILL to every process of one pod whose name begins so, and waits until as many pods are ready as before.
///
/// On the local cluster the processes are found by the pod's control group and killed from outside, so that nothing of
/// them can react. On another cluster the pod is deleted without grace.
pub async fn kill(client: &Client, prefix: &str, index: usize) {
    let victims = pods(client, prefix).await;
    assert!(!victims.is_empty(), "no pod begins with {prefix}");
    let victim = &victims[index % victims.len()];
    let restarts = restarts(victim);
    let processes = processes_of(victim.metadata.uid.as_deref().expect("a pod has a UID"));
    if processes.is_empty() {
        delete_without_grace(client, victim).await;
        return;
    }
    for process in &processes {
        // One that died with its parent is fine.
        let _ = Command::new("kill").args(["-9", process]).status();
    }
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    wait_for(&api, &victim.name_any(), "came back", |pod| self::restarts(pod) > restarts && is_ready(pod))
        .await;
}

/// Processes that stand still until this goes.
pub struct Paused(Vec<String>);

impl Drop for Paused {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

/// Stops every process of the pod whose name begins so, as a machine that hangs would: connections stay open and nobody
/// answers. Only on the local cluster, where its processes can be seen.
pub async fn pause(client: &Client, prefix: &str) -> Paused {
    let victims = pods(client, prefix).await;
    let victim = victims.first().unwrap_or_else(|| panic!("no pod begins with {prefix}"));
    let processes = processes_of(victim.metadata.uid.as_deref().expect("a pod has a UID"));
    assert!(!processes.is_empty(), "the processes of {} are not on this machine", victim.name_any());
    signal("-STOP", &processes);
    Paused(processes)
}

fn signal(signal: &str, processes: &[String]) {
    for process in processes {
        // One that died meanwhile is fine.
        let _ = Command::new("kill").args([signal, process]).status();
    }
}

async fn delete_without_grace(client: &Client, victim: &Pod) {
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    api.delete(&victim.name_any(), &at_once).await.expect("the pod cannot be deleted");
}

/// Processes of the pod's containers, without the one that holds its namespaces.
fn processes_of(pod_uid: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc cannot be read");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.chars().all(|c| c.is_ascii_digit()))
        .filter(|name| {
            fs::read_to_string(format!("/proc/{name}/cgroup")).is_ok_and(|text| text.contains(pod_uid))
        })
        .filter(|name| {
            fs::read_to_string(format!("/proc/{name}/comm")).is_ok_and(|text| text.trim() != "pause")
        })
        .collect()
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|container| container.restart_count).sum()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
