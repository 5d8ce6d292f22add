//! A ledger without gRPC: an engine of this process, and requests that go straight into its queue. Leaves a ledger with
//! every kind of operation in it.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use payplane_engine::{
    cache::Cache,
    engine::Engine,
    metrics::Metrics,
    store::{DatabaseConfig, Store},
};
use payplane_ledger::{
    AccountId, AccountRef, Decision, KeySpace, Kind, OperationId, Origin, Outcome, ParameterName, Provenance,
    Reason, Request, Status, TenantId, Terms, Timestamp, Verdict,
};
use sqlx::{AssertSqlSafe, Executor as _};
use uuid::Uuid;

use super::{
    eventually,
    postgres::{Database, Postgres},
};

/// From here on refunds wait for approval, in minor units.
const APPROVAL_FROM: i64 = 5_000;

/// Wallets of each tenant.
const WALLETS: [&str; 5] = ["alice", "bob", "carol", "dave", "empty"];

/// An engine at work on a database of its own, with two tenants.
pub(crate) struct Ledger {
    pub(crate) database: Database,
    pub(crate) engine: Arc<Engine>,
    pub(crate) acme: TenantId,
    pub(crate) globex: TenantId,
}

/// What is asked for; the rest is as usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) key: &'a str,
    pub(crate) from: Option<AccountId>,
    pub(crate) to: Option<AccountId>,
    pub(crate) minor: i64,
    pub(crate) target: Option<OperationId>,
    pub(crate) reference: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) terms: Terms,
}

/// Something that is done to a payment or a refund.
fn on(target: OperationId, key: &str, minor: i64) -> Ask<'_> {
    Ask { key, minor, target: Some(target), ..Ask::default() }
}

impl Ledger {
    pub(crate) async fn new() -> Self {
        Self::on(Postgres::shared()).await
    }

