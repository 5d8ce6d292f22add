//! Engines as far as committing goes: a queue and its committers over the stand-in. They are killed, drained, started.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use payplane_engine::{
    commit::{Answer, CommitError, Committer, Job, Lane, Queue},
    metrics::Metrics,
};
use payplane_ledger::Request;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{rng::Rng, server::Server, session::SimDatabase};

#[derive(Debug)]
pub(crate) struct Replicas {
    server: Arc<Server>,
    seed: u64,
    metrics: Arc<Metrics>,
    running: Mutex<Vec<Replica>>,
}

#[derive(Debug)]
struct Replica {
    starts: usize,
    queue: Arc<Queue>,
    committers: Vec<JoinHandle<()>>,
    is_alive: bool,
}

impl Replicas {
    pub(crate) fn new(server: Arc<Server>, seed: u64, count: usize) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let replicas = Self { server, seed, metrics, running: Mutex::default() };
        for number in 0..count {
            let replica = replicas.start(number, 0);
            replicas.running.lock().unwrap().push(replica);
        }
        replicas
    }

    pub(crate) fn count(&self) -> usize {
        self.running.lock().unwrap().len()
    }

    fn start(&self, number: usize, starts: usize) -> Replica {
        let queue = Arc::new(Queue::default());
        let committers = 1 + usize::from(number == 2);
        let committers = (0..committers).map(|committer| {
            let name = format!("r{number}.{starts}.c{committer}");
            let database = Arc::new(SimDatabase::new(self.server.clone(), name, self.seed));
            let (queue, metrics) = (queue.clone(), self.metrics.clone());
            let committer =
                Committer::new(database, queue, Lane::Short, Arc::default(), metrics, Arc::default());
            tokio::spawn(committer.seeded(self.seed ^ (number + 16 * starts) as u64).run())
        });
        let committers = committers.collect();
        Replica { starts, queue, committers, is_alive: true }
    }

    /// As `Engine::submit`.
    pub(crate) fn submit(
        &self,
        number: usize,
        group: &[Request],
    ) -> Result<oneshot::Receiver<Answer>, CommitError> {
        let running = self.running.lock().unwrap();
        let replica = &running[number];
        if !replica.is_alive {
            return Err(CommitError::Draining);
        }
        let (answer, decided) = oneshot::channel();
        replica.queue.push(Job { group: group.to_vec(), answer })?;
        Ok(decided)
    }

    /// At once, wherever its committers are.
    pub(crate) fn kill(&self, number: usize) {
        let mut running = self.running.lock().unwrap();
        let replica = &mut running[number];
        replica.is_alive = false;
        replica.committers.iter().for_each(JoinHandle::abort);
        // Whoever waits in its queue is never answered. In their order: a queue that is dropped has none.
        let waiting = replica.queue.take(Lane::Short, 1, usize::MAX).now_or_never().unwrap_or_default();
        waiting.into_iter().for_each(drop);
    }

    /// With empty memory.
    pub(crate) fn restart(&self, number: usize) {
        let starts = self.running.lock().unwrap()[number].starts + 1;
        let replica = self.start(number, starts);
        self.running.lock().unwrap()[number] = replica;
    }

    /// Serves what waits, then ends.
    pub(crate) async fn drain(&self, number: usize) {
        let committers = {
            let mut running = self.running.lock().unwrap();
            let replica = &mut running[number];
            replica.queue.close();
            std::mem::take(&mut replica.committers)
        };
        for committer in committers {
            if committer.await.is_err_and(|error| error.is_panic()) {
                self.server.trace.violation("a committer panicked");
            }
        }
        let mut running = self.running.lock().unwrap();
        running[number].is_alive = false;
        if running[number].queue.depth() != 0 {
            self.server.trace.violation("a drained queue is not empty");
        }
    }

    /// A committer that has ended although its queue is open had a defect.
    pub(crate) fn check(&self) {
        let running = self.running.lock().unwrap();
        for replica in running.iter().filter(|replica| replica.is_alive) {
            if replica.committers.iter().any(JoinHandle::is_finished) {
                self.server.trace.violation("a committer ended");
            }
        }
    }

    /// Brings back whoever is dead.
    pub(crate) fn heal(&self) {
        for number in 0..self.count() {
            let is_alive = self.running.lock().unwrap()[number].is_alive;
            if !is_alive {
                self.restart(number);
            }
        }
    }

    pub(crate) fn any(&self, rng: &mut Rng) -> usize {
        rng.below(self.count())
    }
}
