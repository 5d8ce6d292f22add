//! A Restore of a copy that CloudNativePG took, into a Platform that does not exist yet: what to do next. Pure.
//!
//! CloudNativePG recovers the copy, and the log after it up to the point, into a new Cluster. That carries the mark of this Restore
//! until its ledger has a new epoch and is proved by one Job (`build`); no Platform uses a Cluster with a mark. What failed stays
//! marked. Nothing that exists is written to.

pub mod build;

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::{
    Restore,
    backup::OperatedCopy,
    bucket::Bucket,
    condition::reason::{OPERATOR_NOT_INSTALLED, TARGET_EXISTS, TIMED_OUT, UNSUPPORTED},
    restore::NewPlatform,
};

use super::{observe::Observed, plan::Next};
use crate::{
    job::{self, End},
    payment::Waiting,
    platform::{
        cluster::{self, report},
        cluster_name,
        foreign::cloudnative_pg::Cluster,
        restoring::Mark,
    },
};

/// What a Cluster is made of.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Where it is.
    pub bucket: &'a Bucket,
    /// Which one.
    pub told: &'a OperatedCopy,
}

/// The copy, if CloudNativePG took it.
pub fn copy(observed: &Observed) -> Option<Copy<'_>> {
    let backup = observed.backup.as_ref()?;
    Some(Copy { bucket: backup.spec.bucket.as_ref()?, told: backup.status.as_ref()?.operated.as_ref()? })
}

/// The Cluster that this Restore fills.
pub fn own<'a>(restore: &Restore, observed: &'a Observed) -> Option<&'a Cluster> {
    observed.cluster.as_ref().filter(|cluster| Mark::on(*cluster) == Some(Mark::of(restore)))
}

/// Why it cannot be done so. Names the field.
pub fn refusal(restore: &Restore, observed: &Observed) -> Option<(&'static str, String)> {
    let Some(into) = &restore.spec.into.platform else {
        let message = "A copy of CloudNativePG's is restored into a Platform only: give into.platform instead of into.drill. Each Backup was \
                       restored and proved when it was taken.";
        return Some((UNSUPPORTED, message.into()));
    };
    if into.replace.is_some() {
        let message = "A copy of CloudNativePG's replaces no ledger: leave into.platform.replace out, and name a Platform that does not exist.";
        return Some((UNSUPPORTED, message.into()));
    }
    if restore.spec.point.sequence.is_some() {
        let message =
            "CloudNativePG restores to no sequence: give point.time, or leave point out for the latest.";
        return Some((UNSUPPORTED, message.into()));
    }
    if observed.target.is_some() {
        let message = format!("Platform {} exists: name one that does not.", into.name);
        return Some((TARGET_EXISTS, message));
    }
    let name = cluster_name(&into.name);
    if observed.cluster.is_some() && own(restore, observed).is_none() {
        let message = format!(
            "Cluster {name} exists: it holds the ledger of a Platform of this name, or another Restore fills it. It is left alone. Name another \
             Platform, or delete the Cluster if nobody needs its ledger."
        );
        return Some((TARGET_EXISTS, message));
    }
    None
}

/// What comes next where nothing is against it.
pub fn next<'a>(
    restore: &'a Restore,
    observed: &'a Observed,
    (copy, into): (Copy<'a>, &'a NewPlatform),
    now: Timestamp,
) -> Next<'a> {
    if !observed.has_clusters {
        let message =
            format!("The API server knows no Cluster of postgresql.cnpg.io/v1: install {}.", cluster::VENDOR);
        return Next::Wait(Waiting::unwatched(OPERATOR_NOT_INSTALLED, &message));
    }
    let Some(cluster) = own(restore, observed) else {
        return Next::Recover { copy, into };
    };
    let since = cluster.creation_timestamp().map_or(now, |time| time.0);
    let left = restore.spec.deadline_seconds - now.duration_since(since).as_secs();
    if left <= 0 {
        let message = format!(
            "CloudNativePG recovered no ledger within {} s. {} Nothing uses Cluster {}: delete it, and try again with a larger \
             deadlineSeconds.",
            restore.spec.deadline_seconds,
            report::message(cluster),
            cluster.name_any()
        );
        return Next::Refuse { reason: TIMED_OUT, message };
    }
    match report::serves(cluster) && observed.has_authority {
        true => Next::Adopt { into, seconds: left },
        false => Next::LookAtCluster(cluster),
    }
}

/// After the Job: the Cluster is given to whoever makes the Platform.
pub fn release<'a>(restore: &Restore, observed: &'a Observed) -> Option<Next<'a>> {
    let job = observed.job.as_ref()?;
    let cluster = own(restore, observed)?;
    matches!(job::end(job, observed.pod.as_ref()), End::Succeeded).then_some(Next::Release(cluster))
}

#[cfg(test)]
mod tests;
