//! What a Platform says about its Kafka. Pure. It never decides whether the Platform is ready: money does not wait for it.

use k8s_openapi::api::apps::v1::StatefulSet;
use payplane_crds::{
    Platform,
    condition::{
        KAFKA_READY,
        reason::{AS_SPECIFIED, DEGRADED, KAFKA_NOT_READY, PROGRESSING},
    },
};

use super::{
    Nodes,
    operated::{self, Operated},
    rights::Rights,
};
use crate::condition::Conditions;

/// Whether enough nodes are in sync for events to be taken.
pub fn serves(nodes: &StatefulSet) -> bool {
    let (ready, wanted) = count(nodes);
    ready > wanted / 2
}

/// Nodes that are in sync, and nodes that are asked for.
fn count(nodes: &StatefulSet) -> (i32, i32) {
    let ready = nodes.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    (ready, nodes.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1))
}

/// Adds the condition, where there is Kafka.
pub fn condition<'a>(
    platform: &Platform,
    nodes: Option<&Nodes>,
    operated: Option<&Operated>,
    conditions: Conditions<'a>,
) -> Conditions<'a> {
    if platform.spec.kafka.is_none() {
        return conditions;
    }
    if let Some(operated) = operated {
        return operated::report::report(conditions, operated);
    }
    let (status, reason, message) = match nodes {
        Some(nodes) => told(nodes),
        None => {
            let message =
                "Somebody else runs Kafka; the engine's GetEventStatus tells whether it takes events.";
            ("Unknown", PROGRESSING, message.to_owned())
        }
    };
    conditions.set(KAFKA_READY, status, reason, &message)
}

fn told(Nodes { stateful_set, rights }: &Nodes) -> (&'static str, &'static str, String) {
    const MEANWHILE: &str = "Payments go on; their events wait in the journal.";
    let (ready, wanted) = count(stateful_set);
    let of = format!("{ready} of {wanted} nodes of Kafka are in sync.");
    let not_ready = |why: &str| ("False", KAFKA_NOT_READY, format!("{of} {why}{MEANWHILE}"));
    match rights {
        _ if !serves(stateful_set) => not_ready(""),
        Rights::Failing(why) => {
            not_ready(&format!("Users and their rights could not be written, which is tried again: {why} "))
        }
        Rights::Waiting | Rights::Running => not_ready("Users and their rights are being written. "),
        Rights::Done if ready < wanted => {
            let message = format!("{of} Events are published, and no other node may be away.");
            ("True", DEGRADED, message)
        }
        Rights::Done => ("True", AS_SPECIFIED, of),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::{condition::find, platform::fixture};

    fn told(kafka: Value, nodes: Option<(i32, i32, Rights)>) -> Option<(String, String)> {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": kafka}));
        let nodes = nodes.map(|(ready, wanted, rights)| {
            let stateful_set = json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {},
                "spec": {"replicas": wanted, "selector": {}, "serviceName": "x", "template": {}},
                "status": {"replicas": wanted, "readyReplicas": ready},
            });
            Nodes { stateful_set: serde_json::from_value(stateful_set).unwrap(), rights }
        });
        let conditions = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        let conditions = condition(&platform, nodes.as_ref(), None, conditions).into_vec();
        find(&conditions, KAFKA_READY).map(|found| (found.status.clone(), found.reason.clone()))
    }

    #[test]
    fn the_condition_is_there_where_kafka_is() {
        let pair = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
        assert_eq!(told(Value::Null, None), None);
        let external = json!({"external": {"secretRef": {"name": "bus"}}});
        assert_eq!(told(external, None), pair("Unknown", "Progressing"));
        let cases = [
            ((0, 1, Rights::Done), "False", "KafkaNotReady"),
            ((1, 1, Rights::Done), "True", "AsSpecified"),
            ((1, 1, Rights::Running), "False", "KafkaNotReady"),
            ((1, 1, Rights::Failing("x".into())), "False", "KafkaNotReady"),
            // One of three takes nothing, two take everything.
            ((1, 3, Rights::Done), "False", "KafkaNotReady"),
            ((2, 3, Rights::Done), "True", "Degraded"),
            ((2, 3, Rights::Waiting), "False", "KafkaNotReady"),
            ((3, 3, Rights::Done), "True", "AsSpecified"),
        ];
        for (nodes, status, reason) in cases {
            let found = told(json!({"managed": {}}), Some(nodes.clone()));
            assert_eq!(found, pair(status, reason), "{nodes:?}");
        }
    }
}
