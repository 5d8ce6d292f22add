//! What to do next about a TimeoutPolicy. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use payplane_crds::{
    TimeoutPolicy,
    condition::reason::{ENGINE_UNAVAILABLE, NO_TENANT, PLATFORM_NOT_READY},
};

use super::observe::{Observed, Place};
use crate::{
    engine::{HoldLimits, Scope},
    payment::Waiting,
};

/// Keeps the object until its parameter is taken away.
pub const FINALIZER: &str = "payplane.io/timeout-policy";
/// How often to look how holds do: the ledger wakes nobody.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long a deleted object waits for an engine that is away.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
    /// Nothing, while this other object is there.
    Yield(String),
    /// Add the finalizer: before anything has to be taken away.
    Mark,
    /// Set the parameter.
    Set {
        /// Namespace to speak for.
        namespace: String,
        /// Whom it is for.
        scope: Scope,
        /// How long money is held.
        limits: HoldLimits,
    },
    /// Take the parameter away, then the finalizer.
    Clear {
        /// Namespace to speak for.
        namespace: String,
        /// Whom it is for.
        scope: Scope,
    },
    /// Take the finalizer away.
    Release,
}

/// One step.
pub fn plan(policy: &TimeoutPolicy, observed: &Observed, now: Timestamp) -> Next {
    let is_marked = policy.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    match &policy.metadata.deletion_timestamp {
        Some(since) => leave(observed, is_marked && now.duration_since(since.0) < PATIENCE),
        None => stay(policy, observed, is_marked),
    }
}

fn leave(observed: &Observed, may_wait: bool) -> Next {
    // The parameter is another one's, or whom it was for is gone, or it was waited for long enough.
    if !may_wait || observed.is_orphan || observed.rival.is_some() {
        return Next::Release;
    }
    match &observed.place {
        Place::NoPlatform | Place::NoTenant => {
            let message = "Waits for the engine, at most ten minutes, to take the parameter away.";
            Next::Wait(Waiting::unwatched(ENGINE_UNAVAILABLE, message))
        }
        Place::Here { namespace, scope, .. } => {
            Next::Clear { namespace: namespace.clone(), scope: scope.clone() }
        }
    }
}

fn stay(policy: &TimeoutPolicy, observed: &Observed, is_marked: bool) -> Next {
    match (&observed.place, &observed.rival) {
        (_, Some(rival)) => Next::Yield(rival.clone()),
        (Place::NoTenant, None) => {
            let message = "There is no Tenant that is Ready to set this for.";
            Next::Wait(Waiting::new(NO_TENANT, message))
        }
        (Place::NoPlatform, None) => {
            Next::Wait(Waiting::new(PLATFORM_NOT_READY, "The Platform has no engine yet."))
        }
        (Place::Here { .. }, None) if !is_marked => Next::Mark,
        (Place::Here { namespace, scope, .. }, None) => Next::Set {
            namespace: namespace.clone(),
            scope: scope.clone(),
            limits: HoldLimits {
                timeout_seconds: Some(policy.spec.timeout_seconds),
                maximum_seconds: policy.spec.maximum_seconds,
                action: Some(policy.spec.action),
            },
        },
    }
}

#[cfg(test)]
mod tests;
