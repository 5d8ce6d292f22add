//! Watching the journal grow. One task per engine follows the chain's head while anybody watches; each watch reads what
//! was sealed since its last answer and sends it. It reads only as fast as its client takes.

use std::{sync::Arc, time::Duration};

use payplane_ledger::{Origin, TenantId};
use payplane_proto::v1 as proto;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Api;
use crate::{
    engine::{Engine, detached},
    grpc::{
        decode::{self, Path, Violations},
        encode, status,
    },
};

/// How often the chain's head is looked at while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often a watch without news tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How many watches one engine serves.
const WATCHES_MAX: usize = 200;

/// Answers that wait for the client to take them.
const UNSENT_MAX: usize = 4;

/// Knows how far the ledger is sealed.
#[derive(Debug)]
pub(in crate::grpc) struct Follower {
    head: watch::Sender<i64>,
    places: Arc<Semaphore>,
}

type Answers = ReceiverStream<Result<proto::WatchPaymentsResponse, Status>>;

/// One client's watch.
struct Watch {
    api: Api,
    tenant: TenantId,
    /// Only what is about payments and refunds of this origin.
    origin: Option<Origin>,
    /// Everything up to here was sent.
    sent: i64,
    /// When something was last sent.
    told: Instant,
    head: watch::Receiver<i64>,
    sender: mpsc::Sender<Result<proto::WatchPaymentsResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Follows as long as there is an engine.
    pub(in crate::grpc) fn start(engine: &Arc<Engine>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(WATCHES_MAX));
        let follower = Arc::new(Self { head: watch::Sender::new(0), places });
        let (weak, engine) = (Arc::downgrade(&follower), Arc::downgrade(engine));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let (Some(follower), Some(engine)) = (weak.upgrade(), engine.upgrade()) else { return };
                if follower.head.receiver_count() != 0 {
                    follower.look(&engine).await;
                }
            }
        });
        follower
    }

    async fn look(&self, engine: &Engine) {
        let store = engine.store.clone();
        // While the database is away there is no news; the watches' own reads will say so.
        if let Ok(found) = detached(async move { store.head().await }).await {
            self.head.send_if_modified(|known| std::mem::replace(known, found.seal) != found.seal);
        }
    }
}

impl Api {
    pub(super) async fn watch(
        &self,
        tenant: TenantId,
        request: &proto::WatchPaymentsRequest,
    ) -> Result<Answers, Status> {
        let mut violations = Violations::default();
        if request.start_seal < 0 {
            violations.add(Path::Root.at("start_seal"), "is out of range: expected 0 or more");
        }
        let origin = decode::origin(Path::Root.at("subject_origin"), request.subject_origin, &mut violations);
        violations.check()?;
        let place = Arc::clone(&self.follower.places).try_acquire_owned();
        let place = place.map_err(|_| status::too_many_watches())?;
        let store = self.engine.store.clone();
        let head = detached(async move { store.head().await }).await;
        let newest = head.map_err(|error| status::of_store(&error))?.seal;
        let sent = if request.start_seal == 0 { newest } else { request.start_seal - 1 };
        if newest < sent {
            return Err(status::not_sealed_yet(newest));
        }
        let (sender, unsent) = mpsc::channel(UNSENT_MAX);
        let (api, head) = (self.clone(), self.follower.head.subscribe());
        let watch = Watch { api, tenant, origin, sent, told: Instant::now(), head, sender, _place: place };
        tokio::spawn(watch.run(newest));
        Ok(ReceiverStream::new(unsent))
    }
}

impl Watch {
    /// Until the client goes, the engine drains, the database fails, or the watch is too old.
    async fn run(mut self, newest: i64) {
        let (api, sender) = (self.api.clone(), self.sender.clone());
        let ended = tokio::select! {
            ended = self.follow(newest) => ended,
            end = api.stream_end(Instant::now()) => Err(end),
            () = sender.closed() => Ok(()),
        };
        if let Err(status) = ended {
            // Nobody may be there to take it.
            let _ = sender.try_send(Err(status));
        }
    }

    async fn follow(&mut self, mut newest: i64) -> Result<(), Status> {
        loop {
            while self.sent < newest {
                self.send_some(newest).await?;
            }
            let news = self.head.wait_for(|seal| newest < *seal);
            let news = tokio::time::timeout_at(self.told + TELL_EVERY, news).await;
            match news.map(|news| news.map(|seal| *seal)) {
                Ok(Ok(seal)) => newest = seal,
                // The follower lives as long as this watch.
                Ok(Err(_)) => return Ok(()),
                Err(_) => self.send(self.sent, Vec::new()).await,
            }
        }
    }

    async fn send_some(&mut self, newest: i64) -> Result<(), Status> {
        let (store, tenant, origin) = (self.api.engine.store.clone(), self.tenant, self.origin);
        let seals = (self.sent + 1, newest);
        let found = detached(async move { store.sealed_operations(tenant, seals, origin).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        for (seal, operations) in found.batches {
            let lines = operations.iter().map(|(id, decision)| encode::operation(*id, decision)).collect();
            self.send(seal, lines).await;
        }
        self.sent = found.through;
        // A tenant that was quiet through many seals does not have to look at them again.
        if self.told + TELL_EVERY <= Instant::now() {
            self.send(self.sent, Vec::new()).await;
        }
        Ok(())
    }

    async fn send(&mut self, seal: i64, operations: Vec<proto::Operation>) {
        // A client that has gone is noticed by `run`.
        let _ = self.sender.send(Ok(proto::WatchPaymentsResponse { seal, operations })).await;
        self.told = Instant::now();
    }
}
