//! The committer's side of a connection to the stand-in, and everything that a network does to it: before a statement,
//! after it, and in the place of its answer.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use payplane_engine::{
    commit::{Batch, Database, Locked, Locks, Session, Ticket, Written},
    store::{CONNECT_TIMEOUT, StoreError},
};
use payplane_ledger::{AccountId, OperationRow, Parameters, Request, TenantId, Verdict};
use tokio::sync::{mpsc, oneshot};

use super::{
    read::Wanted,
    refusal::{broken, refused, word},
    rng::Rng,
    server::{Asked, Message, OwnedBatch, Reply, Server},
};

/// As in engine/src/store/session.rs.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a host that nobody hears any more keeps its connections, as the server sees it.
const SILENCE: Duration = Duration::from_secs(60);

/// The stand-in as one committer sees it.
#[derive(Debug)]
pub(crate) struct SimDatabase {
    server: Arc<Server>,
    name: String,
    seed: u64,
    connections: AtomicU64,
    /// Accounts of which this committer was told that it knows them badly, and that it has not read since.
    old: Arc<Mutex<BTreeSet<(TenantId, AccountId)>>>,
}

#[derive(Debug)]
pub(crate) struct SimSession {
    server: Arc<Server>,
    name: String,
    rng: Rng,
    outbox: Option<mpsc::UnboundedSender<Asked>>,
    in_transaction: bool,
    ticket: Option<Ticket>,
    old: Arc<Mutex<BTreeSet<(TenantId, AccountId)>>>,
    /// What the open transaction has read.
    read: Vec<(TenantId, AccountId)>,
}

/// What the network does to one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It never gets there, and both sides notice.
    LostBefore,
    /// It runs; its answer never comes, and both sides notice.
    LostAfter,
    /// Nobody hears anything any more. It may get there late.
    Silence,
}

impl SimDatabase {
    pub(crate) fn new(server: Arc<Server>, name: String, seed: u64) -> Self {
        Self { server, name, seed, connections: AtomicU64::new(0), old: Arc::default() }
    }
}

impl Database for SimDatabase {
    type Session = SimSession;

    async fn session(&self) -> Result<SimSession, StoreError> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{number}", self.name);
        let stream = name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
        let mut rng = Rng::new(self.seed, stream);
        let faults = self.server.lock().faults;
        self.server.work("connect").await;
        if rng.chance(faults.network) {
            let (what, error) = match rng.below(3) {
                0 => ("refused", broken(ErrorKind::ConnectionRefused)),
                1 => ("too many", refused("53300", "sorry, too many clients already")),
                _ => {
                    // The bound of the real connection.
                    tokio::time::sleep(CONNECT_TIMEOUT).await;
                    ("silent", broken(ErrorKind::TimedOut))
                }
            };
            self.server.trace.count(&format!("fault: connect {what}"));
            return Err(error);
        }
        let outbox = Some(self.server.accept()?);
        let (server, old) = (self.server.clone(), self.old.clone());
        Ok(SimSession {
            server,
            name,
            rng,
            outbox,
            in_transaction: false,
            ticket: None,
            old,
            read: Vec::new(),
        })
    }
}

impl SimSession {
    async fn ask(&mut self, step: &'static str, message: Message) -> Result<Reply, StoreError> {
        let result = self.send(step, message).await;
        let outcome = result.as_ref().map_or_else(word, |_| "ok".to_owned());
        self.server.trace.note(format_args!("{} {step}: {outcome}", self.name));
        self.server.trace.count(&format!("step: {step}"));
        result
    }

    async fn send(&mut self, step: &'static str, message: Message) -> Result<Reply, StoreError> {
        let fault = self.draw();
        if fault != Fault::None {
            self.server.trace.count(&format!("fault: {step} {fault:?}"));
            self.server.trace.note(format_args!("{} {step}: {fault:?}", self.name));
        }
        let Some(outbox) = &self.outbox else { return Err(broken(ErrorKind::NotConnected)) };
        if fault == Fault::LostBefore {
            self.outbox = None;
            return Err(broken(ErrorKind::ConnectionReset));
        }
        let (answer, mut answered) = oneshot::channel();
        let asked = Asked { message, answer };
        if fault == Fault::Silence {
            self.fall_silent(asked).await;
            return Err(broken(ErrorKind::TimedOut));
        }
        if outbox.send(asked).is_err() {
            return Err(broken(ErrorKind::BrokenPipe));
        }
        if fault == Fault::LostAfter {
            let pause = self.rng.millis(0, 30);
            // The connection breaks at some moment, be the statement done or not.
            tokio::time::sleep(pause).await;
            self.outbox = None;
            return Err(broken(ErrorKind::ConnectionReset));
        }
        match tokio::time::timeout(STEP_TIMEOUT, &mut answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(broken(ErrorKind::UnexpectedEof)),
            Err(_) => Err(broken(ErrorKind::TimedOut)),
        }
    }

    fn draw(&mut self) -> Fault {
        let rate = self.server.lock().faults.network;
        if !self.rng.chance(rate) {
            return Fault::None;
        }
        match self.rng.below(9) {
            0..=3 => Fault::LostBefore,
            4..=7 => Fault::LostAfter,
            _ => Fault::Silence,
        }
    }

