//! Signals between the committers and the rest of an engine: that there is something to seal, that the database should be
//! looked at, and whether it commits.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

/// How long a failure says something about now. Whoever was told to ask again has done so by then.
const FAILURE_LASTS: Duration = Duration::from_secs(60);

/// What committers tell.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Asks for a look at the database now, rather than at the next regular moment.
    pub trouble: Notify,
    /// A batch was committed: there is something to seal.
    pub committed: Notify,
    answers: AtomicU64,
    failing: Mutex<Option<Failing>>,
}

/// Callers who waited in vain since anything was committed.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Pulse {
    /// How many batches were answered: what grows proves that the database is there.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// How long the database has committed none of the batches that were tried: zero if it took the last one, or if nobody
    /// has tried for a minute.
    pub fn failing_for(&self) -> Duration {
        let told = self.failing().filter(|failing| failing.last.elapsed() < FAILURE_LASTS);
        told.map_or(Duration::ZERO, |failing| failing.since.elapsed())
    }

    /// A batch has its answers, whether or not anything had to be written for them.
    pub(super) fn has_answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.committed.notify_one();
    }

    /// The database has committed a batch.
    pub(super) fn has_written(&self) {
        *self.failing() = None;
    }

    /// The database has not committed what has waited since then, or nobody knows.
    pub(super) fn has_failed(&self, since: Instant) {
        let last = Instant::now();
        self.failing().get_or_insert(Failing { since, last }).last = last;
        self.trouble.notify_one();
    }

    fn failing(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_count_from_the_first_to_a_commit_or_until_nobody_asks() {
        let pulse = Pulse::default();
        let [second, minute] = [Duration::from_secs(1), Duration::from_secs(60)];
        assert_eq!(pulse.failing_for(), Duration::ZERO, "nobody asked");
        let began = Instant::now();
        tokio::time::advance(second).await;
        pulse.has_failed(began);
        assert_eq!(pulse.failing_for(), second, "it has waited for so long");
        pulse.has_answered();
        assert_eq!(pulse.failing_for(), second, "an answer is no commit");
        tokio::time::advance(minute - second).await;
        pulse.has_failed(Instant::now());
        assert_eq!(pulse.failing_for(), minute, "the first one counts");
        tokio::time::advance(minute).await;
        assert_eq!(pulse.failing_for(), Duration::ZERO, "nobody asks any more");
        pulse.has_failed(Instant::now());
        assert_eq!(pulse.failing_for(), 2 * minute, "nothing was committed meanwhile");
        pulse.has_written();
        assert_eq!(pulse.failing_for(), Duration::ZERO, "it commits");
    }
}
