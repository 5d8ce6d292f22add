//! A Tenant's API keys: made, written into a Secret, replaced, ended.
//!
//! One Secret per namespace, always called `payplane-api-keys`, with one entry per key: so the operator's rights name it, and
//! it can read no other Secret of a tenant.
//!
//! A key is made in this order: the engine is told its hash, with an end that is near ([`LEASE`]); the Secret gets it; the
//! engine is told that it has no end; the keys before it get theirs (`overlapSeconds` from now). So whatever is in a Secret
//! was registered, and after a crash at any step the next look goes on: a key that is in no Secret ends by itself, one that
//! is there and not confirmed is confirmed. What is in a Secret is never registered because it is there: if the engine does
//! not know it, or has ended it, a new key takes its place. The engine bounds how many keys a tenant can have.
//!
//! Secrets of keys are in the API server's answer and in this process for the moment, and in no log, event or status.

mod act;
mod build;
mod observe;
mod plan;
mod report;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use payplane_crds::Tenant;
use sha2::{Digest, Sha256};

pub use act::forget;
pub use build::NAME as SECRET;
pub use report::{Told, conditions};

use crate::{context::Context, engine::Engine, error::Error};

/// How long a key is valid that was registered and not written yet.
pub const LEASE: Duration = Duration::from_secs(3_600);

/// Waits at least so long for what comes next.
const PAUSE: Duration = Duration::from_secs(1);

/// A whole key. Cannot be printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(pub(super) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The part that is no secret.
    fn id(&self) -> Option<&str> {
        self.0.strip_prefix("payplane_")?.split_once('_').map(|(id, _)| id)
    }

    fn hash(&self) -> Vec<u8> {
        Sha256::digest(&self.0).to_vec()
    }
}

/// Brings the keys to what the spec asks for. None if there are none, and none were.
///
/// # Errors
/// When the API server or the engine does not accept something.
pub async fn keep(
    tenant: &Tenant,
    context: &Context,
    engine: &Engine,
    left: &[String],
) -> Result<Option<Told>, Error> {
    let Some(observed) = observe::observe(tenant, context, engine, left).await? else { return Ok(None) };
    let now = Timestamp::now();
    let plan = plan::plan(&tenant.spec.api_keys, &observed, now); // pure
    let made = act::act(tenant, context, engine, &plan).await?; // registers, writes Secrets, ends
    Ok(Some(report::told(&tenant.spec.api_keys, &plan, &made))) // pure
}

/// When to look again.
pub fn wait(told: &Told, now: Timestamp) -> Option<Duration> {
    let next = told.keys.iter().flat_map(|key| {
        let ends = key.previous_valid_until.as_ref().map(|until| until.0);
        [Some(key.next_rotation_at.0), ends].into_iter().flatten()
    });
    let left = next.min()?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default().max(PAUSE))
}
