//! PostgreSQL and an engine, each a process that can be stopped and started again.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Books, ISSUER, SYSTEM, Site, eventually,
    process::{Folder, Running, free_port, output},
};

const PASSWORD: &str = "only-for-tests";

/// One ledger and the engine before it.
pub struct Ledger {
    pub engine_port: u16,
    /// Of the engine's metrics.
    pub http_port: u16,
    postgres_port: u16,
    postgres: Option<Running>,
    engine: Option<Running>,
    token: String,
    /// Dropped last: what the processes said is read when they end.
    folder: Folder,
}

impl Ledger {
    /// The database is migrated; the engine starts with [`Ledger::believe`].
    pub async fn new() -> Self {
        let folder = Folder::new();
        let [engine_port, http_port, postgres_port] = [(); 3].map(|()| free_port());
        let (postgres, engine) = (None, None);
        let mut ledger =
            Self { engine_port, http_port, folder, postgres_port, postgres, engine, token: String::new() };
        ledger.initialise();
        ledger.start_postgres().await;
        ledger.psql(&format!("create role ledger_owner login createrole password '{PASSWORD}'"));
        ledger.psql("create database ledger owner ledger_owner");
        for (folder, user) in [("owner", "ledger_owner"), ("app", "ledger_app")] {
            ledger.write_login(folder, user);
        }
        let login = |name: &str| ledger.folder.path().join(name);
        let mut migrate = engine_program();
        migrate.arg("migrate").arg("--owner-database-dir").arg(login("owner"));
        output(migrate.arg("--app-database-dir").arg(login("app")));
        ledger
    }

    fn initialise(&self) {
        let folder = self.folder.path();
        if is_root() {
            let id = |flag| output(Command::new("id").args([flag, "postgres"])).trim().parse().unwrap();
            chown(folder, Some(id("-u")), Some(id("-g"))).unwrap();
        }
        let mut command = postgres_program("initdb");
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"]);
        output(command.arg(folder.join("data")));
    }

