//! Parameters.

use payplane_proto::v1 as proto;
use proto::{ParameterName, setting::Value};

use super::time;
use crate::engine::{Archive, EngineError, HoldLimits, HoldSummary};

/// The same settings with these limits of holds for all currencies and no other such ones, in the engine's order.
pub(in crate::engine) fn with_hold_limits(
    settings: &[proto::Setting],
    limits: HoldLimits,
) -> Vec<proto::Setting> {
    let wanted = [
        (ParameterName::HoldTimeout, limits.timeout_seconds),
        (ParameterName::HoldMaximum, limits.maximum_seconds),
    ];
    let is_one =
        |one: &&proto::Setting| one.currency.is_empty() && wanted.iter().any(|(name, _)| *name == one.name());
    let kept = settings.iter().filter(|one| !is_one(one)).cloned();
    let set = wanted.iter().filter_map(|(name, seconds)| Some(duration(*name, (*seconds)?)));
    let mut all: Vec<_> = kept.chain(set).collect();
    all.sort_by_key(|one| (one.name, one.currency.clone()));
    all
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(timeout: Option<i64>, maximum: Option<i64>) -> HoldLimits {
        HoldLimits { timeout_seconds: timeout, maximum_seconds: maximum }
    }

    #[test]
    fn only_the_two_parameters_change() {
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
    }
}
