//! What to do next about a Restore. Pure.

pub mod in_place;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupState, Platform, Restore,
    condition::reason::{
        BACKUP_NOT_FOUND, BACKUP_NOT_GOOD, INVALID, NAMESPACE_NOT_SERVED, SECRET_NOT_FOUND, TARGET_EXISTS,
        TIMED_OUT, WRONG_PLATFORM,
    },
    platform::ManagedPostgres,
    restore::NewPlatform,
};

use super::{
    build,
    observe::Observed,
    operated::{self, Copy},
};
use crate::{meta::RESTORE, payment::Waiting, platform::foreign::cloudnative_pg::Cluster, sealed::Keys};

/// What to do next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
    /// Nothing, ever.
    Refuse {
        /// As a condition's reason.
        reason: &'static str,
        /// What is the matter, and the way out.
        message: String,
    },
    /// Begin.
    Begin(Source<'a>),
    /// See how far the Job is.
    Look(&'a Job),
    /// Have CloudNativePG recover its copy into a new Cluster.
    Recover {
        /// Which copy.
        copy: Copy<'a>,
        /// For which Platform.
        into: &'a NewPlatform,
    },
    /// See how far CloudNativePG is.
    LookAtCluster(&'a Cluster),
    /// Make what it recovered a ledger of its own, and verify it.
    Adopt {
        /// For which Platform.
        into: &'a NewPlatform,
        /// How long that may take.
        seconds: i64,
    },
    /// Take the mark off the Cluster: it is proved.
    Release(&'a Cluster),
    /// In place: see to it that the volume is given back before this object goes.
    Bind,
    /// In place: mark the volume, so that the Platform stands still.
    Mark(&'a PersistentVolumeClaim),
    /// In place: wait until it does.
    StandBy,
    /// In place: bring back what was.
    Undo,
    /// In place: see how far that is.
    LookAtUndo(&'a Job),
    /// In place: give the volume back.
    GiveBack {
        /// The volume, if it is there.
        claim: Option<&'a PersistentVolumeClaim>,
        /// Whether it has another ledger now.
        is_replaced: bool,
    },
}

/// What it begins with.
#[derive(Debug)]
pub struct Source<'a> {
    /// The copy.
    pub backup: &'a Backup,
    /// The server that it is of, if the Platform is still there: its image and resources.
    pub postgres: Option<&'a ManagedPostgres>,
    /// The engine's image, if that Platform has its own.
    pub engine_image: Option<&'a str>,
    /// Secrets with the keys that open copy and log. None if nothing is sealed.
    pub keys: Keys<'a>,
    /// Whether the volume has to be made.
    pub makes_volume: bool,
    /// Whether the new owner's login has to be made.
    pub makes_secret: bool,
}

/// One step.
pub fn plan<'a>(restore: &'a Restore, observed: &'a Observed, now: Timestamp) -> Next<'a> {
    if let Some(next) = operated::release(restore, observed) {
        return next;
    }
    if operated::copy(observed).is_some() {
        // Nothing of it is done in place.
        return step(restore, observed, now);
    }
    let next = in_place::first(restore, observed, now).unwrap_or_else(|| step(restore, observed, now));
    in_place::then(restore, observed, next)
}

/// One step of any Restore.
fn step<'a>(restore: &'a Restore, observed: &'a Observed, now: Timestamp) -> Next<'a> {
    if let Some(job) = &observed.job {
        return Next::Look(job);
    }
    if !observed.is_served {
        // Another operator may serve it, or this one after its settings have changed.
        let message = "No Platform is served in this namespace. Put the Restore beside the Backup.";
        return Next::Wait(Waiting::unwatched(NAMESPACE_NOT_SERVED, message));
    }
    match (refusal(restore, observed, now), &observed.backup) {
        (Some((reason, message)), _) => Next::Refuse { reason, message },
        (None, None) => {
            let name = &restore.spec.backup_ref.name;
            Next::Wait(Waiting::unwatched(
                BACKUP_NOT_FOUND,
                &format!("There is no Backup {name:?} in this namespace."),
            ))
        }
        (None, Some(backup)) => match state(backup) {
            BackupState::Succeeded => match (&observed.missing_keys, &observed.missing_credentials) {
                (None, None) => match operated::copy(observed).zip(restore.spec.into.platform.as_ref()) {
                    Some(what) => operated::next(restore, observed, what, now),
                    None => Next::Begin(source(restore, observed, backup)),
                },
                (None, Some(name)) => Next::Wait(Waiting::unwatched(
                    SECRET_NOT_FOUND,
                    &format!(
                        "There is no Secret {name:?} in this namespace, which has the credentials of the bucket. Create it with \
                         entries access-key-id and secret-access-key."
                    ),
                )),
                (Some(name), _) => Next::Wait(Waiting::unwatched(
                    SECRET_NOT_FOUND,
                    &format!(
                        "There is no Secret {name:?} in this namespace, which has the keys. Name another in spec.encryption."
                    ),
                )),
            },
            BackupState::New | BackupState::Running | BackupState::Failed => {
                let message = format!("Backup {} has not ended yet.", backup.name_any());
                Next::Wait(Waiting::unwatched(BACKUP_NOT_FOUND, &message))
            }
        },
    }
}

fn state(backup: &Backup) -> BackupState {
    backup.status.as_ref().map(|status| status.state).unwrap_or_default()
}

/// Whose keys open copy and log: those that the Restore names, or else those that they were sealed with.
pub fn keys<'a>(
    restore: &'a Restore,
    backup: Option<&'a Backup>,
    platform: Option<&'a Platform>,
) -> Keys<'a> {
    if restore.spec.encryption.is_some() {
        return Keys::of([restore.spec.encryption.as_ref()]);
    }
    let copy = backup.and_then(|backup| backup.spec.encryption.as_ref());
    let managed = platform.and_then(|platform| platform.spec.postgres.managed.as_ref());
    let log = managed.and_then(|postgres| postgres.archive.as_ref()?.encryption.as_ref());
    Keys::of([copy, log])
}

fn source<'a>(restore: &'a Restore, observed: &'a Observed, backup: &'a Backup) -> Source<'a> {
    let spec = observed.source.as_ref().map(|platform| &platform.spec);
    Source {
        backup,
        postgres: spec.and_then(|spec| spec.postgres.managed.as_ref()),
        engine_image: spec.and_then(|spec| spec.engine.image.as_deref()),
        keys: keys(restore, Some(backup), observed.source.as_ref()),
        makes_volume: observed.volume.is_none(),
        makes_secret: !observed.has_owner_secret,
    }
}