    /// On this server.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let database = postgres.database().await;
        let (acme, globex) =
            (TenantId::from_uuid(Uuid::from_u128(1)), TenantId::from_uuid(Uuid::from_u128(2)));
        let store = Store::new(DatabaseConfig::read(&database.app_dir()).unwrap().options(), 4);
        let metrics = Arc::new(Metrics::new().unwrap());
        // Nothing is swept: what is overdue stays so until a test ends it.
        let store = Arc::new(store);
        let cache = Cache::new(None, store.clone(), metrics.clone());
        let engine = Engine::new(cache, store, metrics, Duration::from_secs(86_400));
        let ledger = Self { database, engine, acme, globex };
        ledger.open_accounts(acme, "acme").await;
        ledger.open_accounts(globex, "globex").await;
        ledger.engine.start();
        ledger.engine.database().wait_for(|up| *up).await.unwrap();
        ledger
    }

    /// A wallet, or the account that money enters by.
    pub(crate) fn account(&self, tenant: TenantId, name: &str) -> AccountId {
        match name {
            "settlement" => AccountId::settlement(tenant, "USD"),
            wallet => AccountId::wallet(tenant, Origin::Api, wallet),
        }
    }

    async fn open_accounts(&self, tenant: TenantId, name: &str) {
        let mut superuser = self.database.superuser().await;
        let id = tenant.uuid();
        let settlement = self.account(tenant, "settlement").uuid();
        let approval = ParameterName::RefundApprovalFrom as i16;
        let mut text = format!(
            "insert into payplane.tenants (tenant_id, name) values ('{id}', '{name}'); \
             insert into payplane.accounts (tenant_id, account_id, kind, currency, floor_minor) \
             values ('{id}', '{settlement}', 2, 'USD', -100000000); \
             insert into payplane.settings (tenant_id, level, scope, name, currency, value) \
             values ('{id}', 2, '', {approval}, '', {APPROVAL_FROM}); \
             update payplane.settings_version set version = version + 1;"
        );
        for wallet in WALLETS {
            let account = self.account(tenant, wallet).uuid();
            text += &format!(
                "insert into payplane.accounts (tenant_id, account_id, kind, currency) \
                 values ('{id}', '{account}', 1, 'USD'); \
                 insert into payplane.wallets (tenant_id, account_id, origin, name) \
                 values ('{id}', '{account}', 1, '{wallet}');"
            );
        }
        superuser.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
    }

    /// A payment between wallets, not sent yet.
    pub(crate) fn between(&self, tenant: TenantId, from: &str, to: &str, minor: i64) -> Ask<'static> {
        let (from, to) = (Some(self.account(tenant, from)), Some(self.account(tenant, to)));
        Ask { from, to, minor, ..Ask::default() }
    }

    pub(crate) async fn request(&self, tenant: TenantId, kind: Kind, ask: &Ask<'_>) -> Request {
        let platform = self.engine.platform().await.unwrap();
        // One space for all: the keys of a test differ.
        let operation = match (kind, ask.target) {
            (Kind::Expire, Some(payment)) => OperationId::expiry(payment),
            (Kind::CaptureDue, Some(payment)) => OperationId::due_capture(payment),
            _ => OperationId::for_key(platform, tenant, Origin::Api, KeySpace::Payment, ask.key),
        };
        Request {
            tenant,
            operation,
            kind,
            from: ask.from.map(AccountRef::id),
            to: ask.to.map(AccountRef::id),
            minor: ask.minor,
            currency: None,
            reference: ask.reference.into(),
            target: ask.target,
            terms: ask.terms.clone(),
            provenance: Provenance {
                origin: Origin::Api,
                key: ask.key.into(),
                origin_ref: "".into(),
                actor: if ask.actor.is_empty() { "teller" } else { ask.actor }.into(),
                correlation_id: format!("call of {}", ask.key).into(),
            },
            only_known: false,
        }
    }

    /// Asks, and gives what was decided.
    pub(crate) async fn decide(
        &self,
        tenant: TenantId,
        kind: Kind,
        ask: Ask<'_>,
    ) -> (OperationId, Arc<Decision>) {
        let request = self.request(tenant, kind, &ask).await;
        let operation = request.operation;
        match &self.engine.decide(vec![request]).await.unwrap()[..] {
            [Outcome::Decided { decision, replayed: false }] => (operation, decision.clone()),
            other => panic!("{kind:?} {}: {other:?}", ask.key),
        }
    }

    /// Asks for what has to succeed.
    pub(crate) async fn done(&self, tenant: TenantId, kind: Kind, ask: Ask<'_>) -> OperationId {
        let key = ask.key.to_owned();
        let (operation, decision) = self.decide(tenant, kind, ask).await;
        assert!(matches!(decision.verdict, Verdict::Done { .. }), "{kind:?} {key}: {decision:?}");
        operation
    }

    /// Money for alice.
    pub(crate) async fn fund(&self, tenant: TenantId, minor: i64) -> OperationId {
        let ask = Ask { key: "fund", ..self.between(tenant, "settlement", "alice", minor) };
        self.done(tenant, Kind::Pay, ask).await
    }

    /// Asks for what has to be refused, and stays so.
    pub(crate) async fn refused(&self, tenant: TenantId, kind: Kind, reason: Reason, ask: Ask<'_>) {
        let (_, decision) = self.decide(tenant, kind, ask).await;
        assert!(
            matches!(&decision.verdict, Verdict::Refused(refusal) if refusal.reason == reason),
            "{decision:?}"
        );
    }

    /// Asks for payments that succeed or fail together.
    async fn linked(&self, tenant: TenantId, asks: &[Ask<'_>]) {
        let mut group = Vec::new();
        for ask in asks {
            group.push(self.request(tenant, Kind::Pay, ask).await);
        }
        let link = Some(group[0].operation);
        group.iter_mut().for_each(|request| request.terms.link = link);
        self.engine.decide(group).await.unwrap();
    }

    /// Waits until everything is sealed, then lets nothing more in.
    pub(crate) async fn close(&self) {
        let mut superuser = self.database.superuser().await;
        eventually("everything to be sealed", async || {
            let count: i64 = sqlx::query_scalar("select count(*) from payplane.unsealed")
                .fetch_one(&mut superuser)
                .await
                .unwrap();
            (count == 0).then_some(())
        })
        .await;
        self.engine.queue.close();
    }

    /// Every kind of operation, with every end that it can have; last of all three plain payments, each its own batch.
    pub(crate) async fn exercise(&self) {
        let both = [self.acme, self.globex];
        join_all(both.map(|tenant| self.pay_and_hold(tenant))).await;
        join_all(both.map(|tenant| self.refund_and_reverse(tenant))).await;
        join_all(both.map(|tenant| self.change_wallets(tenant))).await;
        self.fill_batches().await;
        for key in ["last but two", "last but one", "last"] {
            self.done(self.acme, Kind::Pay, Ask { key, ..self.between(self.acme, "alice", "carol", 7) })
                .await;
        }
    }

    /// Batches with more than one row, and rows of both tenants.
    async fn fill_batches(&self) {
        let both = [self.acme, self.globex];
        let keys: Vec<String> = (0..40).map(|number| format!("together {number}")).collect();
        join_all(keys.iter().zip(both.into_iter().cycle()).map(|(key, tenant)| async move {
            self.done(tenant, Kind::Pay, Ask { key, ..self.between(tenant, "alice", "bob", 1) }).await
        }))
        .await;
    }

    async fn pay_and_hold(&self, tenant: TenantId) {
        let pay = |key, from, to, minor| {
            self.done(tenant, Kind::Pay, Ask { key, ..self.between(tenant, from, to, minor) })
        };
        self.fund(tenant, 1_000_000).await;
        pay("plain", "alice", "bob", 20_000).await;
        let up_to = Ask { key: "up to", ..self.between(tenant, "bob", "dave", 90_000) };
        self.done(tenant, Kind::Pay, Ask { terms: Terms { up_to: true, ..Terms::default() }, ..up_to }).await;
        let too_much = Ask { key: "too much", ..self.between(tenant, "bob", "carol", 90_000) };
        self.refused(tenant, Kind::Pay, Reason::InsufficientFunds, too_much).await;
        let part = |key, minor| Ask { key, ..self.between(tenant, "alice", "bob", minor) };
        self.linked(tenant, &[part("linked", 300), part("linked fee", 3)]).await;
        self.linked(tenant, &[part("linked too", 300), part("linked too much", 9_000_000)]).await;

        let hold = |key, terms| {
            self.done(
                tenant,
                Kind::Authorize,
                Ask { key, terms, ..self.between(tenant, "alice", "bob", 6_000) },
            )
        };
        let payment = hold("hold 1", Terms::default()).await;
        self.done(tenant, Kind::Capture, on(payment, "capture 1", 1_000)).await;
        let rest =
            Ask { terms: Terms { is_final: true, ..Terms::default() }, ..on(payment, "capture rest", 2_000) };
        self.done(tenant, Kind::Capture, rest).await;
        self.refused(tenant, Kind::Capture, Reason::WrongState, on(payment, "capture again", 1)).await;
        let payment = hold("hold 2", Terms::default()).await;
        self.done(tenant, Kind::Void, on(payment, "void", 0)).await;
        let payment = hold("hold 3", Terms { timeout_us: Some(1), ..Terms::default() }).await;
        self.done(tenant, Kind::Expire, on(payment, "", 0)).await;
        let payment = hold("hold 4", Terms { capture_at: Some(Timestamp(1)), ..Terms::default() }).await;
        self.done(tenant, Kind::CaptureDue, on(payment, "", 0)).await;
        for (key, kind, minor) in [("settled", Kind::Settle, 4_000), ("failed", Kind::Fail, 0)] {
            let payment = hold(key, Terms::default()).await;
            let (hand_over, event) = (format!("hand over {key}"), format!("gateway {key}"));
            let gateway = Ask { reference: "at the gateway", ..on(payment, &hand_over, 0) };
            self.done(tenant, Kind::HandOver, gateway).await;
            self.done(tenant, kind, on(payment, &event, minor)).await;
        }
        let payment = hold("handed over", Terms::default()).await;
        self.done(tenant, Kind::HandOver, on(payment, "hand over", 0)).await;
        let payment = hold("partly taken", Terms::default()).await;
        self.done(tenant, Kind::Capture, on(payment, "part", 500)).await;
        hold("open", Terms::default()).await;
        hold("overdue", Terms { timeout_us: Some(1), ..Terms::default() }).await;
    }

    async fn refund_and_reverse(&self, tenant: TenantId) {
        let pay = |key, to, minor| {
            self.done(tenant, Kind::Pay, Ask { key, ..self.between(tenant, "alice", to, minor) })
        };
        let by_chief = |target, key| Ask { actor: "chief", ..on(target, key, 0) };
        let payment = pay("refunded", "carol", 30_000).await;
        self.done(tenant, Kind::Refund, on(payment, "refund at once", 400)).await;
        self.done(tenant, Kind::Refund, on(payment, "refund again", 500)).await;
        let refund = self.done(tenant, Kind::Refund, on(payment, "refund to approve", 6_000)).await;
        self.done(tenant, Kind::ApproveRefund, by_chief(refund, "approve")).await;
        let refund = self.done(tenant, Kind::Refund, on(payment, "refund to reject", 6_000)).await;
        self.done(tenant, Kind::RejectRefund, by_chief(refund, "reject")).await;
        let refund = self.done(tenant, Kind::Refund, on(payment, "refund to withdraw", 5_000)).await;
        self.done(tenant, Kind::RejectRefund, on(refund, "withdraw", 0)).await;
        self.done(tenant, Kind::Refund, on(payment, "refund that waits", 7_000)).await;
        self.refused(
            tenant,
            Kind::Refund,
            Reason::RefundExceedsCaptured,
            on(payment, "refund too much", 40_000),
        )
        .await;
        let payment = pay("spent", "empty", 8_000).await;
        let refund = self.done(tenant, Kind::Refund, on(payment, "refund of what is spent", 0)).await;
        self.done(tenant, Kind::Pay, Ask { key: "spend", ..self.between(tenant, "empty", "bob", 8_000) })
            .await;
        self.done(tenant, Kind::ApproveRefund, by_chief(refund, "approve too late")).await;
        let payment = pay("reversed", "carol", 900).await;
        self.done(tenant, Kind::Reverse, on(payment, "reverse", 0)).await;
        let payment = pay("to be reversed", "carol", 9_000).await;
        self.done(tenant, Kind::Reverse, on(payment, "reverse after approval", 0)).await;
        let held = Ask { key: "hold", ..self.between(tenant, "alice", "bob", 100) };
        let payment = self.done(tenant, Kind::Authorize, held).await;
        self.done(tenant, Kind::Reverse, on(payment, "reverse a hold", 0)).await;
        let held = Ask { key: "hold to refund", ..self.between(tenant, "alice", "bob", 200) };
        let payment = self.done(tenant, Kind::Authorize, held).await;
        self.done(tenant, Kind::Capture, on(payment, "capture to refund", 0)).await;
        self.done(tenant, Kind::Refund, on(payment, "refund of a hold", 50)).await;
    }

    async fn change_wallets(&self, tenant: TenantId) {
        let change = |key, wallet, terms| {
            let from = Some(self.account(tenant, wallet));
            self.done(tenant, Kind::ChangeWallet, Ask { key, from, terms, ..Ask::default() })
        };
        change("freeze", "bob", Terms { status: Some(Status::FrozenDebit), ..Terms::default() }).await;
        let frozen = Ask { key: "frozen", ..self.between(tenant, "bob", "alice", 1) };
        self.refused(tenant, Kind::Pay, Reason::WalletFrozen, frozen).await;
        change("thaw", "bob", Terms { status: Some(Status::Active), ..Terms::default() }).await;
        change(
            "overdraft",
            "carol",
            Terms { floor: Some(-5_000), ceiling: Some(900_000), ..Terms::default() },
        )
        .await;
        change("close", "empty", Terms { status: Some(Status::Closed), ..Terms::default() }).await;
        let closed =
            Ask { key: "change closed", from: Some(self.account(tenant, "empty")), ..Ask::default() };
        let closed = Ask { terms: Terms { floor: Some(-1), ..Terms::default() }, ..closed };
        self.refused(tenant, Kind::ChangeWallet, Reason::WalletClosed, closed).await;
    }
}
