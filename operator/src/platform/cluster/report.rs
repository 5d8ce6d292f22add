//! From what CloudNativePG says of a Cluster to what a Platform says of its PostgreSQL. Pure.
//!
//! Decided by numbers and names, never by CloudNativePG's phase, which is a sentence and changes with its versions: it is
//! passed on to people. Payments go on where a healthy primary has the standby that a commit waits for.

use payplane_crds::condition::{
    POSTGRES_READY,
    reason::{AS_SPECIFIED, DATABASE_NOT_READY, DEGRADED},
};

use super::QUORUM;
use crate::{
    condition::Conditions,
    platform::foreign::{
        cloudnative_pg::{Cluster, ClusterStatus},
        told,
    },
};

/// Whether payments can be committed.
pub fn serves(cluster: &Cluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| has_primary(status) && QUORUM < status.ready_instances)
}

/// Adds the condition.
pub fn report<'a>(conditions: Conditions<'a>, cluster: &Cluster) -> Conditions<'a> {
    let (status, reason) = match (serves(cluster), is_whole(cluster)) {
        (true, true) => ("True", AS_SPECIFIED),
        (true, false) => ("True", DEGRADED),
        (false, _) => ("False", DATABASE_NOT_READY),
    };
    conditions.set(POSTGRES_READY, status, reason, &message(cluster))
}

/// How it stands, for people.
pub fn message(cluster: &Cluster) -> String {
    let (wanted, nothing) = (cluster.spec.instances, ClusterStatus::default());
    let status = cluster.status.as_ref().unwrap_or(&nothing);
    let ready = format!("{} of {wanted} servers are ready", status.ready_instances);
    let first = match (serves(cluster), has_primary(status)) {
        (true, _) => format!("{ready}; the primary is {}.", status.current_primary),
        (false, true) => format!("{ready}; payments wait for a standby that can have them, too."),
        (false, false) => format!("{ready}; there is no primary to write to."),
    };
    let said: Vec<&str> = [&status.phase, &status.phase_reason]
        .into_iter()
        .map(String::as_str)
        .filter(|one| !one.is_empty())
        .collect();
    match (is_whole(cluster), said.is_empty()) {
        (false, false) => format!("{first} CloudNativePG says: {}", said.join(": ")),
        _ => first,
    }
}

/// While the primary moves, the target is another one, or nobody yet.
fn has_primary(status: &ClusterStatus) -> bool {
    let (primary, healthy) = (&status.current_primary, status.instances_status.get("healthy"));
    let is_healthy =
        status.instances_status.is_empty() || healthy.is_some_and(|names| names.contains(primary));
    !primary.is_empty() && *primary == status.target_primary && is_healthy
}

fn is_whole(cluster: &Cluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| {
        let is_ready = told(&status.conditions, "Ready").is_some_and(|ready| ready.status == "True");
        is_ready && status.ready_instances == cluster.spec.instances
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::condition::find;

    fn cluster(status: Value) -> Cluster {
        serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "main-postgres"},
            "spec": {"instances": 3}, "status": status,
        }))
        .unwrap()
    }

    /// As CloudNativePG 1.30 writes it.
    fn status(ready: &str, healthy: &[&str], primaries: [&str; 2], phase: [&str; 2]) -> Value {
        json!({
            "conditions": [{
                "type": "Ready", "status": ready, "reason": "any", "message": "any",
                "lastTransitionTime": "2026-11-21T12:00:00Z",
            }],
            "currentPrimary": primaries[0], "targetPrimary": primaries[1], "instances": 3,
            "instancesStatus": {"healthy": healthy}, "readyInstances": healthy.len(),
            "phase": phase[0], "phaseReason": phase[1],
        })
    }

    #[test]
    fn every_state_of_a_cluster_has_its_condition() {
        let (one, all) = (["p-1", "p-1"], ["p-1", "p-2", "p-3"]);
        let healthy = ["Cluster in healthy state", ""];
        let failing = ["Failing over", "Failing over from p-1 to p-2"];
        let cases = [
            (
                Value::Null,
                "False",
                "DatabaseNotReady",
                "0 of 3 servers are ready; there is no primary to write to.",
            ),
            (
                json!({"phase": "Setting up primary", "phaseReason": "Creating primary instance p-1"}),
                "False",
                "DatabaseNotReady",
                "CloudNativePG says: Setting up primary: Creating primary instance p-1",
            ),
            (
                status("True", &all, one, healthy),
                "True",
                "AsSpecified",
                "3 of 3 servers are ready; the primary is p-1.",
            ),
            (
                status("False", &all[..2], one, ["Creating a new replica", "p-3"]),
                "True",
                "Degraded",
                "2 of 3 servers are ready; the primary is p-1. CloudNativePG says: Creating a new replica: p-3",
            ),
            (
                status("False", &all[..1], one, ["Waiting for the instances to become active", ""]),
                "False",
                "DatabaseNotReady",
                "1 of 3 servers are ready; payments wait for a standby that can have them, too.",
            ),
            (
                status("False", &all[1..], ["p-1", "pending"], failing),
                "False",
                "DatabaseNotReady",
                "2 of 3 servers are ready; there is no primary to write to. CloudNativePG says: Failing over",
            ),
            (
                status("False", &all[1..], one, failing),
                "False",
                "DatabaseNotReady",
                "there is no primary to write to",
            ),
            (status("False", &all[1..], ["p-2", "p-2"], healthy), "True", "Degraded", "the primary is p-2."),
            // It has grown: the third is not there yet.
            (status("True", &all[..2], one, healthy), "True", "Degraded", "2 of 3 servers"),
        ];
        for (status, expected, reason, words) in cases {
            let cluster = cluster(status);
            let conditions =
                report(Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH), &cluster).into_vec();
            let found = find(&conditions, POSTGRES_READY).unwrap();
            assert_eq!((&*found.status, &*found.reason), (expected, reason), "{}", found.message);
            assert!(found.message.contains(words), "{}", found.message);
            assert_eq!(serves(&cluster), expected == "True");
        }
    }
}
