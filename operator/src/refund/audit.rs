//! What a settled Refund says, beside what the ledger says.
//!
//! Only those that say that something was decided: asking for one that failed for want of something might give money back
//! long after people read that it will not be. What the ledger cannot be asked, because the Payment is gone or the ledger
//! does not know it, is left as it is; the audit of Payments tells the second.

use payplane_crds::{Refund, condition::reason::LOST_BY_RESTORE};

use super::{Answer, look};
use crate::{
    audit::Audited,
    context::Context,
    engine::EngineError,
    error::Error,
    status::{self, Written},
};

impl Audited for Refund {
    const SELECTOR: &'static str = "status.state!=New,status.state!=Requested,status.state!=Approved,\
                                    status.state!=Lost,status.state!=Failed";

    async fn audit(&self, context: &Context) -> Result<Written, Error> {
        let (answer, status) = look(self, context).await?;
        if let Answer::Failed(source @ EngineError::Unavailable { .. }) = answer {
            return Err(Error::Engine { operation: "ask about a settled refund", source });
        }
        if !is_decided(&answer) {
            return Ok(Written::Skipped);
        }
        status::write(context, self, &status).await
    }
}

/// Whether the ledger has this refund, or declined it for good.
fn is_decided(answer: &Answer) -> bool {
    let Answer::Outcome(outcome) = answer else { return false };
    match &outcome.result {
        Ok(_) => true,
        Err(refusal) => refusal.definitive || refusal.reason == LOST_BY_RESTORE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{RefundOutcome, Refusal},
        payment::Waiting,
    };

    fn refused(reason: &'static str, definitive: bool) -> Answer {
        let refusal = Refusal { reason, field: String::new(), message: String::new(), definitive };
        let (refund_id, origin_ref) = (String::new(), String::new());
        Answer::Outcome(Box::new(RefundOutcome {
            refund_id,
            origin_ref,
            replayed: true,
            result: Err(refusal),
        }))
    }

    #[test]
    fn only_what_the_ledger_keeps_overrules_a_settled_status() {
        let cases = [
            (refused("X", true), true),
            (refused("X", false), false),
            (refused(LOST_BY_RESTORE, false), true),
            (Answer::Waiting(Waiting::engine()), false),
            (Answer::Failed(EngineError::Answer("x")), false),
        ];
        for (answer, decided) in cases {
            assert_eq!(is_decided(&answer), decided, "{answer:?}");
        }
    }
}
