//! The ledger's own account of itself.

use payplane_proto::v1::{self as proto, ledger_service_server::LedgerService};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{Path, Violations},
    encode, status,
};
use crate::{
    engine::detached,
    verify::{ExpectedHead, VerifyOptions, verify},
};

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

    async fn get_head(
        &self,
        request: Request<proto::GetHeadRequest>,
    ) -> Result<Response<proto::GetHeadResponse>, Status> {
        Call::of(&request)?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.head().await }).await;
        let head = Some(encode::head(&found.map_err(|error| status::of_store(&error))?));
        let epoch = self.engine.store.epoch();
        Ok(Response::new(proto::GetHeadResponse {
            head,
            epoch: epoch.map_or(0, |epoch| epoch.number),
            epoch_begin_time: epoch.and_then(|epoch| epoch.began).map(encode::timestamp),
            epoch_name: epoch.map(|epoch| epoch.name()).unwrap_or_default(),
        }))
    }

    async fn get_archive(
        &self,
        request: Request<proto::GetArchiveRequest>,
    ) -> Result<Response<proto::GetArchiveResponse>, Status> {
        Call::of(&request)?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.archive().await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        Ok(Response::new(encode::archive(&found)))
    }

    async fn get_hold_summary(
        &self,
        request: Request<proto::GetHoldSummaryRequest>,
    ) -> Result<Response<proto::GetHoldSummaryResponse>, Status> {
        let call = Call::of(&request)?;
        self.holds(&call, request.into_inner()).await.map(Response::new)
    }

    type ExportTenantStream = ReceiverStream<Result<proto::ExportTenantResponse, Status>>;

    async fn export_tenant(
        &self,
        request: Request<proto::ExportTenantRequest>,
    ) -> Result<Response<Self::ExportTenantStream>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        self.export(tenant).map(Response::new)
    }

    type VerifyLedgerStream = ReceiverStream<Result<proto::VerifyLedgerResponse, Status>>;

    async fn verify_ledger(
        &self,
        request: Request<proto::VerifyLedgerRequest>,
    ) -> Result<Response<Self::VerifyLedgerStream>, Status> {
        Call::of(&request)?;
        let expect_head = expected_head(&request.into_inner().expect_head)?;
        // It holds a snapshot of the database as long as it runs.
        let place = self.verifying.clone().try_acquire_owned();
        let place = place.map_err(|_| status::already_verifying())?;
        let store = self.engine.store.clone();
        let (sender, answers) = mpsc::channel(1);
        tokio::spawn(async move {
            let options = VerifyOptions { expect_head, progress: None };
            let proof = async move { verify(&store, &options).await };
            let answer = tokio::select! {
                report = proof => report.as_ref().map(encode::report).map_err(status::of_store),
                // Nobody waits for the answer any more.
                () = sender.closed() => return,
            };
            drop(place);
            let _ = sender.send(answer).await;
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

fn expected_head(text: &str) -> Result<Option<ExpectedHead>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut violations = Violations::default();
    let head = text.parse().ok();
    if head.is_none() {
        let expected = "is malformed: expected SEAL:LINK, the link as 64 hexadecimal digits";
        violations.add(Path::Root.at("expect_head"), expected);
    }
    violations.check()?;
    Ok(head)
}
