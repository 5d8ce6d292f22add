//! What a Platform says of Kafka that Strimzi runs. Pure.

use kube::Resource;
use payplane_crds::condition::{
    KAFKA_READY,
    reason::{AS_SPECIFIED, KAFKA_NOT_READY},
};

use super::{Operated, Seen};
use crate::{
    condition::Conditions,
    platform::foreign::{strimzi::StrimziStatus, told},
};

const MEANWHILE: &str = "Payments go on; their events wait in the journal.";

/// Adds the condition.
pub fn report<'a>(conditions: Conditions<'a>, operated: &Operated) -> Conditions<'a> {
    match operated {
        Operated::Refused(refused) => {
            conditions.set(KAFKA_READY, "False", refused.reason, &format!("{} {MEANWHILE}", refused.message))
        }
        Operated::Applied(seen) => match trouble(seen) {
            Some(trouble) => {
                conditions.set(KAFKA_READY, "False", KAFKA_NOT_READY, &format!("{trouble} {MEANWHILE}"))
            }
            None => {
                let message = "Strimzi says that Kafka, the topic of events and the engine's user are ready.";
                conditions.set(KAFKA_READY, "True", AS_SPECIFIED, message)
            }
        },
    }
}

/// The first object that is not ready, and what Strimzi says of it.
fn trouble(seen: &Seen) -> Option<String> {
    not_ready(&seen.kafka, seen.kafka.status.as_ref())
        .or_else(|| not_ready(&seen.topic, seen.topic.status.as_ref()))
        .or_else(|| not_ready(&seen.user, seen.user.status.as_ref()))
}

fn not_ready<K: Resource<DynamicType = ()>>(object: &K, status: Option<&StrimziStatus>) -> Option<String> {
    let kind = K::kind(&());
    let Some(status) = status.filter(|status| object.meta().generation <= status.observed_generation) else {
        return Some(format!("Strimzi has not looked at the {kind} yet."));
    };
    let is = |type_: &str| told(&status.conditions, type_).filter(|one| one.status == "True");
    match (is("Ready"), is("NotReady")) {
        (Some(_), _) => None,
        (None, Some(why)) => Some(match why.message.as_deref() {
            Some(message) => format!("Strimzi says of the {kind}: {message}"),
            None => format!("Strimzi says that the {kind} is not ready."),
        }),
        (None, None) => Some(format!("Strimzi says that the {kind} is not ready.")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::{condition::find, platform::validate::Refused};

    fn object(kind: &str, status: Value) -> Value {
        json!({
            "apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": {"name": "x", "generation": 2},
            "spec": {}, "status": status,
        })
    }

    fn condition(type_: &str, message: Option<&str>) -> Value {
        json!({"type": type_, "status": "True", "message": message, "lastTransitionTime": "2026-11-21T12:00:00.1Z"})
    }

    fn seen(kafka: Value, topic: Value, user: Value) -> Operated {
        let read = |kind, status| object(kind, status);
        Operated::Applied(Box::new(Seen {
            kafka: serde_json::from_value(read("Kafka", kafka)).unwrap(),
            topic: serde_json::from_value(read("KafkaTopic", topic)).unwrap(),
            user: serde_json::from_value(read("KafkaUser", user)).unwrap(),
        }))
    }

    #[test]
    fn kafka_is_ready_when_all_of_it_is() {
        let ready = json!({"observedGeneration": 2, "conditions": [condition("Ready", None)]});
        let old = json!({"observedGeneration": 1, "conditions": [condition("Ready", None)]});
        let not = json!({"observedGeneration": 2, "conditions": [condition("NotReady", Some("no disk"))]});
        let warned = json!({"observedGeneration": 2, "conditions": [condition("Warning", Some("old")), condition("Ready", None)]});
        let refused =
            Refused { reason: "OperatorNotInstalled", message: "Install it.".into(), look_again: true };
        let all = |of: &Value| seen(of.clone(), ready.clone(), ready.clone());
        let cases = [
            (all(&ready), "True", "AsSpecified", "are ready"),
            (all(&warned), "True", "AsSpecified", "are ready"),
            (all(&Value::Null), "False", "KafkaNotReady", "not looked at the Kafka yet. Payments go on"),
            (all(&old), "False", "KafkaNotReady", "not looked at the Kafka yet"),
            (all(&not), "False", "KafkaNotReady", "says of the Kafka: no disk"),
            (all(&json!({"observedGeneration": 2})), "False", "KafkaNotReady", "the Kafka is not ready"),
            (
                seen(ready.clone(), not.clone(), ready.clone()),
                "False",
                "KafkaNotReady",
                "says of the KafkaTopic: no disk",
            ),
            (
                seen(ready.clone(), ready.clone(), not),
                "False",
                "KafkaNotReady",
                "says of the KafkaUser: no disk",
            ),
            (Operated::Refused(refused), "False", "OperatorNotInstalled", "Install it. Payments go on"),
        ];
        for (operated, status, reason, words) in cases {
            let conditions =
                report(Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH), &operated).into_vec();
            let found = find(&conditions, KAFKA_READY).unwrap();
            assert_eq!((&*found.status, &*found.reason), (status, reason), "{}", found.message);
            assert!(found.message.contains(words), "{}", found.message);
        }
    }
}
