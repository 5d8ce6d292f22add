//! Wallets.

use std::collections::HashMap;

use payplane_ledger::{AccountId, AccountRef, Currency, Origin, Sign, TenantId};
use payplane_proto::v1::{
    self as proto, create_wallet_response::Result as Created, wallet_ref::Ref,
    wallet_service_server::WalletService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, Call,
    decode::{self, Scope, Violations},
    encode, page, status,
};
use crate::{
    engine::detached,
    store::{NewWallet, StoreError, WalletRow},
};

const BALANCES_MAX: usize = 1_000;

#[tonic::async_trait]
impl WalletService for Api {
    async fn create_wallet(
        &self,
        request: Request<proto::CreateWalletRequest>,
    ) -> Result<Response<proto::CreateWalletResponse>, Status> {
        let call = Call::of(&request)?;
        let scope = Scope { tenant: call.tenant()?, origin: call.caller.origin };
        let wallet = new_wallet(request.into_inner(), scope)?;
        let store = self.engine.store.clone();
        let wanted = wallet.clone();
        let work = async move {
            let created = store.create_wallet(&wanted).await?;
            Ok((created, store.wallet_named(wanted.tenant, &wanted.name).await?))
        };
        let (created, found) = detached(work).await.map_err(|error| status::of_store(&error))?;
        let found = found.ok_or_else(|| status::of_store(&StoreError::Corrupt("wallet")))?;
        let result = match first_difference(&wallet, &found) {
            None => Created::Wallet(encode::wallet(&found)),
            Some(field) => Created::Refusal(encode::wallet_conflict(field)),
        };
        Ok(Response::new(proto::CreateWalletResponse { result: Some(result), replayed: !created }))
    }

    async fn get_wallet(
        &self,
        request: Request<proto::GetWalletRequest>,
    ) -> Result<Response<proto::GetWalletResponse>, Status> {
        let call = Call::of(&request)?;
        let scope = Scope { tenant: call.tenant()?, origin: call.caller.origin };
        let reference = wanted_wallet(&request.into_inner(), scope)?;
        let ids: Vec<AccountId> = reference.candidates().collect();
        let found = self.wallets(scope.tenant, ids).await?;
        let row = reference.candidates().find_map(|id| found.iter().find(|row| row.id == id));
        let wallet = encode::wallet(row.ok_or_else(|| status::not_found("wallet"))?);
        Ok(Response::new(proto::GetWalletResponse { wallet: Some(wallet) }))
    }

    async fn list_wallets(
        &self,
        request: Request<proto::ListWalletsRequest>,
    ) -> Result<Response<proto::ListWalletsResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let limit = page::size(request.page_size, &mut violations);
        let after = page::token(&request.page_token, decode::parse_uuid, &mut violations);
        let origin = origin_filter(request.origin, &mut violations);
        violations.check()?;
        let after = AccountId::from_uuid(after.unwrap_or(Uuid::nil()));
        let store = self.engine.store.clone();
        let found = detached(async move { store.wallets_after(tenant, after, origin, limit).await }).await;
        let page = found.map_err(|error| status::of_store(&error))?;
        let last = page.wallets.last().filter(|_| page.more);
        let next_page_token = last.map(|row| row.id.to_string()).unwrap_or_default();
        let wallets = page.wallets.iter().map(encode::wallet).collect();
        Ok(Response::new(proto::ListWalletsResponse { wallets, next_page_token }))
    }

    async fn get_balances(
        &self,
        request: Request<proto::GetBalancesRequest>,
    ) -> Result<Response<proto::GetBalancesResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let ids = wanted_ids(&request.into_inner().wallet_ids)?;
        let found = self.wallets(tenant, ids.clone()).await?;
        let by_id: HashMap<AccountId, &WalletRow> = found.iter().map(|row| (row.id, row)).collect();
        let balance = |id: &AccountId| {
            let account = &by_id.get(id).ok_or_else(|| status::not_found("wallet"))?.account;
            Ok(encode::balance(&account.balance, account.currency))
        };
        let balances = ids.iter().map(balance).collect::<Result<_, Status>>()?;
        Ok(Response::new(proto::GetBalancesResponse { balances }))
    }
}

