//! The talk with the ledger: one call, on behalf of the approver.

use payplane_crds::condition::reason::{ALREADY_DECIDED, WRONG_STATE};

use super::{Answer, plan::Next};
use crate::{
    engine::{DecisionRequest, Engine, EngineError, Refusal},
    payment::Waiting,
};

/// Does what is planned.
pub async fn act(next: Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting),
        (Next::Never(refusal), _) => Answer::Never(refusal),
        (Next::Tell(id, stands), _) => Answer::Decided(id, stands),
        (Next::Ask(request), Some(engine)) => ask(&request, engine).await.unwrap_or_else(Answer::Failed),
        (Next::Ask(_), None) => Answer::Waiting(Waiting::engine()),
    }
}

async fn ask(request: &DecisionRequest, engine: &Engine) -> Result<Answer, EngineError> {
    let outcome = engine.decide_refund(request).await?;
    Ok(match outcome.result {
        Ok(stands) => Answer::Decided(request.refund_id.clone(), Box::new(stands)),
        // It waited when it was looked at, so somebody else was faster.
        Err(refusal) if refusal.reason == WRONG_STATE => {
            let message = "Somebody else decided about it before.".into();
            Answer::Never(Refusal {
                reason: ALREADY_DECIDED,
                field: "approves".into(),
                message,
                definitive: true,
            })
        }
        Err(refusal) => Answer::Never(refusal),
    })
}
