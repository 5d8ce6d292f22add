//! Invoices.

use jiff::Timestamp;
use payplane_crds::tenant_billing::{
    BilledUsage, BillingPeriod, BillingThreshold, DocumentLocale, PlanTerms,
};
use payplane_proto::v1 as proto;
use proto::billing_service_client::BillingServiceClient;
use tonic::{Request, service::interceptor::InterceptedService, transport::Channel};

use super::{Amount, Engine, EngineError, Token, channel, convert, fault};

/// What the operator asks to be billed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BillingRequest {
    /// Namespace of the tenant that the request speaks for.
    pub namespace: String,
    /// What usage costs; None for what was agreed.
    pub plan: Option<WantedPlan>,
    /// When periods begin and end.
    pub period: BillingPeriod,
    /// Where billing begins.
    pub begin: Timestamp,
    /// How long after its end a period is closed.
    pub grace_seconds: i64,
    /// What somebody wants to be told of.
    pub thresholds: Vec<BillingThreshold>,
}

/// A version of a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedPlan {
    /// What usage costs.
    pub terms: PlanTerms,
    /// What the plan is called on an invoice.
    pub version: String,
}

/// What became of an agreement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Agreed {
    /// The version holds from then on.
    From(Timestamp),
    /// It was refused; what was agreed before stays.
    Refused {
        /// In a word, as conditions say it.
        reason: &'static str,
        /// One sentence for people.
        message: String,
    },
}

/// What is done to a tenant that owes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DebtMeasures {
    /// Whether nothing new leaves its wallets.
    pub suspended: bool,
    /// The most that a new payment may be.
    pub payment_maximum: Option<Amount>,
}

/// What the next invoice would say now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preview {
    /// The invoice.
    pub invoice: Invoice,
    /// What was used.
    pub usage: BilledUsage,
    /// Names of the thresholds that were reached in its period.
    pub reached: Vec<String>,
    /// Whether its period is over by the database's clock.
    pub is_over: bool,
    /// What the total will be at the period's end, if usage goes on so. None if the engine does not say so.
    pub forecast: Option<String>,
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
    /// How it stands with the money; None before it was issued.
    pub standing: Option<Standing>,
}

/// How it stands with the money of an invoice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Issued, PartlyPaid, Paid or Uncollected.
    pub state: String,
    /// What is due.
    pub due: String,
    /// Whether anything is due.
    pub is_due: bool,
    /// Whether more was collected than was due.
    pub is_to_return: bool,
    /// How often it was tried to collect.
    pub attempts: i32,
    /// When that was tried last.
    pub last_attempt: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    pub refusal: Option<String>,
}

/// Who pays what to whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CollectRequest {
    /// Namespace of the tenant that pays.
    pub namespace: String,
    /// Name of its wallet.
    pub wallet: String,
    /// The tenant that is paid.
    pub receiver: String,
    /// Name of its wallet for what is invoiced.
    pub revenue: String,
    /// Name of its wallet for taxes.
    pub tax: String,
}

/// An invoice as documents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Documents {
    /// Which one.
    pub number: i64,
    /// For machines.
    pub json: String,
    /// For people.
    pub html: String,
    /// For people.
    pub pdf: Vec<u8>,
}

/// How large a document may be: all of an invoice's fit into one object of the cluster.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// How many invoices one look sees.
const INVOICES_MAX: i32 = 1_000;

