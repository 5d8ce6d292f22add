//! What a restore may have lost: since when an object is there, and who consents that it is done again.
//!
//! The engine decides, in the commit: of what was asked before its epoch began it answers what it knows and declines the
//! rest. So nothing here is believed from a status; the time is the API server's own, which nobody else can write.

use kube::{Resource, ResourceExt};
use payplane_crds::{Platform, platform::LostPayments};

use crate::{
    engine::{Asked, Epoch},
    meta::REPLAY,
};

/// What to say of an object to its engine.
pub fn asked<K: Resource>(object: &K, policy: LostPayments) -> Asked {
    match policy {
        LostPayments::Replay => Asked::default(),
        LostPayments::Flag => Asked {
            at: object.creation_timestamp().map(|time| time.0),
            replay: object.annotations().get(REPLAY).cloned(),
        },
    }
}

/// What the Platform says.
pub fn policy(platform: Option<&Platform>) -> LostPayments {
    platform
        .and_then(|platform| platform.spec.restore.as_ref())
        .map(|restore| restore.payments)
        .unwrap_or_default()
}

/// What is lost, and the way out.
pub fn message(what: &str, verb: &str, epoch: &Epoch) -> String {
    let since = epoch.began.map(|began| format!(" at {began}")).unwrap_or_default();
    format!(
        "The ledger was restored{since} and does not know this {what}, which is older. It is not {verb} again, because that \
         may have happened before. If it shall be, consent for this restore: annotate it with {REPLAY}={}.",
        epoch.name
    )
}
