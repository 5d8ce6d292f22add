//! Makes the Payment that is due, and deletes the objects of old ones. The only writes beside the status.

use kube::{Api, ResourceExt};
use payplane_crds::{Payment, StandingOrder};

use super::{Made, build, plan::Plan};
use crate::{
    api, apply,
    context::{Context, Guarded},
    error::Error,
    payment::expire,
};

/// Does what is planned.
///
/// # Errors
/// When the API server gives no answer.
pub async fn act(order: &StandingOrder, context: &Context, plan: &Plan) -> Result<Made, Error> {
    let made = match &plan.due {
        None => Made::Nothing,
        Some((_, payment)) => make(order, context, payment).await?,
    };
    for old in &plan.prune {
        if let Err(error) = expire::prune(old, context).await {
            // It stays until the next look, and nothing depends on it.
            let (name, error) = (old.name_any(), crate::telemetry::chain(&error));
            tracing::debug!(payment = name, error = %error, "an old payment is not deleted yet");
        }
    }
    Ok(made)
}

async fn make(order: &StandingOrder, context: &Context, payment: &Payment) -> Result<Made, Error> {
    let name = payment.name_any();
    match apply::create(&context.client, payment).await {
        Ok(true) => Ok(Made::Payment(name)),
        Ok(false) => meet(order, context, name).await,
        Err(error) => error.rejection().map(Made::Rejected),
    }
}

/// An object has the name already: the Payment of this time, or something of somebody else.
async fn meet(order: &StandingOrder, context: &Context, name: String) -> Result<Made, Error> {
    let namespace = order.namespace().unwrap_or_default();
    let payments = Api::<Guarded<Payment>>::namespaced(context.client.clone(), &namespace);
    let found = api::call("read a Payment of an order", payments.get_opt(&name)).await?;
    let found = found.ok_or(Error::Raced { operation: "create a Payment" })?;
    let is_ours = found.0.is_ok_and(|found| build::time_of(order, &found).is_some());
    Ok(if is_ours { Made::Payment(name) } else { Made::Taken(name) })
}
