//! TenantBilling: what a tenant used and owes, and the closing of its periods.
//!
//! The ledger counts, prices and numbers; this asks it for the next invoice, closes what is over, oldest first, and shows
//! what it answered. Closing is safe to repeat, so a crash between any two steps, another operator, or an object that was
//! deleted and applied again changes no invoice. There is no finalizer: invoices are not the object's.
//!
//! A tenant has one TenantBilling, the oldest, in the namespace of its Platform. At most [`plan::CLOSES_MAX`] periods are
//! closed in one look; the next look goes on at once.

mod act;
mod observe;
mod plan;
mod report;
mod validate;

use kube::{Resource, ResourceExt, runtime::events::EventType};
use payplane_crds::TenantBilling;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    engine::{EngineError, Invoice, Preview},
    error::Error,
    payment::Waiting,
    status::{self, Written},
};

use plan::{again, plan};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// Another object bills the tenant, and was first.
    Taken(String),
    /// What the ledger says.
    Billed(Box<Billed>),
    /// No answer, or plan or period can never be valid.
    Failed(EngineError),
}

/// What the ledger says about a tenant's bills.
#[derive(Clone, Debug, PartialEq)]
pub struct Billed {
    /// What the next invoice would say now.
    pub preview: Preview,
    /// The invoice that was issued last.
    pub last: Option<Invoice>,
    /// How long after its end a period is closed.
    pub grace_seconds: i64,
    /// Whether more periods can be closed than one look closes.
    pub has_more: bool,
}

impl Reconciled for TenantBilling {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context); // reads caches only
        let next = plan(validate::validate(self, &observed)); // pure
        let answer = act::act(next, observed.engine.as_deref()).await; // asks the ledger, which closes
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        if status::write(context, self, &status).await? == Written::Patched
            && let Some(news) = report::issued(self, &status)
        {
            context.events.tell(&self.object_ref(&()), EventType::Normal, "InvoiceIssued", news);
        }
        finish(answer)
    }
}

/// After the status is written: when to come again.
fn finish(answer: Answer) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(_) | Answer::Taken(_) | Answer::Failed(EngineError::Invalid { .. }) => {
            Ok(Again::OnChange)
        }
        Answer::Failed(source) => Err(Error::Engine { operation: "bill a tenant", source }),
        Answer::Billed(billed) => Ok(again(&billed, jiff::Timestamp::now())),
    }
}

/// "<namespace>/<name>", for messages.
fn full_name(billing: &TenantBilling) -> String {
    format!("{}/{}", billing.namespace().unwrap_or_default(), billing.name_any())
}
