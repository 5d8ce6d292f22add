//! Parameters.

use payplane_proto::v1 as proto;
use proto::{ParameterName, setting::Value};

/// The same settings with this hold timeout for all currencies and no other such one, in the engine's order.
pub(in crate::engine) fn with_hold_timeout(
    settings: &[proto::Setting],
    seconds: Option<i64>,
) -> Vec<proto::Setting> {
    let is_it = |one: &proto::Setting| one.name() == ParameterName::HoldTimeout && one.currency.is_empty();
    let wanted = seconds.map(|seconds| proto::Setting {
        name: ParameterName::HoldTimeout.into(),
        currency: String::new(),
        value: Some(Value::Duration(prost_types::Duration { seconds, nanos: 0 })),
    });
    let mut all: Vec<_> = settings.iter().filter(|one| !is_it(one)).cloned().chain(wanted).collect();
    all.sort_by_key(|one| (one.name, one.currency.clone()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: ParameterName, currency: &str, seconds: i64) -> proto::Setting {
        let value = Some(Value::Duration(prost_types::Duration { seconds, nanos: 0 }));
        proto::Setting { name: name.into(), currency: currency.into(), value }
    }

    #[test]
    fn only_the_one_parameter_changes() {
        let window = setting(ParameterName::RefundWindow, "", 9);
        let euros = setting(ParameterName::HoldTimeout, "EUR", 30);
        let minute = setting(ParameterName::HoldTimeout, "", 60);
        let before = [euros.clone(), window.clone()];
        let set = with_hold_timeout(&before, Some(60));
        assert_eq!(set, [minute.clone(), euros.clone(), window.clone()]);
        assert_eq!(with_hold_timeout(&set, Some(60)), set, "nothing to write");
        assert_eq!(with_hold_timeout(&set, Some(61))[0], setting(ParameterName::HoldTimeout, "", 61));
        assert_eq!(with_hold_timeout(&set, None), before);
    }
}
