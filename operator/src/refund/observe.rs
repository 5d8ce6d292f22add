//! What a Refund depends on: its tenant, from the caches; the Payment that it names, from the API server, because settled
//! payments are not kept; and that payment in the ledger.

use std::sync::Arc;

use kube::ResourceExt;
use payplane_crds::{Payment, Refund, platform::LostPayments};
use serde_json::Value;

use crate::{
    api,
    context::{Context, platform_of},
    engine::{self, Engine, EngineError},
    error::Error,
    lost,
    payment::is_attempt_at,
};

/// What a Refund depends on.
pub struct Observed {
    /// Whether the namespace belongs to a ready Tenant.
    pub has_tenant: bool,
    /// Connection to the Tenant's Platform.
    pub engine: Option<Arc<Engine>>,
    /// The payment.
    pub payment: Found,
    /// What the Platform says of refunds that a restore lost.
    pub lost: LostPayments,
}

/// What is known of the payment.
#[derive(Debug)]
pub enum Found {
    /// Nobody to ask.
    NotAsked,
    /// There is no Payment object of this name.
    NoObject,
    /// The Payment object names no payment yet.
    Undecided,
    /// The ledger has no such payment, or not under the Payment object's key.
    NotInLedger,
    /// The ledger refused the payment.
    Refused,
    /// The ledger has it.
    Known {
        /// Its id.
        id: String,
        /// How it stands.
        stands: Box<engine::Payment>,
        /// Whether it pays one of the tenant's own accounts.
        pays_own_account: bool,
    },
    /// The ledger did not answer.
    Unanswered(EngineError),
}

/// Reads.
///
/// # Errors
/// When the API server does not answer.
pub async fn observe(refund: &Refund, context: &Context) -> Result<Observed, Error> {
    let namespace = refund.namespace().unwrap_or_default();
    let tenant = context.stores.tenant_of(&namespace);
    let engine = tenant.as_ref().and_then(|tenant| context.engines.get(&platform_of(tenant)));
    let payment = match &engine {
        None => Found::NotAsked,
        Some(engine) => find(refund, context, engine, &namespace).await?,
    };
    let platform = tenant.as_ref().and_then(|tenant| context.stores.platform(&platform_of(tenant)));
    let lost = lost::policy(platform.as_ref());
    Ok(Observed { has_tenant: tenant.is_some(), engine, payment, lost })
}

async fn find(refund: &Refund, context: &Context, engine: &Engine, namespace: &str) -> Result<Found, Error> {
    let reference = &refund.spec.payment;
    let (id, key) = match (&reference.name, &reference.id) {
        (Some(name), _) => match named(context, namespace, name).await? {
            None => return Ok(Found::NoObject),
            Some((None, _)) => return Ok(Found::Undecided),
            Some((Some(id), key)) => (id, Some(key)),
        },
        (None, id) => (id.clone().unwrap_or_default(), None),
    };
    Ok(look(engine, namespace, id, key).await.unwrap_or_else(Found::Unanswered))
}

/// Payment id, if there is one, and key of the Payment object of this name, if there is one. Untyped, so that an object
/// that cannot be read as a Payment is one without a payment.
async fn named(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<(Option<String>, String)>, Error> {
    let payments = api::dynamic::<Payment>(&context.client, Some(namespace));
    let found = api::call("read the Payment of a refund", payments.get_opt(name)).await?;
    Ok(found.map(|object| {
        let text = |value: &Value| value.as_str().map(String::from);
        let key = text(&object.data["spec"]["idempotencyKey"]);
        (text(&object.data["status"]["paymentId"]), key.unwrap_or_else(|| format!("{namespace}/{name}")))
    }))
}

async fn look(
    engine: &Engine,
    namespace: &str,
    id: String,
    key: Option<String>,
) -> Result<Found, EngineError> {
    let Some(found) = engine.get_payment(namespace, &id).await? else { return Ok(Found::NotInLedger) };
    let Ok(stands) = found.result else { return Ok(Found::Refused) };
    // Anybody who may write a status could name another payment of the tenant there.
    if key.is_some_and(|key| !is_attempt_at(&stands.key, &key) || !stands.is_of_resource) {
        return Ok(Found::NotInLedger);
    }
    let pays_own_account = engine.is_own_account(namespace, &stands.to_wallet_id).await?;
    // What was paid is there; an account that cannot be seen is treated as one that needs the right.
    Ok(Found::Known { id, stands: Box::new(stands), pays_own_account: pays_own_account.unwrap_or(true) })
}
