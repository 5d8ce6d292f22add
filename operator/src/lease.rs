//! Leader election on a Lease, as client-go does it: valid for 15 s, renewed every 2 s, given up after 10 s without
//! success. Whether another's Lease ran out is judged by this process's own clock, from when it last saw it change.
//!
//! A Lease does not fence: for a moment two processes may believe that they lead. Money is safe all the same, because
//! the ledger answers the same key the same way. Whoever loses the Lease must end the process at once.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt, api::PostParams};

use crate::{api, error::Error, meta::MANAGER};

const VALID: Duration = Duration::from_secs(15);
const GIVE_UP: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
/// Of one request, so that several fit before giving up.
const PATIENCE: Duration = Duration::from_secs(4);

/// One candidate.
#[derive(Debug)]
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Elector {
    /// A candidate of this name for the Lease in this namespace. Two candidates must never share a name.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), name: name.into(), identity, seen: None }
    }

    /// Waits until this candidate leads. After each try that did not bring it there it tells whether another was seen to
    /// lead.
    pub async fn acquire(&mut self, follows: impl Fn(bool)) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => follows(true),
                Err(error) => {
                    follows(false);
                    tracing::warn!(error = %crate::telemetry::chain(&error), "cannot reach for the Lease; trying again");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Keeps the Lease. Returns when it is lost.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < GIVE_UP {
            tokio::time::sleep(RETRY).await;
            match self.attempt().await {
                Ok(true) => renewed = Instant::now(),
                // Somebody else has it, or wrote it at the same moment: one more look tells which.
                Ok(false) if matches!(self.attempt().await, Ok(false)) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %crate::telemetry::chain(&error), "cannot renew the Lease")
                }
            }
        }
    }

    /// Gives the Lease up, so that another can lead at once.
    ///
    /// # Errors
    /// When the API server does not accept it; then the Lease runs out by itself.
    pub async fn release(&mut self) -> Result<(), Error> {
        let Some(mut lease) = self.read().await?.filter(|lease| holder(lease) == self.identity) else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.replace(lease).await.map(|_| ())
    }

    /// Takes or renews the Lease if that is allowed. True if this candidate has it now.
    ///
    /// # Errors
    /// When the API server gives no answer.
    pub async fn attempt(&mut self) -> Result<bool, Error> {
        let now = Timestamp::now();
        let Some(lease) = self.read().await? else { return self.create(self.claim(None, now)).await };
        self.watch(&lease);
        let free = holder(&lease).is_empty() || self.has_run_out();
        if holder(&lease) != self.identity && !free {
            return Ok(false);
        }
        self.replace(self.claim(Some(lease), now)).await
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        in_time("read the Lease", self.leases.get_opt(&self.name)).await
    }

    async fn create(&self, lease: Lease) -> Result<bool, Error> {
        won(in_time("create the Lease", self.leases.create(&PostParams::default(), &lease)).await)
    }

    /// A replacement carries the version that was read, so of several candidates one wins.
    async fn replace(&self, lease: Lease) -> Result<bool, Error> {
        won(in_time("write the Lease", self.leases.replace(&self.name, &PostParams::default(), &lease)).await)
    }

    fn watch(&mut self, lease: &Lease) {
        let version = lease.resource_version();
        if self.seen.as_ref().is_none_or(|seen| seen.version != version) {
            self.seen = Some(Seen { version, since: Instant::now() });
        }
    }

    fn has_run_out(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.since.elapsed() > VALID)
    }

    fn claim(&self, lease: Option<Lease>, now: Timestamp) -> Lease {
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        let taken = holder(&lease) != self.identity;
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(VALID.as_secs()).ok();
        spec.renew_time = Some(MicroTime(now));
        if taken {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        lease
    }
}

/// The name of the operator's Lease.
pub const NAME: &str = MANAGER;

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

async fn in_time<T>(
    operation: &'static str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, api::call(operation, request))
        .await
        .unwrap_or(Err(Error::Timeout { operation }))
}

/// Losing a race for a version is an answer, not a failure.
fn won(written: Result<Lease, Error>) -> Result<bool, Error> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if api::is_status(&error, 409) => Ok(false),
        Err(error) => Err(error),
    }
}
