//! Parameters.

use payplane_crds::timeout_policy::OverdueAction;
use payplane_proto::v1 as proto;
use proto::{ParameterName, setting::Value};

use super::time;
use crate::engine::{Archive, EngineError, HoldLimits, HoldSummary};

/// What a TimeoutPolicy sets, and nobody else.
const OF_HOLDS: [ParameterName; 3] =
    [ParameterName::HoldTimeout, ParameterName::HoldMaximum, ParameterName::HoldOverdueAction];

/// The same settings with these limits of holds for all currencies and no other such ones, in the engine's order.
pub(in crate::engine) fn with_hold_limits(
    settings: &[proto::Setting],
    limits: HoldLimits,
) -> Vec<proto::Setting> {
    let set = [
        limits.timeout_seconds.map(|seconds| duration(ParameterName::HoldTimeout, seconds)),
        limits.maximum_seconds.map(|seconds| duration(ParameterName::HoldMaximum, seconds)),
        limits.action.map(overdue),
    ];
    let is_one = |one: &&proto::Setting| one.currency.is_empty() && OF_HOLDS.contains(&one.name());
    let kept = settings.iter().filter(|one| !is_one(one)).cloned();
    let mut all: Vec<_> = kept.chain(set.into_iter().flatten()).collect();
    all.sort_by_key(|one| (one.name, one.currency.clone()));
    all
}

fn overdue(action: OverdueAction) -> proto::Setting {
    let action = match action {
        OverdueAction::Reverse => proto::OverdueAction::Reverse,
        OverdueAction::Alert => proto::OverdueAction::Alert,
    };
    let value = Some(Value::OverdueAction(action.into()));
    proto::Setting { name: ParameterName::HoldOverdueAction.into(), currency: String::new(), value }
}

fn duration(name: ParameterName, seconds: i64) -> proto::Setting {
    let value = Some(Value::Duration(prost_types::Duration { seconds, nanos: 0 }));
    proto::Setting { name: name.into(), currency: String::new(), value }
}

pub(in crate::engine) fn archive(answer: &proto::GetArchiveResponse) -> Result<Archive, EngineError> {
    time(answer.read_time).ok_or(EngineError::Answer("an archive without its time"))?;
    Ok(Archive {
        is_on: answer.enabled,
        stored_at: time(answer.store_time),
        segments_behind: answer.segments_behind,
        failures: answer.failures,
        is_failing: answer.failing,
    })
}

pub(in crate::engine) fn hold_summary(
    answer: &proto::GetHoldSummaryResponse,
) -> Result<HoldSummary, EngineError> {
    Ok(HoldSummary {
        pending: answer.pending,
        overdue: answer.overdue,
        oldest: time(answer.oldest_create_time),
        overdue_since: time(answer.overdue_since),
        reversed: answer.reversed,
        reversed_last: answer.reversed_last,
        swept_at: time(answer.sweep_time),
        read_at: time(answer.read_time).ok_or(EngineError::Answer("a summary without its time"))?,
        awaiting: answer.awaiting_decision,
        awaiting_since: time(answer.awaiting_since),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(timeout: Option<i64>, maximum: Option<i64>) -> HoldLimits {
        HoldLimits { timeout_seconds: timeout, maximum_seconds: maximum, action: None }
    }

    #[test]
    fn only_the_parameters_of_holds_change() {
        let window = duration(ParameterName::RefundWindow, 9);
        let euros = proto::Setting { currency: "EUR".into(), ..duration(ParameterName::HoldTimeout, 30) };
        let minute = duration(ParameterName::HoldTimeout, 60);
        let hour = duration(ParameterName::HoldMaximum, 3600);
        let before = [euros.clone(), window.clone()];
        let set = with_hold_limits(&before, limits(Some(60), None));
        assert_eq!(set, [minute.clone(), euros.clone(), window.clone()]);
        assert_eq!(with_hold_limits(&set, limits(Some(60), None)), set, "nothing to write");
        let both = with_hold_limits(&set, limits(Some(60), Some(3600)));
        assert_eq!(both, [minute, euros, window, hour]);
        assert_eq!(with_hold_limits(&both, limits(Some(60), None)), set, "what the spec no longer says goes");
        assert_eq!(
            with_hold_limits(&both, limits(Some(61), Some(3600)))[0],
            duration(ParameterName::HoldTimeout, 61)
        );
        assert_eq!(with_hold_limits(&both, HoldLimits::default()), before);
        let alert = HoldLimits { action: Some(OverdueAction::Alert), ..limits(Some(60), None) };
        let alerts = with_hold_limits(&both, alert);
        assert_eq!(alerts.last(), Some(&overdue(OverdueAction::Alert)));
        assert_eq!(with_hold_limits(&alerts, limits(Some(60), None)), set);
    }
}
