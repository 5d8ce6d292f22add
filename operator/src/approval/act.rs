//! The talk with the ledger: one call, on behalf of the approver, or of who asked with the approver's name.

use payplane_crds::{
    Approval,
    condition::reason::{ALREADY_DECIDED, WALLET_NOT_FOUND, WRONG_STATE},
};

use super::{Answer, plan::Next};
use crate::{
    engine::{DecisionRequest, Engine, EngineError, Outcome, Refusal},
    payment::{self, Waiting, Wanted},
};

/// Does what is planned.
pub async fn act(approval: &Approval, next: Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting),
        (Next::Never(refusal), _) => Answer::Never(refusal),
        (Next::Tell(id, stands), _) => Answer::Decided(id, stands),
        (Next::Ask(request), Some(engine)) => ask(&request, engine).await.unwrap_or_else(Answer::Failed),
        (Next::Pay(wanted), Some(engine)) => {
            pay(&wanted, &approval.spec.approver, engine).await.unwrap_or_else(Answer::Failed)
        }
        (Next::Ask(_) | Next::Pay(_), None) => Answer::Waiting(Waiting::engine()),
    }
}

async fn pay(wanted: &Wanted, approver: &str, engine: &Engine) -> Result<Answer, EngineError> {
    Ok(judged(payment::approve(wanted, approver, engine).await?, approver))
}

/// What the ledger's answer means for who approved. A repetition is theirs if the ledger notes their name.
pub(super) fn judged(outcome: Outcome, approver: &str) -> Answer {
    if outcome.replayed && outcome.approver != approver {
        return Answer::Never(match outcome.approver.as_str() {
            "" => early(
                WRONG_STATE,
                "The ledger decided about the payment before; it needed no approval.".into(),
            ),
            other => early(ALREADY_DECIDED, format!("{other} approved it before.")),
        });
    }
    match &outcome.result {
        Err(refusal) if refusal.definitive => Answer::Paid(Box::new(outcome)),
        Err(refusal) if refusal.reason == WALLET_NOT_FOUND => {
            Answer::Waiting(Waiting::unwatched(WALLET_NOT_FOUND, &refusal.message))
        }
        Err(refusal) => Answer::Never(refusal.clone()),
        Ok(_) => Answer::Paid(Box::new(outcome)),
    }
}

fn early(reason: &'static str, message: String) -> Refusal {
    Refusal { reason, field: "approves".into(), message, definitive: true }
}

async fn ask(request: &DecisionRequest, engine: &Engine) -> Result<Answer, EngineError> {
    let outcome = engine.decide_refund(request).await?;
    Ok(match outcome.result {
        Ok(stands) => Answer::Decided(request.refund_id.clone(), Box::new(stands)),
        // It waited when it was looked at, so somebody else was faster.
        Err(refusal) if refusal.reason == WRONG_STATE => {
            Answer::Never(early(ALREADY_DECIDED, "Somebody else decided about it before.".into()))
        }
        Err(refusal) => Answer::Never(refusal),
    })
}

#[cfg(test)]
mod tests;
