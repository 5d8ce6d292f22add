//! Settings and what holds.

use payplane_ledger::{Currency, Level, ParameterName, Setting};
use payplane_proto::v1::{self as proto, setting::Value};

use super::{level, money, refusal::parameter_name};

const MICROS_PER_SECOND: i64 = 1_000_000;

pub(in crate::grpc) fn setting(setting: &Setting) -> proto::Setting {
    value_of(setting.name, setting.value, setting.currency)
}

/// The value that holds for a wallet of this currency.
pub(in crate::grpc) fn effective(
    name: ParameterName,
    (value, at): (i64, Option<Level>),
    currency: Currency,
) -> proto::EffectiveParameter {
    // Counts and durations mean the wallet, whatever its currency.
    let setting = value_of(name, value, name.is_amount().then_some(currency));
    proto::EffectiveParameter { setting: Some(setting), level: level(at).into() }
}

fn value_of(name: ParameterName, value: i64, currency: Option<Currency>) -> proto::Setting {
    let number = parameter_name(name).into();
    let code = currency.map(|currency| currency.code().to_owned()).unwrap_or_default();
    match currency {
        // The amount names its currency itself.
        Some(currency) if name.is_amount() => {
            let value = Some(Value::Amount(money(value, currency)));
            proto::Setting { name: number, value, currency: String::new() }
        }
        _ if is_action(name) => {
            let action = i32::try_from(value).unwrap_or_default();
            proto::Setting { name: number, value: Some(Value::OverdueAction(action)), currency: code }
        }
        _ if is_duration(name) => {
            proto::Setting { name: number, value: Some(Value::Duration(duration(value))), currency: code }
        }
        _ => proto::Setting { name: number, value: Some(Value::Count(value)), currency: code },
    }
}

pub(in crate::grpc) const fn is_duration(name: ParameterName) -> bool {
    matches!(name, ParameterName::HoldTimeout | ParameterName::HoldMaximum | ParameterName::RefundWindow)
}

/// Numbers of actions are the same on the wire and in the ledger.
pub(in crate::grpc) const fn is_action(name: ParameterName) -> bool {
    matches!(name, ParameterName::HoldOverdueAction)
}

fn duration(micros: i64) -> prost_types::Duration {
    let nanos = i32::try_from(micros % MICROS_PER_SECOND * 1_000).unwrap_or_default();
    prost_types::Duration { seconds: micros / MICROS_PER_SECOND, nanos }
}
