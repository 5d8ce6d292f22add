//! Asks the ledger about settled Payments, slowly and for ever: they have left the cache, so nothing else would notice that
//! somebody wrote into their status what is not so.
//!
//! Every half minute one page is looked at, then the next, so a lie among [`PAGE`] settled payments is put right within a
//! minute, and ten thousand take twenty minutes. An object that says what the ledger says costs two calls and no write. One
//! that does not gets the status that the ledger's answer makes; if nothing was decided yet, it is open again and comes
//! back into the cache. What the ledger does not store, such as a conflict of keys, is left as it is.
//!
//! After a restore this is how settled payments are found that the ledger does not know any more: they are `Lost`, and
//! nothing is paid, unless somebody consents.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use kube::{Api, ResourceExt, api::ListParams, core::ObjectList};
use payplane_crds::{Payment, PaymentState, RefundState};

use super::{Answer, is_attempt_at, look, plan, validate};
use crate::{
    api,
    context::{Context, Guarded, platform_of},
    engine::{EngineError, PlatformKey},
    error::Error,
    status::{self, Written},
};

const PERIOD: Duration = Duration::from_secs(30);
const PAGE: u32 = 250;
/// Payments that the ledger is asked about at once.
const CONCURRENCY: usize = 2;
/// Settled, whether truly or not.
const SELECTOR: &str = "status.state!=New,status.state!=Pending";

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    context.filled.all().await;
    let mut next = None;
    loop {
        tokio::time::sleep(PERIOD).await;
        count_lost(&context);
        next = page(&context, next).await.unwrap_or_else(|error| {
            tracing::debug!(error = %crate::telemetry::chain(&error), "cannot list settled payments");
            resumed(&error)
        });
    }
}

/// Tells alerts how many objects wait for consent: they are open, so the caches have all of them.
fn count_lost(context: &Context) {
    let payments = context.stores.payments.state_filter(|guarded| {
        let status = guarded.0.as_ref().ok().and_then(|payment| payment.status.as_ref());
        status.is_some_and(|status| status.state == PaymentState::Lost)
    });
    let refunds = context.stores.refunds.state_filter(|guarded| {
        let status = guarded.0.as_ref().ok().and_then(|refund| refund.status.as_ref());
        status.is_some_and(|status| status.state == RefundState::Lost)
    });
    for (kind, count) in [("Payment", payments.len()), ("Refund", refunds.len())] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        context.metrics.lost_by_restore.with_label_values(&[kind]).set(count);
    }
}

/// Looks at one page. Gives the token of the next one; None after the last.
async fn page(context: &Context, token: Option<String>) -> Result<Option<String>, Error> {
    let payments = Api::<Guarded<Payment>>::all(context.client.clone());
    let params = ListParams { continue_token: token, ..ListParams::default().fields(SELECTOR).limit(PAGE) };
    let found: ObjectList<Guarded<Payment>> =
        api::call("list settled payments", payments.list(&params)).await?;
    let away = &Mutex::<HashSet<PlatformKey>>::default();
    stream::iter(found.items.into_iter().filter_map(|guarded| guarded.0.ok()))
        .for_each_concurrent(CONCURRENCY, |payment| async move {
            let Some(platform) = platform(&payment, context) else { return };
            if away.lock().unwrap_or_else(PoisonError::into_inner).contains(&platform) {
                return;
            }
            if let Err(error) = audit(&payment, context).await {
                let name = payment.name_any();
                tracing::debug!(payment = name, error = %crate::telemetry::chain(&error), "not audited");
                // An engine that is away need not be asked for each; the next round comes.
                if matches!(error, Error::Engine { .. }) {
                    away.lock().unwrap_or_else(PoisonError::into_inner).insert(platform);
                }
            }
        })
        .await;
    Ok(found.metadata.continue_.filter(|token| !token.is_empty()))
}

/// The Platform whose engine knows a payment.
fn platform(payment: &Payment, context: &Context) -> Option<PlatformKey> {
    context.stores.tenant_of(&payment.namespace()?).map(|tenant| platform_of(&tenant))
}

/// Tokens live for minutes. With the refusal of an old one comes another, for the rest of the list as it is now.
fn resumed(error: &Error) -> Option<String> {
    let Error::Api { cause, .. } = error else { return None };
    match &**cause {
        kube::Error::Api(status) if status.code == 410 => status.metadata.as_ref()?.continue_.clone(),
        _ => None,
    }
}

async fn audit(payment: &Payment, context: &Context) -> Result<(), Error> {
    let (answer, status) = look(payment, context).await;
    if let Answer::Failed(source @ EngineError::Unavailable { .. }) = answer {
        return Err(Error::Engine { operation: "ask about a settled payment", source });
    }
    if !is_decided(&answer) && !is_false(payment, context).await? {
        return Ok(());
    }
    if status::write(context, payment, &status).await? == Written::Patched {
        let namespace = payment.namespace().unwrap_or_default();
        tracing::warn!(
            namespace,
            payment = payment.name_any(),
            "a settled status was not what the ledger says"
        );
    }
    Ok(())
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
    let Some(engine) = platform(payment, context).and_then(|platform| context.engines.get(&platform)) else {
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

    #[test]
    fn an_old_token_is_followed_by_the_one_that_comes_with_its_refusal() {
        let refusal = |code, token: Option<&str>| {
            let metadata = token.map(|token| serde_json::json!({"continue": token}));
            let status = serde_json::json!({"code": code, "metadata": metadata.unwrap_or_default()});
            let cause = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
            Error::Api { operation: "list", cause: Box::new(cause) }
        };
        assert_eq!(resumed(&refusal(410, Some("more"))), Some("more".into()));
        assert_eq!(resumed(&refusal(410, None)), None);
        assert_eq!(resumed(&refusal(500, Some("more"))), None);
        assert_eq!(resumed(&Error::Timeout { operation: "list" }), None);
    }
}
