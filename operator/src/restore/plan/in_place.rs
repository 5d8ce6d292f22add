//! What a Restore does more that replaces the ledger of a Platform that exists. Pure.
//!
//! Before it begins: a finalizer on itself; its mark on the claim of the volume, if the ledger there is the one that is named
//! and nobody else's mark is there; and the Platform has to stand still. After its end: what was is brought back if it failed; the
//! mark goes, in one write with the ledger's new name if it succeeded; then the finalizer. Each step is told from what is
//! there, so whoever begins anew anywhere goes on. From the first step to the Job it takes the deadline at most.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use payplane_crds::{
    Restore,
    condition::reason::{INVALID, PAUSED, PROGRESSING, TARGET_EXISTS, TIMED_OUT},
    restore::NewPlatform,
};

use super::Next;
use crate::{
    job::{self, End},
    meta::{self, GIVE_BACK},
    payment::Waiting,
    platform::{
        self,
        restoring::{self, Mark},
    },
    restore::{build, observe::Observed},
};

/// Where it goes, and the name of the ledger that it replaces, if it replaces one.
pub fn in_place(restore: &Restore) -> Option<(&NewPlatform, &str)> {
    let into = restore.spec.into.platform.as_ref()?;
    Some((into, into.replace.as_deref()?))
}

/// What comes before everything else: what an end asks for.
pub fn first<'a>(restore: &Restore, observed: &'a Observed, now: Timestamp) -> Option<Next<'a>> {
    let (into, _) = in_place(restore)?;
    let end = observed.job.as_ref().map(|job| job::end(job, observed.pod.as_ref()));
    match end {
        Some(End::Open) => None,
        Some(End::Succeeded) => is_bound(restore, observed).then(|| give_back(observed, true)),
        Some(End::Failed(_)) => undone(restore, observed),
        None if meta::is_leaving(restore) => Some(give_back(observed, false)),
        None if !is_late(restore, now) => None,
        None if is_bound(restore, observed) => Some(give_back(observed, false)),
        None => Some(Next::Refuse {
            reason: TIMED_OUT,
            message: format!(
                "Platform {} did not stand still within {} s, and goes on. Look why its database does not stop, and try again.",
                into.name, restore.spec.deadline_seconds
            ),
        }),
    }
}

/// What comes before what any other Restore would do now.
pub fn then<'a>(restore: &'a Restore, observed: &'a Observed, next: Next<'a>) -> Next<'a> {
    let Some((into, _)) = in_place(restore) else { return next };
    match (next, &observed.volume) {
        (Next::Refuse { .. }, _) if is_bound(restore, observed) => give_back(observed, false),
        (Next::Begin(_), _) if !has_finalizer(restore) => match observed.target.as_ref() {
            Some(target) if platform::is_paused(target) => {
                let message = format!("Platform {} is paused, so nothing stops its database.", into.name);
                Next::Wait(Waiting::unwatched(PAUSED, &message))
            }
            _ => Next::Bind,
        },
        (Next::Begin(_), Some(claim)) if !is_marked(restore, observed) => Next::Mark(claim),
        (Next::Begin(_), _) if !stands_still(restore, observed) => Next::StandBy,
        (next, _) => next,
    }
}

/// Why the ledger that is there cannot be replaced.
pub fn refusal(
    restore: &Restore,
    observed: &Observed,
    into: &NewPlatform,
    named: &str,
) -> Option<(&'static str, String)> {
    let name = &into.name;
    let Some(target) = &observed.target else {
        let message = format!(
            "There is no Platform {name} whose ledger could be replaced. Leave into.platform.replace out."
        );
        return Some((INVALID, message));
    };
    let claim = observed.volume.as_ref().filter(|_| target.spec.postgres.managed.is_some());
    let Some(claim) = claim else {
        let message = format!(
            "Platform {name} has no ledger on a volume of ours, and what others run is restored by its own means. Restore into a \
             Platform that does not exist."
        );
        return Some((INVALID, message));
    };
    match Mark::on(claim) {
        Some(mark) if mark == Mark::of(restore) => return None,
        Some(mark) => {
            let message = format!(
                "{} replaces the ledger of Platform {name} just now. Wait for its end, and name the ledger that is there then.",
                mark.who()
            );
            return Some((TARGET_EXISTS, message));
        }
        None => {}
    }
    let ledger = restoring::ledger(claim)?;
    (ledger != named).then(|| {
        let message = format!(
            "into.platform.replace is {named:?}, but the ledger of Platform {name} is {ledger:?} now: the consent was for another \
             one. {}",
            consent(&ledger)
        );
        (TARGET_EXISTS, message)
    })
}

/// How to consent, for people.
pub fn consent(ledger: &str) -> String {
    format!(
        "To replace this ledger, which is kept on its volume, create another Restore with into.platform.replace: {ledger}"
    )
}

/// After the Job failed: what was is brought back, and only then the volume is given back.
fn undone<'a>(restore: &Restore, observed: &'a Observed) -> Option<Next<'a>> {
    if observed.pod.as_ref().is_some_and(job::still_runs) {
        return Some(Next::Wait(Waiting::unwatched(PROGRESSING, "It failed, and its pod ends.")));
    }
    match &observed.undo {
        None if is_marked(restore, observed) => Some(Next::Undo),
        Some(undo) if !matches!(job::end(undo, None), End::Succeeded) => Some(Next::LookAtUndo(undo)),
        None | Some(_) => is_bound(restore, observed).then(|| give_back(observed, false)),
    }
}

const fn give_back(observed: &Observed, is_replaced: bool) -> Next<'_> {
    Next::GiveBack { claim: observed.volume.as_ref(), is_replaced }
}

/// Whether anything has to be given back.
fn is_bound(restore: &Restore, observed: &Observed) -> bool {
    has_finalizer(restore) || is_marked(restore, observed)
}

fn has_finalizer(restore: &Restore) -> bool {
    restore.finalizers().iter().any(|finalizer| finalizer == GIVE_BACK)
}

fn is_marked(restore: &Restore, observed: &Observed) -> bool {
    observed.volume.as_ref().is_some_and(|claim| is_mine(restore, claim))
}

/// Whether this Restore has marked the claim.
pub fn is_mine(restore: &Restore, claim: &PersistentVolumeClaim) -> bool {
    Mark::on(claim).is_some_and(|mark| mark == Mark::of(restore))
}

/// A server that still writes would write into what is moved aside.
fn stands_still(restore: &Restore, observed: &Observed) -> bool {
    let set = observed.postgres.as_ref();
    !observed.has_server && set.is_some_and(|set| restoring::is_stopped(set, &Mark::of(restore)))
}

fn is_late(restore: &Restore, now: Timestamp) -> bool {
    let began = restore.status.as_ref().and_then(|status| status.started_at.as_ref());
    began.is_some_and(|began| restore.spec.deadline_seconds < now.duration_since(began.0).as_secs())
}

/// Names of what stands in the way, for people.
pub fn ways_out(observed: &Observed) -> Option<String> {
    let claim = observed.volume.as_ref()?;
    Some(consent(&restoring::ledger(claim)?))
}

/// Where the ledger of before is kept.
pub fn kept(restore: &Restore, into: &NewPlatform) -> String {
    format!("{}/{}", build::volume_name(&into.name), build::kept_folder(restore))
}

#[cfg(test)]
mod tests;
