//! Is the stand-in like PostgreSQL? The same histories run on both, two sessions at a time, and every step must give the
//! same result or the same refusal; at the end the same rows must be there. Histories that wait for a lock are left out:
//! how long who waits is nothing that a ledger may depend on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use payplane_engine::{
    commit::{Batch, Database as _, Locked, Locks, Session as _, Written},
    store::{DatabaseConfig, Session, Store, StoreError},
};
use payplane_ledger::{
    AccountId, BatchId, Effects, OperationId, Outcome, Request, Snapshot, TenantId, Timestamp, apply_linked,
};

use super::{
    fixture,
    postgres_side::Real,
    refusal::word,
    rng::Rng,
    server::Server,
    session::{SimDatabase, SimSession},
    tamper,
    trace::Trace,
    workload::{Book, Inventor},
};

/// Steps of a history.
const STEPS: usize = 600;

/// Both sides of one session.
struct Pair {
    real: Session,
    stand_in: SimSession,
    open: Option<Open>,
}

/// An open transaction.
struct Open {
    groups: Vec<Vec<Request>>,
    locked: (Locked, Locked),
    held: BTreeSet<(TenantId, AccountId)>,
    is_written: bool,
}

/// One history on both sides.
pub(crate) struct Likeness {
    store: Arc<Store>,
    real: Real,
    server: Arc<Server>,
    database: SimDatabase,
    inventor: Inventor,
    rng: Rng,
    book: Arc<Book>,
    pairs: Vec<Pair>,
    /// Batches that were committed, to be asked for and used again.
    used: Vec<(Vec<Vec<Request>>, Snapshot, Snapshot)>,
    next_batch: Option<BatchId>,
    settings_version: i64,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Likeness {
    pub(crate) async fn new(seed: u64, files: &std::path::Path, real: Real) -> Self {
        let store = Arc::new(Store::new(DatabaseConfig::read(files).unwrap().options(), 2));
        let server = Server::new(seed, fixture::tables(), Arc::new(Trace::new()));
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let behind = now - server.now().0;
        server.lock().clock_us = behind;
        let book = Arc::<Book>::default();
        let mut this = Self {
            store,
            real,
            database: SimDatabase::new(server.clone(), "likeness".to_owned(), seed),
            server,
            inventor: Inventor::new(Rng::new(seed, 1), book.clone(), format!("likeness-{seed}")),
            rng: Rng::new(seed, 2),
            book,
            pairs: Vec::new(),
            used: Vec::new(),
            next_batch: None,
            settings_version: 1,
            counts: BTreeMap::new(),
        };
        this.real.fill(&fixture::tables()).await;
        for _ in 0..2 {
            let pair = this.connect().await;
            this.pairs.push(pair);
        }
        this
    }

    async fn connect(&self) -> Pair {
        let (real, stand_in) = (self.store.session().await.unwrap(), self.database.session().await.unwrap());
        Pair { real, stand_in, open: None }
    }

    pub(crate) async fn run(&mut self) {
        for _ in 0..STEPS {
            let turn = self.rng.below(2);
            match &self.pairs[turn].open {
                None if self.rng.chance(60) => self.change_settings().await,
                None if self.rng.chance(60) => self.change_cap().await,
                None if self.rng.chance(400) => self.write_alone(turn).await,
                None => self.lock_and_read(turn).await,
                Some(open) if open.is_written && self.rng.chance(150) => self.rollback(turn).await,
                Some(open) if open.is_written => self.commit(turn).await,
                Some(_) if self.rng.chance(100) => self.rollback(turn).await,
                Some(_) if self.rng.chance(150) => self.read_settings(turn).await,
                Some(_) => self.write(turn).await,
            }
        }
        for turn in 0..2 {
            if self.pairs[turn].open.is_some() {
                self.rollback(turn).await;
            }
        }
        self.server.lock().tables.seal(1_000);
        let tables = self.server.lock().tables.clone();
        self.real.assert_equal(&tables).await;
        self.count("rows", u64::try_from(tables.journal.len()).unwrap());
    }

    fn count(&mut self, what: &str, number: u64) {
        *self.counts.entry(what.to_owned()).or_default() += number;
    }

    /// Both say yes, or both say no with the same word. After a refusal the session is thrown away, as committers do.
    async fn agree<A, B>(
        &mut self,
        turn: usize,
        step: &str,
        real: Result<A, StoreError>,
        stand_in: Result<B, StoreError>,
    ) -> Option<(A, B)> {
        let told = |error: Option<&StoreError>| error.map_or_else(|| "ok".to_owned(), word);
        let (one, other) = (told(real.as_ref().err()), told(stand_in.as_ref().err()));
        assert_eq!(one, other, "{step}: PostgreSQL {:?}, the stand-in {:?}", real.err(), stand_in.err());
        self.count(&format!("{step}: {one}"), 1);
        if one != "ok" {
            self.pairs[turn] = self.connect().await;
        }
        real.ok().zip(stand_in.ok())
    }

    fn others(&self, turn: usize) -> BTreeSet<(TenantId, AccountId)> {
        self.pairs[1 - turn].open.as_ref().map(|open| open.held.clone()).unwrap_or_default()
    }

    async fn lock_and_read(&mut self, turn: usize) {
        let mut groups = Vec::new();
        for _ in 0..=self.rng.below(4) {
            let again =
                self.rng.chance(200).then(|| self.rng.pick(&self.used).map(|used| used.0.clone())).flatten();
            match again {
                Some(known) => groups.extend(known),
                None if self.rng.chance(80) => groups.push(self.inventor.overdraft(fixture::tenants()[0])),
                None => groups.push(self.inventor.group(self.server.now())),
            }
        }
        groups.retain(|group| !group.is_empty());
        // Keys of a transaction that is open would be waited for.
        let keys = |groups: &[Vec<Request>]| -> BTreeSet<OperationId> {
            groups.iter().flatten().map(|request| request.operation).collect()
        };
        if let Some(open) = &self.pairs[1 - turn].open
            && !keys(&open.groups).is_disjoint(&keys(&groups))
        {
            return;
        }
        let requests: Vec<&Request> = groups.iter().flatten().collect();
        // With nobody else there, nothing can be waited for.
        let locks =
            if self.others(turn).is_empty() && self.rng.chance(500) { Locks::Wait } else { Locks::Skip };
        let with_usages = self.rng.chance(500);
        let pair = &mut self.pairs[turn];
        let real = pair.real.lock_and_read(&requests, locks, with_usages).await;
        let stand_in = pair.stand_in.lock_and_read(&requests, locks, with_usages).await;
        let Some(mut locked) = self.agree(turn, "lock_and_read", real, stand_in).await else { return };
        assert_alike(&requests, &locked.0, &locked.1);
        if !locked.0.busy.is_empty() {
            self.count("lock_and_read: busy", 1);
        }
        // Tenants' parameters follow; both sides have the same.
        for tenant in fixture::tenants() {
            let parameters = self.server.lock().tables.parameters(tenant);
            locked.0.snapshot.insert_parameters(tenant, parameters.clone());
            locked.1.snapshot.insert_parameters(tenant, parameters);
        }
        let accounts = locked.0.snapshot.accounts().map(|(tenant, id, _)| (tenant, id));
        let held = accounts.filter(|key| !locked.0.busy.contains(key)).collect();
        self.settings_version = locked.0.settings_version;
        self.pairs[turn].open = Some(Open { groups, locked, held, is_written: false });
    }

    async fn read_settings(&mut self, turn: usize) {
        let tenants = fixture::tenants();
        let pair = &mut self.pairs[turn];
        let (real, stand_in) =
            (pair.real.read_settings(&tenants).await, pair.stand_in.read_settings(&tenants).await);
        let Some((real, stand_in)) = self.agree(turn, "read_settings", real, stand_in).await else { return };
        assert_eq!(real.0, stand_in.0);
        let sorted = |found: &[(TenantId, Arc<payplane_ledger::Parameters>)]| -> Vec<String> {
            let mut texts: Vec<String> =
                found.iter().map(|(tenant, set)| format!("{tenant} {set:?}")).collect();
            texts.iter_mut().for_each(|text| *text = sort_settings(text));
            texts
        };
        assert_eq!(sorted(&real.1), sorted(&stand_in.1));
    }

    async fn write(&mut self, turn: usize) {
        let open = self.pairs[turn].open.take().unwrap();
        let now = open.locked.0.now;
        let busy = open.locked.0.busy.clone();
        let (mut real, mut stand_in) = (open.locked.0.snapshot.clone(), open.locked.1.snapshot.clone());
        let how = tamper::pick(&mut self.rng);
        how.before(&mut real);
        how.before(&mut stand_in);
        let is_free =
            |group: &&Vec<Request>| busy.is_empty() || group.iter().all(|request| is_free(request, &busy));
        let groups: Vec<Vec<Request>> = open.groups.iter().filter(is_free).cloned().collect();
        let (told, other) = (decide(&mut real, &groups, now), decide(&mut stand_in, &groups, now));
        assert_eq!(told, other, "the same facts gave different decisions");
        if real.is_unchanged() {
            self.pairs[turn].open = Some(open);
            self.rollback(turn).await;
            return;
        }
        let written = self.write_both(turn, how, (&real, &stand_in), now, "write").await;
        if let Some(written) = written {
            self.next_batch = Some(written.next_batch);
            self.remember(&groups, &told);
            self.used.push((groups.clone(), real, stand_in));
            self.pairs[turn].open = Some(Open { is_written: true, groups, ..open });
        }
    }

    /// From what some former batch left, as a committer does that remembers it.
    async fn write_alone(&mut self, turn: usize) {
        let others = self.others(turn);
        let latest = self.rng.chance(700).then(|| self.used.last()).flatten();
        let Some((_, real, _)) = latest.or_else(|| self.rng.pick(&self.used)) else { return };
        let Some(batch) = self.next_batch else { return };
        let (mut one, mut other) = (Snapshot::new(batch), Snapshot::new(batch));
        for (tenant, id, account) in real.accounts() {
            if !others.contains(&(tenant, id)) {
                one.insert_account(tenant, id, account.clone());
                other.insert_account(tenant, id, account.clone());
            }
        }
        let now = self.server.now();
        let mut groups: Vec<Vec<Request>> = (0..8).map(|_| self.inventor.group(now)).collect();
        groups.retain(|group| !group.is_empty() && group.iter().all(|request| request.kind.makes_payment()));
        let (told, same) = (decide(&mut one, &groups, now), decide(&mut other, &groups, now));
        assert_eq!(told, same);
        if one.is_unchanged() {
            return;
        }
        let how = tamper::pick(&mut self.rng);
        self.next_batch = None;
        if let Some(written) = self.write_both(turn, how, (&one, &other), now, "write alone").await {
            self.next_batch = Some(written.next_batch);
            self.remember(&groups, &told);
            self.used.push((groups, one, other));
        }
    }

    async fn write_both(
        &mut self,
        turn: usize,
        mut how: tamper::Tamper,
        snapshots: (&Snapshot, &Snapshot),
        now: Timestamp,
        step: &str,
    ) -> Option<Written> {
        let (mut one, mut other) = (Effects::of(snapshots.0), Effects::of(snapshots.1));
        if !one.refunds.is_empty() && self.rng.chance(300) {
            how = tamper::Tamper::Approver;
        }
        let used = self.used.last().map(|(_, snapshot, _)| snapshot.first_sequence().batch());
        how.after(&mut one, used);
        how.after(&mut other, used);
        let (now, settings_version) = (how.time(now), how.settings_version(self.settings_version));
        // Nobody is in the air: who is waited for has ended.
        let after = self.pairs[turn].real.ticket().filter(|_| self.rng.chance(500));
        let pair = &mut self.pairs[turn];
        let real = pair.real.write(&Batch { effects: &one, now, settings_version, after }).await;
        let stand_in = pair.stand_in.write(&Batch { effects: &other, now, settings_version, after }).await;
        let step = format!("{step} {how:?}");
        let (real, stand_in) = self.agree(turn, &step, real, stand_in).await?;
        assert_eq!(real.next_batch, stand_in.next_batch, "numbers of batches");
        Some(real)
    }

    fn remember(&self, groups: &[Vec<Request>], told: &[Vec<Outcome>]) {
        for (request, outcome) in groups.iter().flatten().zip(told.iter().flatten()) {
            if let Outcome::Decided { decision, .. } = outcome {
                self.book.decided(request, decision);
            }
        }
    }

    async fn commit(&mut self, turn: usize) {
        let pair = &mut self.pairs[turn];
        pair.open = None;
        let (real, stand_in) = (pair.real.commit().await, pair.stand_in.commit().await);
        self.agree(turn, "commit", real, stand_in).await;
    }

    async fn rollback(&mut self, turn: usize) {
        let pair = &mut self.pairs[turn];
        pair.open = None;
        let (real, stand_in) = (pair.real.rollback().await, pair.stand_in.rollback().await);
        self.agree(turn, "rollback", real, stand_in).await;
    }

    async fn change_settings(&mut self) {
        let (tenant, number) = (*self.rng.pick(&fixture::tenants()).unwrap(), self.rng.below(5));
        let settings = fixture::settings(tenant, number);
        self.real.put_settings(tenant, &settings).await;
        let mut state = self.server.lock();
        state.tables.settings.insert(tenant, settings);
        state.tables.settings_version += 1;
        drop(state);
        self.count("settings changed", 1);
    }

    async fn change_cap(&mut self) {
        let tenant = *self.rng.pick(&fixture::tenants()).unwrap();
        let (account, cap) = (fixture::settlement(tenant), self.rng.between(150_000, 200_000));
        if self.pairs.iter().any(|pair| pair.open.is_some()) {
            return;
        }
        self.real.put_cap(tenant, account, cap).await;
        assert!(self.server.put_cap(tenant, account, cap).await);
        self.count("cap changed", 1);
    }
}

fn decide(snapshot: &mut Snapshot, groups: &[Vec<Request>], now: Timestamp) -> Vec<Vec<Outcome>> {
    groups.iter().map(|group| apply_linked(snapshot, group, now)).collect()
}

/// Whether it has nothing to do with an account that somebody else holds. Of a target nobody knows.
fn is_free(request: &Request, busy: &std::collections::HashSet<(TenantId, AccountId)>) -> bool {
    let references = [request.from, request.to].into_iter().flatten();
    let mut ids = references.flat_map(|reference| reference.candidates().collect::<Vec<_>>());
    request.target.is_none() && !ids.any(|id| busy.contains(&(request.tenant, id)))
}

/// What was read is the same, but for the time.
fn assert_alike(requests: &[&Request], real: &Locked, stand_in: &Locked) {
    let accounts = |locked: &Locked| -> BTreeMap<(TenantId, AccountId), String> {
        let accounts = locked.snapshot.accounts();
        accounts.map(|(tenant, id, account)| ((tenant, id), format!("{account:?}"))).collect()
    };
    assert_eq!(real.busy, stand_in.busy);
    assert_eq!(real.settings_version, stand_in.settings_version);
    assert_eq!(real.snapshot.first_sequence(), stand_in.snapshot.first_sequence());
    assert_eq!(accounts(real), accounts(stand_in));
    for request in requests {
        let of = |locked: &Locked| {
            let snapshot = &locked.snapshot;
            let known = snapshot.decision(request.tenant, request.operation).cloned();
            let target = request.target.unwrap_or(request.operation);
            let refund = snapshot.refund(request.tenant, target).cloned();
            let payment = refund.as_ref().map_or(target, |refund| refund.payment);
            (known, refund, snapshot.payment(request.tenant, payment).cloned())
        };
        assert_eq!(of(real), of(stand_in), "{:?}", request.kind);
    }
}

/// The order of settings means nothing.
fn sort_settings(text: &str) -> String {
    let mut parts: Vec<&str> = text.split("Setting {").collect();
    parts.sort_unstable();
    parts.iter().map(|part| part.trim_end_matches(['[', ']', ',', ' ', '}'])).collect::<Vec<_>>().join("|")
}
