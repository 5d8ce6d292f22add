//! From what the ledger answered to a TimeoutPolicy's status. Pure.

use jiff::Timestamp;
use payplane_crds::{
    TimeoutPolicy, TimeoutPolicyStatus,
    condition::reason::{AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, SCOPE_TAKEN},
};

use super::Answer;
use crate::{condition::Conditions, engine::EngineError, status::Reported};

/// The status that tells this answer.
pub fn report(policy: &TimeoutPolicy, answer: &Answer, now: Timestamp) -> TimeoutPolicyStatus {
    let conditions = Conditions::new(policy.current(), policy.metadata.generation, now);
    // What is in force stays so until the ledger says something else.
    let before = policy.status.as_ref().and_then(|status| status.timeout_seconds);
    let (seconds, conditions) = match answer {
        Answer::Set(seconds) => {
            let message = format!("Holds that name no timeout last {seconds} s.");
            (Some(*seconds), conditions.ready(AS_SPECIFIED, &message))
        }
        Answer::Taken(first) => {
            let message = format!("TimeoutPolicy {first} sets the same and is older; this one does nothing.");
            (None, conditions.stalled(SCOPE_TAKEN, &message))
        }
        Answer::Waiting(waiting) => (before, conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Failed(error @ EngineError::Invalid { .. }) => {
            (before, conditions.stalled(INVALID, &error.advice()))
        }
        Answer::Failed(error) => (before, conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
        Answer::Leaving => return policy.status.clone().unwrap_or_default(),
    };
    TimeoutPolicyStatus {
        timeout_seconds: seconds,
        observed_generation: policy.metadata.generation,
        conditions: conditions.into_vec(),
    }
}

#[cfg(test)]
mod tests {
    use payplane_crds::condition::{READY, RECONCILING, STALLED};
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::{condition::find, payment::Waiting};

    fn policy() -> TimeoutPolicy {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "TimeoutPolicy",
            "metadata": {"name": "minute", "namespace": "shop", "generation": 2},
            "spec": {"scope": {"tenant": true}, "timeoutSeconds": 60},
            "status": {"timeoutSeconds": 30, "conditions": []},
        }))
        .unwrap()
    }

    #[test]
    fn every_answer_has_its_conditions_and_says_what_is_in_force() {
        let invalid = EngineError::Invalid { field: "f".into(), message: "m".into() };
        let away = EngineError::Unavailable { code: Code::Unavailable, message: String::new() };
        let cases = [
            (Answer::Set(60), "TFF", "AsSpecified", Some(60)),
            (Answer::Taken("shop/first".into()), "FFT", "ScopeTaken", None),
            (Answer::Waiting(Waiting::new("NoTenant", "")), "FTF", "NoTenant", Some(30)),
            (Answer::Failed(invalid), "FFT", "Invalid", Some(30)),
            (Answer::Failed(away), "FTF", "EngineUnavailable", Some(30)),
        ];
        for (answer, letters, reason, seconds) in cases {
            let status = report(&policy(), &answer, Timestamp::UNIX_EPOCH);
            let told = [READY, RECONCILING, STALLED]
                .map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
            assert_eq!(told.concat(), letters, "{answer:?}");
            assert_eq!(find(&status.conditions, READY).unwrap().reason, reason);
            assert_eq!(status.timeout_seconds, seconds, "{answer:?}");
            assert_eq!(status.observed_generation, Some(2));
        }
    }
}
