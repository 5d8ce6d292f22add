//! Domain to proto, as free functions.

mod operation;
mod outcome;
mod parameter;
mod payment;
mod refusal;
mod wallet;

pub(super) use operation::{head, operation, report, statement_line};
pub(super) use outcome::{View, item, items, payment_outcome, refund_outcome, reversal_outcome};
pub(super) use parameter::{effective, is_action, is_duration, setting};
pub(super) use payment::{listed_payment, listed_refund, stored_payment, stored_refund};
pub(super) use refusal::{conflict, reason, refusal};
pub(super) use wallet::{changed_wallet, hold, wallet};

use payplane_ledger::{Balance, Currency, Level, Origin, Phase, Timestamp, format_minor, format_sum};
use payplane_proto::v1 as proto;

use crate::store::{ArchiveRow, TrialLine};

const MICROS_PER_SECOND: i64 = 1_000_000;

pub(super) fn money(minor: i64, currency: Currency) -> proto::Money {
    proto::Money { amount: amount(minor, currency), currency: currency.code().to_owned() }
}

/// Most amounts of an answer are zero, so they take the short way.
fn amount(minor: i64, currency: Currency) -> String {
    const ZEROS: [&str; 5] = ["0", "0.0", "0.00", "0.000", "0.0000"];
    match ZEROS.get(usize::from(currency.exponent())) {
        Some(zero) if minor == 0 => (*zero).to_owned(),
        _ => format_minor(minor, currency),
    }
}

pub(super) fn balance(balance: &Balance, currency: Currency) -> proto::Balance {
    let text = |minor| amount(minor, currency);
    let available = balance.available();
    proto::Balance {
        posted_debits: text(balance.posted_debits),
        posted_credits: text(balance.posted_credits),
        pending_debits: text(balance.pending_debits),
        pending_credits: text(balance.pending_credits),
        available: i64::try_from(available).map_or_else(|_| format_sum(available, currency), text),
        currency: currency.code().to_owned(),
        version: balance.version.unsigned_abs(),
    }
}

pub(super) fn archive(row: &ArchiveRow) -> proto::GetArchiveResponse {
    proto::GetArchiveResponse {
        enabled: row.enabled,
        store_time: row.stored_us.map(|at| timestamp(Timestamp(at))),
        segments_behind: row.segments_behind,
        failures: row.failures,
        failing: row.failing,
        read_time: Some(timestamp(Timestamp(row.now_us))),
    }
}

pub(super) fn trial_line(line: &TrialLine) -> proto::TrialBalanceLine {
    proto::TrialBalanceLine {
        currency: line.currency.code().to_owned(),
        total_debits: format_sum(line.debits, line.currency),
        total_credits: format_sum(line.credits, line.currency),
        difference: format_sum(line.credits - line.debits, line.currency),
        accounts: line.accounts,
        transfers: line.transfers,
    }
}

const fn origin(origin: Origin) -> proto::Origin {
    match origin {
        Origin::Api => proto::Origin::Api,
        Origin::Resource => proto::Origin::Resource,
    }
}

const fn state(phase: Phase) -> proto::PaymentState {
    match phase {
        Phase::Pending => proto::PaymentState::Pending,
        Phase::Processing => proto::PaymentState::Processing,
        Phase::Completed => proto::PaymentState::Completed,
        Phase::Failed => proto::PaymentState::Failed,
        Phase::Voided => proto::PaymentState::Voided,
        Phase::Expired => proto::PaymentState::Expired,
    }
}

const fn level(level: Option<Level>) -> proto::ParameterLevel {
    match level {
        None => proto::ParameterLevel::Unspecified,
        Some(Level::Platform) => proto::ParameterLevel::Platform,
        Some(Level::Tenant) => proto::ParameterLevel::Tenant,
        Some(Level::Class) => proto::ParameterLevel::Class,
        Some(Level::Wallet) => proto::ParameterLevel::Wallet,
    }
}

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(MICROS_PER_SECOND) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: at.0.div_euclid(MICROS_PER_SECOND), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_written_like_every_amount() {
        for code in ["JPY", "USD", "KWD", "CLF"] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(amount(0, currency), format_minor(0, currency), "{code}");
        }
    }
}
