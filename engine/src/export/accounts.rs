//! An account to its line.

use payplane_ledger::Currency;

use super::{
    ExportError,
    line::{Account, Minor, Totals, Wallet},
};
use crate::store::{ExportedAccount, ExportedWallet, StoreError};

pub(super) fn to_line(account: &ExportedAccount) -> Result<Account, ExportError> {
    let currency = Currency::parse(&account.currency).map_err(|_| StoreError::Corrupt("currency"))?;
    Ok(Account {
        id: account.id,
        kind: account.kind,
        status: account.status,
        currency,
        decimals: currency.exponent(),
        class: account.class.clone(),
        floor: Minor(account.floor),
        ceiling: account.ceiling.map(Minor),
        balance: Totals::from(&account.balance),
        last: account.last.0,
        wallet: account.wallet.as_ref().map(wallet).transpose()?,
    })
}

fn wallet(wallet: &ExportedWallet) -> Result<Wallet, ExportError> {
    Ok(Wallet {
        origin: wallet.origin,
        name: wallet.name.clone(),
        owner: wallet.owner.clone(),
        metadata: serde_json::from_str(&wallet.metadata)?,
        created_at_us: wallet.created_at.0,
        first_floor: Minor(wallet.first_floor),
        first_ceiling: wallet.first_ceiling.map(Minor),
    })
}
