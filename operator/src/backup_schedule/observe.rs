//! The Backups of a BackupSchedule, the Job that deletes old ones, and how the log is stored. The only reads.

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams};
use payplane_crds::{Backup, BackupSchedule, BackupState, Platform};

use super::{
    build,
    trouble::{self, Trouble},
};
use crate::{
    api,
    context::{Context, Guarded},
    engine::{Archive, EngineError, PlatformKey},
    error::Error,
    job,
    meta::{BACKUP_SCHEDULE, DOOMED},
    platform::{
        cluster_name,
        foreign::{self, cloudnative_pg::Cluster},
        place_of_log, stored_log,
    },
};

/// More than a schedule keeps, with what failed.
const PAGE: u32 = 1500;

/// A Backup of the schedule.
#[derive(Clone, Debug)]
pub struct Child {
    /// The time that it is for.
    pub time: Timestamp,
    /// The object.
    pub backup: Backup,
}

/// What a schedule depends on and what it has.
#[derive(Debug, Default)]
pub struct Observed {
    /// Its Platform.
    pub platform: Option<Platform>,
    /// Where CloudNativePG runs the database: the Cluster.
    pub cluster: Option<Cluster>,
    /// Its Backups, oldest first.
    pub children: Vec<Child>,
    /// The Job that deletes copies, the newest one.
    pub pruner: Option<Job>,
    /// That Job's pod.
    pub pruner_pod: Option<Pod>,
    /// How the log is stored, where the Platform asks for it.
    pub archive: Option<Result<Archive, EngineError>>,
    /// Why it is not, if that is known.
    pub trouble: Option<Trouble>,
}

impl Child {
    /// How far it is, as its object tells. Only the operator may write that.
    pub fn state(&self) -> BackupState {
        self.backup.status.as_ref().map(|status| status.state).unwrap_or_default()
    }
}

/// Reads them.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(schedule: &BackupSchedule, context: &Context) -> Result<Observed, Error> {
    let namespace = schedule.namespace().unwrap_or_default();
    let of_schedule = ListParams::default().labels(&format!("{BACKUP_SCHEDULE}={}", schedule.name_any()));
    let backups = Api::<Guarded<Backup>>::namespaced(context.client.clone(), &namespace);
    let found =
        api::call("list the Backups of a schedule", backups.list(&of_schedule.clone().limit(PAGE))).await?;
    let jobs = Api::<Job>::namespaced(context.client.clone(), &namespace);
    let pruners = api::call("list Jobs of a schedule", jobs.list(&of_schedule)).await?.items;
    let ours = |job: &Job| {
        job.annotations().contains_key(DOOMED)
            && job.owner_references().iter().any(|owner| Some(&owner.uid) == schedule.metadata.uid.as_ref())
    };
    let pruner =
        pruners.into_iter().filter(ours).max_by_key(|job| job.creation_timestamp().map(|time| time.0));
    let pruner_pod = match &pruner {
        None => None,
        Some(job) => job::newest_pod(&context.client, &namespace, &job::selector(job)).await?,
    };
    let key = PlatformKey { namespace, name: schedule.spec.platform_ref.name.clone() };
    let platform = context.stores.platform(&key);
    let cluster = cluster(context, platform.as_ref()).await?;
    let archive = archive(schedule, context, &key, platform.as_ref()).await;
    let trouble = match (&archive, &platform) {
        (Some(Ok(archive)), Some(platform)) if archive.is_failing => match &cluster {
            Some(cluster) => trouble::told(cluster),
            None => trouble::read(context, platform).await?,
        },
        _ => None,
    };
    Ok(Observed {
        children: children(schedule, found.items.into_iter().filter_map(|guarded| guarded.0.ok())),
        pruner,
        pruner_pod,
        archive,
        trouble,
        platform,
        cluster,
    })
}

/// What CloudNativePG says of the database, where it runs it.
async fn cluster(context: &Context, platform: Option<&Platform>) -> Result<Option<Cluster>, Error> {
    let Some(platform) = platform.filter(|platform| platform.spec.postgres.operator.is_some()) else {
        return Ok(None);
    };
    if !foreign::serves::<Cluster>(&context.client).await? {
        return Ok(None);
    }
    let clusters =
        Api::<Cluster>::namespaced(context.client.clone(), &platform.namespace().unwrap_or_default());
    api::call("read a Cluster", clusters.get_opt(&cluster_name(&platform.name_any()))).await
}

/// Those that are the schedule's by name, Platform and owner, oldest first. A label proves nothing: anybody may write it.
pub fn children(schedule: &BackupSchedule, backups: impl Iterator<Item = Backup>) -> Vec<Child> {
    let child = |backup| Some(Child { time: build::time_of(schedule, &backup)?, backup });
    let mut children: Vec<_> = backups.filter_map(child).collect();
    children.sort_by_key(|child| child.time);
    children
}

/// Only of a log beside the copies: elsewhere it brings none of them further.
async fn archive(
    schedule: &BackupSchedule,
    context: &Context,
    key: &PlatformKey,
    platform: Option<&Platform>,
) -> Option<Result<Archive, EngineError>> {
    let stored = stored_log(platform?)?;
    if !place_of_log(stored, &key.name).is_same(&build::place(schedule)) {
        return None;
    }
    match context.engines.get(key) {
        Some(engine) => Some(engine.archive().await),
        None => Some(Err(EngineError::Answer("there is no engine"))),
    }
}
