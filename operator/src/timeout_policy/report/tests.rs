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

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const LIMITS: HoldLimits =
    HoldLimits { timeout_seconds: Some(60), maximum_seconds: Some(90), action: Some(OverdueAction::Reverse) };

/// Read at second 1,000 just after a sweep: nothing is overdue.
fn calm() -> HoldSummary {
    HoldSummary {
        pending: 3,
        oldest: Some(at(900)),
        swept_at: Some(at(995)),
        read_at: at(1_000),
        ..Default::default()
    }
}

#[test]
fn every_answer_has_its_conditions_and_says_what_is_in_force() {
    let invalid = EngineError::Invalid { field: "f".into(), message: "m".into() };
    let away = EngineError::Unavailable { code: Code::Unavailable, message: String::new() };
    let cases = [
        (Answer::Set(LIMITS, calm()), "TFFTT", "AsSpecified", Some(60)),
        (Answer::Taken("shop/first".into()), "FFT--", "ScopeTaken", None),
        (Answer::Waiting(Waiting::new("NoTenant", "")), "FTFUU", "NoTenant", Some(30)),
        (Answer::Failed(invalid), "FFTUU", "Invalid", Some(30)),
        (Answer::Failed(away), "FTFUU", "EngineUnavailable", Some(30)),
    ];
    for (answer, letters, reason, seconds) in cases {
        let status = report(&policy(), &answer, Timestamp::UNIX_EPOCH);
        let told = [READY, RECONCILING, STALLED, REVERSALS_CURRENT, DECISIONS_CURRENT]
            .map(|type_| find(&status.conditions, type_).map_or("-", |found| &found.status[..1]));
        assert_eq!(told.concat(), letters, "{answer:?}");
        assert_eq!(find(&status.conditions, READY).unwrap().reason, reason);
        assert_eq!(status.timeout_seconds, seconds, "{answer:?}");
        assert_eq!(status.observed_generation, Some(2));
    }
}

#[test]
fn the_ledgers_counts_are_told_as_they_are() {
    let holds =
        HoldSummary { overdue: 1, overdue_since: Some(at(958)), reversed: 7, reversed_last: 2, ..calm() };
    let status = report(&policy(), &Answer::Set(LIMITS, holds), Timestamp::UNIX_EPOCH);
    assert_eq!(status.maximum_seconds, Some(90));
    assert_eq!(
        serde_json::to_value(status.holds).unwrap(),
        json!({
            "pending": 3, "overdue": 1, "reversed": 7, "reversedInLastSweep": 2, "lagSeconds": 42,
            "awaitingDecision": 0,
            "oldestPendingTime": "1970-01-01T00:15:00Z", "lastSweepTime": "1970-01-01T00:16:35Z",
        })
    );
}

#[test]
fn reversals_are_behind_when_a_deadline_or_the_last_sweep_is_long_ago() {
    let cases = [
        (calm(), "ReversalsOnTime"),
        (HoldSummary { overdue_since: Some(at(940)), ..calm() }, "ReversalsOnTime"),
        (HoldSummary { overdue_since: Some(at(939)), ..calm() }, "ReversalsBehind"),
        (HoldSummary { swept_at: Some(at(880)), ..calm() }, "ReversalsOnTime"),
        (HoldSummary { swept_at: Some(at(879)), ..calm() }, "ReversalsBehind"),
        // An engine that has just started.
        (HoldSummary { swept_at: None, ..calm() }, "ReversalsOnTime"),
    ];
    for (holds, reason) in cases {
        let status = report(&policy(), &Answer::Set(LIMITS, holds.clone()), Timestamp::UNIX_EPOCH);
        let found = find(&status.conditions, REVERSALS_CURRENT).unwrap();
        assert_eq!(
            (&*found.reason, found.status == "True"),
            (reason, reason == "ReversalsOnTime"),
            "{holds:?}"
        );
        assert_eq!(
            find(&status.conditions, READY).unwrap().status,
            "True",
            "the parameters are set all the same"
        );
    }
}

#[test]
fn holds_that_wait_for_a_decision_are_told_and_do_not_make_the_sweep_late() {
    let waits = HoldSummary { overdue: 2, awaiting: 2, awaiting_since: Some(at(10)), ..calm() };
    for (holds, status, reason) in [(waits, "False", "AwaitingDecision"), (calm(), "True", "NothingToDecide")]
    {
        let told = report(&policy(), &Answer::Set(LIMITS, holds.clone()), Timestamp::UNIX_EPOCH);
        let found = find(&told.conditions, DECISIONS_CURRENT).unwrap();
        assert_eq!((&*found.status, &*found.reason), (status, reason));
        assert_eq!(find(&told.conditions, REVERSALS_CURRENT).unwrap().status, "True", "{reason}");
        assert_eq!(told.holds.unwrap().awaiting_decision, holds.awaiting);
    }
}

#[test]
fn a_look_that_finds_nothing_new_writes_nothing() {
    let answer = |holds: HoldSummary| Answer::Set(LIMITS, holds);
    let mut object = policy();
    let first = report(&object, &answer(calm()), Timestamp::UNIX_EPOCH);
    object.status = Some(first.clone());
    let again = |later: i64, pending: i64| {
        let holds =
            HoldSummary { pending, swept_at: Some(at(995 + later)), read_at: at(1_000 + later), ..calm() };
        report(&object, &answer(holds), at(later))
    };
    assert_eq!(again(30, 3), first);
    assert_eq!(again(299, 3), first);
    assert_eq!(again(300, 3).holds.unwrap().last_sweep_time, Some(Time(at(1_295))));
    assert_eq!(again(30, 4).holds.unwrap().last_sweep_time, Some(Time(at(1_025))), "written anyway");
}
