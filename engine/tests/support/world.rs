//! A database, an issuer, one or two engines, and a tenant with somebody in every role.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use payplane_engine::{
    config::{AuthConfig, ServeConfig, TransportConfig},
    server::Server,
    verify::{VerifyOptions, verify},
};
use payplane_proto::v1 as proto;

use super::{
    client::{Client, funding, paid, usd},
    eventually, insist,
    issuer::{AUDIENCE, ISSUER, Issuer},
    postgres::{Database, Postgres, free_port},
};

pub(crate) const OPERATOR_OF_PLATFORM: &str = "system:serviceaccount:payplane-system:payplane-operator";

/// Everything a test of the API needs.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) issuer: Issuer,
    pub(crate) engines: Vec<Server>,
    sweep_millis: u64,
    /// Where engines that are added from now on publish.
    pub(crate) kafka_dir: Option<PathBuf>,
    /// For engines that are added from now on.
    pub(crate) redis_dir: Option<PathBuf>,
}

impl World {
    /// One engine on a database of its own.
    pub(crate) async fn new() -> Self {
        Self::with_engines(Postgres::shared(), 1).await
    }

    pub(crate) async fn with_engines(postgres: &Postgres, engines: usize) -> Self {
        Self::sweeping(postgres, engines, 100).await
    }

    /// One engine, which never sweeps.
    pub(crate) async fn without_sweeps() -> Self {
        Self::sweeping(Postgres::shared(), 1, 86_400_000).await
    }

    async fn sweeping(postgres: &Postgres, engines: usize, sweep_millis: u64) -> Self {
        let (database, issuer) = (postgres.database().await, Issuer::new());
        let (kafka_dir, redis_dir) = (None, None);
        let mut world = Self { database, issuer, engines: Vec::new(), sweep_millis, kafka_dir, redis_dir };
        for _ in 0..engines {
            world.add_engine(world.database.app_dir()).await;
        }
        world.put_tenant("acme").await;
        world.put_tenant("globex").await;
        world
    }

    /// Starts one more engine, which reaches its database by these files.
    pub(crate) async fn add_engine(&mut self, database_dir: PathBuf) {
        let server = Server::start(self.config(database_dir)).await.unwrap();
        let mut database = server.engine.database();
        database.wait_for(|up| *up).await.unwrap();
        self.engines.push(server);
    }

    /// Starts the real binary as a process of its own on the same database; returns it with its gRPC port.
    pub(crate) fn spawn_engine(&self) -> (Child, u16) {
        let port = free_port();
        (self.engine_command(port).spawn().unwrap(), port)
    }

    /// How the real binary is started on the same database.
    pub(crate) fn engine_command(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payplane-engine"));
        command
            .args(["serve", "--insecure-plaintext", "--http-address", "127.0.0.1:0", "--issuer", ISSUER])
            .args(["--audience", AUDIENCE, "--platform-subject", OPERATOR_OF_PLATFORM])
            .args(["--grpc-address", &format!("127.0.0.1:{port}")])
            .arg("--database-dir")
            .arg(self.database.app_dir())
            .arg("--jwks-file")
            .arg(self.issuer.jwks_file())
            .stdout(Stdio::null());
        command
    }

    /// The same caller at an engine that is a process of its own.
    pub(crate) fn as_role_at_port(&self, port: u16, tenant: &str, role: &str) -> Client {
        let token = self.issuer.token(&format!("system:serviceaccount:{tenant}:{role}"));
        self.with_token_at_port(port, &token)
    }

    pub(crate) fn with_token_at_port(&self, port: u16, token: &str) -> Client {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        Client::new(address, &[("authorization", &format!("Bearer {token}"))])
    }

    pub(crate) fn config(&self, database_dir: PathBuf) -> ServeConfig {
        ServeConfig {
            grpc_address: "127.0.0.1:0".parse().unwrap(),
            http_address: "127.0.0.1:0".parse().unwrap(),
            database_dir,
            redis_dir: self.redis_dir.clone(),
            pool_size: 4,
            auth: AuthConfig {
                issuer: Some(ISSUER.to_owned()),
                jwks_file: Some(self.issuer.jwks_file()),
                audience: AUDIENCE.to_owned(),
                platform_subjects: vec![OPERATOR_OF_PLATFORM.to_owned()],
                ..Default::default()
            },
            transport: TransportConfig { tls_dir: None, insecure_plaintext: true },
            reflection: false,
            drain_seconds: 25,
            sweep_millis: self.sweep_millis,
            kafka_dir: self.kafka_dir.clone(),
        }
    }

