//! Deletes Payment objects that ask for it, some time after they are settled.
//!
//! Settled payments are not watched, so one task pages through those with a TTL, twice a minute; the API server selects
//! them. Before an object goes the ledger is asked once more: it goes only if its outcome is stored there. What the
//! ledger has no trace of, such as a payment whose key belongs to another, stays, for the object is all that tells of it.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::ListParams};
use payplane_crds::{
    Payment,
    condition::{
        SETTLED,
        reason::{CURRENCY_MISMATCH, IDEMPOTENCY_CONFLICT, INVALID, SAME_WALLET},
    },
};

use super::{Answer, look, plan};
use crate::{
    api, apply,
    condition::find,
    context::{Context, Guarded},
    error::Error,
    status::{self, Reported, Written},
};

/// Between two rounds: a TTL says after when an object goes, and nobody waits for it to go.
const PERIOD: Duration = Duration::from_secs(30);
const PAGE: u32 = 500;
/// Payments that the ledger is asked about at once.
const CONCURRENCY: usize = 4;
/// With a TTL, and settled. The API server tells what is absent as empty.
const SELECTOR: &str = "spec.ttlSecondsAfterSettled!=,status.state!=New,status.state!=Lost,status.state!=AwaitingApproval,status.state!=Pending";

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    context.filled.all().await;
    loop {
        // Clocks tell nobody.
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = round(&context).await {
            // The next round comes soon.
            tracing::debug!(error = %crate::telemetry::chain(&error), "cannot list payments with a TTL");
        }
    }
}

async fn round(context: &Context) -> Result<(), Error> {
    let payments = Api::<Guarded<Payment>>::all(context.client.clone());
    let mut page = ListParams::default().fields(SELECTOR).limit(PAGE);
    loop {
        let found = api::call("list payments with a TTL", payments.list(&page)).await?;
        let due = found.items.into_iter().filter_map(|guarded| guarded.0.ok());
        let due = due.filter(|payment| is_due(payment, Timestamp::now()));
        stream::iter(due)
            .for_each_concurrent(CONCURRENCY, |payment| async move {
                if let Err(error) = expire(&payment, context).await {
                    let name = payment.name_any();
                    tracing::debug!(payment = name, error = %crate::telemetry::chain(&error), "not deleted yet");
                }
            })
            .await;
        match found.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// Refusals that the ledger does not store: nothing but the object tells of them.
const UNSTORED: [&str; 4] = [INVALID, IDEMPOTENCY_CONFLICT, SAME_WALLET, CURRENCY_MISMATCH];

fn is_due(payment: &Payment, now: Timestamp) -> bool {
    let settled = find(payment.current(), SETTLED).filter(|settled| settled.status == "True");
    let settled = settled.filter(|settled| !UNSTORED.contains(&settled.reason.as_str()));
    settled.zip(payment.spec.ttl_seconds_after_settled).is_some_and(|(settled, seconds)| {
        SignedDuration::from_secs(seconds) <= now.duration_since(settled.last_transition_time.0)
    })
}

/// Deletes the object if the ledger says what it says.
async fn expire(payment: &Payment, context: &Context) -> Result<(), Error> {
    let (answer, status) = look(payment, context).await;
    if is_stored(&answer) && status::write(context, payment, &status).await? == Written::Skipped {
        apply::delete(&context.client, payment).await?;
    }
    Ok(())
}

/// Deletes the object if its end is the ledger's last word, also one that the ledger does not store: for payments that
/// somebody else keeps a record of. True if it went.
///
/// # Errors
/// When the API server gives no answer.
pub async fn prune(payment: &Payment, context: &Context) -> Result<bool, Error> {
    let (answer, status) = look(payment, context).await;
    let Answer::Outcome(outcome, _) = answer else { return Ok(false) };
    // What a restore lost is nowhere else.
    let is_open = outcome.result.as_ref().map_or_else(plan::is_lost, |stands| stands.is_open());
    if is_open || status::write(context, payment, &status).await? != Written::Skipped {
        return Ok(false);
    }
    apply::delete(&context.client, payment).await?;
    Ok(true)
}

/// Whether the ledger keeps this answer for ever, as settled.
fn is_stored(answer: &Answer) -> bool {
    let Answer::Outcome(outcome, _) = answer else { return false };
    match &outcome.result {
        Ok(stands) => !stands.is_open(),
        Err(refusal) => refusal.definitive,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::{EngineError, Outcome, Refusal};

    fn payment(ttl: Option<i64>, settled: &str) -> Payment {
        settled_for(ttl, settled, "Completed")
    }

    fn settled_for(ttl: Option<i64>, settled: &str, reason: &str) -> Payment {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Payment",
            "metadata": {"name": "rent", "namespace": "shop"},
            "spec": {
                "from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD",
                "ttlSecondsAfterSettled": ttl,
            },
            "status": {"conditions": [{
                "type": "Settled", "status": settled, "reason": reason, "message": "",
                "lastTransitionTime": "1970-01-01T00:10:00Z",
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn an_object_is_due_when_it_has_been_settled_for_so_long() {
        let cases = [
            (payment(Some(60), "True"), 660, true),
            (payment(Some(60), "True"), 659, false),
            (payment(Some(0), "True"), 600, true),
            (payment(Some(60), "False"), 9_999, false),
            (payment(None, "True"), 9_999, false),
            (settled_for(Some(60), "True", "InsufficientFunds"), 9_999, true),
            (settled_for(Some(60), "True", "IdempotencyConflict"), 9_999, false),
        ];
        for (payment, second, due) in cases {
            let now = Timestamp::from_second(second).unwrap();
            assert_eq!(is_due(&payment, now), due, "{second}: {:?}", payment.spec.ttl_seconds_after_settled);
        }
    }

    #[test]
    fn what_only_the_object_tells_stays() {
        let refused = |definitive| {
            let (field, message) = (String::new(), String::new());
            let result = Err(Refusal { reason: "X", field, message, definitive });
            let (payment_id, origin_ref) = (String::new(), String::new());
            Answer::Outcome(
                Box::new(Outcome {
                    payment_id,
                    origin_ref,
                    replayed: true,
                    approver: String::new(),
                    fees: Vec::new(),
                    result,
                }),
                None,
            )
        };
        assert!(is_stored(&refused(true)));
        assert!(!is_stored(&refused(false)));
        assert!(!is_stored(&Answer::Failed(EngineError::Answer("x"))));
    }
}
