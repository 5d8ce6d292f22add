//! Wallets to the wire and back.

use std::collections::BTreeMap;

use payplane_crds::{
    WalletSpec,
    wallet::{MetadataValue, WalletState},
};
use payplane_proto::v1 as proto;
use rust_decimal::Decimal;

use super::{EngineError, Refusal, Wallet, WalletRef, refusal, wallet_ref};
use crate::engine::{Terms, TermsChange};

pub(in crate::engine) fn wallet_request(
    namespace: &str,
    name: &str,
    spec: &WalletSpec,
) -> proto::CreateWalletRequest {
    let WalletSpec { currency, owner, minimum, maximum, class, metadata, freeze: _, deletion_policy: _ } =
        spec;
    let money = |amount: &str| proto::Money { amount: amount.into(), currency: currency.0.clone() };
    proto::CreateWalletRequest {
        name: wallet_name(namespace, name),
        currency: currency.0.clone(),
        owner: owner.clone().unwrap_or_default(),
        minimum: Some(money(&minimum.0)),
        maximum: maximum.as_ref().map(|maximum| money(&maximum.0)),
        wallet_class: class.clone().unwrap_or_default(),
        metadata: metadata
            .iter()
            .flatten()
            .map(|(key, MetadataValue(value))| (key.clone(), value.clone()))
            .collect(),
    }
}

pub(in crate::engine) fn wallet_named(namespace: &str, name: &str) -> proto::WalletRef {
    wallet_ref(&WalletRef::Name(wallet_name(namespace, name)))
}

/// Name in the ledger of a Wallet object.
fn wallet_name(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

pub(in crate::engine) fn change_request(
    wallet: &Wallet,
    key: &str,
    change: &TermsChange,
) -> proto::UpdateWalletRequest {
    use proto::update_wallet_request::MaximumChange;
    let money =
        |amount: &String| proto::Money { amount: amount.clone(), currency: wallet.terms.currency.clone() };
    proto::UpdateWalletRequest {
        idempotency_key: key.into(),
        wallet: Some(wallet_ref(&WalletRef::Id(wallet.id.clone()))),
        status: change.state.map_or(proto::WalletStatus::Unspecified, wire_state).into(),
        minimum: change.minimum.as_ref().map(money),
        maximum_change: change.maximum.as_ref().map(|maximum| match maximum {
            Some(maximum) => MaximumChange::Maximum(money(maximum)),
            None => MaximumChange::NoMaximum(true),
        }),
        ..Default::default()
    }
}

pub(in crate::engine) fn label_request(
    wallet: &Wallet,
    metadata: BTreeMap<String, String>,
) -> proto::PutWalletMetadataRequest {
    proto::PutWalletMetadataRequest {
        wallet: Some(wallet_ref(&WalletRef::Id(wallet.id.clone()))),
        metadata: metadata.into_iter().collect(),
    }
}

pub(in crate::engine) fn created_wallet(
    answer: proto::CreateWalletResponse,
) -> Result<Result<Wallet, Refusal>, EngineError> {
    use proto::create_wallet_response::Result as Answer;
    match answer.result.ok_or(EngineError::Answer("neither wallet nor refusal"))? {
        Answer::Wallet(made) => wallet(made).map(Ok),
        Answer::Refusal(refused) => Ok(Err(refusal(refused))),
    }
}

pub(in crate::engine) fn changed_wallet(
    answer: proto::UpdateWalletResponse,
) -> Result<Result<Wallet, Refusal>, EngineError> {
    use proto::update_wallet_response::Result as Answer;
    match answer.result.ok_or(EngineError::Answer("neither wallet nor refusal"))? {
        Answer::Wallet(changed) => wallet(changed).map(Ok),
        Answer::Refusal(refused) => Ok(Err(refusal(refused))),
    }
}

pub(in crate::engine) fn wallet(made: proto::Wallet) -> Result<Wallet, EngineError> {
    let state = state(made.status())?;
    let balance = made.balance.ok_or(EngineError::Answer("a wallet without balance"))?;
    let posted = decimal(&balance.posted_credits)?
        .checked_sub(decimal(&balance.posted_debits)?)
        .ok_or(EngineError::Answer("a balance out of range"))?;
    let held = [decimal(&balance.pending_debits)?, decimal(&balance.pending_credits)?];
    let version =
        i64::try_from(balance.version).map_err(|_| EngineError::Answer("a version out of range"))?;
    let terms = Terms {
        currency: made.currency,
        owner: made.owner,
        class: made.wallet_class,
        minimum: made.minimum,
        maximum: Some(made.maximum).filter(|maximum| !maximum.is_empty()),
        state,
        metadata: made.metadata.into_iter().collect(),
        is_empty: posted.is_zero() && held.iter().all(Decimal::is_zero),
    };
    Ok(Wallet {
        id: made.id,
        name: made.name,
        posted: posted.to_string(),
        pending: balance.pending_debits,
        available: balance.available,
        version,
        terms,
    })
}

fn state(status: proto::WalletStatus) -> Result<WalletState, EngineError> {
    Ok(match status {
        proto::WalletStatus::Active => WalletState::Active,
        proto::WalletStatus::FrozenDebit => WalletState::FrozenDebit,
        proto::WalletStatus::FrozenCredit => WalletState::FrozenCredit,
        proto::WalletStatus::Frozen => WalletState::Frozen,
        proto::WalletStatus::Closed => WalletState::Closed,
        proto::WalletStatus::Unspecified => return Err(EngineError::Answer("a wallet without status")),
    })
}

fn wire_state(state: WalletState) -> proto::WalletStatus {
    match state {
        WalletState::Active => proto::WalletStatus::Active,
        WalletState::FrozenDebit => proto::WalletStatus::FrozenDebit,
        WalletState::FrozenCredit => proto::WalletStatus::FrozenCredit,
        WalletState::Frozen => proto::WalletStatus::Frozen,
        WalletState::Closed => proto::WalletStatus::Closed,
    }
}

fn decimal(text: &str) -> Result<Decimal, EngineError> {
    Decimal::from_str_exact(text).map_err(|_| EngineError::Answer("an amount that is no decimal"))
}