impl Invoice {
    /// Whether something is due, or to be given back.
    pub fn is_open(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.is_due || standing.is_to_return)
    }
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

    /// An invoice as documents.
    ///
    /// # Errors
    /// When no answer came, or a document that is too large.
    pub async fn invoice_documents(
        &self,
        namespace: &str,
        number: i64,
        locale: DocumentLocale,
    ) -> Result<Documents, EngineError> {
        use proto::DocumentFormat::{Html, Json, Pdf};
        let text = |content: Vec<u8>| {
            String::from_utf8(content).map_err(|_| EngineError::Answer("a document that is no text"))
        };
        let json = text(self.document(namespace, number, Json, locale).await?)?;
        let html = text(self.document(namespace, number, Html, locale).await?)?;
        let pdf = self.document(namespace, number, Pdf, locale).await?;
        Ok(Documents { number, json, html, pdf })
    }

    async fn document(
        &self,
        namespace: &str,
        number: i64,
        format: proto::DocumentFormat,
        locale: DocumentLocale,
    ) -> Result<Vec<u8>, EngineError> {
        let locale = convert::locale(locale).to_owned();
        let body = proto::GetInvoiceDocumentRequest { number, format: format.into(), locale };
        let answer = self.billing().get_invoice_document(channel::request(body, Some(namespace))?).await;
        let content = answer.map_err(fault::from_status)?.into_inner().content;
        let fits = Some(content).filter(|content| content.len() <= DOCUMENT_BYTES_MAX);
        fits.ok_or(EngineError::Answer("a document that is too large"))
    }

    /// The tenant's invoices of which something is due or to be given back, the oldest first.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn open_invoices(&self, namespace: &str) -> Result<Vec<Invoice>, EngineError> {
        let body = proto::ListInvoicesRequest { page_size: INVOICES_MAX, page_token: String::new() };
        let answer = self.billing().list_invoices(channel::request(body, Some(namespace))?).await;
        let page = answer.map_err(fault::from_status)?.into_inner();
        let mut found: Vec<Invoice> =
            page.invoices.into_iter().map(convert::invoice).collect::<Result<_, _>>()?;
        found.retain(Invoice::is_open);
        found.reverse();
        Ok(found)
    }

    /// Tries once to collect an invoice, or gives back what was collected too much. The text says why it was not even
    /// tried.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn collect_invoice(
        &self,
        request: &CollectRequest,
        invoice: &Invoice,
    ) -> Result<Result<Invoice, String>, EngineError> {
        let body = convert::collect_request(request, invoice);
        let answer = self.billing().collect_invoice(channel::request(body, Some(&request.namespace))?).await;
        match answer {
            Ok(answer) => convert::collected(answer.into_inner()).map(Ok),
            Err(status) => fault::not_tried(status).map(Err),
        }
    }

    /// Lets a wallet of a tenant take what other tenants owe.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn let_collect(&self, namespace: &str, wallet: &str) -> Result<(), EngineError> {
        let body = proto::PutCollectorRequest { wallet: wallet.into(), collects: true };
        match self.billing().put_collector(channel::request(body, Some(namespace))?).await {
            Ok(_) => Ok(()),
            Err(status) => fault::absent::<()>(status).map(|_| ()),
        }
    }

    /// Does this to a tenant because it owes, and takes back what is not among it.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn take_measures(&self, namespace: &str, measures: &DebtMeasures) -> Result<(), EngineError> {
        let body = convert::measures(measures);
        let answer = self.billing().put_billing_suspension(channel::request(body, Some(namespace))?).await;
        answer.map(|_| ()).map_err(fault::from_status)
    }

    /// Agrees on a version of a plan, from now on or from the next period on. Safe to repeat.
    ///
    /// # Errors
    /// When no answer came, or plan or period can never be valid.
    pub async fn agree_plan(
        &self,
        request: &BillingRequest,
        plan: &WantedPlan,
        is_now: bool,
    ) -> Result<Agreed, EngineError> {
        let body = convert::agree_request(request, plan, is_now);
        match self.billing().agree_plan(about(request, body)?).await {
            Ok(answer) => convert::agreed(answer.into_inner()),
            Err(status) => fault::not_agreed(status),
        }
    }

    fn billing(&self) -> BillingServiceClient<InterceptedService<Channel, Token>> {
        BillingServiceClient::new(self.channel.clone())
    }
}

fn about<T>(request: &BillingRequest, body: T) -> Result<Request<T>, EngineError> {
    channel::request(body, Some(&request.namespace))
}
