//! Backup: a copy of a Platform's ledger, restored and proved before it counts.
//!
//! One Job does all of it (`build`); where CloudNativePG runs the database that one takes the copy, and the Job proves it
//! (`operated`). It is made once: an end is an end, and whoever wants another copy creates another
//! Backup. The head of the ledger's chain is asked for before the Job is made, so that the copy can be told from one that
//! has lost something. Results come from the Job and its pod, never from this object's own status.

mod build;
mod observe;
mod operated;
mod plan;
mod report;

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use payplane_crds::{Backup, Platform, platform::ManagedPostgres};

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    engine::{Engine, EngineError},
    error::Error,
    payment::Waiting,
    platform::foreign::cloudnative_pg::backup::OperatedBackup,
    status,
};

use plan::{Base, Next};

/// How often is looked how far CloudNativePG is.
const LOOK_AT_COPIES: Duration = Duration::from_secs(3);

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// Something is missing.
    Waiting(Waiting),
    /// It can never be done.
    Refused {
        /// As a condition's reason.
        reason: &'static str,
        /// What is the matter, and the way out.
        message: String,
    },
    /// The engine did not say where its chain ends.
    Failed(EngineError),
    /// What it waited for did not come in time.
    GaveUp,
    /// The Job was made just now.
    Begun,
    /// CloudNativePG takes the copy.
    Copying(Option<Box<OperatedBackup>>),
    /// CloudNativePG took none.
    CopyFailed {
        /// Its Backup.
        copy: Box<OperatedBackup>,
        /// As a condition's reason.
        reason: &'static str,
        /// What is the matter, and the way out.
        message: String,
    },
    /// How far the Job is.
    Seen {
        /// What CloudNativePG took, where it did.
        copy: Option<Box<OperatedBackup>>,
        /// The Job.
        job: Box<Job>,
        /// Its pod.
        pod: Option<Box<Pod>>,
    },
}

impl Reconciled for Backup {
    const CONCURRENCY: u16 = 2;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context).await?; // reads
        let answer = match plan::plan(self, &observed, jiff::Timestamp::now()) {
            Next::Wait(waiting) => Answer::Waiting(waiting),
            Next::GiveUp => Answer::GaveUp,
            Next::Refuse { reason, message } => Answer::Refused { reason, message },
            Next::Look(job) => {
                let copy = observed.copy.clone().map(Box::new);
                Answer::Seen { copy, job: Box::new(job.clone()), pod: observed.pod.clone().map(Box::new) }
            }
            Next::LookAtCopy(copy) => Answer::Copying(Some(Box::new(copy.clone()))),
            Next::CopyFailed { copy, reason, message } => {
                Answer::CopyFailed { copy: Box::new(copy.clone()), reason, message }
            }
            Next::Copy { engine, platform } => copy(self, context, engine, platform).await?, // writes
            Next::Prove { copy, platform, image, seconds } => {
                let mut job =
                    operated::build::prove(self, platform, copy, (image, seconds), &context.settings);
                if observed.has_account {
                    build::objects::add(&mut job, self, platform, &context.settings);
                }
                make(context, &job).await?; // writes
                Answer::Copying(Some(Box::new(copy.clone())))
            }
            Next::Begin { engine, platform, postgres, makes_claim, has_account, base } => {
                let makes = Makes { claim: makes_claim, objects: has_account, base };
                begin(self, context, engine, (platform, postgres), makes).await? // writes
            }
        };
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        finish(answer)
    }
}

/// What is made beside the copy of the ledger, and what that builds on.
struct Makes {
    claim: bool,
    objects: bool,
    base: Base,
}

async fn begin(
    backup: &Backup,
    context: &Context,
    engine: &Engine,
    (platform, postgres): (&Platform, &ManagedPostgres),
    makes: Makes,
) -> Result<Answer, Error> {
    let head = match engine.head().await {
        Ok(head) => head,
        Err(error) => return Ok(Answer::Failed(error)),
    };
    if makes.claim {
        apply::create(&context.client, &build::claim(backup, platform)).await?;
    }
    let mut job = build::job(backup, platform, postgres, &context.settings, (head.as_deref(), &makes.base));
    if makes.objects {
        build::objects::add(&mut job, backup, platform, &context.settings);
    }
    make(context, &job).await
}

/// Somebody else's Job of this name, or one of a Backup of before that is going away, is not ours to look at.
async fn make(context: &Context, job: &Job) -> Result<Answer, Error> {
    match apply::create(&context.client, job).await? {
        true => Ok(Answer::Begun),
        false => Err(Error::Raced { operation: "create the Job of a backup" }),
    }
}

/// Has CloudNativePG take the copy. What was sealed before must be in it.
async fn copy(
    backup: &Backup,
    context: &Context,
    engine: &Engine,
    platform: &Platform,
) -> Result<Answer, Error> {
    let head = match engine.head().await {
        Ok(head) => head,
        Err(error) => return Ok(Answer::Failed(error)),
    };
    let copy = operated::build::copy(backup, platform, head.as_deref());
    match apply::create(&context.client, &copy).await? {
        true => Ok(Answer::Copying(None)),
        false => Err(Error::Raced { operation: "create CloudNativePG's Backup" }),
    }
}

/// After the status is written: whether to come again. The Job wakes its Backup.
fn finish(answer: Answer) -> Result<Again, Error> {
    match answer {
        Answer::Waiting(_) => Err(Error::Missing),
        Answer::Failed(source) => Err(Error::Engine { operation: "ask for the head of the ledger", source }),
        // Its Backups are not watched.
        Answer::Copying(_) => Ok(Again::After(LOOK_AT_COPIES)),
        Answer::Refused { .. }
        | Answer::GaveUp
        | Answer::Begun
        | Answer::CopyFailed { .. }
        | Answer::Seen { .. } => Ok(Again::OnChange),
    }
}

/// Whose Job this is, for messages.
fn job_of(backup: &Backup) -> String {
    format!("Job {}/{}", backup.namespace().unwrap_or_default(), build::job_name(backup))
}
