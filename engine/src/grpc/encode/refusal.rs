//! Refusals. No amounts and no stored values: a conflict must not tell what the key was first used for.

use payplane_ledger::{Field, Kind, ParameterName, Reason, Refusal};
use payplane_proto::v1 as proto;

pub(in crate::grpc) fn refusal(refusal: Refusal, kind: Kind) -> proto::Refusal {
    let limit = refusal.limit.map(|(name, level)| proto::Limit {
        name: parameter_name(name).into(),
        level: super::level(Some(level)).into(),
    });
    proto::Refusal {
        reason: reason(refusal.reason).into(),
        field: path(refusal.field, kind).to_owned(),
        message: message(refusal).to_owned(),
        definitive: refusal.reason.is_definitive(),
        limit,
    }
}

/// The name of a wallet is its idempotency key.
pub(in crate::grpc) fn conflict(field: &str) -> proto::Refusal {
    proto::Refusal {
        reason: proto::RefusalReason::IdempotencyConflict.into(),
        field: field.to_owned(),
        message: "A wallet of this name exists with another value of this field.".to_owned(),
        definitive: Reason::IdempotencyConflict.is_definitive(),
        limit: None,
    }
}

/// Some requests call the ledger's fields otherwise.
const fn path(field: Field, kind: Kind) -> &'static str {
    match (kind, field) {
        (Kind::HandOver, Field::Reference) => "gateway_reference",
        (Kind::Fail, Field::Reference) => "reason",
        (Kind::ChangeWallet, Field::From) => "wallet",
        (Kind::ChangeWallet, Field::Currency) => "minimum.currency",
        (_, field) => field.path(),
    }
}

pub(super) const fn parameter_name(name: ParameterName) -> proto::ParameterName {
    match name {
        ParameterName::PaymentMaximum => proto::ParameterName::PaymentMaximum,
        ParameterName::DailyAmount => proto::ParameterName::DailyAmount,
        ParameterName::DailyCount => proto::ParameterName::DailyCount,
        ParameterName::MonthlyAmount => proto::ParameterName::MonthlyAmount,
        ParameterName::MonthlyCount => proto::ParameterName::MonthlyCount,
        ParameterName::TenantDailyAmount => proto::ParameterName::TenantDailyAmount,
        ParameterName::TenantDailyCount => proto::ParameterName::TenantDailyCount,
        ParameterName::TenantMonthlyAmount => proto::ParameterName::TenantMonthlyAmount,
        ParameterName::TenantMonthlyCount => proto::ParameterName::TenantMonthlyCount,
        ParameterName::HoldTimeout => proto::ParameterName::HoldTimeout,
        ParameterName::RefundWindow => proto::ParameterName::RefundWindow,
        ParameterName::RefundApprovalFrom => proto::ParameterName::RefundApprovalFrom,
        ParameterName::HoldMaximum => proto::ParameterName::HoldMaximum,
        ParameterName::PaymentApprovalFrom => proto::ParameterName::PaymentApprovalFrom,
        ParameterName::DebtPaymentMaximum => proto::ParameterName::DebtPaymentMaximum,
        ParameterName::HoldOverdueAction => proto::ParameterName::HoldOverdueAction,
    }
}

pub(in crate::grpc) const fn reason(reason: Reason) -> proto::RefusalReason {
    match reason {
        Reason::IdempotencyConflict => proto::RefusalReason::IdempotencyConflict,
        Reason::WalletNotFound => proto::RefusalReason::WalletNotFound,
        Reason::PaymentNotFound => proto::RefusalReason::PaymentNotFound,
        Reason::RefundNotFound => proto::RefusalReason::RefundNotFound,
        Reason::SameWallet => proto::RefusalReason::SameWallet,
        Reason::CurrencyMismatch => proto::RefusalReason::CurrencyMismatch,
        Reason::ApproverIsRequester => proto::RefusalReason::ApproverIsRequester,
        Reason::NotDue => proto::RefusalReason::NotDue,
        Reason::LinkedItemDeclined => proto::RefusalReason::LinkedItemDeclined,
        Reason::PaymentApprovalRequired => proto::RefusalReason::PaymentApprovalRequired,
        Reason::LostByRestore => proto::RefusalReason::LostByRestore,
        Reason::TenantSuspended => proto::RefusalReason::TenantSuspended,
        Reason::WalletClosed => proto::RefusalReason::WalletClosed,
        Reason::WalletFrozen => proto::RefusalReason::WalletFrozen,
        Reason::WalletNotEmpty => proto::RefusalReason::WalletNotEmpty,
        Reason::HoldExpired => proto::RefusalReason::HoldExpired,
        Reason::WrongState => proto::RefusalReason::WrongState,
        Reason::CaptureExceedsHold => proto::RefusalReason::CaptureExceedsHold,
        Reason::RefundExceedsCaptured => proto::RefusalReason::RefundExceedsCaptured,
        Reason::RefundWindowClosed => proto::RefusalReason::RefundWindowClosed,
        Reason::ConditionNotMet => proto::RefusalReason::ConditionNotMet,
        Reason::LimitExceeded => proto::RefusalReason::LimitExceeded,
        Reason::SettlementCapExceeded => proto::RefusalReason::SettlementCapExceeded,
        Reason::InsufficientFunds => proto::RefusalReason::InsufficientFunds,
        Reason::MaximumExceeded => proto::RefusalReason::MaximumExceeded,
        Reason::BalanceOverflow => proto::RefusalReason::BalanceOverflow,
        Reason::LinkedItemRefused => proto::RefusalReason::LinkedItemRefused,
    }
}

