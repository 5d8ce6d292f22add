//! TenantBilling: what a tenant used and owes, and the closing of its periods.
//!
//! The ledger counts, prices and numbers; this asks it for the next invoice, closes what is over, oldest first, and shows
//! what it answered. Closing is safe to repeat, so a crash between any two steps, another operator, or an object that was
//! deleted and applied again changes no invoice. There is no finalizer: invoices are not the object's.
//!
//! What is due is collected by the schedule of the spec, oldest first, and dunning steps are taken by how long the oldest
//! unpaid invoice has been there; both follow from what the ledger says about invoices, never from a status. A suspension
//! for debt is a reason of its own in the ledger, which is set or taken away with every look.
//!
//! With `planRef` the ledger is asked first to agree on the version of the BillingPlan; it keeps what was agreed, and bills
//! without a plan of the request's. So a BillingPlan that is gone, or refused, changes nothing but a condition.
//! Where the spec asks for it, the last invoice is kept as documents in one ConfigMap.
//!
//! A tenant has one TenantBilling, the oldest, in the namespace of its Platform. At most [`plan::CLOSES_MAX`] periods are
//! closed in one look; the next look goes on at once.

mod act;
pub mod build;
mod observe;
mod plan;
mod report;
mod validate;

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use payplane_crds::TenantBilling;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    engine::{Documents, EngineError, Invoice, Preview},
    error::Error,
    payment::Waiting,
    status::{self, Written},
};

use plan::{Stage, again, plan};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// Another object bills the tenant, and was first.
    Taken(String),
    /// What the ledger says.
    Billed(Box<Billed>),
    /// There is nothing to bill by: no plan was ever agreed, and none can be.
    NoPlan {
        /// In a word, as conditions say it.
        reason: &'static str,
        /// One sentence for people.
        message: String,
    },
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
    /// How it stands with what is invoiced, if somebody collects or reminds.
    pub owed: Option<Owed>,
    /// What became of the BillingPlan, if it names one.
    pub agreed: Option<Agreement>,
    /// The last invoice as documents, if they are kept.
    pub documents: Option<Documents>,
    /// Whether the wallets of the collection can be used, if there is one.
    pub wallets: Option<Wallets>,
}

/// Whether the wallets that pay and are paid can be used for what is billed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wallets {
    /// All are there, in the currency of the plan.
    Fit,
    /// One is not.
    Misfit {
        /// Why, in a word, as conditions say it.
        reason: &'static str,
        /// One sentence for people, with the field and the way out.
        message: String,
    },
}

/// What became of a BillingPlan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Agreement {
    /// Its version was agreed.
    Holds {
        /// As invoices name it.
        version: String,
        /// From when on it holds.
        since: Timestamp,
    },
    /// What was agreed before stays.
    Kept {
        /// Why, in a word, as conditions say it.
        reason: &'static str,
        /// One sentence for people.
        message: String,
    },
}

/// What is invoiced and not paid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owed {
    /// How many invoices.
    pub unpaid: usize,
    /// What all of them lack, in minor units of a currency. None if nothing is due.
    pub unpaid_minor: Option<(String, i64)>,
    /// The oldest of them.
    pub oldest: Option<Invoice>,
    /// When the oldest is tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// Why an attempt was not even made.
    pub hindrance: Option<String>,
    /// How far dunning has come.
    pub stage: Stage,
}

impl Reconciled for TenantBilling {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context); // reads caches only
        let next = plan(validate::validate(self, &observed)); // pure
        // Asks the ledger, which closes and collects.
        let answer = act::act(next, observed.engine.as_deref(), Timestamp::now()).await;
        let kept = act::keep(&context.client, self, &answer).await; // writes one child, if the spec says so
        let name = kept.as_ref().ok().cloned().flatten();
        let status = report::report(self, &answer, name, jiff::Timestamp::now()); // pure
        report::measure(&context.metrics, self, &answer);
        if status::write(context, self, &status).await? == Written::Patched {
            for (type_, reason, news) in report::news(self, &status) {
                context.events.tell(&self.object_ref(&()), type_, reason, news);
            }
        }
        // Money comes first: what the ledger said is told whether or not the documents could be kept.
        kept?;
        finish(answer)
    }
}

/// After the status is written: when to come again.
fn finish(answer: Answer) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(_)
        | Answer::Taken(_)
        | Answer::NoPlan { .. }
        | Answer::Failed(EngineError::Invalid { .. }) => Ok(Again::OnChange),
        Answer::Failed(source) => Err(Error::Engine { operation: "bill a tenant", source }),
        Answer::Billed(billed) => Ok(again(&billed, jiff::Timestamp::now())),
    }
}

/// "<namespace>/<name>", for messages.
fn full_name(billing: &TenantBilling) -> String {
    format!("{}/{}", billing.namespace().unwrap_or_default(), billing.name_any())
}
