//! How holds do as a whole, for the operator's TimeoutPolicies.

use payplane_ledger::TenantId;
use payplane_proto::v1::{self as proto, settings_scope::Scope as Wanted};
use tonic::Status;

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    encode, status,
};
use crate::{engine::detached, store::HoldSummary};

impl Api {
    pub(super) async fn holds(
        &self,
        call: &Call,
        request: proto::GetHoldSummaryRequest,
    ) -> Result<proto::GetHoldSummaryResponse, Status> {
        let (tenant, class) = whose(call, request.scope.and_then(|scope| scope.scope))?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.hold_summary(tenant, class.as_deref()).await }).await;
        Ok(summary(&found.map_err(|error| status::of_store(&error))?))
    }
}

/// The tenant, if not the whole platform is meant, and the class, if not all of its wallets are.
fn whose(call: &Call, scope: Option<Wanted>) -> Result<(Option<TenantId>, Option<String>), Status> {
    let mut violations = Violations::default();
    let field = Path::Root;
    let field = field.at("scope");
    match scope {
        Some(Wanted::Platform(_)) => return Ok((None, None)),
        Some(Wanted::Tenant(_)) => return Ok((Some(call.tenant()?), None)),
        Some(Wanted::WalletClass(class)) if !class.is_empty() => {
            decode::wallet_class(field.at("wallet_class"), &class, &mut violations);
            violations.check()?;
            return Ok((Some(call.tenant()?), Some(class)));
        }
        Some(Wanted::WalletClass(_)) => {
            violations.add(field.at("wallet_class"), "is empty: expected the name of a class");
        }
        Some(Wanted::Wallet(_)) => {
            violations.add(field, "is one wallet: expected platform, tenant or wallet_class")
        }
        None => violations.add(field, "is missing: expected platform, tenant or wallet_class"),
    }
    violations.finish(None)
}

fn summary(found: &HoldSummary) -> proto::GetHoldSummaryResponse {
    let time = |at: Option<_>| at.map(encode::timestamp);
    proto::GetHoldSummaryResponse {
        pending: found.pending,
        overdue: found.overdue,
        oldest_create_time: time(found.oldest),
        overdue_since: time(found.overdue_since),
        reversed: found.reversed,
        reversed_last: found.reversed_last,
        sweep_time: time(found.swept_at),
        read_time: time(Some(found.now)),
        awaiting_decision: found.awaiting,
        awaiting_since: time(found.awaiting_since),
    }
}
