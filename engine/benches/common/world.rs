//! What is measured on: a fresh database, a fresh engine before it, and a tenant with ten thousand funded wallets and a
//! merchant.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use payplane_proto::v1 as proto;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::{
    connect,
    engine::Engine,
    grpc::{self, Bulk},
    process::Cpu,
    requests::{Pattern, WALLETS},
    wire::Wire,
};
use crate::support::{
    client::{Client, funding, id, usd},
    eventually,
    issuer::{self, Issuer},
    postgres::{Database, Postgres},
    world::OPERATOR_OF_PLATFORM,
};

const TENANT: &str = "acme";

/// Callers that fill the ledger; a connection takes at most 200 calls at a time.
const FILLERS: usize = 32;

/// Items per call when money is put into wallets.
const FUNDED_AT_ONCE: usize = 1_000;

/// A token that outlives the longest run.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// Everything that a measurement needs.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) engine: Engine,
    issuer: Issuer,
    /// Of the main tenant, in the order of ids; the last one is the merchant's.
    pub(crate) wallets: Arc<[String]>,
    pool: Vec<Client>,
    wires: Vec<Wire>,
    postmaster: u32,
    /// MiB of the engine before its first call.
    pub(crate) idle: f64,
}

impl World {
    pub(crate) async fn new(postgres: &Postgres, connections: usize) -> Self {
        let database = postgres.database().await;
        let issuer = Issuer::new();
        let engine = Engine::start(&database, &issuer);
        eventually("the engine to be ready", async || engine.is_ready().then_some(())).await;
        let idle = engine.resident().now;
        let postmaster = postmaster(&mut database.superuser().await).await;
        let mut world = Self {
            database,
            engine,
            issuer,
            wallets: Arc::new([]),
            pool: Vec::new(),
            wires: Vec::new(),
            postmaster,
            idle,
        };
        world.put_tenant(TENANT).await;
        world.pool = world.clients_of(TENANT, connections);
        world.wires = world.wires_of(TENANT, connections).await;
        world.wallets = world.fill(TENANT, WALLETS).await;
        world.settle().await;
        world
    }

    /// A new engine in the place of this one, as after its ledger was restored; ready when this returns.
    pub(crate) async fn restart(&mut self) {
        self.engine = Engine::start(&self.database, &self.issuer);
        eventually("the engine to be ready", async || self.engine.is_ready().then_some(())).await;
        self.pool = self.clients_of(TENANT, self.pool.len());
        self.wires = self.wires_of(TENANT, self.wires.len()).await;
        self.postmaster = postmaster(&mut self.database.superuser().await).await;
    }

    /// The connection that a worker of the main tenant uses.
    pub(crate) fn client(&self, worker: usize) -> Client {
        self.pool[worker % self.pool.len()].clone()
    }

    /// The same for calls that only make load.
    pub(crate) fn wire(&self, worker: usize) -> &Wire {
        &self.wires[worker % self.wires.len()]
    }

    pub(crate) fn cpu(&self) -> Cpu {
        Cpu::now(self.postmaster, self.engine.id())
    }

    /// Lets whoever has it call for a tenant.
    pub(crate) fn token_of(&self, tenant: &str) -> String {
        self.bearer(&format!("system:serviceaccount:{tenant}:bench"))
    }

    fn clients_of(&self, tenant: &str, connections: usize) -> Vec<Client> {
        let token = self.token_of(tenant);
        let client = |_| Client::over(connect::channel(self.engine.grpc), &[("authorization", &token)]);
        (0..connections).map(client).collect()
    }

    async fn wires_of(&self, tenant: &str, connections: usize) -> Vec<Wire> {
        let token = self.token_of(tenant);
        join_all((0..connections).map(|_| Wire::connect(self.engine.grpc, &token))).await
    }

    pub(crate) async fn put_tenant(&self, name: &str) {
        let tenant = proto::Tenant {
            name: name.to_owned(),
            namespaces: vec![name.to_owned()],
            settlement_caps: vec![usd("90000000000000.00")],
            default_role: proto::Role::Admin.into(),
            ..Default::default()
        };
        let platform =
            Client::new(self.engine.grpc, &[("authorization", &self.bearer(OPERATOR_OF_PLATFORM))]);
        platform.tenants.clone().put_tenant(proto::PutTenantRequest { tenant: Some(tenant) }).await.unwrap();
    }

