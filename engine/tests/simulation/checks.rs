//! The constraints of engine/migrations/0001_ledger.sql that a batch could meet.

use payplane_engine::store::StoreError;
use payplane_ledger::{
    Account, AccountKind, Movement, OperationRow, PaymentState, RefundPhase, RefundState, Verdict,
};

use super::refusal::violated;

fn check(holds: bool, constraint: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(violated("23514", constraint)) }
}

pub(crate) fn account(account: &Account) -> Result<(), StoreError> {
    let balance = &account.balance;
    let totals =
        [balance.posted_debits, balance.posted_credits, balance.pending_debits, balance.pending_credits];
    check(account.floor <= 0, "account_floor_check")?;
    check(account.ceiling.is_none_or(|ceiling| 0 <= ceiling), "account_ceiling_check")?;
    check(totals.iter().all(|total| 0 <= *total) && 0 <= balance.version, "account_total_check")?;
    let is_above =
        account.kind == AccountKind::Settlement || i128::from(account.floor) <= balance.available();
    check(is_above, "accounts_wallet_above_floor")
}

pub(crate) fn journal(row: &OperationRow) -> Result<(), StoreError> {
    match &row.decision.verdict {
        Verdict::Done { movement: Movement::Transfer(transfer), .. } => {
            check(transfer.debit.account != transfer.credit.account, "journal_two_sides")
        }
        Verdict::Done { .. } | Verdict::Refused(_) => Ok(()),
    }
}

/// What commit_batch itself says about a row.
pub(crate) fn has_meaning(row: &OperationRow) -> bool {
    let body = &row.decision.body;
    let minor_fits = if body.kind.makes_payment() { 0 < body.minor } else { 0 <= body.minor };
    minor_fits
        && match &row.decision.verdict {
            Verdict::Refused(refusal) => refusal.reason.is_definitive(),
            Verdict::Done { movement: Movement::Transfer(transfer), .. } => {
                let (posted, pending) = (transfer.posted, transfer.pending);
                let is_change = if pending < 0 { posted <= -pending } else { posted == 0 || pending == 0 };
                0 <= posted && (posted != 0 || pending != 0) && is_change
            }
            Verdict::Done { .. } => true,
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
