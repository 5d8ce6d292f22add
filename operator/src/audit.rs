//! Asks the ledger about settled objects, slowly and for ever: they have left the cache, so nothing else would notice that
//! somebody wrote into their status what is not so.
//!
//! Every half minute one page of each kind is looked at, then the next, so a lie among [`PAGE`] settled objects is put right
//! within a minute, and ten thousand take twenty minutes. An object that says what the ledger says costs a few calls and no
//! write.
//!
//! After a restore this is how settled objects are found that the ledger does not know any more: they are `Lost`, and
//! nothing is done again, unless somebody consents.

use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt, api::ListParams, core::ObjectList};
use payplane_crds::{Payment, PaymentState, Refund, RefundState};
use serde::de::DeserializeOwned;

use crate::{
    api,
    context::{Context, Guarded, platform_of},
    engine::PlatformKey,
    error::Error,
    status::{Reported, Written},
};

const PERIOD: Duration = Duration::from_secs(30);
const PAGE: u32 = 250;
/// Objects of a kind that the ledger is asked about at once.
const CONCURRENCY: usize = 2;

/// A kind whose objects are audited.
pub trait Audited:
    Reported + Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Those that are settled, whether truly or not.
    const SELECTOR: &'static str;

    /// Asks the ledger, and writes the status that its answer makes, if it answers for good.
    fn audit(&self, context: &Context) -> impl Future<Output = Result<Written, Error>> + Send;
}

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    context.filled.all().await;
    let (mut payments, mut refunds) = (None, None);
    loop {
        tokio::time::sleep(PERIOD).await;
        count_lost(&context);
        payments = after::<Payment>(&context, payments).await;
        refunds = after::<Refund>(&context, refunds).await;
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
async fn after<K: Audited>(context: &Context, token: Option<String>) -> Option<String> {
    page::<K>(context, token).await.unwrap_or_else(|error| {
        tracing::debug!(kind = K::KIND, error = %crate::telemetry::chain(&error), "cannot list settled objects");
        resumed(&error)
    })
}

async fn page<K: Audited>(context: &Context, token: Option<String>) -> Result<Option<String>, Error> {
    let objects = Api::<Guarded<K>>::all(context.client.clone());
    let params =
        ListParams { continue_token: token, ..ListParams::default().fields(K::SELECTOR).limit(PAGE) };
    let found: ObjectList<Guarded<K>> = api::call("list settled objects", objects.list(&params)).await?;
    let away = &Mutex::<HashSet<PlatformKey>>::default();
    stream::iter(found.items.into_iter().filter_map(|guarded| guarded.0.ok()))
        .for_each_concurrent(CONCURRENCY, |object| async move {
            let Some(platform) = platform(&object, context) else { return };
            if away.lock().unwrap_or_else(PoisonError::into_inner).contains(&platform) {
                return;
            }
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            match object.audit(context).await {
                Ok(Written::Patched) => {
                    tracing::warn!(
                        kind = K::KIND,
                        namespace,
                        name,
                        "a settled status was not what the ledger says"
                    );
                }
                Ok(Written::Skipped | Written::Gone) => {}
                Err(error) => {
                    let chain = crate::telemetry::chain(&error);
                    tracing::debug!(kind = K::KIND, namespace, name, error = %chain, "not audited");
                    // An engine that is away need not be asked for each; the next round comes.
                    if matches!(error, Error::Engine { .. }) {
                        away.lock().unwrap_or_else(PoisonError::into_inner).insert(platform);
                    }
                }
            }
        })
        .await;
    Ok(found.metadata.continue_.filter(|token| !token.is_empty()))
}

/// The Platform whose engine knows an object.
pub fn platform<K: Resource>(object: &K, context: &Context) -> Option<PlatformKey> {
    context.stores.tenant_of(object.meta().namespace.as_deref()?).map(|tenant| platform_of(&tenant))
}

/// Tokens live for minutes. With the refusal of an old one comes another, for the rest of the list as it is now.
fn resumed(error: &Error) -> Option<String> {
    let Error::Api { cause, .. } = error else { return None };
    match &**cause {
        kube::Error::Api(status) if status.code == 410 => status.metadata.as_ref()?.continue_.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
