//! A throwaway PostgreSQL from the installed binaries, durable as in production, and a database per test.
//!
//! A watchdog process stops the server and removes its files when this process ends in whatever way: it waits for the
//! end of a pipe whose other side only this process holds.

use std::{
    io::Write as _,
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use payplane_engine::store::{DatabaseConfig, MigrateOptions, migrate};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use super::{PATIENCE, TempDir};

const PASSWORD: &str = "only-for-tests";

/// A server of its own.
#[derive(Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    directory: PathBuf,
    pub(crate) port: u16,
    _watchdog: Child,
}

/// A database of its own, migrated.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) files: TempDir,
    socket: PathBuf,
    port: u16,
}

impl Postgres {
    /// The one that all tests of this binary share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Settings come as `name=value`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let bin = installed();
        let directory = std::env::temp_dir().join(format!("payplane-postgres-{}", Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        if is_root() {
            let (uid, gid) = postgres_ids();
            chown(&directory, Some(uid), Some(gid)).unwrap();
        }
        let watchdog = watchdog(&bin, &directory);
        let data = directory.join("data");
        let initdb = unprivileged(&bin.join("initdb"))
            .args([
                "--username=postgres",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
            ])
            .args(["--locale=C", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let port = free_port();
        let socket = directory.display();
        let mut configuration =
            std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(
            configuration,
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\nfsync = on\n\
             synchronous_commit = on\nmax_connections = 100\nlog_min_messages = warning"
        )
        .unwrap();
        for setting in settings {
            writeln!(configuration, "{setting}").unwrap();
        }
        let postgres = Self { bin, directory, port, _watchdog: watchdog };
        postgres.launch();
        postgres
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn launch(&self) {
        let started =
            self.control(&["start", "-w", "-s", "-l"]).arg(self.directory.join("log")).output().unwrap();
        let log = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        assert!(started.status.success(), "start PostgreSQL: {}", log());
    }

    /// Ends the server and all its children as a power failure would: no goodbye, no checkpoint.
    pub(crate) fn kill(&self) {
        let file = std::fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let ids: Vec<&str> =
            std::iter::once(postmaster.as_str()).chain(children.split_whitespace()).collect();
        Command::new("kill").arg("-9").args(&ids).status().unwrap();
        let started = std::time::Instant::now();
        while ids.iter().any(|id| is_running(id)) {
            assert!(started.elapsed() < PATIENCE, "PostgreSQL survives kill -9");
            std::thread::yield_now();
        }
        // Where nobody reaps orphans, the dead postmaster still has its number and would look alive to the next one.
        std::fs::remove_file(self.directory.join("data/postmaster.pid")).unwrap();
        std::fs::remove_file(self.directory.join(format!(".s.PGSQL.{}.lock", self.port))).unwrap();
    }

    /// Ends one server process without a goodbye. The server then ends all of them, because the memory that they share may
    /// be spoiled, and recovers.
    pub(crate) fn kill_backend(&self, id: i32) {
        assert!(Command::new("kill").args(["-9", &id.to_string()]).status().unwrap().success());
    }

    /// Stops the server in an orderly way.
    pub(crate) fn stop(&self) {
        assert!(self.control(&["stop", "-w", "-s", "-m", "fast"]).status().unwrap().success());
    }

    /// A new database with its own owner, who is no superuser, migrated for its own login of the engine.
    pub(crate) async fn database(&self) -> Database {
        let database = self.empty_database().await;
        database.migrate().await;
        database
    }

    /// The same, not migrated.
    pub(crate) async fn empty_database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("ledger_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = superuser(&self.directory, self.port, "postgres").await;
        let owner = format!("create role {name}_owner login createrole password '{PASSWORD}'");
        admin.execute(AssertSqlSafe(owner)).await.unwrap();
        let create = format!("create database {name} owner {name}_owner");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        let files = TempDir::new();
        let database = Database { name, files, socket: self.directory.clone(), port: self.port };
        database.write_files("owner", &format!("{}_owner", database.name), self.port);
        database.write_files("app", &format!("{}_app", database.name), self.port);
        database
    }

    /// `pgbench` and its relatives.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("PGHOST", &self.directory).env("PGPORT", self.port.to_string()).env("PGUSER", "postgres");
        command
    }

    /// Where the server's programs are.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Where its socket is.
    pub(crate) fn socket(&self) -> &Path {
        &self.directory
    }

    /// A shell with the server's programs, as the user that the server runs as.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = unprivileged(Path::new("sh"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(["-euc", script]).env("PATH", format!("{}:{path}", self.bin.display()));
        command.env("PGHOST", &self.directory).env("PGPORT", self.port.to_string()).env("PGUSER", "postgres");
        command
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut command = unprivileged(&self.bin.join("pg_ctl"));
        // A log that is inherited would keep the pipes of the caller open.
        command.arg("-D").arg(self.directory.join("data")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Database {
    pub(crate) fn owner_dir(&self) -> PathBuf {
        self.files.path().join("owner")
    }

    pub(crate) fn app_dir(&self) -> PathBuf {
        self.files.path().join("app")
    }

    pub(crate) async fn migrate(&self) {
        let owner = DatabaseConfig::read(&self.owner_dir()).unwrap();
        let app = DatabaseConfig::read(&self.app_dir()).unwrap();
        migrate(&owner, &app, &MigrateOptions { wait: PATIENCE, any_server: true, ..Default::default() })
            .await
            .unwrap();
    }

    /// Looks at everything, past row-level security.
    pub(crate) async fn superuser(&self) -> PgConnection {
        superuser(&self.socket, self.port, &self.name).await
    }

    /// The way there, for whoever outlives a connection.
    pub(crate) fn superuser_options(&self) -> PgConnectOptions {
        superuser_options(&self.socket, self.port, &self.name)
    }

    /// What an attacker has who stole the engine's password.
    pub(crate) async fn as_engine(&self) -> PgConnection {
        DatabaseConfig::read(&self.app_dir()).unwrap().options().connect().await.unwrap()
    }

    /// Database files of the second of the engine's two logins, which take turns.
    pub(crate) fn second_app_dir(&self) -> PathBuf {
        self.write_files("app-b", &format!("{}_app_b", self.name), self.port);
        self.files.path().join("app-b")
    }

    /// Database files for the same login by way of another port, such as a proxy's.
    pub(crate) fn app_dir_at(&self, port: u16) -> PathBuf {
        let name = format!("app-{port}");
        self.write_files(&name, &format!("{}_app", self.name), port);
        self.files.path().join(name)
    }

    fn write_files(&self, directory: &str, user: &str, port: u16) {
        let port = port.to_string();
        let values = [
            ("host", "127.0.0.1"),
            ("port", &port),
            ("dbname", &self.name),
            ("username", user),
            ("password", PASSWORD),
        ];
        for (name, value) in values {
            self.files.write(&format!("{directory}/{name}"), value);
        }
    }
}

async fn superuser(socket: &Path, port: u16, database: &str) -> PgConnection {
    superuser_options(socket, port, database).connect().await.unwrap()
}

fn superuser_options(socket: &Path, port: u16, database: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(socket).port(port).username("postgres");
    options.database(database)
}

/// The newest installed server.
fn installed() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let (_, bin) =
        found.pop().expect("PostgreSQL is not installed; on Debian or Ubuntu: apt-get install postgresql");
    bin
}

/// The server refuses to run as root.
pub(crate) fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

fn watchdog(bin: &Path, directory: &Path) -> Child {
    let run = if is_root() { "setpriv --reuid=postgres --regid=postgres --clear-groups" } else { "" };
    let (bin, directory) = (bin.display(), directory.display());
    let script = format!(
        "trap '' INT TERM HUP; cat > /dev/null; cd /; {run} {bin}/pg_ctl -D {directory}/data stop -s -m immediate; \
         rm -rf {directory}"
    );
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    watchdog.spawn().unwrap()
}

/// Gives a directory and what is in it to the server's user.
pub(crate) fn hand_to_server(directory: &Path) {
    if is_root() {
        assert!(
            Command::new("chown")
                .args(["-R", "postgres:postgres"])
                .arg(directory)
                .status()
                .unwrap()
                .success()
        );
    }
}

fn is_root() -> bool {
    output_of("id", "-u") == "0"
}

fn postgres_ids() -> (u32, u32) {
    let id = |flag| {
        let output = Command::new("id").args([flag, "postgres"]).output().unwrap().stdout;
        String::from_utf8(output).unwrap().trim().parse().unwrap()
    };
    (id("-u"), id("-g"))
}

fn output_of(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().unwrap().stdout;
    String::from_utf8(output).unwrap().trim().to_owned()
}

fn is_running(id: &str) -> bool {
    // A zombie has ended already.
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A port that nobody listens at. Not one of those that the kernel gives to outgoing connections, of which tests make
/// thousands: one of them could have it before its server starts, or while the server is away.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(Uuid::new_v4().as_u64_pair().0 as u16));
    loop {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
