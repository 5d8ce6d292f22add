//! Approval: brings what one person decided about another one's Refund or Payment to the ledger, once, and shows what
//! became of it. Of a Payment the ledger knows nothing before: approving asks for it, with the approver's name beside the
//! request, and the Payment then finds it under its own key.
//!
//! The ledger has the last word: it refuses the requester as approver, and decides a refund once. Before it is asked, the
//! hash must be that of the Refund as it is, and the ledger must know the Refund's own requester, so that nobody approves
//! anything else than what was read, or what nobody is known to have asked for. A Refund's status is no proof of its id in
//! the ledger: that refund must have the Refund's own key. There is no finalizer: deleting the object takes nothing back.

mod act;
mod observe;
mod plan;
mod report;
mod validate;

use kube::ResourceExt;
use payplane_crds::{Approval, approval::SubjectKind};

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    engine::{self, EngineError, Outcome, Refusal},
    error::Error,
    payment::Waiting,
    status,
};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked: something is missing.
    Waiting(Waiting),
    /// It counts for nothing, and never will.
    Never(Refusal),
    /// The ledger has the decision: the refund's id, and the refund as it is with it.
    Decided(String, Box<engine::Refund>),
    /// The ledger has the payment that was approved, or refused it for good.
    Paid(Box<Outcome>),
    /// No answer.
    Failed(EngineError),
}

impl Reconciled for Approval {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context).await?; // reads the Refund and the ledger's refund
        let now = jiff::Timestamp::now();
        let next = plan::plan(validate::validate(self, &observed, now)); // pure
        let answer = act::act(self, next, observed.engine.as_deref()).await; // asks the ledger
        let status = report::report(self, &answer, &observed, now); // pure
        status::write(context, self, &status).await?;
        if matches!(answer, Answer::Decided(..) | Answer::Paid(_)) {
            wake_subject(self, context);
        }
        finish(self, answer, now)
    }
}

/// The ledger wakes nobody; what was approved looks at it again.
fn wake_subject(approval: &Approval, context: &Context) {
    let (namespace, name) = (approval.namespace().unwrap_or_default(), &approval.spec.approves.name);
    match approval.spec.approves.kind {
        SubjectKind::Refund => context.wake.refund(&namespace, name),
        SubjectKind::Payment => context.wake.payment(&namespace, name),
    }
}

/// After the status is written: when to come again.
fn finish(approval: &Approval, answer: Answer, now: jiff::Timestamp) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(waiting) if waiting.is_watched => Ok(plan::again(approval, now)),
        Answer::Waiting(_) => Err(Error::Missing),
        Answer::Never(_)
        | Answer::Decided(..)
        | Answer::Paid(_)
        | Answer::Failed(EngineError::Invalid { .. }) => Ok(Again::OnChange),
        Answer::Failed(source) => Err(Error::Engine { operation: "bring a decision to the ledger", source }),
    }
}