impl Api {
    async fn wallets(&self, tenant: TenantId, ids: Vec<AccountId>) -> Result<Vec<WalletRow>, Status> {
        let store = self.engine.store.clone();
        let found = detached(async move { store.wallets(tenant, &ids).await }).await;
        found.map_err(|error| status::of_store(&error))
    }
}

fn new_wallet(request: proto::CreateWalletRequest, scope: Scope) -> Result<NewWallet, Status> {
    let mut violations = Violations::default();
    decode::wallet_name("name", &request.name, &mut violations);
    decode::text("owner", &request.owner, &mut violations);
    let currency = decode::currency("currency", &request.currency, &mut violations);
    let floor = match &request.minimum {
        None => Some(0),
        Some(_) => minimum(request.minimum.as_ref(), currency, &mut violations),
    };
    let (currency, floor) = violations.finish(currency.zip(floor))?;
    let Scope { tenant, origin } = scope;
    Ok(NewWallet { tenant, origin, name: request.name, currency, owner: request.owner, floor })
}

fn minimum(
    money: Option<&proto::Money>,
    wallet: Option<Currency>,
    violations: &mut Violations,
) -> Option<i64> {
    let (minor, currency) = decode::money("minimum", money, Sign::NotPositive, violations)?;
    if wallet.is_some_and(|wallet| wallet != currency) {
        violations.add("minimum.currency", "differs: expected the currency of the wallet");
    }
    Some(minor)
}

fn wanted_wallet(request: &proto::GetWalletRequest, scope: Scope) -> Result<AccountRef, Status> {
    let mut violations = Violations::default();
    let reference = request.wallet.as_ref();
    let is_settlement = matches!(reference, Some(proto::WalletRef { r#ref: Some(Ref::Settlement(_)) }));
    let currency = match is_settlement {
        true => decode::currency("currency", &request.currency, &mut violations),
        false => None,
    };
    let reference = decode::wallet_ref("wallet", reference, currency, scope, &mut violations);
    violations.finish(reference)
}

fn wanted_ids(texts: &[String]) -> Result<Vec<AccountId>, Status> {
    let mut violations = Violations::default();
    if BALANCES_MAX < texts.len() {
        violations.add("wallet_ids", "has too many entries: expected at most 1000");
    }
    let texts = texts.iter().take(BALANCES_MAX).enumerate();
    let ids = texts.map(|(index, text)| decode::uuid(&format!("wallet_ids[{index}]"), text, &mut violations));
    let ids: Option<Vec<AccountId>> =
        ids.map(|id| id.map(AccountId::from_uuid)).collect::<Vec<_>>().into_iter().collect();
    violations.finish(ids)
}

fn origin_filter(number: i32, violations: &mut Violations) -> Option<Origin> {
    match proto::Origin::try_from(number) {
        Ok(proto::Origin::Unspecified) => None,
        Ok(proto::Origin::Api) => Some(Origin::Api),
        Ok(proto::Origin::Resource) => Some(Origin::Resource),
        Err(_) => {
            violations.add("origin", "is unknown: expected a value of Origin");
            None
        }
    }
}

/// The first field in which the wallet that has the name differs from the wanted one. A name that the other origin
/// took differs in the name: it stands for another id.
fn first_difference(wanted: &NewWallet, found: &WalletRow) -> Option<&'static str> {
    let differs = [
        ("name", wanted.id() != found.id),
        ("currency", wanted.currency != found.account.currency),
        ("owner", wanted.owner != found.owner),
        ("minimum", wanted.floor != found.account.floor),
    ];
    differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
}
