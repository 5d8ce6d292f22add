//! Events for people: on transitions only, never awaited by a reconciler, dropped and counted when there are too many.

use std::time::Duration;

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use payplane_crds::condition::{
    API_KEYS_CURRENT, ARCHIVE_CURRENT, DECISIONS_CURRENT, OBJECTIVE_MET, OBJECTS_COPIED, OFFBOARDING, PRUNED,
    READY, RECONCILING, REPLAYED, REVERSALS_CURRENT, SUSPENDED,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    api,
    condition::{find, is_true},
    meta::MANAGER,
    telemetry::Metrics,
};

const WAITING: usize = 256;
/// Five in a second at most: more than a person reads, less than an API server notices.
const PACE: Duration = Duration::from_millis(200);
/// Limit of the API server for an event's note.
const NOTE: usize = 1000;

/// Takes events; one task sends them.
#[derive(Clone)]
pub struct Events {
    queue: Sender<(Event, ObjectReference)>,
    metrics: Metrics,
}

impl Events {
    /// Starts the sender.
    pub fn start(client: Client, identity: String, metrics: Metrics) -> Self {
        let (queue, waiting) = channel(WAITING);
        // One recorder for all: it merges repeated events, which a new one each time could not.
        let recorder =
            Recorder::new(client, Reporter { controller: MANAGER.into(), instance: Some(identity) });
        tokio::spawn(send(recorder, waiting));
        Self { queue, metrics }
    }

    /// Tells something that happened once and that no condition says.
    pub fn tell(&self, object: &ObjectReference, type_: EventType, reason: &str, note: String) {
        let note = Some(note.chars().take(NOTE).collect());
        self.queue(
            object,
            Event { type_, reason: reason.into(), note, action: "Reconcile".into(), secondary: None },
        );
    }

    /// Tells what changed between two sets of conditions, if people should know.
    pub fn transition(&self, object: &ObjectReference, before: &[Condition], after: &[Condition]) {
        for event in worth_telling(before, after) {
            self.queue(object, event);
        }
    }

