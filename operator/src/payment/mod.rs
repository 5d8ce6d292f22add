//! Payment: asks the ledger to move money, once for ever under one key, and shows what became of it.
//!
//! The ledger is asked on every look at an undecided object, with the same key, and its answer alone is believed: the
//! object's own status proves nothing. So a crash between answer and status heals with the next look. There is no
//! finalizer: deleting the object moves nothing, and applying it again pays nothing twice.

mod observe;
mod plan;
mod report;
mod validate;

use payplane_crds::Payment;

use crate::{
    context::Context,
    controllers::Reconciled,
    engine::{Engine, EngineError, Outcome, PaymentRequest},
    error::Error,
    status,
};

pub use plan::{Next, Waiting};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// The ledger paid or refused.
    Outcome(Outcome),
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for Payment {
    const CONCURRENCY: u16 = 32;

    async fn reconcile(&self, context: &Context) -> Result<(), Error> {
        let observed = observe::observe(self, context); // reads caches only
        let next = plan::plan(validate::validate(self, &observed)); // pure
        let answer = act(next, observed.engine.as_deref()).await; // asks the ledger
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        finish(self, context, answer)
    }
}

async fn act(next: Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting),
        (Next::Submit(request), Some(engine)) => submit(&request, engine).await,
        (Next::Submit(_), None) => Answer::Waiting(Waiting::engine()),
    }
}

async fn submit(request: &PaymentRequest, engine: &Engine) -> Answer {
    match engine.create_payment(request).await {
        Ok(outcome) => Answer::Outcome(outcome),
        Err(error) => Answer::Failed(error),
    }
}

/// After the status is written: whom to wake, and whether to come again.
fn finish(payment: &Payment, context: &Context, answer: Answer) -> Result<(), Error> {
    match answer {
        // Whatever is missing wakes the payment when it comes.
        Answer::Waiting(_) | Answer::Failed(EngineError::Invalid { .. }) => Ok(()),
        Answer::Failed(source) => Err(Error::Engine { operation: "ask for a payment", source }),
        Answer::Outcome(outcome) if report::is_open(&outcome) => Err(Error::WalletNotFound),
        Answer::Outcome(_) => {
            wake_wallets(payment, context);
            Ok(())
        }
    }
}

fn wake_wallets(payment: &Payment, context: &Context) {
    let namespace = payment.metadata.namespace.as_deref().unwrap_or_default();
    for name in [&payment.spec.from.name, &payment.spec.to.name].into_iter().flatten() {
        context.wake.wallet(namespace, name);
    }
}
