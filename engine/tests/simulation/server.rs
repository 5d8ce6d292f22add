//! The stand-in for PostgreSQL: one backend task per connection, tables in memory, row locks, READ COMMITTED.
//!
//! A statement runs in its backend, not in its caller: when the caller goes away the statement goes on, and the backend
//! notices that it is alone when it wants to read the next one, or after the idle timeout if nobody said goodbye.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use payplane_engine::{
    commit::{Locked, NUMBERS_PER_DRAW, Written},
    store::StoreError,
};
use payplane_ledger::{AccountId, Effects, Parameters, TenantId, Timestamp};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    auditor::Auditor,
    locks::{Locks, Resource, TransactionId},
    read::Wanted,
    refusal::{broken, refused, word},
    rng::Rng,
    tables::{Tables, Writes},
    trace::Trace,
};

/// As in engine/src/store/session.rs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Some day in 2026, by the database's clock.
const EPOCH_US: i64 = 1_790_000_000_000_000;

#[derive(Debug)]
pub(crate) struct Server {
    state: Mutex<State>,
    freed: Notify,
    /// Not a watch channel: that wakes its receivers in an order of its own chance.
    restarted: Notify,
    started: Instant,
    pub(crate) trace: Arc<Trace>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) locks: Locks,
    pub(crate) is_up: bool,
    /// How far the database's clock is from the one that the replicas count by.
    pub(crate) clock_us: i64,
    pub(crate) faults: Faults,
    pub(crate) auditor: Option<Auditor>,
    rng: Rng,
    next_batch: i64,
    next_transaction: TransactionId,
    open: usize,
}

/// How often, in a thousand statements.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The connection breaks or falls silent.
    pub(crate) network: u64,
    /// The server cancels the statement or ends the backend.
    pub(crate) server: u64,
    /// Something takes long.
    pub(crate) slow: u64,
}

#[derive(Debug)]
pub(crate) enum Message {
    LockAndRead(Wanted),
    ReadSettings(Vec<TenantId>),
    Write(Box<OwnedBatch>),
    Commit,
    Rollback,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Locked(Box<Locked>),
    Settings(i64, Vec<(TenantId, Arc<Parameters>)>),
    Written(Written),
    Done,
}

#[derive(Debug)]
pub(crate) struct OwnedBatch {
    pub(crate) effects: Effects,
    pub(crate) now: Timestamp,
    pub(crate) settings_version: i64,
    pub(crate) ticket: Option<i64>,
    pub(crate) after: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) message: Message,
    pub(crate) answer: oneshot::Sender<Result<Reply, StoreError>>,
}

/// What a backend has open.
#[derive(Debug, Default)]
struct Transaction {
    /// Owns what is held beyond transactions.
    session: TransactionId,
    id: Option<TransactionId>,
    writes: Option<Writes>,
}

/// One statement while it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) transaction: TransactionId,
    pub(crate) deadline: Instant,
}

impl Server {
    pub(crate) fn new(seed: u64, tables: Tables, trace: Arc<Trace>) -> Arc<Self> {
        let state = State {
            tables,
            locks: Locks::default(),
            is_up: true,
            clock_us: 0,
            faults: Faults::default(),
            auditor: None,
            rng: Rng::new(seed, 1),
            next_batch: 1,
            next_transaction: 1,
            open: 0,
        };
        let (freed, restarted) = (Notify::new(), Notify::new());
        Arc::new(Self { state: Mutex::new(state), freed, restarted, started: Instant::now(), trace })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap();
        Timestamp(EPOCH_US + elapsed + self.lock().clock_us)
    }

    /// Connects a backend.
    pub(crate) fn accept(self: &Arc<Self>) -> Result<mpsc::UnboundedSender<Asked>, StoreError> {
        if !self.lock().is_up {
            return Err(broken(ErrorKind::ConnectionRefused));
        }
        let (outbox, inbox) = mpsc::unbounded_channel();
        tokio::spawn(self.clone().backend(inbox));
        Ok(outbox)
    }

    /// All connections break, all open transactions roll back.
    pub(crate) fn restart(&self, is_up: bool) {
        self.lock().is_up = is_up;
        self.restarted.notify_waiters();
    }

    /// As `put_tenant`: the floor of a settlement account follows the cap.
    pub(crate) async fn put_cap(&self, tenant: TenantId, account: AccountId, cap: i64) -> bool {
        let mut open = Transaction::default();
        let deadline = Instant::now() + STATEMENT_TIMEOUT;
        let statement = Statement { transaction: self.begin(&mut open), deadline };
        let locked = self.wait_for(statement, Resource::Account((tenant, account))).await.is_ok();
        if locked {
            let mut guard = self.lock();
            let state = &mut *guard;
            state.tables.accounts.get_mut(&(tenant, account)).unwrap().floor = -cap;
            if let Some(auditor) = &mut state.auditor {
                auditor.cap_changed((tenant, account), -cap);
            }
            self.trace.note(format_args!("cap of {tenant}: {cap}"));
        }
        self.end(&mut open);
        locked
    }

    /// Transactions and locks that are left.
    pub(crate) fn left_open(&self) -> (usize, usize) {
        let state = self.lock();
        (state.open, state.locks.len())
    }

    async fn backend(self: Arc<Self>, mut inbox: mpsc::UnboundedReceiver<Asked>) {
        let mut open = Transaction { session: self.next_transaction(), ..Transaction::default() };
        tokio::select! {
            biased;
            () = self.restarted.notified() => {}
            () = self.serve(&mut inbox, &mut open) => {}
        }
        self.end(&mut open);
        self.lock().locks.release(open.session);
        self.freed.notify_waiters();
    }

