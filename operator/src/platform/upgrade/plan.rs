//! What to do about the version of a database. Pure.

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::ResourceExt;
use payplane_crds::{
    Platform,
    condition::reason::{MAJOR_UPGRADE_NOT_ALLOWED, UNSUPPORTED, UPGRADE_FAILED},
    platform::{MajorUpgrade, ManagedPostgres},
};

use super::{
    build,
    image::{major, serving, wanted},
    report,
};
use crate::{
    context::Settings,
    job::{self, End},
    meta::{POSTGRES_IMAGE, REFUSED_UPGRADE, REFUSED_UPGRADE_BECAUSE, short_hash},
    platform::{
        observe::Observed,
        restoring::{self, Mark},
    },
};

/// What to do.
#[derive(Debug)]
pub enum Next<'a> {
    /// The server runs: with this image, if it is not the one that is asked for.
    Serve(Option<Held>),
    /// The volume is marked, and the image that serves noted on it.
    Mark {
        /// The volume's claim.
        claim: &'a PersistentVolumeClaim,
        /// What to write.
        mark: Mark,
        /// The image that serves.
        image: String,
    },
    /// The Platform stands still.
    Still(Step<'a>),
    /// The mark goes.
    Finish {
        /// The volume's claim.
        claim: &'a PersistentVolumeClaim,
        /// What came of it.
        outcome: Outcome,
    },
}

impl Next<'_> {
    /// Why the server has not the image that is asked for.
    pub fn held(&self) -> Option<Held> {
        match self {
            Self::Serve(held) => held.clone(),
            Self::Mark { .. } | Self::Still(_) | Self::Finish { .. } => None,
        }
    }
}

/// The Platform as it is built: with the image of before, until the ledger is of another one.
pub fn keep_image(platform: &Platform, next: &Next<'_>, claim: Option<&PersistentVolumeClaim>) -> Platform {
    let image = match next {
        Next::Serve(held) => held.as_ref().map(|held| held.image.clone()),
        Next::Mark { .. } | Next::Still(_) | Next::Finish { .. } => claim.and_then(noted),
    };
    let mut platform = platform.clone();
    if let (Some(managed), Some(image)) = (&mut platform.spec.postgres.managed, image) {
        managed.image = Some(image);
    }
    platform
}

/// Why the server has not the image that is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The image that it has.
    pub image: String,
    /// As a condition's reason.
    pub reason: &'static str,
    /// The matter, and the way out.
    pub message: String,
}

/// What happens while the Platform stands still.
#[derive(Debug)]
pub enum Step<'a> {
    /// Engines and database stop.
    Stop,
    /// They have: the Job begins.
    Begin(Copy<'a>),
    /// The Job works, or its pod ends.
    Look(&'a Job),
    /// What was is brought back.
    Undo,
    /// The Job that does that works, or has failed.
    LookAtUndo(&'a Job),
}

/// What the Job works on.
#[derive(Debug)]
pub struct Copy<'a> {
    /// The database, as it is asked for.
    pub spec: &'a ManagedPostgres,
    /// When it began, in milliseconds since 1970: its name.
    pub began: i64,
    /// The image of before.
    pub from: String,
    /// The image that is asked for.
    pub image: String,
    /// Its major version, as the consent has it.
    pub to: u32,
    /// How long it may take.
    pub deadline_seconds: i64,
}

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The ledger is of this image now, and has another name.
    Upgraded {
        /// The image.
        image: String,
        /// The ledger's name.
        ledger: String,
    },
    /// Everything is as it was. Why, unless nobody asks any more.
    Undone {
        /// Hash of what was asked for.
        asked: String,
        /// For people.
        because: Option<String>,
    },
}

/// The next step.
pub fn plan<'a>(
    platform: &'a Platform,
    settings: &Settings,
    observed: &'a Observed,
    now: Timestamp,
) -> Next<'a> {
    let Some(spec) = &platform.spec.postgres.managed else { return Next::Serve(None) };
    let claim = observed.claim.as_ref();
    let serving = serving(observed.postgres.as_ref(), claim);
    let image = wanted(platform, settings);
    match (claim, claim.and_then(Mark::on)) {
        (Some(claim), Some(Mark::Upgrade { began, asked })) => {
            let copy = copy(spec, (began, asked == hash(spec, claim)), serving, image);
            marked(copy, observed, claim, (began, asked), now)
        }
        (claim, mark) => serve(spec, claim.filter(|_| mark.is_none()), serving, image, now),
    }
}

/// Names what is asked for, of this ledger. Another one may be tried.
fn hash(spec: &ManagedPostgres, claim: &PersistentVolumeClaim) -> String {
    let ledger = restoring::ledger(claim).unwrap_or_default();
    // A value that was built from types can be written as JSON.
    let spec = serde_json::to_string(spec).unwrap_or_default();
    short_hash([ledger.as_bytes(), spec.as_bytes()])
}

