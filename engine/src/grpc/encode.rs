//! Domain to proto, as free functions.

use payplane_ledger::{
    Account, Balance, Currency, Decision, Field, Origin, Outcome, PaymentId, Reason, Refusal, Status,
    Timestamp, Verdict, format_minor, format_sum,
};
use payplane_proto::v1 as proto;

use crate::store::{TrialLine, WalletRow};

const MICROS_PER_SECOND: i64 = 1_000_000;

pub(super) fn outcome(payment: PaymentId, outcome: &Outcome) -> proto::PaymentOutcome {
    match outcome {
        Outcome::Decided { decision, replayed } => decided(payment, decision, *replayed),
        Outcome::Declined(refused) => proto::PaymentOutcome {
            payment_id: payment.to_string(),
            result: Some(proto::payment_outcome::Result::Refusal(refusal(*refused))),
            replayed: false,
            origin_ref: String::new(),
        },
    }
}

pub(super) fn decided(id: PaymentId, decision: &Decision, replayed: bool) -> proto::PaymentOutcome {
    use proto::payment_outcome::Result;
    let result = match &decision.verdict {
        Verdict::Completed { debit_after, credit_after } => {
            Result::Payment(payment(id, decision, debit_after, credit_after))
        }
        Verdict::Refused(refused) => Result::Refusal(refusal(*refused)),
    };
    proto::PaymentOutcome {
        payment_id: id.to_string(),
        result: Some(result),
        replayed,
        origin_ref: decision.provenance.origin_ref.to_string(),
    }
}

/// The payment, if money moved.
pub(super) fn completed(id: PaymentId, decision: &Decision) -> Option<proto::Payment> {
    match &decision.verdict {
        Verdict::Completed { debit_after, credit_after } => {
            Some(payment(id, decision, debit_after, credit_after))
        }
        Verdict::Refused(_) => None,
    }
}

fn payment(
    id: PaymentId,
    decision: &Decision,
    debit_after: &Balance,
    credit_after: &Balance,
) -> proto::Payment {
    let Decision { sequence: _, body, provenance, decided_at, verdict: _ } = decision;
    proto::Payment {
        id: id.to_string(),
        state: proto::PaymentState::Completed.into(),
        amount: Some(money(body.minor, body.currency)),
        from_wallet_id: body.debit.to_string(),
        to_wallet_id: body.credit.to_string(),
        reference: body.reference.to_string(),
        idempotency_key: provenance.key.to_string(),
        origin: origin(provenance.origin).into(),
        origin_ref: provenance.origin_ref.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
        create_time: Some(timestamp(*decided_at)),
        from_balance: Some(balance(debit_after, body.currency)),
        to_balance: Some(balance(credit_after, body.currency)),
    }
}

pub(super) fn money(minor: i64, currency: Currency) -> proto::Money {
    proto::Money { amount: format_minor(minor, currency), currency: currency.code().to_owned() }
}

pub(super) fn balance(balance: &Balance, currency: Currency) -> proto::Balance {
    let text = |minor| format_minor(minor, currency);
    proto::Balance {
        posted_debits: text(balance.posted_debits),
        posted_credits: text(balance.posted_credits),
        pending_debits: text(balance.pending_debits),
        pending_credits: text(balance.pending_credits),
        available: format_sum(balance.available(), currency),
        currency: currency.code().to_owned(),
        version: balance.version.unsigned_abs(),
    }
}

pub(super) fn wallet(row: &WalletRow) -> proto::Wallet {
    let Account { currency, kind: _, status: state, floor, balance: held, last: _ } = &row.account;
    proto::Wallet {
        id: row.id.to_string(),
        name: row.name.clone(),
        currency: currency.code().to_owned(),
        status: status(*state).into(),
        owner: row.owner.clone(),
        minimum: format_minor(*floor, *currency),
        balance: Some(balance(held, *currency)),
        create_time: Some(timestamp(row.created_at)),
    }
}

pub(super) fn refusal(refusal: Refusal) -> proto::Refusal {
    proto::Refusal {
        reason: reason(refusal.reason).into(),
        field: refusal.field.path().to_owned(),
        message: message(refusal).to_owned(),
        definitive: refusal.reason.is_definitive(),
    }
}

/// The name of a wallet is its idempotency key.
pub(super) fn wallet_conflict(field: &str) -> proto::Refusal {
    proto::Refusal {
        reason: proto::RefusalReason::IdempotencyConflict.into(),
        field: field.to_owned(),
        message: "A wallet of this name exists with another value of this field.".to_owned(),
        definitive: Reason::IdempotencyConflict.is_definitive(),
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

const fn status(status: Status) -> proto::WalletStatus {
    match status {
        Status::Active => proto::WalletStatus::Active,
        Status::FrozenDebit => proto::WalletStatus::FrozenDebit,
        Status::FrozenCredit => proto::WalletStatus::FrozenCredit,
        Status::Frozen => proto::WalletStatus::Frozen,
        Status::Closed => proto::WalletStatus::Closed,
    }
}

const fn reason(reason: Reason) -> proto::RefusalReason {
    match reason {
        Reason::IdempotencyConflict => proto::RefusalReason::IdempotencyConflict,
        Reason::WalletNotFound => proto::RefusalReason::WalletNotFound,
        Reason::SameWallet => proto::RefusalReason::SameWallet,
        Reason::CurrencyMismatch => proto::RefusalReason::CurrencyMismatch,
        Reason::WalletClosed => proto::RefusalReason::WalletClosed,
        Reason::WalletFrozen => proto::RefusalReason::WalletFrozen,
        Reason::SettlementCapExceeded => proto::RefusalReason::SettlementCapExceeded,
        Reason::InsufficientFunds => proto::RefusalReason::InsufficientFunds,
        Reason::BalanceOverflow => proto::RefusalReason::BalanceOverflow,
    }
}

/// No amounts and no stored values: a conflict must not tell what the key was first used for.
const fn message(refusal: Refusal) -> &'static str {
    match (refusal.reason, refusal.field) {
        (Reason::IdempotencyConflict, _) => {
            "This idempotency key was used before with another value of this field."
        }
        (Reason::WalletNotFound, _) => "There is no such wallet in this tenant.",
        (Reason::SameWallet, _) => "Payer and payee are the same wallet.",
        (Reason::CurrencyMismatch, _) => "The wallet is of another currency than the payment.",
        (Reason::WalletClosed, _) => "The wallet is closed.",
        (Reason::WalletFrozen, Field::To) => "The wallet is frozen for credits.",
        (Reason::WalletFrozen, _) => "The wallet is frozen for debits.",
        (Reason::SettlementCapExceeded, _) => {
            "The settlement account would exceed the cap that the tenant sets."
        }
        (Reason::InsufficientFunds, _) => "The wallet has too little available above its minimum.",
        (Reason::BalanceOverflow, _) => "A total of the wallet would exceed what can be counted.",
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(MICROS_PER_SECOND) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: at.0.div_euclid(MICROS_PER_SECOND), nanos }
}
