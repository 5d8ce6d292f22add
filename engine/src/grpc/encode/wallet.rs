//! Wallets, and what is held to leave them.

use payplane_ledger::{
    Account, AccountKind, After, Currency, Decision, OperationId, PaymentState, Status, Verdict,
};
use payplane_proto::v1 as proto;

use super::{amount, balance, state, timestamp};
use crate::store::WalletRow;

pub(in crate::grpc) fn wallet(row: &WalletRow) -> proto::Wallet {
    let Account { currency, kind, status: current, class, floor, ceiling, balance: held, last: _ } =
        &row.account;
    proto::Wallet {
        id: row.id.to_string(),
        name: row.name.clone(),
        currency: currency.code().to_owned(),
        status: status(*current).into(),
        owner: row.owner.clone(),
        minimum: amount(*floor, *currency),
        balance: Some(balance(held, *currency)),
        create_time: row.created_at.map(timestamp),
        maximum: maximum(*ceiling, *currency),
        wallet_class: class.to_string(),
        metadata: row.metadata.clone().into_iter().collect(),
        kind: account_kind(*kind).into(),
    }
}

/// The wallet with the terms and the balance that a change left.
pub(in crate::grpc) fn changed_wallet(row: &WalletRow, decision: &Decision) -> proto::Wallet {
    let mut row = row.clone();
    if let Verdict::Done { movement, after } = &decision.verdict {
        if let Some(After::Wallet(terms)) = after.as_deref() {
            row.account.status = terms.status;
            row.account.floor = terms.floor;
            row.account.ceiling = terms.ceiling;
        }
        if let Some(posting) = movement.postings().next() {
            row.account.balance = posting.after;
        }
    }
    wallet(&row)
}

pub(in crate::grpc) fn hold(id: OperationId, held: &PaymentState) -> proto::Hold {
    proto::Hold {
        payment_id: id.to_string(),
        state: state(held.phase).into(),
        to_wallet_id: held.credit.to_string(),
        held: amount(held.held(), held.currency),
        captured: amount(held.captured, held.currency),
        deadline: held.deadline.map(timestamp),
        capture_time: held.capture_at.map(timestamp),
        gateway_reference: held.gateway.to_string(),
    }
}

/// Empty for none.
pub(super) fn maximum(ceiling: Option<i64>, currency: Currency) -> String {
    ceiling.map(|ceiling| amount(ceiling, currency)).unwrap_or_default()
}

pub(super) const fn status(status: Status) -> proto::WalletStatus {
    match status {
        Status::Active => proto::WalletStatus::Active,
        Status::FrozenDebit => proto::WalletStatus::FrozenDebit,
        Status::FrozenCredit => proto::WalletStatus::FrozenCredit,
        Status::Frozen => proto::WalletStatus::Frozen,
        Status::Closed => proto::WalletStatus::Closed,
    }
}

const fn account_kind(kind: AccountKind) -> proto::WalletKind {
    match kind {
        AccountKind::Wallet => proto::WalletKind::Wallet,
        AccountKind::Settlement => proto::WalletKind::Settlement,
        AccountKind::Clearing => proto::WalletKind::Clearing,
        AccountKind::Fee => proto::WalletKind::Fee,
        AccountKind::Suspense => proto::WalletKind::Suspense,
    }
}
