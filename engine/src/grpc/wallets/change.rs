//! Changing the terms of a wallet: an operation of the journal, with a key of its own.

use payplane_ledger::{
    AccountKind, Currency, Field, Outcome, Reason, Refusal, Request, Sign, Status as State, Verdict,
};
use payplane_proto::v1::{
    self as proto, update_wallet_request::MaximumChange, update_wallet_response::Result as Updated,
};
use tonic::Status;

use super::{Api, Asker};
use crate::{
    auth::Role,
    grpc::{
        ask::{self, Tag},
        decode::{self, Path, Violations},
        encode, status,
    },
    store::WalletRow,
};

/// What the ledger takes for "no maximum any more".
const NO_CEILING: i64 = i64::MAX;

impl Api {
    pub(super) async fn changed_wallet(
        &self,
        asker: &Asker,
        request: proto::UpdateWalletRequest,
    ) -> Result<proto::UpdateWalletResponse, Status> {
        let asked = asked(asker, request)?;
        let reference = asked.from.ok_or_else(status::no_outcome)?;
        // Read before the change: what describes a wallet does not change with its terms.
        let row = self.find(asker.tenant, reference).await?;
        let Some(row) = row.filter(|row| row.account.kind == AccountKind::Wallet) else {
            // The terms of the tenant's own accounts are the platform's: for callers they are no wallets.
            let refused = Refusal::new(Reason::WalletNotFound, Field::Wallet);
            return Ok(answer(&Tag::of(&asked), &Outcome::Declined(refused), None));
        };
        let tag = Tag::of(&asked);
        let outcomes = self.engine.decide(vec![asked]).await.map_err(status::of_commit)?;
        let outcome = outcomes.first().ok_or_else(status::no_outcome)?;
        Ok(answer(&tag, outcome, Some(&row)))
    }
}

fn asked(asker: &Asker, request: proto::UpdateWalletRequest) -> Result<Request, Status> {
    let mut violations = Violations::default();
    let texts = (request.idempotency_key, request.reference, request.origin_ref);
    let mut draft = asker.wallet_change(texts, &mut violations);
    let root = Path::Root;
    super::refuse_own_account(request.wallet.as_ref(), &mut violations);
    draft.from = ask::wallet_ref(root.at("wallet"), request.wallet.as_ref(), (asker, None), &mut violations);
    draft.terms.status = wanted_status(request.status, &mut violations);
    let mut bound = |field, money: Option<&proto::Money>, sign| {
        let (minor, of) = decode::money(root.at(field), Some(money?), sign, &mut violations)?;
        same_currency(&mut draft.currency, of, root.at(field), &mut violations);
        Some(minor)
    };
    let floor = bound("minimum", request.minimum.as_ref(), Sign::NotPositive);
    let ceiling = match &request.maximum_change {
        None => None,
        Some(MaximumChange::Maximum(money)) => bound("maximum", Some(money), Sign::NotNegative),
        Some(MaximumChange::NoMaximum(true)) => Some(NO_CEILING),
        Some(MaximumChange::NoMaximum(false)) => {
            violations.add(root.at("no_maximum"), "is false: expected true, or that it is left out");
            None
        }
    };
    draft.terms.floor = floor;
    draft.terms.ceiling = ceiling;
    let changes = (draft.terms.status, request.minimum.is_some() || request.maximum_change.is_some());
    match changes {
        (None, false) => violations.add(root, "changes nothing: expected a status, a minimum or a maximum"),
        // Everybody who can pay can stop payments; starting them again is for somebody who can tell why they stopped.
        (Some(State::Frozen), false) => {}
        _ => asker.need(Role::Admin, &mut violations),
    }
    violations.check()?;
    Ok(draft)
}

fn same_currency(known: &mut Option<Currency>, of: Currency, field: Path<'_>, violations: &mut Violations) {
    if *known.get_or_insert(of) != of {
        violations.add(field.at("currency"), "differs: expected the same currency throughout");
    }
}

fn wanted_status(number: i32, violations: &mut Violations) -> Option<State> {
    match proto::WalletStatus::try_from(number) {
        Ok(proto::WalletStatus::Unspecified) => None,
        Ok(proto::WalletStatus::Active) => Some(State::Active),
        Ok(proto::WalletStatus::FrozenDebit) => Some(State::FrozenDebit),
        Ok(proto::WalletStatus::FrozenCredit) => Some(State::FrozenCredit),
        Ok(proto::WalletStatus::Frozen) => Some(State::Frozen),
        Ok(proto::WalletStatus::Closed) => Some(State::Closed),
        Err(_) => {
            violations.add(Path::Root.at("status"), "is unknown: expected a value of WalletStatus");
            None
        }
    }
}

fn answer(tag: &Tag, outcome: &Outcome, row: Option<&WalletRow>) -> proto::UpdateWalletResponse {
    match outcome {
        Outcome::Declined(refused) => proto::UpdateWalletResponse {
            result: Some(Updated::Refusal(encode::refusal(*refused, tag.kind))),
            ..Default::default()
        },
        Outcome::Decided { decision, replayed } => {
            let result = match &decision.verdict {
                Verdict::Refused(refused) => Some(Updated::Refusal(encode::refusal(*refused, tag.kind))),
                Verdict::Done { .. } => row.map(|row| Updated::Wallet(encode::changed_wallet(row, decision))),
            };
            let origin_ref = decision.provenance.origin_ref.to_string();
            proto::UpdateWalletResponse { result, replayed: *replayed, origin_ref }
        }
    }
}
