//! Faults: processes that die without a word.

use std::{
    fs,
    process::{Command, Stdio},
};

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
    signal("-KILL", &processes);
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    wait_for(&api, &victim.name_any(), "came back", |pod| self::restarts(pod) > restarts && is_ready(pod))
        .await;
}

/// The loss of a machine: every process of the pod dies without a word, and the pod with them. Its volume stays.
pub async fn lose(client: &Client, victim: &Pod) {
    signal("-KILL", &processes_of(victim.metadata.uid.as_deref().expect("a pod has a UID")));
    delete_without_grace(client, victim).await;
}

/// A network that swallows every packet between one pod and others until this goes.
pub struct Cut(Vec<[String; 2]>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.iter().for_each(|[from, to]| swallow("-D", from, to));
    }
}

/// Cuts a pod off from others, established connections too, which a NetworkPolicy would leave. Only on the local cluster.
pub fn cut(one: &Pod, others: &[Pod]) -> Cut {
    let address = |pod: &Pod| {
        let status = pod.status.as_ref();
        status.and_then(|status| status.pod_ip.clone()).expect("a pod that runs has an address")
    };
    let both = |other: &Pod| {
        let (one, other) = (address(one), address(other));
        [[one.clone(), other.clone()], [other, one]]
    };
    let cut = Cut(others.iter().flat_map(both).collect());
    cut.0.iter().for_each(|[from, to]| swallow("-I", from, to));
    cut
}

fn swallow(action: &str, from: &str, to: &str) {
    let node = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/node.sh");
    let rule = ["iptables", "-w", action, "FORWARD", "-s", from, "-d", to, "-j", "DROP"];
    let status = Command::new(node).args(rule).status().expect("node.sh did not run");
    assert!(status.success(), "the packet rules of the node were not changed");
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
        let _ = Command::new("kill").args([signal, process]).stderr(Stdio::null()).status();
    }
}

async fn delete_without_grace(client: &Client, victim: &Pod) {
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    match api.delete(&victim.name_any(), &at_once).await {
        // One that was on its way out is fine.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        deleted => drop(deleted.expect("the pod cannot be deleted")),
    }
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