    fn queue(&self, object: &ObjectReference, event: Event) {
        if self.queue.try_send((event, object.clone())).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

async fn send(recorder: Recorder, mut waiting: Receiver<(Event, ObjectReference)>) {
    while let Some((event, object)) = waiting.recv().await {
        if let Err(error) = api::call("publish an event", recorder.publish(&event, &object)).await {
            tracing::debug!(error = %error, reason = event.reason, "an event was not accepted");
        }
        // Requests that money waits for go first.
        tokio::time::sleep(PACE).await;
    }
}

/// A changed answer to "is it ready, and why not", a tenant that is suspended or resumed, a deletion that waits, or a
/// payment that met an earlier one under its key.
fn worth_telling(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let told =
        |type_| find(after, type_).filter(|now| find(before, type_).is_none_or(|was| differs(was, now)));
    let replayed = told(REPLAYED)
        .filter(|now| now.status == "True")
        .map(|now| event(EventType::Warning, "Replayed", now));
    let ready = told(READY).map(|now| {
        // Waiting is normal; being stuck or refused is not.
        let bad = now.status == "False" && !is_true(after, RECONCILING);
        event(if bad { EventType::Warning } else { EventType::Normal }, &now.reason, now)
    });
    // That it keeps up is news only after it did not.
    let keeps_up = [
        REVERSALS_CURRENT,
        DECISIONS_CURRENT,
        OBJECTIVE_MET,
        OBJECTS_COPIED,
        ARCHIVE_CURRENT,
        PRUNED,
        API_KEYS_CURRENT,
    ];
    let kept_up = keeps_up.into_iter().filter_map(|type_| {
        let was_behind = find(before, type_).is_some_and(|was| was.status == "False");
        told(type_).and_then(|now| match &*now.status {
            "False" => Some(event(EventType::Warning, &now.reason, now)),
            "True" if was_behind => Some(event(EventType::Normal, &now.reason, now)),
            _ => None,
        })
    });
    // What was never said is no news as long as it is not so.
    let turned = [SUSPENDED, OFFBOARDING].into_iter().filter_map(|type_| {
        let now = told(type_).filter(|now| now.status == "True" || find(before, type_).is_some())?;
        Some(event(EventType::Normal, &now.reason, now))
    });
    replayed.into_iter().chain(turned).chain(ready).chain(kept_up).collect()
}

fn differs(was: &Condition, now: &Condition) -> bool {
    was.status != now.status || was.reason != now.reason
}

fn event(type_: EventType, reason: &str, condition: &Condition) -> Event {
    Event {
        type_,
        reason: reason.into(),
        note: Some(condition.message.chars().take(NOTE).collect()),
        action: "Reconcile".into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::condition::Conditions;

    fn conditions() -> Conditions<'static> {
        Conditions::new(&[], None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_answer_in_other_words_is_no_event() {
        let before = conditions().waiting("EngineUnavailable", "first").into_vec();
        let after = conditions().waiting("EngineUnavailable", "second").into_vec();
        assert!(worth_telling(&before, &after).is_empty());
    }

    #[test]
    fn waiting_is_normal_and_being_stuck_is_a_warning() {
        let kinds = |after: Vec<Condition>| -> Vec<EventType> {
            worth_telling(&[], &after).iter().map(|event| event.type_).collect()
        };
        assert_eq!(kinds(conditions().waiting("NoTenant", "").into_vec()), [EventType::Normal]);
        assert_eq!(kinds(conditions().stalled("Invalid", "").into_vec()), [EventType::Warning]);
        assert_eq!(kinds(conditions().ready("Completed", "").into_vec()), [EventType::Normal]);
        let refused = conditions().refused("CaptureExceedsHold", "").set("Settled", "False", "Held", "");
        assert_eq!(kinds(refused.into_vec()), [EventType::Warning]);
        let waiting = conditions().waiting("ApprovalRequired", "").set("Settled", "False", "", "");
        assert_eq!(kinds(waiting.into_vec()), [EventType::Normal]);
    }

    #[test]
    fn a_sweep_that_falls_behind_is_told_and_that_it_caught_up_too() {
        let set = |status, reason| conditions().set(REVERSALS_CURRENT, status, reason, "").into_vec();
        let (on_time, behind) = (set("True", "ReversalsOnTime"), set("False", "ReversalsBehind"));
        let unknown = set("Unknown", "EngineUnavailable");
        let told = |before: &[Condition], after: &[Condition]| -> Vec<(EventType, String)> {
            worth_telling(before, after).into_iter().map(|event| (event.type_, event.reason)).collect()
        };
        assert!(told(&[], &on_time).is_empty(), "the usual is no news");
        assert_eq!(told(&on_time, &behind), [(EventType::Warning, "ReversalsBehind".into())]);
        assert!(told(&behind, &behind).is_empty());
        assert_eq!(told(&behind, &on_time), [(EventType::Normal, "ReversalsOnTime".into())]);
        assert!(told(&behind, &unknown).is_empty() && told(&unknown, &on_time).is_empty());
    }

    #[test]
    fn a_suspension_and_its_end_are_told_and_never_having_been_suspended_is_not() {
        let never = conditions().set(SUSPENDED, "False", "NotSuspended", "").into_vec();
        let suspended = conditions().set(SUSPENDED, "True", "Suspended", "").into_vec();
        assert!(worth_telling(&[], &never).is_empty());
        assert_eq!(worth_telling(&never, &suspended)[0].reason, "Suspended");
        assert_eq!(worth_telling(&suspended, &never)[0].reason, "NotSuspended");
        assert!(worth_telling(&suspended, &suspended).is_empty());
    }

    #[test]
    fn a_replayed_payment_warns() {
        let after = conditions().set(REPLAYED, "True", "Replayed", "payment 1").into_vec();
        assert_eq!(worth_telling(&[], &after)[0].reason, "Replayed");
        assert!(worth_telling(&after, &after).is_empty());
    }
}
