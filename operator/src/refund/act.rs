//! The talk with the ledger: ask for the refund or find it, and see how it stands.

use payplane_crds::condition::reason::LOST_BY_RESTORE;

use super::{Answer, plan::Next};
use crate::{
    engine::{Engine, EngineError, Refund, RefundOutcome, RefundRequest},
    lost,
    payment::Waiting,
};

/// Does what is planned.
pub async fn act(next: Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting),
        (Next::Never(refusal), _) => Answer::Never(refusal),
        (Next::Submit(request), Some(engine)) => settle(&request, engine)
            .await
            .map_or_else(Answer::Failed, |found| Answer::Outcome(Box::new(found))),
        (Next::Submit(_), None) => Answer::Waiting(Waiting::engine()),
    }
}

/// An answer to a repeated key tells how things were then, so it is followed by a look at how they stand.
async fn settle(request: &RefundRequest, engine: &Engine) -> Result<RefundOutcome, EngineError> {
    let mut made = engine.refund_payment(request).await?;
    if let Some(refusal) = made.result.as_mut().err().filter(|refusal| refusal.reason == LOST_BY_RESTORE) {
        refusal.message = lost::message("refund", "asked for", &engine.epoch().await?);
    }
    let (RefundOutcome { result: Ok(first), .. }, true) = (&made, made.replayed) else { return Ok(made) };
    let found = engine.get_refund(&request.namespace, &made.refund_id).await?;
    let stands = found.and_then(|found| found.result.ok());
    let stands = stands.ok_or(EngineError::Answer("a refund that is gone"))?;
    let refund = Refund { available: first.available.clone(), decided_at: first.decided_at, ..stands };
    Ok(RefundOutcome { result: Ok(refund), ..made })
}
