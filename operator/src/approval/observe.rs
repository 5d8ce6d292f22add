//! What an Approval depends on: its tenant, from the caches; the Refund or Payment that it names, from the API server,
//! because settled ones are not kept; and a refund in the ledger.

use std::sync::Arc;

use kube::{Api, Resource, ResourceExt, core::NamespaceResourceScope};
use payplane_crds::{Approval, Payment, Refund, RefundState, approval::SubjectKind};

use crate::{
    api,
    context::{Context, Guarded, platform_of},
    controllers::Reconciled,
    engine::{self, Engine, EngineError},
    error::Error,
    hash::body_hash,
    payment::{self, Waiting, Wanted},
    refund::key,
};

/// What an Approval depends on.
pub struct Observed {
    /// Whether the namespace belongs to a ready Tenant.
    pub has_tenant: bool,
    /// Connection to the Tenant's Platform.
    pub engine: Option<Arc<Engine>>,
    /// The Refund or the Payment.
    pub subject: Found,
}

/// What is known of the Refund or the Payment.
#[derive(Debug)]
pub enum Found {
    /// Nobody to ask.
    NotAsked,
    /// There is no object of this kind and name that can be read.
    NoObject,
    /// There is one, and the ledger has no refund of it yet.
    Undecided {
        /// What it would have to be approved by.
        hash: String,
        /// Whether the Refund has failed for good, so that there will be none.
        is_over: bool,
    },
    /// The ledger has it.
    Known(Box<Known>),
    /// There is a Payment.
    Payment(Box<Asked>),
    /// The ledger did not answer.
    Unanswered(EngineError),
}

/// A Payment that the ledger may be asked for.
#[derive(Debug)]
pub struct Asked {
    /// What it has to be approved by.
    pub hash: String,
    /// Who the object says asked for it.
    pub requested_by: Option<String>,
    /// The request, or what is missing.
    pub wanted: Result<Wanted, Waiting>,
}

/// A refund that the ledger has.
#[derive(Debug)]
pub struct Known {
    /// What it has to be approved by.
    pub hash: String,
    /// Who the object says asked for it.
    pub requested_by: Option<String>,
    /// Its id.
    pub id: String,
    /// How it stands.
    pub stands: engine::Refund,
}

/// Reads.
///
/// # Errors
/// When the API server does not answer.
pub async fn observe(approval: &Approval, context: &Context) -> Result<Observed, Error> {
    let namespace = approval.namespace().unwrap_or_default();
    let tenant = context.stores.tenant_of(&namespace);
    let engine = tenant.as_ref().and_then(|tenant| context.engines.get(&platform_of(tenant)));
    let subject = match &engine {
        None => Found::NotAsked,
        Some(engine) => find(approval, context, engine, &namespace).await?,
    };
    Ok(Observed { has_tenant: tenant.is_some(), engine, subject })
}

async fn find(
    approval: &Approval,
    context: &Context,
    engine: &Engine,
    namespace: &str,
) -> Result<Found, Error> {
    let name = &approval.spec.approves.name;
    Ok(match approval.spec.approves.kind {
        SubjectKind::Refund => match named::<Refund>(context, namespace, name).await? {
            None => Found::NoObject,
            Some(refund) => look(engine, namespace, &refund).await.unwrap_or_else(Found::Unanswered),
        },
        SubjectKind::Payment => match named::<Payment>(context, namespace, name).await? {
            None => Found::NoObject,
            Some(payment) => Found::Payment(Box::new(Asked {
                hash: body_hash(&payment),
                requested_by: payment.spec.requested_by.clone(),
                wanted: payment::wanted(&payment, context),
            })),
        },
    })
}

async fn named<K: Reconciled>(context: &Context, namespace: &str, name: &str) -> Result<Option<K>, Error>
where
    Guarded<K>: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let objects = Api::<Guarded<K>>::namespaced(context.client.clone(), namespace);
    let found = api::call("read what an approval names", objects.get_opt(name)).await?;
    Ok(found.and_then(|guarded| guarded.0.ok()))
}

async fn look(engine: &Engine, namespace: &str, refund: &Refund) -> Result<Found, EngineError> {
    let hash = body_hash(refund);
    let state = refund.status.as_ref().map(|status| status.state).unwrap_or_default();
    let nothing = |hash| Found::Undecided { hash, is_over: state == RefundState::Failed };
    let id = refund.status.as_ref().and_then(|status| status.refund_id.clone());
    let Some(id) = id else { return Ok(nothing(hash)) };
    let found = engine.get_refund(namespace, &id).await?.and_then(|found| found.result.ok());
    // Anybody who may write a status could name another refund of the tenant there.
    let own = found.filter(|stands| stands.key == key(refund) && stands.is_of_resource);
    let Some(stands) = own else { return Ok(nothing(hash)) };
    let requested_by = refund.spec.requested_by.clone();
    Ok(Found::Known(Box::new(Known { hash, requested_by, id, stands })))
}
