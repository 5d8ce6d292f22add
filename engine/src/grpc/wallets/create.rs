//! Creating wallets, and labelling them. A wallet's name is its idempotency key.

use payplane_ledger::{Currency, Sign};
use payplane_proto::v1::{self as proto, create_wallet_response::Result as Created};
use tonic::Status;

use super::{Api, Asker, LABELS_MAX, labels};
use crate::{
    engine::detached,
    grpc::{
        decode::{self, Path, Violations},
        encode, status,
    },
    store::{NewWallet, StoreError, WalletRow},
};

impl Api {
    pub(super) async fn created_wallet(
        &self,
        asker: &Asker,
        request: proto::CreateWalletRequest,
    ) -> Result<proto::CreateWalletResponse, Status> {
        let wallet = new_wallet(asker, request)?;
        let (store, wanted) = (self.engine.store.clone(), wallet.clone());
        let work = async move {
            let created = store.create_wallet(&wanted).await?;
            Ok((created, store.wallet_named(wanted.tenant, &wanted.name).await?))
        };
        let (created, found) = detached(work).await.map_err(|error| status::of_store(&error))?;
        let found = found.ok_or_else(|| status::of_store(&StoreError::Corrupt("wallet")))?;
        let result = match first_difference(&wallet, &found) {
            None => Created::Wallet(encode::wallet(&found)),
            Some(field) => Created::Refusal(encode::conflict(field)),
        };
        Ok(proto::CreateWalletResponse { result: Some(result), replayed: !created })
    }

    pub(super) async fn relabelled_wallet(
        &self,
        asker: &Asker,
        request: proto::PutWalletMetadataRequest,
    ) -> Result<proto::Wallet, Status> {
        let mut violations = Violations::default();
        let metadata = labels(request.metadata, LABELS_MAX, &mut violations);
        super::refuse_own_account(request.wallet.as_ref(), &mut violations);
        let mut row = self.wallet(asker, request.wallet.as_ref(), "", violations).await?;
        let (store, tenant, id, wanted) = (self.engine.store.clone(), asker.tenant, row.id, metadata.clone());
        let done = detached(async move { store.put_wallet_metadata(tenant, id, &wanted).await }).await;
        // The tenant's own accounts have no labels, by whatever id they are named.
        if !done.map_err(|error| status::of_store(&error))? {
            return Err(status::not_found("wallet"));
        }
        row.metadata = metadata;
        Ok(encode::wallet(&row))
    }
}

fn new_wallet(asker: &Asker, request: proto::CreateWalletRequest) -> Result<NewWallet, Status> {
    let proto::CreateWalletRequest { name, currency, owner, minimum, maximum, wallet_class, metadata } =
        request;
    let mut violations = Violations::default();
    let root = Path::Root;
    decode::wallet_name(root.at("name"), &name, &mut violations);
    decode::text(root.at("owner"), &owner, &mut violations);
    decode::wallet_class(root.at("wallet_class"), &wallet_class, &mut violations);
    let metadata = labels(metadata, LABELS_MAX, &mut violations);
    let currency = decode::currency(root.at("currency"), &currency, &mut violations);
    let floor = terms("minimum", minimum, (Sign::NotPositive, currency), &mut violations);
    let ceiling = terms("maximum", maximum, (Sign::NotNegative, currency), &mut violations);
    let (tenant, origin) = (asker.tenant, asker.origin);
    let currency = violations.finish(currency)?;
    let (floor, class) = (floor.unwrap_or_default(), wallet_class);
    Ok(NewWallet { tenant, origin, name, currency, owner, floor, ceiling, class, metadata })
}

/// A bound of the balance, if it is given.
fn terms(
    field: &'static str,
    money: Option<proto::Money>,
    wanted: (Sign, Option<Currency>),
    violations: &mut Violations,
) -> Option<i64> {
    let money = money?;
    decode::money_in(Path::Root.at(field), Some(&money), wanted, violations)
}

/// The first field in which the wallet that has the name differs from the wanted one, as it was created. A name that the
/// other origin took differs in the name: it stands for another id.
fn first_difference(wanted: &NewWallet, found: &WalletRow) -> Option<&'static str> {
    let (floor, ceiling) = found.first_terms;
    let differs = [
        ("name", wanted.id() != found.id),
        ("currency", wanted.currency != found.account.currency),
        ("owner", wanted.owner != found.owner),
        ("minimum", wanted.floor != floor),
        ("maximum", wanted.ceiling != ceiling),
        ("wallet_class", *wanted.class != *found.account.class),
    ];
    differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
}
