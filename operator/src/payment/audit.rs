//! What a settled Payment says, beside what the ledger says.
//!
//! One that does not say the same gets the status that the ledger's answer makes; if nothing was decided yet, it is open
//! again and comes back into the cache. What the ledger does not store, such as a conflict of keys, is left as it is.

use kube::ResourceExt;
use payplane_crds::{Payment, PaymentState};

use super::{Answer, is_attempt_at, look, plan, validate};
use crate::{
    audit::{self, Audited},
    context::Context,
    engine::EngineError,
    error::Error,
    status::{self, Written},
};

impl Audited for Payment {
    const SELECTOR: &'static str = "status.state!=New,status.state!=Pending";

    async fn audit(&self, context: &Context) -> Result<Written, Error> {
        let (answer, status) = look(self, context).await;
        if let Answer::Failed(source @ EngineError::Unavailable { .. }) = answer {
            return Err(Error::Engine { operation: "ask about a settled payment", source });
        }
        if !is_decided(&answer) && !is_false(self, context).await? {
            return Ok(Written::Skipped);
        }
        status::write(context, self, &status).await
    }
}

/// Whether the ledger has this payment, or refused it for good.
fn is_decided(answer: &Answer) -> bool {
    match answer {
        Answer::Outcome(outcome, _) => {
            outcome.result.as_ref().map_or_else(|no| no.definitive || plan::is_lost(no), |_| true)
        }
        Answer::Waiting(_) | Answer::Short(_) | Answer::Failed(_) => false,
    }
}

/// Whether the object speaks of a payment that the ledger does not have under its key. Nothing is false while nobody
/// can be asked.
async fn is_false(payment: &Payment, context: &Context) -> Result<bool, Error> {
    let Some(status) = payment.status.as_ref().filter(|status| status.state != PaymentState::Failed) else {
        return Ok(false);
    };
    let namespace = payment.namespace().unwrap_or_default();
    let Some(engine) = audit::platform(payment, context).and_then(|platform| context.engines.get(&platform))
    else {
        return Ok(false);
    };
    let Some(id) = &status.payment_id else { return Ok(true) };
    let found = match engine.get_payment(&namespace, id).await {
        Err(EngineError::Invalid { .. }) => None,
        found => found.map_err(|source| Error::Engine { operation: "look a payment up", source })?,
    };
    let stands = found.and_then(|found| found.result.ok());
    let own = validate::key(payment);
    Ok(stands.is_none_or(|stands| !stands.is_of_resource || !is_attempt_at(&stands.key, &own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Outcome, Refusal},
        payment::Waiting,
    };

    fn refused(definitive: bool) -> Answer {
        refused_for("X", definitive)
    }

    fn refused_for(reason: &'static str, definitive: bool) -> Answer {
        let refusal = Refusal { reason, field: String::new(), message: String::new(), definitive };
        let outcome = Outcome {
            payment_id: String::new(),
            origin_ref: String::new(),
            replayed: true,
            approver: String::new(),
            fees: Vec::new(),
            result: Err(refusal),
        };
        Answer::Outcome(Box::new(outcome), None)
    }

    #[test]
    fn only_what_the_ledger_keeps_overrules_a_settled_status() {
        let cases = [
            (refused(true), true),
            (refused(false), false),
            (refused_for("LostByRestore", false), true),
            (Answer::Waiting(Waiting::engine()), false),
            (Answer::Failed(EngineError::Answer("x")), false),
        ];
        for (answer, decided) in cases {
            assert_eq!(is_decided(&answer), decided, "{answer:?}");
        }
    }
}
