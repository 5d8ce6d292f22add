//! BackupSchedule: one Backup object per scheduled time, old ones deleted, and objectives held against what there is.
//!
//! A time that comes while a copy is being taken waits, and of several only the latest is served: one look makes at most one
//! Backup, and an operator that was away makes one. Names follow from the schedule and its time, so a crash between two
//! writes meets the same Backup. What is deleted is decided from the Backups themselves, each of which the schedule must have
//! made; a Job deletes the copies first, and only those that carry the Backup's UID, then the objects go. The newest good
//! copy always stays.

mod act;
mod build;
mod observe;
mod plan;
mod report;
mod trouble;
mod validate;

use std::time::Duration;

use payplane_crds::BackupSchedule;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    meta, status,
};

use observe::Observed;

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The spec can never be followed.
    Invalid {
        /// As a condition's reason.
        reason: &'static str,
        /// What is the matter, and the way out.
        message: String,
    },
    /// The schedule was looked at, and this came of the time that was due.
    Followed(Box<plan::Plan>, Made),
}

/// What became of the Backup that was due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Made {
    /// None was due.
    Nothing,
    /// It is there now, under this name.
    Backup(String),
    /// Another object has its name.
    Taken(String),
    /// The API server will not have it, in its own words.
    Rejected(String),
}

impl Reconciled for BackupSchedule {
    const CONCURRENCY: u16 = 2;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        if meta::is_leaving(self) {
            return Ok(Again::OnChange);
        }
        let now = jiff::Timestamp::now();
        let (observed, answer) = match validate::validate(self, &context.settings, now) {
            Err((reason, message)) => (Observed::default(), Answer::Invalid { reason, message }),
            Ok(valid) => {
                let observed = observe::observe(self, context).await?; // reads
                let plan = plan::plan(self, &valid, &observed, now); // pure
                let made = act::act(self, context, &plan, &observed).await?; // writes
                (observed, Answer::Followed(Box::new(plan), made))
            }
        };
        let status = report::report(self, &observed, &answer, now); // pure
        status::write(context, self, &status).await?;
        report::measure(&context.metrics, self, &status);
        Ok(match &answer {
            Answer::Invalid { .. } => Again::OnChange,
            // Nobody tells when an object of somebody else goes.
            Answer::Followed(_, Made::Taken(_) | Made::Rejected(_)) => return Err(Error::Missing),
            Answer::Followed(plan, _) => {
                plan::wait(self, plan, &observed, &status, now).map_or(Again::OnChange, Again::After)
            }
        })
    }
}

/// How often to look whether a Job has deleted copies.
const PRUNING: Duration = Duration::from_secs(5);
/// How often to look how the log is stored.
const ARCHIVING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod fixture {
    //! A schedule and its Backups.

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    pub fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Every hour, made on the first of January 2027 at half past midnight, with these changes of its spec.
    pub fn schedule(changes: Value) -> BackupSchedule {
        let mut spec = json!({"platformRef": {"name": "main"}, "schedule": "0 * * * *"});
        spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "BackupSchedule",
            "metadata": {
                "name": "hourly", "namespace": "pay", "uid": "s-1", "generation": 1,
                "creationTimestamp": "2027-01-01T00:30:00Z",
            },
            "spec": spec,
        }))
        .unwrap()
    }

    /// Its Backup of this hour of the first of January, in this state.
    pub fn child(schedule: &BackupSchedule, hour: u32, state: &str) -> observe::Child {
        let time = at(&format!("2027-01-01T{hour:02}:00:00Z"));
        let mut backup = build::backup(schedule, time);
        backup.metadata.uid = Some(format!("b-{hour}"));
        backup.status = serde_json::from_value(json!({
            "state": state, "startedAt": time.to_string(), "bytes": 4096, "operations": 7, "restoreSeconds": 12,
        }))
        .unwrap();
        observe::Child { time, backup }
    }
}
