//! Invoices, and what becomes of them.

mod agreement;
mod collection;
mod credit;
mod document;
mod invoice;
mod plan;
mod threshold;
mod usage;

use std::time::{Duration, Instant};

use payplane_ledger::{Sequence, Sign, TenantId};
use payplane_proto::v1::{self as proto, billing_service_server::BillingService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    encode, page, status,
};
use crate::{
    billing::{self, BillingError, Next},
    engine::detached,
    store::{InvoiceRow, StoreError},
};

const GRACE_DAYS_MAX: i64 = 31;

#[tonic::async_trait]
impl BillingService for Api {
    async fn preview_invoice(
        &self,
        request: Request<proto::PreviewInvoiceRequest>,
    ) -> Result<Response<proto::PreviewInvoiceResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let plan = plan::pricing(request.plan.as_ref(), &mut violations);
        let cycle = plan::cycle(request.cycle.as_ref(), &mut violations);
        let thresholds = threshold::thresholds(&request.thresholds, &mut violations);
        let (plan, (cycle, begin)) = violations.finish(plan.zip(cycle))?;
        let store = self.engine.store.clone();
        let work = async move {
            let next = Next::find(&store, tenant, begin, |start| cycle.period_from(start)).await?;
            let pricing = agreement::pricing(plan.as_ref());
            let (row, is_over) = next.preview(&store, tenant, pricing).await?;
            let forecast = next.forecast(&store, tenant, pricing, &row).await?;
            let reached = billing::note_thresholds(&store, tenant, &row, &thresholds).await?;
            Ok((row, is_over, forecast, reached))
        };
        let (row, is_over, forecast, reached) = of_its_own(work).await?;
        self.engine.metrics.observe_usage_lag(self.engine.store.take_usage_lag());
        let forecast = Some(encode::money(forecast, row.document.statement.currency));
        let invoice = Some(invoice::invoice(&row));
        let reached = reached.iter().map(threshold::reached).collect();
        Ok(Response::new(proto::PreviewInvoiceResponse { invoice, is_over, forecast, reached }))
    }

    async fn close_invoice(
        &self,
        request: Request<proto::CloseInvoiceRequest>,
    ) -> Result<Response<proto::CloseInvoiceResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let plan = plan::pricing(request.plan.as_ref(), &mut violations);
        let cycle = plan::cycle(request.cycle.as_ref(), &mut violations);
        let start = plan::time("start_time", request.start_time.as_ref(), &mut violations);
        let grace_us = grace(request.grace.as_ref(), &mut violations);
        let thresholds = threshold::thresholds(&request.thresholds, &mut violations);
        let (plan, ((cycle, begin), start)) = violations.finish(plan.zip(cycle.zip(start)))?;
        let (store, started) = (self.engine.store.clone(), Instant::now());
        let closed = of_its_own(async move {
            let period_from = |start| cycle.period_from(start);
            let pricing = (agreement::pricing(plan.as_ref()), &*thresholds);
            billing::close_noting(&store, tenant, pricing, (start, grace_us), (begin, period_from)).await
        })
        .await?;
        self.engine.metrics.observe_usage_lag(self.engine.store.take_usage_lag());
        if !closed.replayed {
            self.engine.metrics.observe_close(started.elapsed(), delay(&closed.invoice));
        }
        let (invoice, replayed) = (Some(invoice::invoice(&closed.invoice)), closed.replayed);
        Ok(Response::new(proto::CloseInvoiceResponse { invoice, replayed }))
    }

    async fn get_invoice(
        &self,
        request: Request<proto::GetInvoiceRequest>,
    ) -> Result<Response<proto::GetInvoiceResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let number = request.into_inner().number;
        let found = self.invoices(tenant, Some(number), 1).await?.0;
        // A list goes downwards, so what is not there would be the one below it.
        let found = found.into_iter().find(|invoice| invoice.number == number);
        let invoice = Some(found.ok_or_else(|| status::not_found("invoice"))?);
        Ok(Response::new(proto::GetInvoiceResponse { invoice }))
    }

    async fn list_invoices(
        &self,
        request: Request<proto::ListInvoicesRequest>,
    ) -> Result<Response<proto::ListInvoicesResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let proto::ListInvoicesRequest { page_size, page_token } = request.into_inner();
        let mut violations = Violations::default();
        let size = page::size(page_size, &mut violations);
        let start = page::token(&page_token, page::place, &mut violations);
        violations.check()?;
        let (invoices, next_page_token) = self.invoices(tenant, start.map(|start| start.0), size).await?;
        Ok(Response::new(proto::ListInvoicesResponse { invoices, next_page_token }))
    }

    async fn collect_invoice(
        &self,
        request: Request<proto::CollectInvoiceRequest>,
    ) -> Result<Response<proto::CollectInvoiceResponse>, Status> {
        self.collect(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn put_collector(
        &self,
        request: Request<proto::PutCollectorRequest>,
    ) -> Result<Response<proto::PutCollectorResponse>, Status> {
        self.grant_collection(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn put_billing_suspension(
        &self,
        request: Request<proto::PutBillingSuspensionRequest>,
    ) -> Result<Response<proto::PutBillingSuspensionResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let proto::PutBillingSuspensionRequest { suspended, payment_maximum } = request.into_inner();
        let mut violations = Violations::default();
        let at = Path::Root.at("payment_maximum");
        let maximum = payment_maximum
            .as_ref()
            .map(|money| decode::money(at, Some(money), Sign::NotNegative, &mut violations));
        violations.check()?;
        let (store, maximum) = (self.engine.store.clone(), maximum.flatten());
        let done =
            detached(async move { store.put_billing_measures(tenant, suspended, maximum).await }).await;
        let changed = done.map_err(|error| status::of_store(&error))?;
        Ok(Response::new(proto::PutBillingSuspensionResponse { changed }))
    }

    async fn issue_credit_note(
        &self,
        request: Request<proto::IssueCreditNoteRequest>,
    ) -> Result<Response<proto::IssueCreditNoteResponse>, Status> {
        self.issue_note(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn list_credit_notes(
        &self,
        request: Request<proto::ListCreditNotesRequest>,
    ) -> Result<Response<proto::ListCreditNotesResponse>, Status> {
        self.list_notes(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn grant_prepaid_credit(
        &self,
        request: Request<proto::GrantPrepaidCreditRequest>,
    ) -> Result<Response<proto::GrantPrepaidCreditResponse>, Status> {
        self.grant_prepaid(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn list_prepaid_credits(
        &self,
        request: Request<proto::ListPrepaidCreditsRequest>,
    ) -> Result<Response<proto::ListPrepaidCreditsResponse>, Status> {
        let credits = self.prepaid(Call::of(&request)?.tenant()?, String::new()).await?;
        Ok(Response::new(proto::ListPrepaidCreditsResponse { prepaid_credits: credits }))
    }

    async fn record_usage(
        &self,
        request: Request<proto::RecordUsageRequest>,
    ) -> Result<Response<proto::RecordUsageResponse>, Status> {
        self.record(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn query_usage(
        &self,
        request: Request<proto::QueryUsageRequest>,
    ) -> Result<Response<proto::QueryUsageResponse>, Status> {
        self.query(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn get_invoice_document(
        &self,
        request: Request<proto::GetInvoiceDocumentRequest>,
    ) -> Result<Response<proto::GetInvoiceDocumentResponse>, Status> {
        self.document(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn agree_plan(
        &self,
        request: Request<proto::AgreePlanRequest>,
    ) -> Result<Response<proto::AgreePlanResponse>, Status> {
        self.agree(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn get_statement_document(
        &self,
        request: Request<proto::GetStatementDocumentRequest>,
    ) -> Result<Response<proto::GetStatementDocumentResponse>, Status> {
        self.statement_document(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }

    async fn list_reached_thresholds(
        &self,
        request: Request<proto::ListReachedThresholdsRequest>,
    ) -> Result<Response<proto::ListReachedThresholdsResponse>, Status> {
        self.list_reached(Call::of(&request)?.tenant()?, request.into_inner()).await.map(Response::new)
    }
}

impl Api {
    async fn invoices(
        &self,
        tenant: TenantId,
        start: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<proto::Invoice>, String), Status> {
        let store = self.engine.store.clone();
        let found = detached(async move { store.invoices(tenant, start, limit).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let next = page::next(found.next.map(Sequence));
        Ok((found.invoices.iter().map(invoice::invoice).collect(), next))
    }
}

/// Runs the work in a task of its own, so that a caller that goes away never drops it half-way.
async fn of_its_own<T: Send + 'static>(
    work: impl Future<Output = Result<T, BillingError>> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::spawn(work).await.unwrap_or(Err(BillingError::Store(StoreError::Ended)));
    done.map_err(|error| match error {
        BillingError::Store(error) => status::of_store(&error),
        BillingError::Overflow(_) => status::too_much_to_bill(),
        BillingError::Open => status::period_open(),
        BillingError::OutOfOrder => status::period_out_of_order(),
        BillingError::Commit(error) => status::of_commit(error),
        BillingError::NoInvoice => status::not_found("invoice"),
        BillingError::NoPlan => status::no_plan(),
        BillingError::NoGrant => status::no_collection_grant(),
        BillingError::Declined(refusal) => {
            let why = proto::RefusalReason::as_str_name(&encode::reason(refusal.reason));
            status::collection_declined(why)
        }
        BillingError::TooOften => status::collected_too_often(),
        BillingError::Cycle(error) => {
            let mut violations = Violations::default();
            let root = Path::Root;
            let cycle = root.at("cycle");
            violations.add(cycle.at("start_time"), error.to_string());
            violations.check().err().unwrap_or_else(status::no_outcome)
        }
    })
}

/// How long after its period an invoice was issued.
fn delay(invoice: &InvoiceRow) -> Duration {
    let issued = invoice.issued_at.unwrap_or(invoice.period.end);
    Duration::from_micros(u64::try_from(issued.0 - invoice.period.end.0).unwrap_or_default())
}

fn grace(grace: Option<&prost_types::Duration>, violations: &mut Violations) -> i64 {
    let given = grace.filter(|grace| **grace != prost_types::Duration::default());
    let grace =
        given.and_then(|grace| decode::duration(Path::Root.at("grace"), grace, GRACE_DAYS_MAX, violations));
    grace.unwrap_or_default()
}
