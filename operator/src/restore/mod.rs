//! Restore: a Backup and the stored log after it, made a ledger again, and verified before it counts.
//!
//! One Job does all of it (`build`), into a volume that this Restore made, or into a scratch directory. Nothing that exists is
//! written to: a Platform or a volume of the name that is asked for ends it. As long as the Job has not succeeded the volume
//! carries a mark that keeps a database from starting on it. It is made once: an end is an end.

mod act;
mod build;
mod observe;
mod plan;
mod report;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use payplane_crds::Restore;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    payment::Waiting,
    status,
};

use plan::Next;

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
        /// The Job.
        job: Box<Job>,
        /// Its pod.
        pod: Option<Box<Pod>>,
    },
}

impl Reconciled for Restore {
    const CONCURRENCY: u16 = 2;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context).await?; // reads
        let answer = match plan::plan(self, &observed, jiff::Timestamp::now()) {
            Next::Wait(waiting) => Answer::Waiting(waiting),
            Next::Refuse { reason, message } => Answer::Refused { reason, message },
            Next::Look(job) => {
                Answer::Seen { job: Box::new(job.clone()), pod: observed.pod.clone().map(Box::new) }
            }
            Next::Begin(source) => act::begin(self, context, &source).await?, // writes
        };
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        match answer {
            Answer::Waiting(_) => Err(Error::Missing),
            Answer::Refused { .. } | Answer::Begun | Answer::Seen { .. } => Ok(Again::OnChange),
        }
    }
}
