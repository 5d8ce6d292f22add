//! Makes the Backup that is due, and deletes old copies and their Backups. The only writes beside the status.

use kube::{Api, ResourceExt};
use payplane_crds::{Backup, BackupSchedule};

use super::{Made, build, observe::Observed, plan::Plan};
use crate::{
    api, apply,
    context::{Context, Guarded},
    error::Error,
};

/// Does what is planned.
///
/// # Errors
/// When the API server gives no answer.
pub async fn act(
    schedule: &BackupSchedule,
    context: &Context,
    plan: &Plan,
    observed: &Observed,
) -> Result<Made, Error> {
    let made = match &plan.due {
        None => Made::Nothing,
        Some(backup) => make(schedule, context, backup).await?,
    };
    for backup in &plan.gone {
        apply::delete(&context.client, backup).await?;
    }
    if !plan.prune.is_empty() {
        let job = build::prune(schedule, &plan.prune, observed, &context.settings);
        // One that is there already deletes the same copies.
        if let Some(job) = job {
            apply::create(&context.client, &job).await?;
        }
    }
    Ok(made)
}

async fn make(schedule: &BackupSchedule, context: &Context, backup: &Backup) -> Result<Made, Error> {
    let name = backup.name_any();
    match apply::create(&context.client, backup).await {
        Ok(true) => Ok(Made::Backup(name)),
        Ok(false) => meet(schedule, context, name).await,
        Err(error) => error.rejection().map(Made::Rejected),
    }
}

/// An object has the name already: the Backup of this time, or something of somebody else.
async fn meet(schedule: &BackupSchedule, context: &Context, name: String) -> Result<Made, Error> {
    let namespace = schedule.namespace().unwrap_or_default();
    let backups = Api::<Guarded<Backup>>::namespaced(context.client.clone(), &namespace);
    let found = api::call("read a Backup of a schedule", backups.get_opt(&name)).await?;
    let found = found.ok_or(Error::Raced { operation: "create a Backup" })?;
    let is_ours = found.0.is_ok_and(|found| build::time_of(schedule, &found).is_some());
    Ok(if is_ours { Made::Backup(name) } else { Made::Taken(name) })
}
