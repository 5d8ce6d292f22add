//! Invoices.

mod invoice;
mod plan;

use payplane_ledger::{Sequence, TenantId};
use payplane_proto::v1::{self as proto, billing_service_server::BillingService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    page, status,
};
use crate::{
    billing::{self, BillingError, Next},
    engine::detached,
    store::StoreError,
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
        let plan = plan::plan(request.plan.as_ref(), &mut violations);
        let cycle = plan::cycle(request.cycle.as_ref(), &mut violations);
        let (plan, (cycle, begin)) = violations.finish(plan.zip(cycle))?;
        let store = self.engine.store.clone();
        let work = async move {
            let next = Next::find(&store, tenant, begin, |start| cycle.period_from(start)).await?;
            next.preview(&store, tenant, &plan).await
        };
        let (row, is_over) = of_its_own(work).await?;
        Ok(Response::new(proto::PreviewInvoiceResponse { invoice: Some(invoice::invoice(&row)), is_over }))
    }

    async fn close_invoice(
        &self,
        request: Request<proto::CloseInvoiceRequest>,
    ) -> Result<Response<proto::CloseInvoiceResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let plan = plan::plan(request.plan.as_ref(), &mut violations);
        let cycle = plan::cycle(request.cycle.as_ref(), &mut violations);
        let start = plan::time("start_time", request.start_time.as_ref(), &mut violations);
        let grace_us = grace(request.grace.as_ref(), &mut violations);
        let (plan, ((cycle, begin), start)) = violations.finish(plan.zip(cycle.zip(start)))?;
        let store = self.engine.store.clone();
        let closed = of_its_own(async move {
            let period_from = |start| cycle.period_from(start);
            billing::close(&store, tenant, &plan, (start, grace_us), (begin, period_from)).await
        })
        .await?;
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
        BillingError::Cycle(error) => {
            let mut violations = Violations::default();
            let root = Path::Root;
            let cycle = root.at("cycle");
            violations.add(cycle.at("start_time"), error.to_string());
            violations.check().err().unwrap_or_else(status::no_outcome)
        }
    })
}

fn grace(grace: Option<&prost_types::Duration>, violations: &mut Violations) -> i64 {
    let given = grace.filter(|grace| **grace != prost_types::Duration::default());
    let grace =
        given.and_then(|grace| decode::duration(Path::Root.at("grace"), grace, GRACE_DAYS_MAX, violations));
    grace.unwrap_or_default()
}
