//! Restore: a Backup and the stored log after it, made a ledger again, and verified before it counts.
//!
//! One Job does all of it (`build`), into a volume that this Restore made, or into a scratch directory. Nothing that exists is
//! written to: a Platform or a volume of the name that is asked for ends it. As long as the Job has not succeeded the volume
//! carries a mark that keeps a database from starting on it. It is made once: an end is an end.
//!
//! A copy that CloudNativePG took is recovered by it, and proved by the Job (`operated`).
//!
//! In place, with consent that names the ledger, there is more before and after (`plan/in_place`): the Platform stands still, the
//! ledger is made beside the one that is there, and a failure is undone by a second Job.

mod act;
pub mod build;
mod observe;
mod operated;
mod plan;
mod report;

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use payplane_crds::Restore;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    payment::Waiting,
    platform::cluster,
    status,
};

use plan::Next;

/// How often is looked whether a database's pod is gone: pods are not watched.
const LOOK_AT_PODS: Duration = Duration::from_secs(3);

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
    /// The Job was made just now.
    Begun,
    /// How far the Job is.
    Seen {
        /// Whether CloudNativePG took the copy.
        is_operated: bool,
        /// The Job.
        job: Box<Job>,
        /// Its pod.
        pod: Option<Box<Pod>>,
    },
    /// CloudNativePG recovers, as it says itself.
    Recovering(String),
    /// In place: the Platform is to stand still.
    Standing,
    /// In place: it failed, and what was is brought back by this Job.
    Undoing(Option<Box<Job>>),
    /// One step, which nobody has to know of.
    Stepped,
}

impl Reconciled for Restore {
    const CONCURRENCY: u16 = 2;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context).await?; // reads
        let answer = match plan::plan(self, &observed, jiff::Timestamp::now()) {
            Next::Wait(waiting) => Answer::Waiting(waiting),
            Next::Refuse { reason, message } => Answer::Refused { reason, message },
            Next::Look(job) => {
                let is_operated = operated::copy(&observed).is_some();
                Answer::Seen {
                    is_operated,
                    job: Box::new(job.clone()),
                    pod: observed.pod.clone().map(Box::new),
                }
            }
            Next::Recover { copy, into } => {
                act::recover(self, context, (copy, into), &observed).await? // writes
            }
            Next::LookAtCluster(cluster) => Answer::Recovering(cluster::report::message(cluster)),
            Next::Adopt { into, seconds } => act::adopt(self, context, (into, seconds), &observed).await?, // writes
            Next::Release(cluster) => act::release(self, context, cluster).await?, // writes
            Next::LookAtUndo(job) => Answer::Undoing(Some(Box::new(job.clone()))),
            Next::StandBy => act::stand_by(self, context),
            Next::Begin(source) => act::begin(self, context, &source).await?, // writes
            Next::Bind => act::bind(self, context).await?,                    // writes
            Next::Mark(claim) => act::mark(self, context, claim).await?,      // writes
            Next::Undo => act::undo(self, context, &observed).await?,         // writes
            Next::GiveBack { claim, is_replaced } => {
                let replaced_by = observed.job.as_ref().filter(|_| is_replaced);
                act::give_back(self, context, claim, replaced_by).await? // writes
            }
        };
        if let Answer::Stepped = answer {
            // The object has changed by it, or goes. The next look says what came of it.
            return Ok(Again::After(LOOK_AT_PODS));
        }
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        match answer {
            Answer::Waiting(_) => Err(Error::Missing),
            // The Cluster's changes wake its Platform only.
            Answer::Standing | Answer::Stepped | Answer::Recovering(_) => Ok(Again::After(LOOK_AT_PODS)),
            Answer::Undoing(_) => Ok(Again::OnChange),
            Answer::Refused { .. } | Answer::Begun | Answer::Seen { .. } => Ok(Again::OnChange),
        }
    }
}
