//! Tenant: its namespaces and what is in them, and its registration with the engine.
//!
//! Nothing is written before every listed namespace is this Tenant's to take: absent, labelled for it, or consenting.
//! The label is for people and selectors; which namespace acts for which money is the engine's own registration. What is
//! made in a namespace (address of the engine, quota, limits, isolation, RoleBindings) is watched and comes back when
//! somebody changes it; what the spec no longer asks for is removed if it has the labels that only our own objects have.
//!
//! Its API keys come after its registration, because the engine has to know whose they are; see [`keys`].
//!
//! Deleting a Tenant keeps namespaces and ledger in every case; see [`leave`] for what it waits for.

mod act;
mod build;
mod claim;
mod keys;
mod leave;
mod observe;
mod report;

use kube::ResourceExt;
use payplane_crds::{Tenant, tenant::DeletionPolicy};

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    engine::{Engine, EngineError},
    error::Error,
    meta::{OFFBOARD, is_held, is_leaving},
    status,
};

pub use keys::SECRET;

use claim::{Claim, Refused};
use leave::Stay;
use observe::{Home, Observed, Place};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The Platform is absent.
    NoPlatform(String),
    /// The Platform is there, its engine is not ready.
    NoEngine(String),
    /// A namespace is not there to take.
    Refused(Refused),
    /// The engine has registered the tenant under this id.
    Registered(String),
    /// No answer from the engine, or the request can never be valid.
    Failed(EngineError),
}

/// A Tenant that can be registered.
struct Valid<'a> {
    engine: &'a Engine,
    claims: Vec<(&'a Place, Claim)>,
    /// Namespaces that the spec does not list any more.
    left: &'a [String],
}

impl Reconciled for Tenant {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        if is_leaving(self) && !is_held(self) {
            return Ok(Again::OnChange);
        }
        if !is_leaving(self) && mark(self, context).await? {
            return Ok(Again::OnChange); // that changed the object, which brings the next look
        }
        let observed = observe::observe(self, context).await?; // reads namespaces
        let stay = leave::leave(self, context, &observed).await?; // of a deleted Tenant: asks the engine, archives
        if matches!(stay, Some(Stay::Gone)) {
            return Ok(Again::OnChange);
        }
        let answer = match validate(self, &observed) {
            Ok(valid) => act::act(self, context, &valid).await?, // writes, asks the engine
            Err(answer) => answer,
        };
        let kept = keys(self, context, &observed, &answer).await; // writes Secrets, asks the engine
        let told = kept.as_ref().ok().and_then(Option::as_ref);
        let now = jiff::Timestamp::now();
        let status = report::report(self, &answer, told, stay.as_ref(), now); // pure
        status::write(context, self, &status).await?;
        finish(answer)?;
        let next = kept?.and_then(|told| keys::wait(&told, now));
        let next = next.into_iter().chain(stay.map(|_| leave::PERIOD)).min();
        Ok(next.map_or(Again::OnChange, Again::After))
    }
}

/// The keys of a tenant that is registered. Whether they can be kept does not decide whether it is Ready.
async fn keys(
    tenant: &Tenant,
    context: &Context,
    observed: &Observed,
    answer: &Answer,
) -> Result<Option<keys::Told>, Error> {
    match (&observed.engine, answer) {
        (Home::Ready(engine), Answer::Registered(_)) => {
            keys::keep(tenant, context, engine, &observed.left).await
        }
        _ => Ok(None),
    }
}

/// Sets or takes away the finalizer. True if the object changed.
async fn mark(tenant: &Tenant, context: &Context) -> Result<bool, Error> {
    let wanted = tenant.spec.deletion_policy != DeletionPolicy::Retain;
    match (wanted, is_held(tenant)) {
        (true, false) => apply::add_finalizer(&context.client, tenant, OFFBOARD).await?,
        (false, true) => apply::remove_finalizer(&context.client, tenant, OFFBOARD).await?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The engine to register with and what to do with each namespace, if all are there to take. One that leaves takes nothing
/// more: it looks after what it has.
fn validate<'a>(tenant: &Tenant, observed: &'a Observed) -> Result<Valid<'a>, Answer> {
    // Before the Platform: who may have a namespace does not depend on whether an engine runs.
    let owner = tenant.name_any();
    let places = observed.places.iter().filter(|place| !is_leaving(tenant) || place.is_of(&owner));
    let claims = places.map(|place| Ok((place, claim::claim(tenant, place)?)));
    let claims = claims.collect::<Result<_, _>>().map_err(Answer::Refused)?;
    match &observed.engine {
        Home::Ready(engine) => Ok(Valid { engine, claims, left: &observed.left }),
        Home::Absent(message) => Err(Answer::NoPlatform(message.clone())),
        Home::NotReady(message) => Err(Answer::NoEngine(message.clone())),
    }
}

fn finish(answer: Answer) -> Result<(), Error> {
    match answer {
        Answer::Failed(EngineError::Invalid { .. } | EngineError::Taken { .. }) => Ok(()),
        Answer::Failed(source) => Err(Error::Engine { operation: "register a tenant", source }),
        // Platforms, namespaces and other Tenants wake this one when they change.
        Answer::NoPlatform(_) | Answer::NoEngine(_) | Answer::Refused(_) | Answer::Registered(_) => Ok(()),
    }
}
