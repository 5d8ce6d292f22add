//! Invoices.

use jiff::Timestamp;
use payplane_crds::tenant_billing::{BilledUsage, BillingPeriod, BillingPlan};
use payplane_proto::v1 as proto;
use proto::billing_service_client::BillingServiceClient;
use tonic::{Request, service::interceptor::InterceptedService, transport::Channel};

use super::{Amount, Engine, EngineError, Token, channel, convert, fault};

/// What the operator asks to be billed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BillingRequest {
    /// Namespace of the tenant that the request speaks for.
    pub namespace: String,
    /// What usage costs.
    pub plan: BillingPlan,
    /// What the plan is called on an invoice.
    pub plan_version: String,
    /// When periods begin and end.
    pub period: BillingPeriod,
    /// Where billing begins.
    pub begin: Timestamp,
    /// How long after its end a period is closed.
    pub grace_seconds: i64,
}

/// What the next invoice would say now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preview {
    /// The invoice.
    pub invoice: Invoice,
    /// What was used.
    pub usage: BilledUsage,
    /// Whether its period is over by the database's clock.
    pub is_over: bool,
}

/// An invoice, issued or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invoice {
    /// Of the tenant's series.
    pub number: i64,
    /// The period's first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// What is due.
    pub total: Amount,
    /// Version of the plan.
    pub plan_version: String,
    /// When it was issued; None before that.
    pub issued_at: Option<Timestamp>,
}

impl Engine {
    /// What the tenant's next invoice would say now.
    ///
    /// # Errors
    /// When no answer came, or plan or period can never be valid.
    pub async fn preview_invoice(&self, request: &BillingRequest) -> Result<Preview, EngineError> {
        let body = convert::preview_request(request);
        let answer = self.billing().preview_invoice(about(request, body)?).await;
        convert::preview(answer.map_err(fault::from_status)?.into_inner())
    }

    /// Closes the period that begins at a moment, or finds its invoice. None while it is open.
    ///
    /// # Errors
    /// When no answer came, or plan or period can never be valid.
    pub async fn close_invoice(
        &self,
        request: &BillingRequest,
        start: Timestamp,
    ) -> Result<Option<Invoice>, EngineError> {
        let body = convert::close_request(request, start);
        match self.billing().close_invoice(about(request, body)?).await {
            Ok(answer) => convert::closed(answer.into_inner()).map(Some),
            Err(status) => fault::not_due(status),
        }
    }

    /// The tenant's last invoice, if there is one.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn last_invoice(&self, namespace: &str) -> Result<Option<Invoice>, EngineError> {
        let body = proto::ListInvoicesRequest { page_size: 1, page_token: String::new() };
        let answer = self.billing().list_invoices(channel::request(body, Some(namespace))?).await;
        let page = answer.map_err(fault::from_status)?.into_inner();
        page.invoices.into_iter().next().map(convert::invoice).transpose()
    }

    fn billing(&self) -> BillingServiceClient<InterceptedService<Channel, Token>> {
        BillingServiceClient::new(self.channel.clone())
    }
}

fn about<T>(request: &BillingRequest, body: T) -> Result<Request<T>, EngineError> {
    channel::request(body, Some(&request.namespace))
}
