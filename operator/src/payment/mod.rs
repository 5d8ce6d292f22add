//! Payment: asks the ledger to move or hold money, once for ever under one key, and shows what became of it.
//!
//! The ledger is asked on every look at an open object, with the same key, and its answer alone is believed: the
//! object's own status proves nothing. So a crash between answer and status heals with the next look. There is no
//! finalizer: deleting the object moves nothing, and applying it again pays nothing twice.

mod act;
mod audit;
pub mod expire;
mod observe;
mod plan;
mod report;
mod validate;

use payplane_crds::{Payment, PaymentStatus};

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    engine::{EngineError, Outcome, Refusal},
    error::Error,
    status::{self, Written},
};

pub use act::approve;
pub use plan::{Next, Waiting, Wanted, Wish, is_attempt_at};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// The ledger paid, holds or refused; and why it refused the last step that the spec asks for, if it did.
    Outcome(Box<Outcome>, Option<Refusal>),
    /// The payer has too little; it is tried again.
    Short(Refusal),
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for Payment {
    const CONCURRENCY: u16 = 32;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let (answer, status) = look(self, context).await;
        if status::write(context, self, &status).await? == Written::Patched {
            context.wake.refunds_of_payment(&context.stores, self);
        }
        finish(self, context, answer)
    }
}

/// What the ledger would be asked, if everything is there: for whoever asks on the payment's behalf. Reads caches only.
///
/// # Errors
/// The first thing that is missing.
pub fn wanted(payment: &Payment, context: &Context) -> Result<Wanted, Waiting> {
    validate::validate(payment, &observe::observe(payment, context))
}

/// What the ledger says of the payment, and the status that tells it.
async fn look(payment: &Payment, context: &Context) -> (Answer, PaymentStatus) {
    let observed = observe::observe(payment, context); // reads caches only
    let next = plan::plan(validate::validate(payment, &observed)); // pure
    let answer = act::act(&next, observed.engine.as_deref()).await; // asks the ledger
    let status = report::report(payment, &next, &answer, jiff::Timestamp::now()); // pure
    (answer, status)
}

/// After the status is written: whom to wake, and when to come again.
fn finish(payment: &Payment, context: &Context, answer: Answer) -> Result<Again, Error> {
    match answer {
        // Whatever is missing wakes the payment when it comes.
        Answer::Waiting(_) | Answer::Failed(EngineError::Invalid { .. }) => Ok(Again::OnChange),
        Answer::Failed(source) => Err(Error::Engine { operation: "ask for a payment", source }),
        Answer::Short(_) => Err(Error::RefusedForNow),
        Answer::Outcome(outcome, _) if report::is_open(&outcome) => Err(Error::WalletNotFound),
        Answer::Outcome(outcome, _) if plan::awaits_approval(&outcome) => Ok(Again::After(plan::APPROVAL)),
        Answer::Outcome(outcome, refused) => {
            wake_wallets(payment, context);
            if refused.as_ref().is_some_and(plan::may_pass) {
                return Err(Error::RefusedForNow);
            }
            let due = outcome.result.ok().and_then(|stands| plan::due_in(&stands, jiff::Timestamp::now()));
            Ok(due.map_or(Again::OnChange, Again::After))
        }
    }
}

fn wake_wallets(payment: &Payment, context: &Context) {
    let namespace = payment.metadata.namespace.as_deref().unwrap_or_default();
    let fees = payment.spec.fees.iter().flatten().map(|fee| &fee.to);
    for name in
        [&payment.spec.from, &payment.spec.to].into_iter().chain(fees).filter_map(|side| side.name.as_ref())
    {
        context.wake.wallet(namespace, name);
    }
}
