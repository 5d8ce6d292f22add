//! Clients: ask, go away, ask again elsewhere with the same key, ask twice at once, ask for something else with a key
//! that is taken.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use payplane_engine::commit::{Answer, CommitError};
use payplane_ledger::{Outcome, Reason, Request};
use tokio::sync::oneshot;

use super::{
    fixture::tenants,
    history::{Call, History, Known, key},
    replica::Replicas,
    rng::Rng,
    server::Server,
    workload::{Book, Inventor},
};

/// How often a client asks before it gives up.
const CALLS_MAX: usize = 6;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    pub(crate) replicas: Replicas,
    pub(crate) history: History,
    pub(crate) book: Arc<Book>,
    /// How many in a thousand calls go to the replica that most calls of their tenant go to.
    pub(crate) faithful: u64,
    pub(crate) over: AtomicBool,
}

impl World {
    /// Whether all clients are gone.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// One call.
    pub(crate) async fn call(&self, rng: &mut Rng, group: &[Request], may_leave: bool) -> Known {
        let call = self.history.sent(group);
        let replica = self.choose(rng, group);
        let operation = key(group).1;
        self.server.trace.note(format_args!("call r{replica} {:?} {operation}", group[0].kind));
        let receiver = match self.replicas.submit(replica, group) {
            Ok(receiver) => receiver,
            Err(error) => return self.end(call, group, &Err(error)),
        };
        if may_leave && rng.chance(70) {
            let patience = rng.millis(0, 40);
            if let Ok(answer) = tokio::time::timeout(patience, receiver).await {
                return self.end(call, group, &flat(answer));
            }
            self.server.trace.count("client: went away");
            self.history.cancelled(group);
            return Known::Unknown;
        }
        self.end(call, group, &flat(receiver.await))
    }

    fn choose(&self, rng: &mut Rng, group: &[Request]) -> usize {
        let usual = usize::from(group[0].tenant == tenants()[0]);
        if rng.chance(self.faithful) { usual } else { self.replicas.any(rng) }
    }

    fn end(&self, call: Call, group: &[Request], answer: &Answer) -> Known {
        let known = self.history.answered(call, group, answer);
        let told = match answer {
            Ok(_) => format!("{known:?}"),
            Err(error) => format!("{error:?}"),
        };
        self.server.trace.note(format_args!("told {} {told}", key(group).1));
        self.server.trace.count(&format!("told: {told}"));
        if let Ok(outcomes) = answer {
            for (request, outcome) in group.iter().zip(outcomes) {
                if let Outcome::Decided { decision, replayed } = outcome {
                    self.server.trace.count(if *replayed { "told: replayed" } else { "told: first" });
                    self.book.decided(request, decision);
                }
            }
        }
        known
    }

    /// Asks until there is an answer, or patience ends.
    pub(crate) async fn perform(self: &Arc<Self>, rng: &mut Rng, group: &[Request]) {
        for request in group {
            self.book.asked(request);
        }
        for _ in 0..CALLS_MAX {
            let twice = rng.chance(60).then(|| {
                // The network delivers it twice, to two replicas.
                self.server.trace.count("client: delivered twice");
                let (world, mut rng, group) = (self.clone(), rng.clone(), group.to_vec());
                rng.next();
                tokio::spawn(async move { world.call(&mut rng, &group, false).await })
            });
            let known = self.call(rng, group, true).await;
            if let Some(twice) = twice {
                let _ = twice.await;
            }
            match known {
                Known::Decided => {
                    self.again(rng, group).await;
                    return;
                }
                Known::Declined => return,
                // Some leave it at that.
                Known::Failed | Known::Unknown if rng.chance(200) => return,
                Known::Failed | Known::Unknown => {
                    self.server.trace.count("client: asked again");
                    // As a client would, before it asks somebody else.
                    tokio::time::sleep(rng.millis(1, 300)).await;
                }
            }
        }
    }

    /// The same key later: the same body gets the same answer, another body gets none.
    async fn again(&self, rng: &mut Rng, group: &[Request]) {
        if rng.chance(120) {
            self.server.trace.count("client: repeated");
            self.call(rng, group, true).await;
        }
        if rng.chance(60) {
            self.server.trace.count("client: another body");
            let mut other = group.to_vec();
            other[0].minor += 1;
            let Ok(receiver) = self.replicas.submit(self.replicas.any(rng), &other) else { return };
            let Ok(Ok(outcomes)) = receiver.await else { return };
            let is_conflict = |outcome: &Outcome| matches!(outcome, Outcome::Declined(refusal) if refusal.reason == Reason::IdempotencyConflict);
            if !outcomes.iter().all(is_conflict) {
                self.server.trace.violation("another body got an answer");
            }
        }
    }

    /// One client's life.
    pub(crate) async fn live(self: Arc<Self>, seed: u64, number: usize, operations: usize) {
        let rng = Rng::new(seed, 100 + number as u64);
        let mut inventor = Inventor::new(rng.clone(), self.book.clone(), format!("client-{number}"));
        let mut rng = Rng::new(seed, 1_000 + number as u64);
        for _ in 0..operations {
            if self.server.trace.is_broken() {
                return;
            }
            let group = inventor.group(self.server.now());
            if !group.is_empty() {
                self.perform(&mut rng, &group).await;
            }
            // People think.
            tokio::time::sleep(rng.millis(0, 60)).await;
        }
    }
}

/// A replica that dies says nothing.
fn flat(answer: Result<Answer, oneshot::error::RecvError>) -> Answer {
    answer.unwrap_or(Err(CommitError::Unknown))
}
