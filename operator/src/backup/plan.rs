//! What to do next about a Backup. Pure.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupState, Platform,
    condition::{
        POSTGRES_READY,
        reason::{CLAIM_NOT_FOUND, PLATFORM_NOT_READY, SECRET_NOT_FOUND, UNSUPPORTED},
    },
    platform::ManagedPostgres,
};

use super::{build, observe::Observed, operated};
use crate::{
    condition::is_true, engine::Engine, payment::Waiting,
    platform::foreign::cloudnative_pg::backup::OperatedBackup, status::Reported,
};

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
    Begin {
        /// Whom to ask where the chain ends.
        engine: &'a Engine,
        /// Whose ledger.
        platform: &'a Platform,
        /// Its server.
        postgres: &'a ManagedPostgres,
        /// Whether the volume has to be made.
        makes_claim: bool,
        /// Whether somebody may list the objects. The ledger's copy does not wait for that.
        has_account: bool,
        /// What the copy builds on.
        base: Base,
    },
    /// Have CloudNativePG take the copy.
    Copy {
        /// Whom to ask where the chain ends.
        engine: &'a Engine,
        /// Whose ledger.
        platform: &'a Platform,
    },
    /// See how far CloudNativePG is.
    LookAtCopy(&'a OperatedBackup),
    /// CloudNativePG took none.
    CopyFailed {
        /// Its Backup.
        copy: &'a OperatedBackup,
        /// As a condition's reason.
        reason: &'static str,
        /// What is the matter, and the way out.
        message: String,
    },
    /// Restore and verify what CloudNativePG took.
    Prove {
        /// Its Backup.
        copy: &'a OperatedBackup,
        /// Whose ledger.
        platform: &'a Platform,
        /// The image of the servers.
        image: &'a str,
        /// How long that may take.
        seconds: i64,
    },
    /// Give up: what it waited for did not come in time.
    GiveUp,
    /// See how far the Job is.
    Look(&'a Job),
}

/// What a copy builds on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Base {
    /// Nothing, and nothing is asked for.
    Nothing,
    /// The copy of this Backup.
    Copy {
        /// Its name.
        name: String,
        /// Its UID, which its copy carries.
        uid: String,
    },
    /// Nothing, because what is asked for cannot be built on, for this reason.
    Unfit(String),
}

/// Whether the copy can build on the Backup that it names. A schedule deletes its copies by what it knows of them, so only its own
/// build on them.
pub fn base(backup: &Backup, parent: Option<&Backup>) -> Base {
    let Some(asked) = &backup.spec.parent_ref else { return Base::Nothing };
    let name = &asked.name;
    let Some(parent) = parent else {
        return Base::Unfit(format!("There is no Backup {name:?} in this namespace."));
    };
    let state = parent.status.as_ref().map(|status| status.state).unwrap_or_default();
    let schedule = |backup: &Backup| backup.owner_references().iter().map(|owner| owner.uid.clone()).next();
    if state != BackupState::Succeeded {
        Base::Unfit(format!("Backup {name:?} has not succeeded."))
    } else if parent.spec.platform_ref != backup.spec.platform_ref {
        Base::Unfit(format!("Backup {name:?} is of another Platform."))
    } else if !build::place(parent).is_same(&build::place(backup)) {
        Base::Unfit(format!("Backup {name:?} is kept in another place."))
    } else if schedule(parent) != schedule(backup) {
        Base::Unfit(format!("Backup {name:?} has another owner, who deletes its copy."))
    } else {
        Base::Copy { name: name.clone(), uid: parent.uid().unwrap_or_default() }
    }
}

/// One step.
pub fn plan<'a>(backup: &Backup, observed: &'a Observed, now: Timestamp) -> Next<'a> {
    if let Some(job) = &observed.job {
        return Next::Look(job);
    }
    if let Some(copy) = &observed.copy {
        return operated::then(backup, copy, observed, now);
    }
    let since = backup.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
    if backup.spec.deadline_seconds < now.duration_since(since).as_secs() {
        return Next::GiveUp;
    }
    let name = &backup.spec.platform_ref.name;
    let Some(platform) = &observed.platform else {
        let message = format!("There is no Platform {name:?} in this namespace.");
        return Next::Wait(Waiting::unwatched(PLATFORM_NOT_READY, &message));
    };
    let postgres = &platform.spec.postgres;
    if let Some((reason, message)) =
        postgres.operator.as_ref().and_then(|_| operated::refusal(backup, platform))
    {
        return Next::Refuse { reason, message };
    }
    if postgres.external.is_some() {
        let message = format!(
            "The database of Platform {name:?} is run by somebody else, who has to back it up: this operator backs up managed \
             databases, and those that CloudNativePG runs for it."
        );
        return Next::Refuse { reason: UNSUPPORTED, message };
    }
    let Some(engine) = observed.engine.as_deref().filter(|_| is_true(platform.current(), POSTGRES_READY))
    else {
        let message = format!("The database of Platform {name:?} is not ready.");
        return Next::Wait(Waiting::unwatched(PLATFORM_NOT_READY, &message));
    };
    if let Some(encryption) = backup.spec.encryption.as_ref().filter(|_| !observed.has_keys) {
        let name = &encryption.secret_ref.name;
        let message = format!("There is no Secret {name:?} in this namespace, with which to seal the copy.");
        return Next::Wait(Waiting::unwatched(SECRET_NOT_FOUND, &message));
    }
    let has_account = observed.has_account;
    let begin = |makes_claim| match &postgres.managed {
        None => operated::begin(backup, platform, (engine, observed)),
        Some(postgres) => {
            let base = base(backup, observed.parent.as_ref());
            Next::Begin { engine, platform, postgres, makes_claim, has_account, base }
        }
    };
    if let Some(bucket) = &backup.spec.bucket {
        let name = &bucket.credentials_ref.name;
        let message = format!(
            "There is no Secret {name:?} in this namespace, which has the credentials of the bucket. Create it with entries \
             access-key-id and secret-access-key."
        );
        return match observed.has_credentials {
            true => begin(false),
            false => Next::Wait(Waiting::unwatched(SECRET_NOT_FOUND, &message)),
        };
    }
    match &backup.spec.volume.claim_name {
        Some(claim) if !observed.has_claim => {
            let message = format!("There is no PersistentVolumeClaim {claim:?} in this namespace.");
            Next::Wait(Waiting::unwatched(CLAIM_NOT_FOUND, &message))
        }
        named => begin(named.is_none() && !observed.has_claim),
    }
}

#[cfg(test)]
pub mod tests;
