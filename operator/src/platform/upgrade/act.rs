//! Writes the marks of the volume, and makes the Jobs. The only writes.

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::Platform;
use serde_json::{Value, json};

use super::{
    build,
    image::wanted,
    plan::{Next, Outcome, Step, noted, plan},
};
use crate::{
    apply,
    context::{Context, Settings},
    error::Error,
    meta::{POSTGRES_IMAGE, REFUSED_UPGRADE, REFUSED_UPGRADE_BECAUSE, RESTORE, RESTORING},
    platform::{Names, observe::Observed, rollout},
};

/// Marks the volume where one begins, and takes the mark off where one has ended. What was observed says so then, too.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the claim meanwhile.
pub async fn settle(
    platform: &Platform,
    context: &Context,
    observed: &mut Observed,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(marks) = marks(plan(platform, &context.settings, observed, now)) else { return Ok(()) };
    let Some(claim) = &mut observed.claim else { return Ok(()) };
    // Of an upgrade and a Restore that begin at once the API server refuses one.
    apply::annotate(&context.client, claim, marks.clone()).await?;
    let annotations = claim.annotations_mut();
    for (name, value) in marks.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(value) => drop(annotations.insert(name.clone(), value.into())),
            None => drop(annotations.remove(name)),
        }
    }
    Ok(())
}

/// What to write on the claim. Pure.
fn marks(next: Next<'_>) -> Option<Value> {
    Some(match next {
        Next::Serve(_) | Next::Still(_) => return None,
        Next::Mark { mark, image, .. } => json!({
            RESTORING: mark.text(), POSTGRES_IMAGE: image,
            REFUSED_UPGRADE: null, REFUSED_UPGRADE_BECAUSE: null,
        }),
        Next::Finish { outcome: Outcome::Upgraded { image, ledger }, .. } => {
            json!({RESTORING: null, POSTGRES_IMAGE: image, RESTORE: ledger})
        }
        Next::Finish { outcome: Outcome::Undone { asked, because }, .. } => match because {
            None => json!({RESTORING: null}),
            Some(because) => {
                json!({RESTORING: null, REFUSED_UPGRADE: asked, REFUSED_UPGRADE_BECAUSE: because})
            }
        },
    })
}

/// Makes the Job that a step wants.
///
/// # Errors
/// When the API server does not accept it.
pub async fn act(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &Observed,
    (step, began): (&Step<'_>, i64),
) -> Result<(), Error> {
    let job = match step {
        Step::Begin(copy) => {
            let live = observed.rollout.live.as_ref().and_then(rollout::template_of);
            // Engines of the schema that the ledger has.
            let engine = live.as_ref().and_then(rollout::image).map(String::from);
            build::job(platform, &context.settings, names, copy, engine)
        }
        Step::Undo => build::undo(platform, names, began, before(platform, &context.settings, observed)),
        Step::Stop | Step::Look(_) | Step::LookAtUndo(_) => return Ok(()),
    };
    match apply::create(&context.client, &job).await? {
        true => Ok(()),
        false => Err(Error::Raced { operation: "create a Job of a major upgrade" }),
    }
}

/// The image of before.
fn before(platform: &Platform, settings: &Settings, observed: &Observed) -> String {
    let noted = observed.claim.as_ref().and_then(noted);
    noted.unwrap_or_else(|| wanted(platform, settings))
}
