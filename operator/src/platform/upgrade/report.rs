//! What a Platform says of the version of its database. Pure.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use payplane_crds::{
    condition::{UPGRADING, reason::UPGRADED},
    platform::MajorUpgrade,
};

use super::{
    build::{self, STEPS},
    image::major,
    plan::{Held, Step},
};
use crate::{
    condition::Conditions,
    job::{self, End, Failed},
    meta::{POSTGRES_IMAGE, RESTORE},
};

/// Why, if nothing else tells.
pub const GONE: &str = "Its Job was deleted.";

/// How far one is, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress(pub String);

/// How far it is.
pub fn told(step: &Step<'_>, pod: Option<&Pod>) -> Progress {
    Progress(match step {
        Step::Stop => "Engines and database stop.".into(),
        Step::Begin(_) => at(0),
        Step::Look(_) => at(STEPS.iter().take_while(|(name, _)| job::ended(pod, name).is_some()).count()),
        Step::Undo => "It failed, and the ledger of before is brought back.".into(),
        Step::LookAtUndo(undo) => match job::end(undo, None) {
            End::Failed(_) => format!(
                "It failed, and Job {}, which brings the ledger of before back, did as well: see its pods' logs, and delete the \
                 Job to have it made again. Until then the Platform stands still.",
                undo.name_any()
            ),
            End::Open | End::Succeeded => "It failed, and the ledger of before is brought back.".into(),
        },
    })
}

/// The step of this number.
fn at(done: usize) -> String {
    let (_, what) = STEPS.get(done).or(STEPS.last()).copied().unwrap_or_default();
    format!("Step {} of {}: {what}.", (done + 1).min(STEPS.len()), STEPS.len())
}

/// Adds the condition while another version is asked for, and after one that has ended.
pub fn condition<'a>(
    conditions: Conditions<'a>,
    held: Option<&Held>,
    upgraded: Option<&str>,
) -> Conditions<'a> {
    match (held, upgraded) {
        (Some(held), _) => conditions.set(UPGRADING, "False", held.reason, &held.message),
        (None, Some(message)) => conditions.set(UPGRADING, "False", UPGRADED, message),
        (None, None) => conditions,
    }
}

/// What is left to do after one, as long as the ledger is the one that it made.
pub fn upgraded(claim: &PersistentVolumeClaim) -> Option<String> {
    let ledger = claim.annotations().get(RESTORE).filter(|ledger| build::is_ledger(ledger))?;
    let version = major(claim.annotations().get(POSTGRES_IMAGE)?)?;
    Some(format!(
        "The ledger is at PostgreSQL {version}. Create a Backup now: copies and log of before can be restored by an image of their own \
         version only. The ledger of before is kept in {}/{} until somebody deletes it.",
        claim.name_any(),
        build::kept_folder(ledger)
    ))
}

/// Nobody consents, or to something else.
pub fn consent(given: Option<&MajorUpgrade>, ledger: &str, is: u32, to: u32) -> String {
    let other = given.map_or_else(String::new, |given| {
        format!(
            " spec.postgres.managed.upgrade consents to bring ledger {} to version {}, which is something else.",
            given.ledger, given.to
        )
    });
    format!(
        "The ledger is of PostgreSQL {is}, which goes on serving, and spec.postgres.managed.image is of {to}.{other} To bring the ledger \
         there, payments waiting meanwhile, back it up and set spec.postgres.managed.upgrade to {{ledger: {ledger}, to: {to}}}. \
         To leave it, set the image back."
    )
}

/// Another thing is done with the ledger just now.
pub fn not_yet(is: u32, to: u32) -> String {
    format!(
        "The ledger is of PostgreSQL {is}, and spec.postgres.managed.image is of {to}: the volume of the ledger is not free yet."
    )
}

/// It is never done.
pub fn downgrade(is: u32, to: u32) -> String {
    format!(
        "The ledger is of PostgreSQL {is}, which goes on serving, and spec.postgres.managed.image is of {to}: no ledger goes back to \
         an earlier version. Set an image of version {is}, or restore a Backup of version {to} in place of the ledger."
    )
}

/// It was tried.
pub fn failed(because: &str, claim: &PersistentVolumeClaim) -> String {
    format!(
        "The ledger could not be brought to another major version, and is served as before: {because} It is tried again when \
         spec.postgres.managed changes, or when annotation {} of PersistentVolumeClaim {} goes.",
        crate::meta::REFUSED_UPGRADE,
        claim.name_any()
    )
}

/// It took too long.
pub fn late(seconds: i64) -> String {
    format!(
        "It took longer than {seconds} s: raise spec.postgres.managed.upgrade.deadlineSeconds, or look why its pods do not start or stop."
    )
}

/// Why its Job failed.
pub fn failure(failed: Failed) -> String {
    match failed {
        Failed::Late => late_job(),
        Failed::Job(why) => format!("Its Job failed: {why}"),
        Failed::Step { step, words, .. } => format!("Step {step} failed: {words}"),
    }
}

fn late_job() -> String {
    "It took longer than spec.postgres.managed.upgrade.deadlineSeconds: raise that.".into()
}