/// Why it can never be done.
fn refusal(restore: &Restore, observed: &Observed, now: Timestamp) -> Option<(&'static str, String)> {
    let spec = &restore.spec;
    if let Some(backup) = &observed.backup {
        let (name, platform) = (backup.name_any(), &backup.spec.platform_ref.name);
        if *platform != spec.platform_ref.name {
            let asked = &spec.platform_ref.name;
            let message = format!(
                "Backup {name} is of Platform {platform}, not of {asked}. Name the one that is meant."
            );
            return Some((WRONG_PLATFORM, message));
        }
        if state(backup) == BackupState::Failed {
            let message =
                format!("Backup {name} failed, so nothing is known of its copy. Name one that succeeded.");
            return Some((BACKUP_NOT_GOOD, message));
        }
        let taken = backup.status.as_ref().and_then(|status| status.started_at.as_ref()).map(|time| time.0);
        let point = spec.point.time.as_ref().map(|time| time.0);
        if point.is_some_and(|point| taken.is_some_and(|taken| point < taken)) {
            let message = format!("point.time is before Backup {name} was taken. Name an older Backup.");
            return Some((INVALID, message));
        }
        if point.is_some_and(|point| now < point) {
            return Some((INVALID, "point.time has not come yet. Leave it out for the latest.".into()));
        }
        if let Some((asked, had)) =
            spec.point.sequence.zip(seal_of(backup)).filter(|(asked, had)| asked <= had)
        {
            let message = format!(
                "Backup {name} has everything up to seal {had}, and more than seal {asked} alone. Name an older Backup, a \
                 later point.sequence, or point.copy."
            );
            return Some((INVALID, message));
        }
    } else {
        let since = restore.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
        if spec.deadline_seconds < now.duration_since(since).as_secs() {
            let name = &spec.backup_ref.name;
            return Some((
                TIMED_OUT,
                format!("There was no Backup {name:?} within {} s.", spec.deadline_seconds),
            ));
        }
    }
    if operated::copy(observed).is_some() {
        return operated::refusal(restore, observed);
    }
    match in_place::in_place(restore) {
        Some((into, named)) => in_place::refusal(restore, observed, into, named),
        None => target_exists(restore, observed).map(|message| (TARGET_EXISTS, message)),
    }
}

/// The last seal that the ledger had when the copy began, of `SEAL:LINK`.
fn seal_of(backup: &Backup) -> Option<i64> {
    let head = backup.status.as_ref()?.head.as_ref()?;
    head.split_once(':')?.0.parse().ok()
}

fn target_exists(restore: &Restore, observed: &Observed) -> Option<String> {
    let into = restore.spec.into.platform.as_ref()?;
    if observed.target.is_some() {
        return Some(format!(
            "Platform {} exists, and a Restore changes nothing that does without consent. Name one that does not exist. {}",
            into.name,
            in_place::ways_out(observed).unwrap_or_default()
        ));
    }
    let volume = observed.volume.as_ref()?;
    let is_ours = volume.annotations().get(RESTORE) == restore.metadata.uid.as_ref();
    (!is_ours).then(|| {
        format!(
            "PersistentVolumeClaim {} exists: it holds the ledger of a Platform of this name, or another Restore fills it. \
             It is left alone. Name another Platform, or put the volume aside.",
            build::volume_name(&into.name)
        )
    })
}

#[cfg(test)]
pub mod tests;
