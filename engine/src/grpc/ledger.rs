//! The ledger's own account of itself.

use payplane_proto::v1::{self as proto, ledger_service_server::LedgerService};
use tonic::{Request, Response, Status};

use super::{Api, Call, encode, status};
use crate::engine::detached;

#[tonic::async_trait]
impl LedgerService for Api {
    async fn get_trial_balance(
        &self,
        request: Request<proto::GetTrialBalanceRequest>,
    ) -> Result<Response<proto::GetTrialBalanceResponse>, Status> {
        // Only the platform role comes without a tenant, and then means all of them.
        let tenant = Call::of(&request)?.caller.tenant;
        let store = self.engine.store.clone();
        let found = detached(async move { store.trial_balance(tenant).await }).await;
        let lines = found.map_err(|error| status::of_store(&error))?;
        let lines = lines.iter().map(encode::trial_line).collect();
        Ok(Response::new(proto::GetTrialBalanceResponse { lines }))
    }
}