    async fn serve(&self, inbox: &mut mpsc::UnboundedReceiver<Asked>, open: &mut Transaction) {
        loop {
            let idle = if open.id.is_some() { IDLE_TIMEOUT } else { Duration::from_secs(3_600) };
            let Ok(Some(Asked { message, answer })) = tokio::time::timeout(idle, inbox.recv()).await else {
                if open.id.is_some() {
                    self.trace.count("server: a transaction was abandoned");
                }
                return;
            };
            let result = self.execute(message, open).await;
            if result.is_err() {
                self.end(open);
            }
            let ends = result.as_ref().is_err_and(|error| word(error) == "57P01");
            // The network takes its time too.
            self.work("answer").await;
            let _ = answer.send(result);
            if ends {
                return;
            }
        }
    }

    async fn execute(&self, message: Message, open: &mut Transaction) -> Result<Reply, StoreError> {
        let deadline = Instant::now() + STATEMENT_TIMEOUT;
        self.disturb("before")?;
        match message {
            Message::LockAndRead(wanted) => {
                let statement = Statement { transaction: self.begin(open), deadline };
                self.work("lock").await;
                let locked = self.lock_and_read(statement, &wanted).await?;
                self.disturb("after")?;
                Ok(Reply::Locked(Box::new(locked)))
            }
            Message::ReadSettings(tenants) => {
                self.work("read").await;
                let state = self.lock();
                let settings = tenants.iter().map(|tenant| (*tenant, state.tables.parameters(*tenant)));
                Ok(Reply::Settings(state.tables.settings_version, settings.collect()))
            }
            Message::Write(batch) => {
                let is_alone = open.id.is_none();
                let statement = Statement { transaction: self.begin(open), deadline };
                self.work("write").await;
                let (written, mut writes) = self.commit_batch(open.session, statement, &batch).await?;
                self.disturb("after")?;
                writes.is_alone = is_alone;
                open.writes = Some(writes);
                if is_alone {
                    self.commit(open).await;
                }
                Ok(Reply::Written(written))
            }
            Message::Commit => {
                self.commit(open).await;
                Ok(Reply::Done)
            }
            Message::Rollback => {
                self.end(open);
                Ok(Reply::Done)
            }
        }
    }

    fn begin(&self, open: &mut Transaction) -> TransactionId {
        let mut state = self.lock();
        if open.id.is_none() {
            state.open += 1;
        }
        drop(state);
        *open.id.get_or_insert_with(|| self.next_transaction())
    }

    fn next_transaction(&self) -> TransactionId {
        let mut state = self.lock();
        state.next_transaction += 1;
        state.next_transaction
    }

    /// To the disk, then visible, then the locks go.
    async fn commit(&self, open: &mut Transaction) {
        self.work("commit").await;
        if let Some(writes) = open.writes.take() {
            let mut guard = self.lock();
            let state = &mut *guard;
            if let Some(auditor) = &mut state.auditor {
                auditor.committed(&state.tables, &writes);
            }
            self.trace.note(format_args!("committed b{} with {} rows", writes.batch, writes.journal.len()));
            state.tables.apply(writes);
            if let Some(auditor) = &mut state.auditor {
                auditor.compare(&state.tables);
            }
        }
        self.end(open);
    }

    fn end(&self, open: &mut Transaction) {
        open.writes = None;
        if let Some(id) = open.id.take() {
            let mut state = self.lock();
            state.open -= 1;
            state.locks.release(id);
            drop(state);
            self.freed.notify_waiters();
        }
    }

    /// Waits for a row, as long as the settings of the session allow.
    pub(crate) async fn wait_for(&self, statement: Statement, resource: Resource) -> Result<(), StoreError> {
        let given_up = Instant::now() + LOCK_TIMEOUT;
        let mut has_waited = false;
        loop {
            let freed = self.freed.notified();
            if self.lock().locks.acquire(statement.transaction, resource) {
                return Ok(());
            }
            if !has_waited {
                self.trace.count("server: waited for a row");
                has_waited = true;
            }
            if tokio::time::timeout_at(given_up.min(statement.deadline), freed).await.is_err() {
                self.trace.count("server: lock timeout");
                let state = if statement.deadline <= given_up { "57014" } else { "55P03" };
                return Err(refused(state, "waited for too long"));
            }
        }
    }

    /// Another number for a batch. Never given back.
    pub(crate) fn next_batch(&self) -> i64 {
        let mut state = self.lock();
        state.next_batch += NUMBERS_PER_DRAW;
        state.next_batch - NUMBERS_PER_DRAW
    }

    /// What the server itself does to a statement.
    fn disturb(&self, when: &str) -> Result<(), StoreError> {
        let mut state = self.lock();
        let rate = state.faults.server;
        if !state.rng.chance(rate) {
            return Ok(());
        }
        let (what, error) = match state.rng.chance(500) {
            true => ("statement timeout", refused("57014", "canceling statement due to statement timeout")),
            false => {
                ("backend ended", refused("57P01", "terminating connection due to administrator command"))
            }
        };
        drop(state);
        self.trace.count(&format!("fault: {what} {when} the statement"));
        Err(error)
    }

    /// Time passes, or at least somebody else gets a turn.
    pub(crate) async fn work(&self, what: &str) {
        let pause = {
            let mut state = self.lock();
            let (slow, quick) = (state.faults.slow, 0 < state.faults.slow);
            if state.rng.chance(slow) {
                self.trace.count(&format!("fault: slow {what}"));
                state.rng.millis(5, 400)
            } else if quick {
                state.rng.millis(0, 2)
            } else {
                Duration::ZERO
            }
        };
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            // This is what is simulated: work that takes time.
            tokio::time::sleep(pause).await;
        }
    }
}