fn serve<'a>(
    spec: &ManagedPostgres,
    claim: Option<&'a PersistentVolumeClaim>,
    serving: Option<String>,
    image: String,
    now: Timestamp,
) -> Next<'a> {
    // An image whose tag names no version is believed.
    let Some((serving, is, to)) = serving.and_then(|serving| {
        let versions = major(&serving).zip(major(&image));
        versions.map(|(is, to)| (serving, is, to))
    }) else {
        return Next::Serve(None);
    };
    let held = |reason, message| Next::Serve(Some(Held { image: serving.clone(), reason, message }));
    if to == is {
        return Next::Serve(None);
    }
    if to < is {
        return held(UNSUPPORTED, report::downgrade(is, to));
    }
    let Some((claim, ledger)) = claim.and_then(|claim| Some((claim, restoring::ledger(claim)?))) else {
        return held(MAJOR_UPGRADE_NOT_ALLOWED, report::not_yet(is, to));
    };
    let asked = hash(spec, claim);
    if claim.annotations().get(REFUSED_UPGRADE) == Some(&asked) {
        let because = claim.annotations().get(REFUSED_UPGRADE_BECAUSE).map_or("", String::as_str);
        return held(UPGRADE_FAILED, report::failed(because, claim));
    }
    match &spec.upgrade {
        Some(consent) if consent.ledger == ledger && consent.to == to => {
            let mark = Mark::Upgrade { began: now.as_millisecond(), asked };
            Next::Mark { claim, mark, image: serving }
        }
        consent => held(MAJOR_UPGRADE_NOT_ALLOWED, report::consent(consent.as_ref(), &ledger, is, to)),
    }
}

/// What the Job would work on, if it is still asked for.
fn copy(
    spec: &ManagedPostgres,
    (began, is_asked): (i64, bool),
    from: Option<String>,
    image: String,
) -> Option<Copy<'_>> {
    let MajorUpgrade { to, deadline_seconds, .. } = *spec.upgrade.as_ref().filter(|_| is_asked)?;
    Some(Copy { spec, began, from: from?, image, to, deadline_seconds })
}

/// From the mark to its end.
fn marked<'a>(
    copy: Option<Copy<'a>>,
    observed: &'a Observed,
    claim: &'a PersistentVolumeClaim,
    (began, asked): (i64, String),
    now: Timestamp,
) -> Next<'a> {
    let seen = &observed.upgrade;
    let mark = Mark::Upgrade { began, asked: asked.clone() };
    let undone = |because| Next::Finish { claim, outcome: Outcome::Undone { asked, because } };
    let late = copy
        .as_ref()
        .map(|copy| copy.deadline_seconds)
        .filter(|most| most * 1_000 < now.as_millisecond() - began);
    let is_asked = copy.is_some();
    // Without a Job that tells.
    let why = late.map(report::late);
    if let Some(undo) = &seen.undo {
        let because = match seen.job.as_ref().map(|job| job::end(job, seen.pod.as_ref())) {
            Some(End::Failed(failed)) => Some(report::failure(failed)),
            Some(End::Open | End::Succeeded) | None => why.or(is_asked.then(|| report::GONE.into())),
        };
        return match job::end(undo, None) {
            End::Succeeded => undone(because),
            End::Open | End::Failed(_) => Next::Still(Step::LookAtUndo(undo)),
        };
    }
    if let Some(job) = &seen.job {
        return match job::end(job, seen.pod.as_ref()) {
            End::Succeeded => {
                let image = build::image_of(job).unwrap_or_default().to_owned();
                Next::Finish { claim, outcome: Outcome::Upgraded { image, ledger: build::ledger(began) } }
            }
            End::Failed(_) if !seen.pod.as_ref().is_some_and(job::still_runs) => Next::Still(Step::Undo),
            End::Open | End::Failed(_) => Next::Still(Step::Look(job)),
        };
    }
    let is_stopped = observed.postgres.as_ref().is_some_and(|set| restoring::is_stopped(set, &mark));
    let ends = seen.pod.as_ref().is_some_and(job::still_runs);
    match copy.filter(|_| late.is_none()) {
        // The Job was never made: it comes when no server is there, and none comes before the mark goes.
        None if seen.has_server => undone(why),
        _ if seen.has_server || !is_stopped || ends => Next::Still(Step::Stop),
        None => Next::Still(Step::Undo),
        Some(copy) => Next::Still(Step::Begin(copy)),
    }
}

/// The image that serves while the volume is marked.
pub fn noted(claim: &PersistentVolumeClaim) -> Option<String> {
    claim.annotations().get(POSTGRES_IMAGE).cloned()
}

#[cfg(test)]
mod tests;
