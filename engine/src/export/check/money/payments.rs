//! Payments that are held or were refunded: each operation on one goes on from how the one before it left it.

use std::collections::HashMap;

use payplane_ledger::{After, Kind, Movement, OperationRow, PaymentState, Verdict};
use uuid::Uuid;

use crate::export::check::report::Problems;

/// Those that may still change.
#[derive(Default)]
pub(super) struct Payments {
    open: HashMap<Uuid, PaymentState>,
}

impl Payments {
    pub(super) fn operation(&mut self, line: u64, row: &OperationRow, problems: &mut Problems) {
        let Verdict::Done { movement, after } = &row.decision.verdict else { return };
        let (id, now) = match after.as_deref() {
            Some(After::Payment(now)) if row.decision.body.kind.makes_payment() => (row.operation, now),
            Some(After::Payment(now)) => match row.decision.body.target {
                Some(id) => (id, now),
                None => return problems.add(line, "holds", "does not say on which payment it is"),
            },
            Some(After::Refund(refund, now)) => (refund.payment, now),
            Some(After::Wallet(_)) | None => return,
        };
        let moved = match movement {
            Movement::Transfer(transfer) => (transfer.posted, transfer.pending),
            Movement::None | Movement::Wallet(_) => (0, 0),
        };
        let before = self.open.get(&id.uuid());
        if !follows(row.decision.body.kind, before, now, moved) {
            problems.add(line, "holds", "the payment does not go on from how it was left");
        }
        if !is_within_bounds(now) {
            problems.add(line, "refunds", "more is taken or given back than there was");
        }
        if now.is_final() {
            self.open.remove(&id.uuid());
        } else {
            self.open.insert(id.uuid(), now.clone());
        }
    }

    /// What is held of each account to leave and to come.
    pub(super) fn held(&self) -> HashMap<Uuid, (i128, i128)> {
        let mut held = HashMap::<Uuid, (i128, i128)>::new();
        for payment in self.open.values().filter(|payment| payment.phase.is_open()) {
            let amount = i128::from(payment.held());
            held.entry(payment.debit.uuid()).or_default().0 += amount;
            held.entry(payment.credit.uuid()).or_default().1 += amount;
        }
        held
    }
}

/// Whether an operation that moved so much, and held so much more, leads from one state to the other.
fn follows(kind: Kind, before: Option<&PaymentState>, now: &PaymentState, moved: (i64, i64)) -> bool {
    let (version, held) = before.map_or((0, 0), |before| (before.version, before.held()));
    // Before its first refund a payment that was made at once has no state.
    let (captured, refunded) = match before {
        Some(before) => (before.captured, before.refunded),
        None if kind == Kind::Authorize => (0, 0),
        None => (now.captured, 0),
    };
    let takes = matches!(kind, Kind::Capture | Kind::CaptureDue | Kind::Settle);
    let gives_back = matches!(kind, Kind::Refund | Kind::ApproveRefund | Kind::Reverse);
    let (posted, pending) = (i128::from(moved.0), i128::from(moved.1));
    let grown = |before: i64, after: i64| i128::from(after) - i128::from(before);
    now.version.checked_sub(1) == Some(version)
        && grown(held, now.held()) == pending
        && grown(captured, now.captured) == if takes { posted } else { 0 }
        && grown(refunded, now.refunded) == if gives_back { posted } else { 0 }
}

fn is_within_bounds(payment: &PaymentState) -> bool {
    let given_back = i128::from(payment.refunding) + i128::from(payment.refunded);
    0 <= payment.refunding
        && 0 <= payment.refunded
        && given_back <= payment.captured.into()
        && payment.captured <= payment.amount
}
