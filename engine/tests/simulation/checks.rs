//! The constraints of engine/migrations/0001_ledger.sql that a batch could meet.

use payplane_engine::store::StoreError;
use payplane_ledger::{
    Account, AccountKind, Kind, Movement, OperationRow, PaymentState, RefundPhase, RefundState, Status,
    Verdict,
};

use super::refusal::refused;

fn check(holds: bool, constraint: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(refused("23514", constraint)) }
}

pub(crate) fn account(account: &Account) -> Result<(), StoreError> {
    let balance = &account.balance;
    let totals =
        [balance.posted_debits, balance.posted_credits, balance.pending_debits, balance.pending_credits];
    check(account.floor <= 0, "accounts_floor_not_positive")?;
    check(account.ceiling.is_none_or(|ceiling| 0 <= ceiling), "accounts_ceiling_not_negative")?;
    check(totals.iter().all(|total| 0 <= *total) && 0 <= balance.version, "accounts_totals_not_negative")?;
    let is_above =
        account.kind == AccountKind::Settlement || i128::from(account.floor) <= balance.available();
    check(is_above, "accounts_wallet_above_floor")?;
    check(account.status != Status::Closed || balance.is_empty(), "accounts_closed_is_empty")
}

pub(crate) fn journal(row: &OperationRow) -> Result<(), StoreError> {
    let body = &row.decision.body;
    let minor_fits = 0 <= body.minor && (0 < body.minor || Kind::Authorize < body.kind);
    check(minor_fits, "journal_minor_not_negative")?;
    match &row.decision.verdict {
        Verdict::Refused(refusal) => check(refusal.reason.is_definitive(), "journal_refusal_definitive"),
        Verdict::Done { movement: Movement::Transfer(transfer), .. } => {
            let (posted, pending) = (transfer.posted, transfer.pending);
            let fits = 0 <= posted
                && (posted != 0 || pending != 0)
                && (pending < 0 || posted == 0 || pending == 0)
                && (0 <= pending || posted <= -pending);
            check(transfer.debit.account != transfer.credit.account, "journal_two_accounts")?;
            check(fits, "journal_movement_shape")
        }
        Verdict::Done { .. } => Ok(()),
    }
}

pub(crate) fn payment(state: &PaymentState) -> Result<(), StoreError> {
    let captured = 0 < state.amount && 0 <= state.captured && state.captured <= state.amount;
    check(captured, "payments_captured_in_bounds")?;
    let refunds =
        0 <= state.refunding && 0 <= state.refunded && state.refunding + state.refunded <= state.captured;
    check(refunds, "payments_refunds_capped")
}

pub(crate) fn refund(state: &RefundState) -> Result<(), StoreError> {
    check(0 < state.amount, "refunds_amount_positive")?;
    let differs = state.approver.is_empty() || state.approver != state.requester;
    check(differs || state.phase == RefundPhase::Rejected, "refunds_approver_differs")
}