    /// Makes wallets with a million dollars each, and gives their ids in order.
    pub(crate) async fn fill(&self, tenant: &str, wallets: usize) -> Arc<[String]> {
        let clients = self.clients_of(tenant, 4);
        let fillers = (0..FILLERS).map(|filler| {
            let client = clients[filler % clients.len()].clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in (filler..wallets).step_by(FILLERS) {
                    ids.push(client.wallet(&format!("w{number}"), "USD").await);
                }
                ids
            })
        });
        let made = join_all(fillers.collect::<Vec<_>>()).await;
        let mut ids: Vec<String> = made.into_iter().flat_map(|ids| ids.unwrap()).collect();
        ids.sort();
        let mut client = clients[0].payments.clone();
        for ids in ids.chunks(FUNDED_AT_ONCE) {
            let items = ids.iter().map(|wallet| fund(wallet)).collect();
            let request = proto::CreatePaymentsRequest { items, view: proto::OutcomeView::Brief.into() };
            let outcomes = client.create_payments(request).await.unwrap().into_inner().outcomes;
            assert_eq!(grpc::count(&outcomes).done, ids.len() as u64, "every wallet is funded");
        }
        ids.into()
    }

    /// Stores payments until there are this many; gives how many there are then.
    pub(crate) async fn preload(&self, payments: u64) -> u64 {
        /// Payments per second that no machine of today reaches: not much more is stored than was asked for.
        const MOST: u64 = 100_000;
        let shape = Bulk { callers: 8, items: 1_000, view: proto::OutcomeView::Brief };
        let mut admin = self.database.superuser().await;
        loop {
            let stored = count(&mut admin).await;
            if payments <= stored {
                return stored;
            }
            let step = Duration::from_secs(1 + (payments - stored) / MOST);
            grpc::bulk(self, Pattern::Uniform, shape, step).await;
        }
    }

    /// Once much was written, so that plans are made by what there is.
    pub(crate) async fn settle(&self) {
        self.database.superuser().await.execute("vacuum analyze").await.unwrap();
    }

    /// So that every round begins alike, and nobody pays for what another side left unwritten.
    pub(crate) async fn checkpoint(&self) {
        self.database.superuser().await.execute("checkpoint").await.unwrap();
    }

    /// The call that stands for "nothing to do" must not reach the database.
    pub(crate) async fn check_empty_call(&self) {
        const CALLS: u32 = 500;
        let mut admin = self.database.superuser().await;
        let before = transactions(&mut admin).await;
        for _ in 0..CALLS {
            grpc::nothing(&self.client(0)).await;
        }
        let reached = transactions(&mut admin).await - before;
        assert!(reached < i64::from(CALLS / 2), "the empty call does not leave the database alone");
    }

    /// Ends the engine and gives the disk back.
    pub(crate) async fn remove(self, postgres: &Postgres) {
        let Self { database, engine, .. } = self;
        drop(engine);
        let drop_it = format!("drop database {} with (force)", database.name);
        let drop_it =
            postgres.tool("psql").args(["--quiet", "--dbname=postgres", "--command", &drop_it]).status();
        assert!(drop_it.unwrap().success(), "drop the database");
    }

    fn bearer(&self, subject: &str) -> String {
        let mut claims = issuer::claims(subject);
        claims["exp"] = (issuer::now() + TOKEN_SECONDS).into();
        format!("Bearer {}", self.issuer.sign(&claims))
    }
}

fn fund(wallet: &str) -> proto::PaymentItem {
    let request = proto::CreatePaymentRequest {
        to: Some(id(wallet)),
        ..funding(&format!("fund {wallet}"), "", "1000000.00")
    };
    let operation = proto::payment_item::Operation::CreatePayment(request);
    proto::PaymentItem { operation: Some(operation) }
}

async fn postmaster(admin: &mut PgConnection) -> u32 {
    let text: String = scalar(admin, "select pg_read_file('postmaster.pid')").await;
    text.lines().next().and_then(|line| line.parse().ok()).unwrap()
}

/// Of this database, this connection's own included. Counters reach the view up to a second late.
async fn transactions(admin: &mut PgConnection) -> i64 {
    const SQL: &str =
        "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    // A backend hands over its counters at most once a second, and only when it becomes idle.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    scalar(admin, SQL).await
}

async fn count(admin: &mut PgConnection) -> u64 {
    let count: i64 = scalar(admin, "select count(*) from payplane.journal where posted is not null").await;
    count as u64
}

/// One value from one row.
pub(crate) async fn scalar<T>(admin: &mut PgConnection, statement: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(admin).await.unwrap()
}

/// Ids as PostgreSQL sees them.
pub(crate) fn ids(wallets: &[String]) -> Vec<Uuid> {
    wallets.iter().map(|id| id.parse().unwrap()).collect()
}