const fn message(refusal: Refusal) -> &'static str {
    match (refusal.reason, refusal.field) {
        (Reason::IdempotencyConflict, _) => {
            "This idempotency key was used before with another value of this field."
        }
        (Reason::WalletNotFound, _) => "There is no such wallet in this tenant.",
        (Reason::PaymentNotFound, _) => "There is no such payment in this tenant.",
        (Reason::RefundNotFound, _) => "There is no such refund in this tenant.",
        (Reason::SameWallet, _) => "Payer and payee are the same wallet.",
        (Reason::CurrencyMismatch, _) => "The wallet is of another currency than the amount.",
        (Reason::ApproverIsRequester, Field::Approver) => "Whoever asks for a payment cannot approve it.",
        (Reason::ApproverIsRequester, _) => "Whoever asked for a refund cannot approve it.",
        (Reason::NotDue, _) => "The time for this has not come yet.",
        (Reason::LinkedItemDeclined | Reason::LinkedItemRefused, _) => {
            "Another item of this linked request was refused."
        }
        (Reason::PaymentApprovalRequired, _) => {
            "A payment of this much needs the approval of somebody else: apply it as a Payment object with spec.requestedBy, \
             and have it approved by an Approval."
        }
        (Reason::LostByRestore, _) => {
            "This was asked before the ledger was restored from a copy that does not know it; it may have been done \
             since. It is not done again unless somebody says so for this restore."
        }
        (Reason::TenantSuspended, _) => "The tenant is suspended: nothing can be paid from its wallets.",
        (Reason::WalletClosed, _) => "The wallet is closed.",
        (Reason::WalletFrozen, Field::To) => "The wallet is frozen for credits.",
        (Reason::WalletFrozen, _) => "The wallet is frozen for debits.",
        (Reason::WalletNotEmpty, _) => "The wallet still has money or holds.",
        (Reason::HoldExpired, _) => "The deadline of the hold has passed.",
        (Reason::WrongState, Field::Refund) => "The refund is not in a state for this.",
        (Reason::WrongState, Field::Wallet | Field::Status) => "The wallet is not in a state for this.",
        (Reason::WrongState, _) => "The payment is not in a state for this.",
        (Reason::CaptureExceedsHold, _) => "The amount is more than what is left of the hold.",
        (Reason::RefundExceedsCaptured, _) => "The amount is more than what can still be refunded.",
        (Reason::RefundWindowClosed, _) => "The time in which this payment could be refunded is over.",
        (Reason::ConditionNotMet, _) => "The wallet is not as the request expects.",
        (Reason::LimitExceeded, Field::Timeout) => {
            "The hold would last longer than the parameter HOLD_MAXIMUM allows: ask for less, or for no timeout."
        }
        (Reason::LimitExceeded, Field::CaptureTime) => {
            "The date keeps the hold longer than the parameter HOLD_MAXIMUM allows: name an earlier one."
        }
        (Reason::LimitExceeded, _) => "A limit on payments would be exceeded.",
        (Reason::SettlementCapExceeded, _) => {
            "The settlement account would exceed the cap that the tenant sets."
        }
        (Reason::InsufficientFunds, _) => "The wallet has too little available above its minimum.",
        (Reason::MaximumExceeded, _) => "The wallet would exceed its maximum.",
        (Reason::BalanceOverflow, _) => "A total of the wallet would exceed what can be counted.",
    }
}

#[cfg(test)]
mod tests {
    use payplane_ledger::{PARAMETER_NAMES, REASONS};

    use super::*;

    #[test]
    fn numbers_on_the_wire_are_those_that_are_stored() {
        for known in REASONS {
            assert_eq!(reason(known) as i32, known as i32, "{known:?}");
        }
        for known in PARAMETER_NAMES {
            assert_eq!(parameter_name(known) as i32, known as i32, "{known:?}");
        }
    }
}
