//! Makes the volume, the login of its owner, and the Job; in place also what holds the Platform meanwhile. The only writes
//! beside the status.

use k8s_openapi::api::{batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::ResourceExt;
use payplane_crds::{Restore, restore::NewPlatform};
use serde_json::json;

use super::{
    Answer, build,
    observe::Observed,
    operated::{self, Copy},
    plan::{Source, in_place::is_mine},
};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::{GIVE_BACK, POSTGRES_IMAGE, RESTORE, RESTORING},
    platform::{foreign::cloudnative_pg::Cluster, random, restoring::Mark},
};

/// Begins. Each of the three is made once; a crash in between finds what was made.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn begin(restore: &Restore, context: &Context, source: &Source<'_>) -> Result<Answer, Error> {
    let client = &context.client;
    if let Some(into) = &restore.spec.into.platform {
        // Of two Restores into one volume the other was faster: the next look sees that.
        if source.makes_volume
            && !apply::create(client, &build::volume(restore, into, source, &context.settings)).await?
        {
            return Err(Error::Raced { operation: "create the volume of a restore" });
        }
        if source.makes_secret {
            apply::create(client, &build::owner_secret(restore, &into.name, random()?)).await?;
        }
    }
    match apply::create(client, &build::job(restore, source, &context.settings)).await? {
        true => Ok(Answer::Begun),
        false => Err(Error::Raced { operation: "create the Job of a restore" }),
    }
}

/// Has CloudNativePG recover its copy. The login is made before the Cluster, which names it; either is made once.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn recover(
    restore: &Restore,
    context: &Context,
    (copy, into): (Copy<'_>, &NewPlatform),
    observed: &Observed,
) -> Result<Answer, Error> {
    let client = &context.client;
    if !observed.has_owner_secret {
        apply::create(client, &operated::build::owner_secret(restore, &into.name, random()?)).await?;
    }
    let credentials = observed.credentials.clone().unwrap_or_default();
    let wanted = operated::build::cluster(restore, (copy, into), observed.source.as_ref(), &credentials);
    match wanted {
        Some(cluster) if apply::create(client, &cluster).await? => {
            Ok(Answer::Recovering("The Cluster was made.".into()))
        }
        _ => Err(Error::Raced { operation: "create the Cluster of a restore" }),
    }
}

/// Makes the Job that makes a ledger of its own of what was recovered.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn adopt(
    restore: &Restore,
    context: &Context,
    (into, seconds): (&NewPlatform, i64),
    observed: &Observed,
) -> Result<Answer, Error> {
    let image = operated::build::image(observed.source.as_ref(), &context.settings);
    let job = operated::build::job(restore, into, (observed.backup.as_ref(), seconds), &image);
    match apply::create(&context.client, &job).await? {
        true => Ok(Answer::Recovering("It is made a ledger of its own, and verified.".into())),
        false => Err(Error::Raced { operation: "create the Job of a restore" }),
    }
}

/// Takes the mark off the Cluster, in one write with the ledger's name.
///
/// # Errors
/// When the API server does not accept it, or somebody changed it meanwhile.
pub async fn release(restore: &Restore, context: &Context, cluster: &Cluster) -> Result<Answer, Error> {
    let marks = json!({RESTORING: null, RESTORE: restore.uid()});
    apply::annotate(&context.client, cluster, marks).await?;
    wake(restore, context);
    Ok(Answer::Stepped)
}

/// Keeps the object until the volume is given back.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the object meanwhile.
pub async fn bind(restore: &Restore, context: &Context) -> Result<Answer, Error> {
    apply::add_finalizer(&context.client, restore, GIVE_BACK).await?;
    Ok(Answer::Stepped)
}

/// Says on the volume that this Restore replaces its ledger. Of two at once one is refused by the API server.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the claim meanwhile.
pub async fn mark(
    restore: &Restore,
    context: &Context,
    claim: &PersistentVolumeClaim,
) -> Result<Answer, Error> {
    let mark = Mark::of(restore).text();
    apply::annotate(&context.client, claim, json!({RESTORING: mark})).await?;
    Ok(stand_by(restore, context))
}

/// Has the Platform look at the mark.
pub fn stand_by(restore: &Restore, context: &Context) -> Answer {
    wake(restore, context);
    Answer::Standing
}

/// Makes the Job that brings back what was.
///
/// # Errors
/// When the API server does not accept it.
pub async fn undo(restore: &Restore, context: &Context, observed: &Observed) -> Result<Answer, Error> {
    if let Some(into) = &restore.spec.into.platform {
        let postgres = observed.target.as_ref().and_then(|target| target.spec.postgres.managed.as_ref());
        let job = build::undo::undo(restore, into, postgres, &context.settings);
        if !apply::create(&context.client, &job).await? {
            return Err(Error::Raced { operation: "create the Job that undoes a restore" });
        }
    }
    Ok(Answer::Undoing(None))
}

/// Takes the mark off the volume, in one write with the ledger's new name and image if it has another one, and lets the object go.
///
/// # Errors
/// When the API server does not accept it, or somebody changed either meanwhile.
pub async fn give_back(
    restore: &Restore,
    context: &Context,
    claim: Option<&PersistentVolumeClaim>,
    replaced_by: Option<&Job>,
) -> Result<Answer, Error> {
    if let Some(claim) = claim.filter(|claim| is_mine(restore, claim)) {
        let mut marks = json!({RESTORING: null});
        if let Some(job) = replaced_by {
            marks[RESTORE] = restore.uid().into();
            marks[POSTGRES_IMAGE] = build::image_of(job).into();
        }
        apply::annotate(&context.client, claim, marks).await?;
        wake(restore, context);
    }
    apply::remove_finalizer(&context.client, restore, GIVE_BACK).await?;
    Ok(Answer::Stepped)
}

fn wake(restore: &Restore, context: &Context) {
    let namespace = restore.namespace().unwrap_or_default();
    let into = restore.spec.into.platform.as_ref();
    if let Some(NewPlatform { name, .. }) = into {
        context.wake.platform(&namespace, name);
    }
}
