//! What a wallet held, and what happened to it.

use payplane_ledger::Sequence;
use payplane_proto::v1::{self as proto, get_balance_at_request::At};
use tonic::Status;

use super::{Api, Asker};
use crate::{
    engine::detached,
    grpc::{
        decode::{self, Path, Violations},
        encode, page, status,
    },
    store::AsOf,
};

impl Api {
    pub(super) async fn past_balance(
        &self,
        asker: &Asker,
        request: proto::GetBalanceAtRequest,
    ) -> Result<proto::GetBalanceAtResponse, Status> {
        let mut violations = Violations::default();
        let at = moment(request.at, &mut violations);
        let wallet = self.wallet(asker, request.wallet.as_ref(), &request.currency, violations).await?;
        let at = at.ok_or_else(status::no_outcome)?;
        let (store, tenant, id) = (self.engine.store.clone(), asker.tenant, wallet.id);
        let found = detached(async move { store.balance_at(tenant, id, at).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        Ok(proto::GetBalanceAtResponse {
            balance: Some(encode::balance(&found.balance, wallet.account.currency)),
            sequence: found.last.map_or(0, |(sequence, _)| sequence.0),
            time: found.last.map(|(_, time)| encode::timestamp(time)),
            watermark: Some(encode::head(&found.head)),
        })
    }

    pub(super) async fn statement(
        &self,
        asker: &Asker,
        request: proto::GetStatementRequest,
    ) -> Result<proto::GetStatementResponse, Status> {
        let mut violations = Violations::default();
        let limit = page::size(request.page_size, &mut violations);
        let start = page::token(&request.page_token, page::place, &mut violations);
        let times = page::times(request.start_time.as_ref(), request.end_time.as_ref(), &mut violations);
        let wallet = self.wallet(asker, request.wallet.as_ref(), &request.currency, violations).await?;
        let (store, tenant, id) = (self.engine.store.clone(), asker.tenant, wallet.id);
        let found = detached(async move { store.statement(tenant, id, times, (start, limit)).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let lines = found.operations.iter();
        let lines =
            lines.filter_map(|(operation, decision)| encode::statement_line(*operation, decision, id));
        Ok(proto::GetStatementResponse { lines: lines.collect(), next_page_token: page::next(found.next) })
    }
}

fn moment(at: Option<At>, violations: &mut Violations) -> Option<AsOf> {
    match at {
        Some(At::Time(time)) => decode::time(Path::Root.at("time"), &time, violations).map(AsOf::Time),
        Some(At::Sequence(number)) if 0 <= number => Some(AsOf::Sequence(Sequence(number))),
        Some(At::Sequence(_)) => {
            violations.add(Path::Root.at("sequence"), "is out of range: expected 0 or more");
            None
        }
        None => {
            violations.add(Path::Root.at("at"), "is missing: expected a time or a sequence");
            None
        }
    }
}