    /// The ServiceAccount of a tenant that is called like its role.
    pub(crate) fn as_role(&self, tenant: &str, role: &str) -> Client {
        self.as_role_at(0, tenant, role)
    }

    pub(crate) fn as_role_at(&self, engine: usize, tenant: &str, role: &str) -> Client {
        self.with_token_at(engine, &self.issuer.token(&format!("system:serviceaccount:{tenant}:{role}")), &[])
    }

    /// The operator, speaking for a namespace.
    pub(crate) fn as_platform(&self, namespace: Option<&str>) -> Client {
        let namespace = namespace.map(|namespace| ("payplane-namespace", namespace));
        let headers: Vec<(&str, &str)> = namespace.into_iter().collect();
        self.with_token_at(0, &self.issuer.token(OPERATOR_OF_PLATFORM), &headers)
    }

    /// The operator, speaking for a namespace on behalf of a person.
    pub(crate) fn on_behalf_of(&self, namespace: &str, person: &str) -> Client {
        let headers = [("payplane-namespace", namespace), ("payplane-on-behalf-of", person)];
        self.with_token_at(0, &self.issuer.token(OPERATOR_OF_PLATFORM), &headers)
    }

    pub(crate) fn with_token(&self, token: &str) -> Client {
        self.with_token_at(0, token, &[])
    }

    pub(crate) fn with_token_at(&self, engine: usize, token: &str, headers: &[(&str, &str)]) -> Client {
        let authorization = format!("Bearer {token}");
        let mut headers = headers.to_vec();
        headers.push(("authorization", &authorization));
        Client::new(self.engines[engine].grpc_address, &headers)
    }

    /// Puts dollars into a wallet.
    pub(crate) async fn fund(&self, tenant: &str, wallet: &str, amount: &str) {
        let (treasury, request) =
            (self.as_role(tenant, "treasury"), funding(&format!("fund {wallet}"), wallet, amount));
        paid(&insist(async || treasury.pay(request.clone()).await).await);
    }

    /// No currency of the platform is out of balance. Returns the number of transfers.
    pub(crate) async fn assert_balanced(&self) -> i64 {
        let client = self.as_platform(None);
        let lines = eventually("a trial balance", async || {
            client.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await.ok()
        });
        let lines = lines.await.into_inner().lines;
        for line in &lines {
            assert!(
                line.difference.bytes().all(|byte| matches!(byte, b'0' | b'.')),
                "out of balance: {line:?}"
            );
        }
        lines.iter().map(|line| line.transfers).sum()
    }

    /// The whole ledger is proved from its rows. Returns how many operations it has.
    pub(crate) async fn assert_sound(&self) -> i64 {
        let report = verify(&self.engines[0].engine.store, &VerifyOptions::default()).await.unwrap();
        assert!(report.sound, "{report:#?}");
        report.totals.journal
    }

    /// How often an engine has met a commit that was not answered.
    pub(crate) fn doubts(&self, engine: usize) -> usize {
        let metrics = self.engines[engine].engine.exposition();
        let line =
            metrics.lines().find(|line| line.contains("commit_doubts_total ") && !line.starts_with('#'));
        line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap()
    }

    pub(crate) async fn put_tenant(&self, name: &str) {
        let grant = |(name_of_account, role): (&str, proto::Role)| proto::ServiceAccountGrant {
            namespace: name.to_owned(),
            name: name_of_account.to_owned(),
            role: role.into(),
        };
        let grants = [
            ("viewer", proto::Role::Viewer),
            ("operator", proto::Role::Operator),
            ("approver", proto::Role::Approver),
            ("treasury", proto::Role::Treasury),
            ("admin", proto::Role::Admin),
        ];
        let tenant = proto::Tenant {
            name: name.to_owned(),
            namespaces: vec![name.to_owned()],
            settlement_caps: vec![usd("1000000.00")],
            service_accounts: grants.map(grant).to_vec(),
            ..Default::default()
        };
        let request = proto::PutTenantRequest { tenant: Some(tenant) };
        self.as_platform(None).tenants.clone().put_tenant(request).await.unwrap();
    }
}
