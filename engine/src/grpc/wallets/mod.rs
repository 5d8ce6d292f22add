//! Wallets.

mod change;
mod create;
mod past;

use std::collections::HashMap;

use payplane_ledger::{AccountId, AccountRef, TenantId};
use payplane_proto::v1::{self as proto, wallet_service_server::WalletService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, Call,
    ask::{self, Asker},
    decode::{self, Path, Violations},
    encode, page, status,
};
use crate::{
    engine::detached,
    store::{Labels, WalletFilter, WalletRow},
};

const BALANCES_MAX: usize = 1_000;
const LABELS_MAX: usize = 32;

#[tonic::async_trait]
impl WalletService for Api {
    async fn create_wallet(
        &self,
        request: Request<proto::CreateWalletRequest>,
    ) -> Result<Response<proto::CreateWalletResponse>, Status> {
        let asker = self.asker(&request).await?;
        self.created_wallet(&asker, request.into_inner()).await.map(Response::new)
    }

    async fn update_wallet(
        &self,
        request: Request<proto::UpdateWalletRequest>,
    ) -> Result<Response<proto::UpdateWalletResponse>, Status> {
        let asker = self.asker(&request).await?;
        self.changed_wallet(&asker, request.into_inner()).await.map(Response::new)
    }

    async fn put_wallet_metadata(
        &self,
        request: Request<proto::PutWalletMetadataRequest>,
    ) -> Result<Response<proto::PutWalletMetadataResponse>, Status> {
        let asker = self.asker(&request).await?;
        let wallet = Some(self.relabelled_wallet(&asker, request.into_inner()).await?);
        Ok(Response::new(proto::PutWalletMetadataResponse { wallet }))
    }

    async fn get_wallet(
        &self,
        request: Request<proto::GetWalletRequest>,
    ) -> Result<Response<proto::GetWalletResponse>, Status> {
        let asker = self.asker(&request).await?;
        let proto::GetWalletRequest { wallet, currency } = request.into_inner();
        let row = self.wallet(&asker, wallet.as_ref(), &currency, Violations::default()).await?;
        Ok(Response::new(proto::GetWalletResponse { wallet: Some(encode::wallet(&row)) }))
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
        let filter = wallet_filter(request, &mut violations);
        violations.check()?;
        let after = AccountId::from_uuid(after.unwrap_or(Uuid::nil()));
        let store = self.engine.store.clone();
        let found = detached(async move { store.wallets_after(tenant, after, &filter, limit).await }).await;
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

    async fn get_balance_at(
        &self,
        request: Request<proto::GetBalanceAtRequest>,
    ) -> Result<Response<proto::GetBalanceAtResponse>, Status> {
        let asker = self.asker(&request).await?;
        self.past_balance(&asker, request.into_inner()).await.map(Response::new)
    }

    async fn get_statement(
        &self,
        request: Request<proto::GetStatementRequest>,
    ) -> Result<Response<proto::GetStatementResponse>, Status> {
        let asker = self.asker(&request).await?;
        self.statement(&asker, request.into_inner()).await.map(Response::new)
    }

    async fn get_wallet_with_holds(
        &self,
        request: Request<proto::GetWalletWithHoldsRequest>,
    ) -> Result<Response<proto::GetWalletWithHoldsResponse>, Status> {
        let asker = self.asker(&request).await?;
        let proto::GetWalletWithHoldsRequest { wallet, currency, holds_max } = request.into_inner();
        let mut violations = Violations::default();
        let limit = page::size_of("holds_max", holds_max, &mut violations);
        let reference = wanted_wallet(&asker, wallet.as_ref(), &currency, violations)?;
        let candidates: Vec<AccountId> = reference.candidates().collect();
        let (store, tenant) = (self.engine.store.clone(), asker.tenant);
        let found = detached(async move { store.wallet_with_holds(tenant, &candidates, limit).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let found = found.ok_or_else(|| status::not_found("wallet"))?;
        let holds = found.holds.iter().map(|(id, held)| encode::hold(*id, held)).collect();
        let wallet = Some(encode::wallet(&found.wallet));
        Ok(Response::new(proto::GetWalletWithHoldsResponse { wallet, holds, more: found.more }))
    }
}

impl Api {
    async fn wallets(&self, tenant: TenantId, ids: Vec<AccountId>) -> Result<Vec<WalletRow>, Status> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.engine.store.clone();
        let found = detached(async move { store.wallets(tenant, &ids).await }).await;
        found.map_err(|error| status::of_store(&error))
    }

    /// The account that a reference means, or nothing.
    pub(super) async fn find(
        &self,
        tenant: TenantId,
        reference: AccountRef,
    ) -> Result<Option<WalletRow>, Status> {
        let found = self.wallets(tenant, reference.candidates().collect()).await?;
        Ok(reference.candidates().find_map(|id| found.iter().find(|row| row.id == id).cloned()))
    }

    /// The account that a request names, or why not.
    pub(super) async fn wallet(
        &self,
        asker: &Asker,
        reference: Option<&proto::WalletRef>,
        currency: &str,
        violations: Violations,
    ) -> Result<WalletRow, Status> {
        let reference = wanted_wallet(asker, reference, currency, violations)?;
        let found = self.find(asker.tenant, reference).await?;
        found.ok_or_else(|| status::not_found("wallet"))
    }
}

/// The currency is looked at only where the reference needs it.
fn wanted_wallet(
    asker: &Asker,
    reference: Option<&proto::WalletRef>,
    currency: &str,
    mut violations: Violations,
) -> Result<AccountRef, Status> {
    let currency = match ask::is_own_account(reference) {
        true => decode::currency(Path::Root.at("currency"), currency, &mut violations),
        false => None,
    };
    let field = Path::Root.at("wallet");
    let reference = ask::wallet_ref(field, reference, (asker, currency), &mut violations);
    violations.finish(reference)
}

fn wanted_ids(texts: &[String]) -> Result<Vec<AccountId>, Status> {
    let mut violations = Violations::default();
    if BALANCES_MAX < texts.len() {
        violations.add(Path::Root.at("wallet_ids"), "has too many entries: expected at most 1000");
    }
    let texts = texts.iter().take(BALANCES_MAX).enumerate();
    let root = Path::Root;
    let ids = texts.map(|(index, text)| decode::uuid(root.entry("wallet_ids", index), text, &mut violations));
    let ids: Option<Vec<AccountId>> =
        ids.map(|id| id.map(AccountId::from_uuid)).collect::<Vec<_>>().into_iter().collect();
    violations.finish(ids)
}

fn wallet_filter(request: proto::ListWalletsRequest, violations: &mut Violations) -> WalletFilter {
    let origin = decode::origin(Path::Root.at("origin"), request.origin, violations);
    decode::text(Path::Root.at("owner"), &request.owner, violations);
    decode::wallet_class(Path::Root.at("wallet_class"), &request.wallet_class, violations);
    let metadata = labels(request.metadata, decode::LABEL_FILTERS_MAX, violations);
    WalletFilter { origin, owner: request.owner, class: request.wallet_class, metadata }
}

fn labels(given: HashMap<String, String>, entries_max: usize, violations: &mut Violations) -> Labels {
    decode::labels(Path::Root.at("metadata"), given, (entries_max, decode::LABEL_VALUE_CHARS_MAX), violations)
}

/// The terms and labels of the tenant's own accounts are nobody's to change.
fn refuse_own_account(reference: Option<&proto::WalletRef>, violations: &mut Violations) {
    if ask::is_own_account(reference) {
        violations
            .add(Path::Root.at("wallet"), "is one of the tenant's own accounts: expected a name or an id");
    }
}
