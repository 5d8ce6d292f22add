//! What a Platform says about its Kafka. Pure. It never decides whether the Platform is ready: money does not wait for it.

use k8s_openapi::api::apps::v1::StatefulSet;
use payplane_crds::{
    Platform,
    condition::{
        KAFKA_READY,
        reason::{AS_SPECIFIED, KAFKA_NOT_READY, PROGRESSING},
    },
};

use super::operated::{self, Operated};
use crate::{condition::Conditions, platform::report::answers};

/// Adds the condition, where there is Kafka.
pub fn condition<'a>(
    platform: &Platform,
    broker: Option<&StatefulSet>,
    operated: Option<&Operated>,
    conditions: Conditions<'a>,
) -> Conditions<'a> {
    if platform.spec.kafka.is_none() {
        return conditions;
    }
    if let Some(operated) = operated {
        return operated::report::report(conditions, operated);
    }
    match broker.map(answers) {
        Some(true) => conditions.set(KAFKA_READY, "True", AS_SPECIFIED, "The broker takes connections."),
        Some(false) => conditions.set(
            KAFKA_READY,
            "False",
            KAFKA_NOT_READY,
            "The broker takes no connections. Payments go on; their events wait in the journal.",
        ),
        None => {
            let message =
                "Somebody else runs Kafka; the engine's GetEventStatus tells whether it takes events.";
            conditions.set(KAFKA_READY, "Unknown", PROGRESSING, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::{condition::find, platform::fixture};

    fn told(kafka: Value, ready: Option<i32>) -> Option<(String, String)> {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": kafka}));
        let broker = ready.map(|ready| -> StatefulSet {
            let status = json!({"replicas": 1, "readyReplicas": ready});
            serde_json::from_value(
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {}, "status": status}),
            )
            .unwrap()
        });
        let conditions = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        let conditions = condition(&platform, broker.as_ref(), None, conditions).into_vec();
        find(&conditions, KAFKA_READY).map(|found| (found.status.clone(), found.reason.clone()))
    }

    #[test]
    fn the_condition_is_there_where_kafka_is() {
        let pair = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
        assert_eq!(told(Value::Null, None), None);
        assert_eq!(told(json!({"managed": {}}), Some(0)), pair("False", "KafkaNotReady"));
        assert_eq!(told(json!({"managed": {}}), Some(1)), pair("True", "AsSpecified"));
        let external = json!({"external": {"secretRef": {"name": "bus"}}});
        assert_eq!(told(external, None), pair("Unknown", "Progressing"));
    }
}
