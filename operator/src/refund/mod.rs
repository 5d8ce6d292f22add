//! Refund: asks the ledger to give money back, once for ever under one key, and shows what became of it.
//!
//! As with a Payment, the ledger is asked on every look with the same key, and its answer alone is believed. The id of
//! a payment that is named comes from that object's status, so it counts only if the ledger has a payment of this id
//! under that object's own key. There is no finalizer: deleting the object moves nothing.

mod act;
mod audit;
mod observe;
mod plan;
mod report;
mod validate;

use kube::{Api, ResourceExt};
use payplane_crds::{Payment, Refund, RefundStatus};

use crate::{
    api,
    context::{Context, Guarded},
    controllers::{Again, Reconciled},
    engine::{EngineError, RefundOutcome, RefundPhase, Refusal},
    error::Error,
    payment::Waiting,
    status,
};

pub use plan::Next;
pub use validate::key;

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// Not asked, because it can never be.
    Never(Refusal),
    /// The ledger gave back, waits for approval, or refused.
    Outcome(Box<RefundOutcome>),
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for Refund {
    const CONCURRENCY: u16 = 8;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let (answer, status) = look(self, context).await?;
        if moved(&answer) {
            // Before this object is settled and never looked at again.
            show_on_payment(self, context).await?;
        }
        status::write(context, self, &status).await?;
        finish(answer)
    }
}

/// What the ledger says of the refund, and the status that tells it.
async fn look(refund: &Refund, context: &Context) -> Result<(Answer, RefundStatus), Error> {
    let observed = observe::observe(refund, context).await?; // reads the Payment and the ledger's payment
    let next = plan::plan(validate::validate(refund, &observed)); // pure
    let answer = act::act(next, observed.engine.as_deref()).await; // asks the ledger
    let status = report::report(refund, &answer, jiff::Timestamp::now()); // pure
    Ok((answer, status))
}

fn moved(answer: &Answer) -> bool {
    let Answer::Outcome(outcome) = answer else { return false };
    outcome.result.as_ref().is_ok_and(|refund| refund.phase == RefundPhase::Completed)
}

/// The payment's own status tells how much of it was given back. It has left the cache, so it is read.
async fn show_on_payment(refund: &Refund, context: &Context) -> Result<(), Error> {
    let Some(name) = &refund.spec.payment.name else { return Ok(()) };
    let namespace = refund.namespace().unwrap_or_default();
    let payments = Api::<Guarded<Payment>>::namespaced(context.client.clone(), &namespace);
    let found = api::call("read a refunded Payment", payments.get_opt(name)).await?;
    let Some(Ok(payment)) = found.as_ref().map(|guarded| guarded.0.as_ref()) else { return Ok(()) };
    match payment.reconcile(context).await {
        // Its status is written; what else the payment waits for is no concern of the refund.
        Ok(_) | Err(Error::RefusedForNow | Error::WalletNotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// After the status is written: when to come again.
fn finish(answer: Answer) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(waiting) if waiting.is_watched => Ok(Again::OnChange),
        Answer::Waiting(_) => Err(Error::PaymentNotFound),
        Answer::Never(_) | Answer::Failed(EngineError::Invalid { .. }) => Ok(Again::OnChange),
        Answer::Failed(source) => Err(Error::Engine { operation: "ask for a refund", source }),
        Answer::Outcome(outcome) if report::is_open(&outcome) => Err(Error::PaymentNotFound),
        Answer::Outcome(outcome) => Ok(plan::again(&outcome)),
    }
}
