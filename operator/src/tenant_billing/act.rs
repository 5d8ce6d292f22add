//! Closes what is over, oldest first, and looks at what is open. The ledger alone says what is over.

use super::{
    Answer, Billed,
    plan::{CLOSES_MAX, Next},
};
use crate::{
    engine::{BillingRequest, Engine, EngineError},
    payment::Waiting,
};

/// Asks the ledger.
pub async fn act(next: Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Say(answer), _) => answer,
        (Next::Bill(_), None) => Answer::Waiting(Waiting::engine()),
        (Next::Bill(request), Some(engine)) => match bill(&request, engine).await {
            Ok(billed) => Answer::Billed(Box::new(billed)),
            Err(error) => Answer::Failed(error),
        },
    }
}

async fn bill(request: &BillingRequest, engine: &Engine) -> Result<Billed, EngineError> {
    let mut preview = engine.preview_invoice(request).await?;
    let mut closed = 0;
    while preview.is_over && closed < CLOSES_MAX {
        // Its grace may not be over.
        if engine.close_invoice(request, preview.invoice.start).await?.is_none() {
            break;
        }
        closed += 1;
        preview = engine.preview_invoice(request).await?;
    }
    // Not from what was closed here: it may have been another time, or another operator.
    let last = engine.last_invoice(&request.namespace).await?;
    let has_more = closed == CLOSES_MAX && preview.is_over;
    Ok(Billed { preview, last, grace_seconds: request.grace_seconds, has_more })
}
