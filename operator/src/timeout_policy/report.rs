//! From what the ledger answered to a TimeoutPolicy's status. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::{
    TimeoutPolicy, TimeoutPolicyStatus,
    condition::{
        DECISIONS_CURRENT, REVERSALS_CURRENT,
        reason::{
            AS_SPECIFIED, AWAITING_DECISION, ENGINE_UNAVAILABLE, INVALID, NOTHING_TO_DECIDE,
            REVERSALS_BEHIND, REVERSALS_ON_TIME, SCOPE_TAKEN,
        },
    },
    timeout_policy::{HoldCounts, OverdueAction},
};

use super::Answer;
use crate::{
    condition::Conditions,
    engine::{EngineError, HoldLimits, HoldSummary},
    status::Reported,
};

/// How long after its deadline a hold may be given back, before that is late.
const LAG_MAX: SignedDuration = SignedDuration::from_mins(1);
/// How long nobody may have swept, before that is late. The engine notes idle sweeps every ten seconds.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(2);
/// How old the time of the last sweep may be in the status while nothing else changes: it moves with every look, and each
/// write costs the API server as much as news.
const SWEEP_TIME_STEP: SignedDuration = SignedDuration::from_mins(5);

/// The status that tells this answer.
pub fn report(policy: &TimeoutPolicy, answer: &Answer, now: Timestamp) -> TimeoutPolicyStatus {
    let conditions = Conditions::new(policy.current(), policy.metadata.generation, now);
    let (status, conditions) = match answer {
        Answer::Set(limits, holds) => set(policy, *limits, holds, conditions),
        Answer::Taken(first) => {
            let message = format!(
                "scope: TimeoutPolicy {first} has the same and is older, so this one does nothing. Delete one of them, or give this \
                 one another scope."
            );
            (TimeoutPolicyStatus::default(), conditions.stalled(SCOPE_TAKEN, &message))
        }
        Answer::Waiting(waiting) => {
            let message = &waiting.message;
            (kept(policy), unknown(conditions.waiting(waiting.reason, message), waiting.reason, message))
        }
        Answer::Failed(error @ EngineError::Invalid { .. }) => {
            let message = error.advice();
            (kept(policy), unknown(conditions.stalled(INVALID, &message), INVALID, &message))
        }
        Answer::Failed(error) => {
            let message = error.advice();
            let conditions = conditions.waiting(ENGINE_UNAVAILABLE, &message);
            (kept(policy), unknown(conditions, ENGINE_UNAVAILABLE, &message))
        }
        Answer::Leaving => return policy.status.clone().unwrap_or_default(),
    };
    TimeoutPolicyStatus {
        observed_generation: policy.metadata.generation,
        conditions: conditions.into_vec(),
        ..status
    }
}

/// What is in force stays so until the ledger says something else.
fn kept(policy: &TimeoutPolicy) -> TimeoutPolicyStatus {
    policy.status.clone().unwrap_or_default()
}

fn unknown<'a>(conditions: Conditions<'a>, reason: &str, message: &str) -> Conditions<'a> {
    let conditions = conditions.set(REVERSALS_CURRENT, "Unknown", reason, message);
    conditions.set(DECISIONS_CURRENT, "Unknown", reason, message)
}

fn set<'a>(
    policy: &TimeoutPolicy,
    limits: HoldLimits,
    holds: &HoldSummary,
    conditions: Conditions<'a>,
) -> (TimeoutPolicyStatus, Conditions<'a>) {
    let HoldLimits { timeout_seconds, maximum_seconds, action } = limits;
    let timeout = timeout_seconds.unwrap_or_default();
    let most =
        maximum_seconds.map(|most| format!(", and none lasts longer than {most} s")).unwrap_or_default();
    let then = match action {
        Some(OverdueAction::Alert) => " Past their deadline they stay held until somebody decides.",
        Some(OverdueAction::Reverse) | None => "",
    };
    let message = format!("Holds that name no timeout last {timeout} s{most}.{then}");
    let conditions = reversals(holds, conditions.ready(AS_SPECIFIED, &message));
    let conditions = decisions(holds, conditions);
    let before = policy.status.as_ref().and_then(|status| status.holds.as_ref());
    let holds = Some(steady(counts(holds), before));
    (
        TimeoutPolicyStatus { timeout_seconds, maximum_seconds, action, holds, ..Default::default() },
        conditions,
    )
}

fn counts(holds: &HoldSummary) -> HoldCounts {
    HoldCounts {
        pending: holds.pending,
        overdue: holds.overdue,
        reversed: holds.reversed,
        reversed_in_last_sweep: holds.reversed_last,
        oldest_pending_time: holds.oldest.map(Time),
        lag_seconds: lag(holds).as_secs(),
        awaiting_decision: holds.awaiting,
        last_sweep_time: holds.swept_at.map(Time),
    }
}

fn lag(holds: &HoldSummary) -> SignedDuration {
    holds.overdue_since.map_or(SignedDuration::ZERO, |since| holds.read_at.duration_since(since))
}

/// The same counts with the time of an earlier sweep, if that is all that would change.
fn steady(counts: HoldCounts, before: Option<&HoldCounts>) -> HoldCounts {
    let Some(before) = before else { return counts };
    let as_before = HoldCounts { last_sweep_time: before.last_sweep_time.clone(), ..counts.clone() };
    let step = counts.last_sweep_time.as_ref().zip(before.last_sweep_time.as_ref());
    let is_small = step.is_some_and(|(now, was)| now.0.duration_since(was.0).abs() < SWEEP_TIME_STEP);
    if is_small && as_before == *before { as_before } else { counts }
}

/// Whether holds are given back soon after their deadline.
fn reversals<'a>(holds: &HoldSummary, conditions: Conditions<'a>) -> Conditions<'a> {
    let pause = holds.swept_at.map(|swept| holds.read_at.duration_since(swept));
    if LAG_MAX < lag(holds) {
        let message = "Holds past their deadline are given back more than a minute late. They cannot be captured meanwhile, but \
                       their money is not free either. Look at the engine's log and at payplane_engine_sweep_lag_seconds.";
        return conditions.set(REVERSALS_CURRENT, "False", REVERSALS_BEHIND, message);
    }
    if pause.is_some_and(|pause| PAUSE_MAX < pause) {
        let message = "No engine has swept for more than two minutes. Look at the engine's log.";
        return conditions.set(REVERSALS_CURRENT, "False", REVERSALS_BEHIND, message);
    }
    let message = "Holds are given back soon after their deadline.";
    conditions.set(REVERSALS_CURRENT, "True", REVERSALS_ON_TIME, message)
}

/// Whether somebody has to decide. How many wait is in the status; here it is since when, so that the message does not
/// change with each of them.
fn decisions<'a>(holds: &HoldSummary, conditions: Conditions<'a>) -> Conditions<'a> {
    let Some(since) = holds.awaiting_since else {
        let message = "No hold waits for a decision.";
        return conditions.set(DECISIONS_CURRENT, "True", NOTHING_TO_DECIDE, message);
    };
    let message = format!(
        "Holds past their deadline (status.holds.awaitingDecision), the first since {since}, keep their money held: void \
         each (spec.void of its Payment, or VoidPayment), or set action: Reverse to give all of them back."
    );
    conditions.set(DECISIONS_CURRENT, "False", AWAITING_DECISION, &message)
}

#[cfg(test)]
mod tests;
