//! From what was found and written to a ScalingPolicy's status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::{
    ScalingPolicy, ScalingPolicyStatus,
    condition::{
        CONFLICT, DRAINS_BLOCKED, FULLY_MAPPED,
        reason::{
            AS_SPECIFIED, BUDGET_EQUALS_MINIMUM, INVALID, METRICS_UNAVAILABLE, SCALE_IN_NOT_MAPPED,
            TARGET_NOT_FOUND,
        },
    },
};

use super::{Answer, Applied, observe::Conflict, validate::Valid};
use crate::{condition::Conditions, status::Reported};

/// Messages name so many of a kind.
const NAMED_MAX: usize = 5;

/// The status that tells this answer.
pub fn report(policy: &ScalingPolicy, answer: &Answer, now: Timestamp) -> ScalingPolicyStatus {
    let conditions = Conditions::new(policy.current(), policy.metadata.generation, now);
    let unknown = ScalingPolicyStatus {
        observed_generation: policy.metadata.generation,
        ..ScalingPolicyStatus::default()
    };
    match answer {
        Answer::Invalid(message) => {
            ScalingPolicyStatus { conditions: conditions.stalled(INVALID, message).into_vec(), ..unknown }
        }
        Answer::Rejected(message) => {
            let message = format!("The API server refuses an autoscaler or a budget: {message}");
            ScalingPolicyStatus { conditions: conditions.stalled(INVALID, &message).into_vec(), ..unknown }
        }
        Answer::NoTarget(message) => ScalingPolicyStatus {
            conditions: conditions.waiting(TARGET_NOT_FOUND, message).into_vec(),
            ..unknown
        },
        Answer::Applied(applied) => ScalingPolicyStatus {
            targets: Some(i32::try_from(applied.targets).unwrap_or(i32::MAX)),
            min_replicas: Some(applied.valid.minimum),
            max_replicas: Some(applied.valid.maximum),
            active_window: applied.valid.window.clone(),
            next_change: applied.valid.next_change.map(Time),
            conditions: drains(
                mapped(conflict(judge(conditions, applied), applied), &applied.valid),
                applied,
            )
            .into_vec(),
            ..unknown
        },
    }
}

fn judge<'a>(conditions: Conditions<'a>, applied: &Applied) -> Conditions<'a> {
    if let Some(first) = applied.conflicts.first() {
        return conditions.stalled(first.reason, &told(&applied.conflicts));
    }
    if !applied.troubles.is_empty() {
        let named: Vec<_> = applied.troubles.iter().take(NAMED_MAX).map(String::as_str).collect();
        return conditions.waiting(METRICS_UNAVAILABLE, &named.join("; "));
    }
    let Valid { minimum, maximum, window, .. } = &applied.valid;
    let by = window.as_ref().map(|window| format!(" in window {window}")).unwrap_or_default();
    let message = format!("From {minimum} to {maximum} pods{by}; workloads: {}.", applied.targets);
    conditions.ready(AS_SPECIFIED, &message)
}

fn conflict<'a>(conditions: Conditions<'a>, applied: &Applied) -> Conditions<'a> {
    match applied.conflicts.first() {
        Some(first) => conditions.set(CONFLICT, "True", first.reason, &told(&applied.conflicts)),
        None => conditions.set(CONFLICT, "False", AS_SPECIFIED, "Nobody else scales or keeps these pods."),
    }
}

fn told(conflicts: &[Conflict]) -> String {
    let named = conflicts.iter().take(NAMED_MAX);
    let named: Vec<_> = named.map(|found| format!("{} has {}", found.workload, found.other)).collect();
    format!(
        "Somebody else's autoscaler or budget is there for {} workloads ({}); nothing is written for them. Delete those, \
         or take the workloads out of this policy.",
        conflicts.len(),
        named.join("; ")
    )
}

fn mapped<'a>(conditions: Conditions<'a>, valid: &Valid) -> Conditions<'a> {
    let thresholds: Vec<_> =
        valid.metrics.iter().filter_map(|metric| metric.scale_in_below.as_deref()).collect();
    if thresholds.is_empty() {
        return conditions.set(FULLY_MAPPED, "True", AS_SPECIFIED, "Everything is said in the autoscaler.");
    }
    let pace = valid.scale_in.clone().unwrap_or_default();
    let message = format!(
        "An autoscaler has one target per metric, so scaleInBelow ({}) is no threshold of its own. Instead pods go slowly: \
         after {} s of less load than the target, at most {} in {} s.",
        thresholds.join(", "),
        pace.stabilization_seconds.unwrap_or(300),
        pace.max_pods.map_or_else(|| "what scaleIn says".into(), |pods| pods.to_string()),
        pace.period_seconds,
    );
    conditions.set(FULLY_MAPPED, "False", SCALE_IN_NOT_MAPPED, &message)
}

fn drains<'a>(conditions: Conditions<'a>, applied: &Applied) -> Conditions<'a> {
    let valid = &applied.valid;
    let available = valid.disruption.as_ref().and_then(|disruption| disruption.min_available);
    match available.filter(|available| applied.has_budget && valid.minimum <= *available) {
        Some(available) => {
            let message = format!(
                "With {} pods, the fewest of the range, the budget keeps {available}: no node with one of them can be \
                 drained then. Raise minReplicas, lower disruption.minAvailable, or give maxUnavailable.",
                valid.minimum
            );
            conditions.set(DRAINS_BLOCKED, "True", BUDGET_EQUALS_MINIMUM, &message)
        }
        None => conditions.set(
            DRAINS_BLOCKED,
            "False",
            AS_SPECIFIED,
            "A pod can always be evicted while all are ready.",
        ),
    }
}

#[cfg(test)]
mod tests;
