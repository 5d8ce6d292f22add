//! TimeoutPolicy: three parameters of the ledger, for a platform, a tenant or a class of wallets, and how its holds do.
//!
//! The ledger's own sweep gives back what is due; this only says how long a hold lasts that does not say so itself, how
//! long at most, and whether it is given back then, and looks every half minute whether the sweep keeps up. A finalizer takes the parameters away with
//! the object. It never blocks a namespace for long: where there is nobody to
//! ask any more, or nobody answers for ten minutes, the object goes and the parameters stay.

mod observe;
mod plan;
mod report;

use payplane_crds::TimeoutPolicy;

use crate::{
    apply,
    context::{Context, identity},
    controllers::{Again, Reconciled},
    engine::{Engine, EngineError, HoldLimits, HoldSummary, Scope},
    error::Error,
    payment::Waiting,
    status,
};

use plan::{FINALIZER, Next};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Not asked yet: something is missing.
    Waiting(Waiting),
    /// Another object sets the same, and was first.
    Taken(String),
    /// The ledger holds money this long, and so its holds do.
    Set(HoldLimits, HoldSummary),
    /// The object is on its way out.
    Leaving,
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for TimeoutPolicy {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context); // reads caches only
        let next = plan::plan(self, &observed, jiff::Timestamp::now()); // pure
        let answer = act(self, context, next, observed.engine()).await?; // writes the finalizer, asks the ledger
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        measure(self, context, &answer);
        if !matches!(answer, Answer::Leaving) {
            status::write(context, self, &status).await?;
        }
        finish(answer)
    }
}

/// Tells alerts how many holds wait for a decision, as long as the ledger says so.
fn measure(policy: &TimeoutPolicy, context: &Context, answer: &Answer) {
    let (namespace, name) = identity(policy);
    let waiting = match answer {
        Answer::Set(_, holds) => Some(holds.awaiting),
        // Another object counts, or nobody does any more.
        Answer::Taken(_) | Answer::Leaving => None,
        Answer::Waiting(_) | Answer::Failed(_) => return,
    };
    context.metrics.set_holds_awaiting(&namespace, &name, waiting);
}

async fn act(
    policy: &TimeoutPolicy,
    context: &Context,
    next: Next,
    engine: Option<&Engine>,
) -> Result<Answer, Error> {
    let answer = match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting),
        (Next::Yield(first), _) => Answer::Taken(first),
        (Next::Mark, _) => {
            // The change of the object brings the next look, which sets the parameter.
            apply::add_finalizer(&context.client, policy, FINALIZER).await?;
            Answer::Waiting(Waiting::begun())
        }
        (Next::Release, _) => {
            apply::remove_finalizer(&context.client, policy, FINALIZER).await?;
            Answer::Leaving
        }
        (Next::Set { namespace, scope, limits }, Some(engine)) => {
            set(engine, &namespace, &scope, limits).await.unwrap_or_else(Answer::Failed)
        }
        (Next::Clear { namespace, scope }, Some(engine)) => {
            match engine.set_hold_limits(&namespace, &scope, HoldLimits::default()).await {
                Err(error) => Answer::Failed(error),
                Ok(()) => {
                    apply::remove_finalizer(&context.client, policy, FINALIZER).await?;
                    Answer::Leaving
                }
            }
        }
        (Next::Set { .. } | Next::Clear { .. }, None) => Answer::Waiting(Waiting::engine()),
    };
    Ok(answer)
}

async fn set(
    engine: &Engine,
    namespace: &str,
    scope: &Scope,
    limits: HoldLimits,
) -> Result<Answer, EngineError> {
    engine.set_hold_limits(namespace, scope, limits).await?;
    let holds = engine.hold_summary(namespace, scope).await?;
    Ok(Answer::Set(limits, holds))
}

/// After the status is written: whether to come again.
fn finish(answer: Answer) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(waiting) if waiting.is_watched => Ok(Again::OnChange),
        Answer::Waiting(_) => Err(Error::Missing),
        Answer::Failed(EngineError::Invalid { .. }) => Ok(Again::OnChange),
        Answer::Failed(source) => Err(Error::Engine { operation: "set a parameter", source }),
        // Holds come and go by themselves.
        Answer::Set(..) => Ok(Again::After(plan::LOOK_EVERY)),
        Answer::Taken(_) | Answer::Leaving => Ok(Again::OnChange),
    }
}