    /// The server may get the statement late or never, and nobody says goodbye to it.
    async fn fall_silent(&mut self, asked: Asked) {
        let Some(outbox) = self.outbox.take() else { return };
        let arrives = self.rng.chance(700).then(|| self.rng.millis(0, 8_000));
        tokio::spawn(async move {
            if let Some(late) = arrives {
                // In some buffer between here and there.
                tokio::time::sleep(late).await;
                let _ = outbox.send(asked);
            }
            // Then the server's own timeouts have ended everything.
            tokio::time::sleep(SILENCE).await;
        });
        // Nothing comes back, so the caller waits as long as it waits for anything.
        tokio::time::sleep(STEP_TIMEOUT).await;
    }

    /// Memory may be wrong, but only where the database notices; and a committer that was told that it knows an account
    /// badly must not come with that account again before it has read it. What follows another batch in the air was
    /// decided before that was told.
    fn watch_memory(&self, batch: &Batch<'_>) {
        let is_refusal = |row: &OperationRow| matches!(row.decision.verdict, Verdict::Refused(_));
        if batch.effects.operations.iter().any(is_refusal) {
            self.server.trace.violation("a refusal from memory, which nothing holds against the accounts");
        }
        let old = self.old.lock().unwrap();
        let mut keys = batch.effects.accounts.iter().map(|change| (change.tenant, change.id));
        if batch.after.is_none() && keys.any(|key| old.contains(&key)) {
            self.server.trace.violation("a committer believes what was refused before");
        }
    }
}

impl Drop for SimSession {
    fn drop(&mut self) {
        let Some(outbox) = self.outbox.take() else { return };
        let is_silent = 0 < self.server.lock().faults.network && self.rng.chance(150);
        if let (true, Ok(runtime)) = (is_silent, tokio::runtime::Handle::try_current()) {
            if self.in_transaction {
                self.server.trace.count("fault: a session vanished in a transaction");
            }
            runtime.spawn(async move {
                // The host is gone; nobody tells the server.
                tokio::time::sleep(SILENCE).await;
                drop(outbox);
            });
        }
    }
}

impl Session for SimSession {
    async fn lock_and_read(
        &mut self,
        requests: &[&Request],
        locks: Locks,
        with_usages: bool,
    ) -> Result<Locked, StoreError> {
        let wanted = Wanted {
            accounts: requests
                .iter()
                .flat_map(|request| {
                    let references = [request.from, request.to].into_iter().flatten();
                    references
                        .flat_map(|reference| {
                            reference.candidates().map(|id| (request.tenant, id)).collect::<Vec<_>>()
                        })
                        .collect::<Vec<_>>()
                })
                .collect(),
            operations: requests.iter().map(|request| (request.tenant, request.operation)).collect(),
            targets: requests.iter().filter_map(|request| Some((request.tenant, request.target?))).collect(),
            skip_locked: locks == Locks::Skip,
            with_usages,
        };
        self.in_transaction = true;
        match self.ask("lock_and_read", Message::LockAndRead(wanted)).await? {
            Reply::Locked(locked) => {
                self.read = locked.snapshot.accounts().map(|(tenant, id, _)| (tenant, id)).collect();
                Ok(*locked)
            }
            _ => Err(StoreError::Ended),
        }
    }

    async fn read_settings(
        &mut self,
        tenants: &[TenantId],
    ) -> Result<(i64, Vec<(TenantId, Arc<Parameters>)>), StoreError> {
        match self.ask("read_settings", Message::ReadSettings(tenants.to_vec())).await? {
            Reply::Settings(version, found) => Ok((version, found)),
            _ => Err(StoreError::Ended),
        }
    }

    fn ticket(&self) -> Option<Ticket> {
        self.ticket
    }

    async fn write(&mut self, batch: &Batch<'_>) -> Result<Written, StoreError> {
        let Batch { effects, now, settings_version, after } = *batch;
        let number = |ticket: Ticket| ticket.0.0;
        let (ticket, after) = (self.ticket.take().map(number), after.map(number));
        let owned = Box::new(OwnedBatch { effects: effects.clone(), now, settings_version, ticket, after });
        let step = if self.in_transaction { "write" } else { "write alone" };
        if !self.in_transaction {
            self.watch_memory(batch);
        }
        let result = match self.ask(step, Message::Write(owned)).await {
            Ok(Reply::Written(written)) => {
                self.ticket = Some(Ticket(written.next_batch));
                Ok(written)
            }
            Ok(_) => Err(StoreError::Ended),
            Err(error) => Err(error),
        };
        if !self.in_transaction {
            let what = match &result {
                Ok(_) => "memory: right",
                Err(error) if error.is_refusal() => "memory: refused",
                Err(_) => "memory: not answered",
            };
            self.server.trace.count(what);
            if matches!(result, Err(StoreError::Conflict(_))) {
                let keys = effects.accounts.iter().map(|change| (change.tenant, change.id));
                self.old.lock().unwrap().extend(keys);
            }
        }
        result
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.ask("commit", Message::Commit).await?;
        self.in_transaction = false;
        let mut old = self.old.lock().unwrap();
        self.read.iter().for_each(|key| {
            old.remove(key);
        });
        drop(old);
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.ask("rollback", Message::Rollback).await?;
        self.in_transaction = false;
        Ok(())
    }
}
