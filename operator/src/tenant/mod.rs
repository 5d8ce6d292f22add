//! Tenant: its namespaces, the engine's address in each of them, and its registration with the engine.
//!
//! Nothing is written before every listed namespace is this Tenant's to take: absent, labelled for it, or consenting.
//! The label is for people and selectors; which namespace acts for which money is the engine's own registration.
//! Deleting a Tenant keeps namespaces and ledger; applying it again finds them.

mod build;
mod claim;
mod observe;
mod report;

use kube::ResourceExt;
use payplane_crds::Tenant;

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    engine::{Address, Engine, EngineError},
    error::Error,
    status,
};

use claim::{Claim, Refused};
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
}

impl Reconciled for Tenant {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context).await?; // reads namespaces
        let answer = match validate(self, &observed) {
            Ok(valid) => act(self, context, &valid).await?, // writes, asks the engine
            Err(answer) => answer,
        };
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        finish(answer)?;
        Ok(Again::OnChange)
    }
}

/// The engine to register with and what to do with each namespace, if all are there to take.
fn validate<'a>(tenant: &Tenant, observed: &'a Observed) -> Result<Valid<'a>, Answer> {
    // Before the Platform: who may have a namespace does not depend on whether an engine runs.
    let claims = observed.places.iter().map(|place| Ok((place, claim::claim(tenant, place)?)));
    let claims = claims.collect::<Result<_, _>>().map_err(Answer::Refused)?;
    match &observed.engine {
        Home::Ready(engine) => Ok(Valid { engine, claims }),
        Home::Absent(message) => Err(Answer::NoPlatform(message.clone())),
        Home::NotReady(message) => Err(Answer::NoEngine(message.clone())),
    }
}

async fn act(tenant: &Tenant, context: &Context, valid: &Valid<'_>) -> Result<Answer, Error> {
    for (place, claim) in &valid.claims {
        take(tenant, context, place, *claim).await?;
        announce(context, &place.name, valid.engine.address()).await?;
    }
    Ok(match valid.engine.put_tenant(tenant).await {
        Ok(id) => Answer::Registered(id),
        Err(error) => Answer::Failed(error),
    })
}

async fn take(tenant: &Tenant, context: &Context, place: &Place, claim: Claim) -> Result<(), Error> {
    let owner = tenant.name_any();
    match claim {
        Claim::Own => Ok(()),
        Claim::Adopt => {
            let adopted = build::namespace::adopted(&place.name, &owner, place.version.clone());
            apply::apply(&context.client, &adopted).await.map(|_| ())
        }
        // Not an apply: that would take over what somebody else makes at this very moment.
        Claim::Create => {
            match apply::create(&context.client, &build::namespace::created(&place.name, &owner)).await? {
                true => Ok(()),
                false => Err(Error::Raced { operation: "create a namespace" }),
            }
        }
    }
}

async fn announce(context: &Context, namespace: &str, address: &Address) -> Result<(), Error> {
    apply::apply(&context.client, &build::config_map::address(namespace, address)).await.map(|_| ())
}

fn finish(answer: Answer) -> Result<(), Error> {
    match answer {
        Answer::Failed(EngineError::Invalid { .. } | EngineError::Taken { .. }) => Ok(()),
        Answer::Failed(source) => Err(Error::Engine { operation: "register a tenant", source }),
        // Platforms, namespaces and other Tenants wake this one when they change.
        Answer::NoPlatform(_) | Answer::NoEngine(_) | Answer::Refused(_) | Answer::Registered(_) => Ok(()),
    }
}