    /// Starts the server and waits until it answers.
    pub async fn start_postgres(&mut self) {
        let folder = self.folder.path();
        let mut command = postgres_program("postgres");
        command.arg("-D").arg(folder.join("data")).args(["-c", &format!("port={}", self.postgres_port)]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=50", "-c"]);
        command.arg(format!("unix_socket_directories={}", folder.display()));
        self.postgres = Some(Running::start(&mut command, folder.join("postgres.log")));
        let ready =
            async || postgres_program("pg_isready").args(self.place()).output().unwrap().status.success();
        eventually("a PostgreSQL that answers", async || ready().await.then_some(())).await;
    }

    /// Ends the server; connections break.
    pub fn stop_postgres(&mut self) {
        self.postgres = None;
    }

    fn place(&self) -> [String; 4] {
        let folder = self.folder.path().display().to_string();
        ["-h".into(), folder, "-p".into(), self.postgres_port.to_string()]
    }

    fn psql(&self, statement: &str) {
        let mut command = postgres_program("psql");
        output(command.args(self.place()).args(["-U", "postgres", "-q", "-c", statement]));
    }

    /// Somebody else keeps the journal's table for seven tenths of a second, again and again: batches take that long, which is
    /// less than an engine waits for a lock, so none fails. Ends with the value, and by itself after two minutes.
    pub fn crowd(&self) -> Running {
        let hold = "do $$ begin for turn in 1..170 loop lock table payplane.journal in share mode; perform pg_sleep(0.7); commit; \
                    end loop; end $$";
        let mut command = postgres_program("psql");
        command.args(self.place()).args(["-U", "postgres", "-d", "ledger", "-q"]);
        // The server notices when the client is gone.
        command.args(["-c", "set client_connection_check_interval = '100ms'", "-c", hold]);
        Running::start(&mut command, self.folder.path().join("crowd.log"))
    }

    fn write_login(&self, folder: &str, user: &str) {
        let port = self.postgres_port.to_string();
        let values = [
            ("host", "127.0.0.1"),
            ("port", &port),
            ("dbname", "ledger"),
            ("username", user),
            ("password", PASSWORD),
        ];
        for (name, value) in values {
            self.folder.write(&format!("{folder}/{name}"), value);
        }
    }

    /// Starts the engine, which believes tokens of this site's API server.
    pub async fn believe(&mut self, site: &Site) {
        self.folder.write("jwks.json", &site.jwks().await);
        self.token = std::fs::read_to_string(site.token_file()).unwrap();
        self.start_engine().await;
    }

    /// Starts the engine, and waits until it answers.
    pub async fn start_engine(&mut self) {
        let mut command = self.engine_command(self.engine_port, self.http_port);
        command.arg("--insecure-plaintext");
        self.engine = Some(Running::start(&mut command, self.folder.path().join("engine.log")));
        let books = self.books("");
        eventually("an engine that answers", async || books.try_transfers().await).await;
    }

    /// One more engine on the same ledger, as callers in a cluster meet it.
    pub fn start_engine_with_tls(&self, certificate: &[u8], key: &[u8], port: u16) -> Running {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.folder.write("tls/tls.crt", &text(certificate));
        self.folder.write("tls/tls.key", &text(key));
        let mut command = self.engine_command(port, 0);
        command.arg("--tls-dir").arg(self.folder.path().join("tls"));
        Running::start(&mut command, self.folder.path().join("engine-tls.log"))
    }

    fn engine_command(&self, port: u16, http_port: u16) -> Command {
        let mut command = engine_program();
        command
            .args(["serve", "--http-address", &format!("127.0.0.1:{http_port}"), "--issuer", ISSUER])
            .args(["--platform-subject", &format!("system:serviceaccount:{SYSTEM}:payplane-operator")])
            .args(["--grpc-address", &format!("127.0.0.1:{port}")])
            .arg("--database-dir")
            .arg(self.folder.path().join("app"))
            .arg("--jwks-file")
            .arg(self.folder.path().join("jwks.json"));
        command
    }

    /// A copy of everything that the server has, as a backup takes it. Both stand still meanwhile.
    pub async fn snapshot(&mut self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        self.stop_both();
        output(Command::new("cp").arg("-a").arg(self.folder.path().join("data")).arg(&copy));
        self.start_postgres().await;
        self.start_engine().await;
        copy
    }

    /// The ledger is as it was then, and one of its own, as after a Restore.
    pub async fn restore(&mut self, copy: &Path, restore_id: &str) {
        self.stop_both();
        let (data, owner) = (self.folder.path().join("data"), self.folder.path().join("owner"));
        std::fs::remove_dir_all(&data).unwrap();
        output(Command::new("cp").arg("-a").arg(copy).arg(&data));
        self.start_postgres().await;
        let mut adopt = engine_program();
        adopt.args(["adopt", "--restore-id", restore_id, "--database-dir"]).arg(&owner);
        output(adopt.arg("--owner-database-dir").arg(&owner));
        self.start_engine().await;
    }

    /// The server ends in order, so that its files are whole.
    fn stop_both(&mut self) {
        self.stop_engine();
        let mut stop = postgres_program("pg_ctl");
        stop.args(["stop", "--wait", "--mode=fast", "-D"]).arg(self.folder.path().join("data"));
        output(&mut stop);
        self.stop_postgres();
    }

    /// SIGKILL.
    pub fn stop_engine(&mut self) {
        self.engine = None;
    }

    pub fn engine(&self) -> &Running {
        self.engine.as_ref().unwrap()
    }

    /// What the engine has logged since it started last.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("engine.log")).unwrap()
    }

    /// What the ledger says, asked as the operator asks, for a namespace.
    pub fn books(&self, namespace: &str) -> Books {
        Books::new(self.engine_port, &self.token, namespace)
    }
}

/// Built by whoever runs the tests: it belongs to another package.
pub fn engine_program() -> Command {
    let operator = Path::new(env!("CARGO_BIN_EXE_payplane-operator"));
    let engine = operator.with_file_name("payplane-engine");
    let hint = "cargo build --package payplane-engine --bin payplane-engine";
    assert!(engine.exists(), "{} is missing: {hint}", engine.display());
    Command::new(engine)
}

/// The server refuses to run as root.
fn postgres_program(name: &str) -> Command {
    let program = installed().join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).trim() == "0"
}

/// The newest installed server's programs.
fn installed() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin"))).filter(|(_, bin)| bin.join("initdb").exists())
    });
    found.max().expect("PostgreSQL is not installed; on Debian or Ubuntu: apt-get install postgresql").1
}
