//! Flags and environment, nowhere else. Every flag can be given as `PAYPLANE_<FLAG>`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::verify::ExpectedHead;

/// Moves money: the gRPC engine around the ledger, on PostgreSQL.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How log lines look.
    #[arg(long, global = true, env = "PAYPLANE_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
}

/// What the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves gRPC until it is told to stop.
    Serve(Box<ServeConfig>),
    /// Brings a database to the schema of this binary and sets the engine's login. Safe to repeat.
    Migrate(MigrateConfig),
    /// Ends a login of engines that another one has taken the place of, and gives the owner its next password, if there is
    /// one. Safe to repeat.
    RetireLogin(RetireConfig),
    /// Proves the ledger from its rows. Prints one JSON document; ends with 0 if all is sound, 1 if something is wrong,
    /// 2 if that could not be found out.
    Verify(VerifyConfig),
    /// Makes a restored copy a ledger that can be used: brings its schema up to date, moves its epoch on, so that engines
    /// from before are refused, and sets its owner's password. Safe to repeat.
    Adopt(AdoptConfig),
    /// Writes one tenant's history to a file that proves itself, from one snapshot.
    Export(ExportConfig),
    /// Checks such a file, without a database. Prints one JSON document; ends as verify does.
    VerifyExport(VerifyExportConfig),
    /// Keeps a copy that pg_basebackup has made, sealed where keys are given. Ends with 3 if a key is missing; 5 if the bucket is
    /// not there, 6 if its server refuses, 7 if that does not answer.
    StoreCopy(StoreCopyConfig),
    /// Opens a copy, and the log after it. Ends as store-copy does, and with 4 if what is kept is not what was kept.
    FetchCopy(FetchCopyConfig),
    /// Keeps the custom resources that belong to a copy. Ends with 3 if a key is missing.
    StoreObjects(StoreObjectsConfig),
    /// Lays out the custom resources of a copy, to be applied again, and prints their number, size and digest. Ends as
    /// fetch-copy does.
    FetchObjects(FetchObjectsConfig),
    /// Deletes copies, and the log that no other copy needs. Ends as store-copy does. Can be repeated after any interruption.
    PruneCopies(PruneCopiesConfig),
    /// Prints a new key to seal copies with. Whoever has it opens them; without it nobody does.
    NewBackupKey,
    /// Keeps a server's log as it is written, sealed where keys are given, until it is told to stop.
    StoreLog(StoreLogConfig),
    /// Checks such a file and loads it into an empty database that refuses every write from then on, for an engine that
    /// answers what was at any time. Prints and ends as verify-export does.
    LoadExport(LoadExportConfig),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeConfig {
    /// Where gRPC is served.
    #[arg(long, env = "PAYPLANE_GRPC_ADDRESS", default_value = "0.0.0.0:8443")]
    pub grpc_address: SocketAddr,
    /// Where /metrics, /livez and /readyz are served.
    #[arg(long, env = "PAYPLANE_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,
    /// Files host, port, dbname, username, password and perhaps ca.crt, as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_DATABASE_DIR")]
    pub database_dir: PathBuf,
    /// Files brokers, topic-prefix and perhaps username, password and ca.crt, as in a mounted Secret: where the journal is
    /// published. Without it nothing is.
    #[arg(long, env = "PAYPLANE_KAFKA_DIR")]
    pub kafka_dir: Option<PathBuf>,
    /// Files host, port and perhaps username, password and ca.crt of a Redis that engines share. Optional: without it, and
    /// whenever it is away, rates of calls hold for each engine by itself and nothing is remembered.
    #[arg(long, env = "PAYPLANE_REDIS_DIR")]
    pub redis_dir: Option<PathBuf>,
    /// How many connections besides the committer's.
    #[arg(long, env = "PAYPLANE_POOL_SIZE", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub pool_size: u32,
    /// Who may call.
    #[command(flatten)]
    pub auth: AuthConfig,
    /// How callers connect.
    #[command(flatten)]
    pub transport: TransportConfig,
    /// Serve gRPC reflection, to anybody.
    #[arg(long, env = "PAYPLANE_REFLECTION")]
    pub reflection: bool,
    /// How long calls that are under way may take after SIGTERM.
    #[arg(long, env = "PAYPLANE_DRAIN_SECONDS", default_value_t = 25)]
    pub drain_seconds: u64,
    /// How often holds are ended whose deadline has passed, in milliseconds. A capture after the deadline is refused
    /// however long this is.
    #[arg(long, env = "PAYPLANE_SWEEP_MILLIS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    pub sweep_millis: u64,
}

impl ServeConfig {
    /// The time between two sweeps.
    pub const fn sweep_every(&self) -> Duration {
        Duration::from_millis(self.sweep_millis)
    }

    /// How long draining may take.
    pub const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// How callers connect: exactly one of the two.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TransportConfig {
    /// Files tls.crt and tls.key. Read again when they change.
    #[arg(long, env = "PAYPLANE_TLS_DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Serve without encryption: tokens and payments are readable on the network.
    #[arg(long, env = "PAYPLANE_INSECURE_PLAINTEXT")]
    pub insecure_plaintext: bool,
}

/// Whose tokens are believed.
#[derive(Clone, Debug, Default, Args)]
pub struct AuthConfig {
    /// Issuer of the tokens, exactly as in `iss`. Without one, every call but health is refused.
    #[arg(long, env = "PAYPLANE_ISSUER")]
    pub issuer: Option<String>,
    /// Where the issuer's keys are.
    #[arg(long, env = "PAYPLANE_JWKS_URL", conflicts_with = "jwks_file")]
    pub jwks_url: Option<String>,
    /// CA certificates that the server of the keys is verified with.
    #[arg(long, env = "PAYPLANE_JWKS_CA_FILE", requires = "jwks_url")]
    pub jwks_ca_file: Option<PathBuf>,
    /// Token to fetch the keys with. Read for each fetch.
    #[arg(long, env = "PAYPLANE_JWKS_TOKEN_FILE", requires = "jwks_url")]
    pub jwks_token_file: Option<PathBuf>,
    /// The issuer's keys in a file.
    #[arg(long, env = "PAYPLANE_JWKS_FILE")]
    pub jwks_file: Option<PathBuf>,
    /// Audience that tokens must be for.
    #[arg(long, env = "PAYPLANE_AUDIENCE", default_value = "payplane")]
    pub audience: String,
    /// Subject with the platform role, such as system:serviceaccount:payplane-system:payplane-operator.
    #[arg(long = "platform-subject", env = "PAYPLANE_PLATFORM_SUBJECT", value_delimiter = ',')]
    pub platform_subjects: Vec<String>,
}

/// Flags of `migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateConfig {
    /// The login that owns the database: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_OWNER_DATABASE_DIR")]
    pub owner_database_dir: PathBuf,
    /// The engine's login, which is created or updated.
    #[arg(long, env = "PAYPLANE_APP_DATABASE_DIR")]
    pub app_database_dir: PathBuf,
    /// How long to wait for the database.
    #[arg(long, env = "PAYPLANE_WAIT_SECONDS", default_value_t = 60)]
    pub wait_seconds: u64,
    /// Whose ledger it is: NAMESPACE/NAME of a Platform. A database that is another Platform's is refused.
    #[arg(long, env = "PAYPLANE_PLATFORM", value_name = "NAMESPACE/NAME")]
    pub platform: Option<String>,
    /// Take a server that may lose what was committed (fsync off and the like). For throwaway servers.
    #[arg(long, env = "PAYPLANE_ANY_SERVER")]
    pub any_server: bool,
    /// Also writes why it failed to this file, as one line of JSON.
    #[arg(long, env = "PAYPLANE_FAILURE_FILE")]
    pub failure_file: Option<PathBuf>,
    /// Also writes how far the schema is, and which engines may run on it, to this file, as one line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags of `retire-login`.
#[derive(Clone, Debug, Args)]
pub struct RetireConfig {
    /// The login that owns the database: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_OWNER_DATABASE_DIR")]
    pub owner_database_dir: PathBuf,
    /// Which login nobody shall use any more.
    #[arg(long, env = "PAYPLANE_LOGIN")]
    pub login: String,
    /// How long to wait for the database.
    #[arg(long, env = "PAYPLANE_WAIT_SECONDS", default_value_t = 60)]
    pub wait_seconds: u64,
}

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyConfig {
    /// The engine's login: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_DATABASE_DIR")]
    pub database_dir: PathBuf,
    /// A head that was kept outside the database: SEAL:LINK, as in the document's `head`. Without it, sealed batches
    /// that are gone with everything that speaks of them are not missed.
    #[arg(long, env = "PAYPLANE_EXPECT_HEAD", value_name = "SEAL:LINK")]
    pub expect_head: Option<ExpectedHead>,
    /// What `--summary-file` has of another server's ledger that nobody writes to: this one must have the same head and the
    /// same numbers of rows.
    #[arg(long, env = "PAYPLANE_SAME_AS", value_name = "FILE")]
    pub same_as: Option<PathBuf>,
    /// Also writes what matters most of the report to this file, as one short line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
    /// How long to wait for the database.
    #[arg(long, alias = "wait", env = "PAYPLANE_WAIT_SECONDS", default_value_t = 60)]
    pub wait_seconds: u64,
}

/// Flags of `adopt`.
#[derive(Clone, Debug, Args)]
pub struct AdoptConfig {
    /// The owner's login to the restored copy: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_DATABASE_DIR")]
    pub database_dir: PathBuf,
    /// The login that its owner shall have: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_OWNER_DATABASE_DIR")]
    pub owner_database_dir: PathBuf,
    /// Names this restore: the epoch moves on once for each.
    #[arg(long, env = "PAYPLANE_RESTORE_ID")]
    pub restore_id: String,
    /// Whose ledger it becomes, as NAMESPACE/NAME of a Platform. Without it, whose it was.
    #[arg(long, env = "PAYPLANE_PLATFORM")]
    pub platform: Option<String>,
    /// Also writes the epoch to this file, as one short line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportConfig {
    /// The engine's login: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_DATABASE_DIR")]
    pub database_dir: PathBuf,
    /// The tenant's name.
    #[arg(long, env = "PAYPLANE_TENANT")]
    pub tenant: String,
    /// Where to write. A file that is there is left alone.
    #[arg(long, env = "PAYPLANE_OUT")]
    pub out: PathBuf,
}

/// Flags of `verify-export`.
#[derive(Clone, Debug, Args)]
pub struct VerifyExportConfig {
    /// The file.
    pub file: PathBuf,
    /// A head that was kept outside the file and the database: SEAL:LINK. Without it, whoever wrote the file could have made
    /// all of it up.
    #[arg(long, alias = "head", env = "PAYPLANE_EXPECT_HEAD", value_name = "SEAL:LINK")]
    pub expect_head: Option<ExpectedHead>,
    /// The last seal that an engine made whose seals did not say whose operations they have; see docs/export.md.
    #[arg(long, env = "PAYPLANE_OPAQUE_THROUGH", value_name = "SEAL", default_value_t = 0)]
    pub opaque_through: i64,
}

/// What keeps copies: a directory or a bucket.
#[derive(Args, Clone, Debug, Default)]
pub struct StorageConfig {
    /// A directory, which has to exist.
    #[arg(long, env = "PAYPLANE_FOLDER", required_unless_present = "bucket", conflicts_with = "bucket")]
    pub folder: Option<PathBuf>,
    /// Or a bucket.
    #[command(flatten)]
    pub bucket: BucketConfig,
}

/// A bucket at a server that speaks S3.
#[derive(Args, Clone, Debug, Default)]
pub struct BucketConfig {
    /// Its name. It has to exist.
    #[arg(long, env = "PAYPLANE_BUCKET", requires = "endpoint", requires = "credentials_dir")]
    pub bucket: Option<String>,
    /// The server, as https://HOST[:PORT].
    #[arg(long, env = "PAYPLANE_ENDPOINT")]
    pub endpoint: Option<String>,
    /// What the names of everything that is kept begin with. Nothing else in the bucket is touched.
    #[arg(long, env = "PAYPLANE_PREFIX", default_value = "")]
    pub prefix: String,
    /// The region that requests are signed for.
    #[arg(long, env = "PAYPLANE_REGION", default_value = "us-east-1")]
    pub region: String,
    /// Names the bucket in paths, not in the host's name.
    #[arg(long, env = "PAYPLANE_PATH_STYLE")]
    pub path_style: bool,
    /// Files access-key-id, secret-access-key and perhaps session-token and ca.crt, as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_CREDENTIALS_DIR")]
    pub credentials_dir: Option<PathBuf>,
}

/// What seals and opens them.
#[derive(Clone, Debug, Args)]
pub struct KeysConfig {
    /// Keys, as a mounted Secret has them: `key` seals and opens, other entries open what is older. Can be given several
    /// times; the first one seals. Without any nothing is sealed.
    #[arg(long = "keys-dir", env = "PAYPLANE_KEYS_DIR")]
    pub keys_dirs: Vec<PathBuf>,
}

/// Which copy.
#[derive(Clone, Debug, Args)]
pub struct CopyConfig {
    /// Where it is kept.
    #[command(flatten)]
    pub storage: StorageConfig,
    /// With which keys.
    #[command(flatten)]
    pub keys: KeysConfig,
    /// Its name. One that is there is never written over.
    #[arg(long, env = "PAYPLANE_NAME")]
    pub name: String,
}

/// Flags of `store-copy`.
#[derive(Clone, Debug, Args)]
pub struct StoreCopyConfig {
    /// Which one.
    #[command(flatten)]
    pub copy: CopyConfig,
    /// Whose it is: only who says the same may delete it.
    #[arg(long, env = "PAYPLANE_UID")]
    pub uid: String,
    /// The directory that pg_basebackup has packed it into, with `system` and `begin` beside. Its files go.
    #[arg(long, env = "PAYPLANE_FROM")]
    pub from: PathBuf,
    /// The copy to build on, as NAME:UID: only files that it and those that it builds on do not have are kept. If nothing can build on
    /// it, because it is not there, damaged, or sealed for other keys, the copy is a full one, and the summary says why.
    #[arg(long, env = "PAYPLANE_PARENT")]
    pub parent: Option<String>,
    /// Also writes its size, the ids of its keys and what it builds on to this file, as one short line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags of `fetch-copy`.
#[derive(Clone, Debug, Args)]
pub struct FetchCopyConfig {
    /// Which one. All that it builds on is read too.
    #[command(flatten)]
    pub copy: CopyConfig,
    /// The directory to lay it out in, under its name.
    #[arg(long, env = "PAYPLANE_TO")]
    pub to: PathBuf,
    /// Also lay out the log that this Platform stored since, under `wal`.
    #[arg(long, env = "PAYPLANE_LOG_OF")]
    pub log_of: Option<String>,
    /// Refuse a copy that is not sealed: it was, so another one is in its place.
    #[arg(long, env = "PAYPLANE_MUST_BE_SEALED")]
    pub must_be_sealed: bool,
}

/// Flags of `store-objects`.
#[derive(Clone, Debug, Args)]
pub struct StoreObjectsConfig {
    /// Of which copy. Without keys the document is kept as it is.
    #[command(flatten)]
    pub copy: CopyConfig,
    /// UID of its Backup.
    #[arg(long, env = "PAYPLANE_UID")]
    pub uid: String,
    /// The document: a List of objects as JSON. It goes. If it is not there nothing is kept, and that is no failure: whoever
    /// should have written it says why.
    #[arg(long, env = "PAYPLANE_FROM")]
    pub from: PathBuf,
    /// Also writes the number of objects, the size and the digest to this file, as one short line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags of `fetch-objects`.
#[derive(Clone, Debug, Args)]
pub struct FetchObjectsConfig {
    /// Of which copy.
    #[command(flatten)]
    pub copy: CopyConfig,
    /// The file to write. One that is there is left alone.
    #[arg(long, env = "PAYPLANE_TO")]
    pub to: PathBuf,
    /// Refuse a document that is not sealed: it was, so another one is in its place.
    #[arg(long, env = "PAYPLANE_MUST_BE_SEALED")]
    pub must_be_sealed: bool,
}

/// Flags of `store-log`.
#[derive(Clone, Debug, Args)]
pub struct StoreLogConfig {
    /// Where to.
    #[command(flatten)]
    pub storage: StorageConfig,
    /// With which keys. Read again for each segment.
    #[command(flatten)]
    pub keys: KeysConfig,
    /// Whose log it is.
    #[arg(long, env = "PAYPLANE_PLATFORM")]
    pub platform: String,
    /// Where the server puts segments, and looks for answers.
    #[arg(long, env = "PAYPLANE_SPOOL")]
    pub spool: PathBuf,
    /// Where /trouble says why the last segment was not stored. Nowhere by default.
    #[arg(long, env = "PAYPLANE_HTTP_ADDRESS")]
    pub http_address: Option<SocketAddr>,
}

/// Flags of `prune-copies`.
#[derive(Clone, Debug, Args)]
pub struct PruneCopiesConfig {
    /// Where they are.
    #[command(flatten)]
    pub storage: StorageConfig,
    /// A copy as NAME:UID. Only one that carries this UID is deleted. Can be given several times.
    #[arg(long = "doomed", env = "PAYPLANE_DOOMED")]
    pub doomed: Vec<String>,
    /// Also writes to this file which of them stay, because a copy that stays builds on them, as one short line of JSON.
    #[arg(long, env = "PAYPLANE_SUMMARY_FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags of `load-export`.
#[derive(Clone, Debug, Args)]
pub struct LoadExportConfig {
    /// Which file, and what to hold it to.
    #[command(flatten)]
    pub export: VerifyExportConfig,
    /// The login that owns the empty database: files as in a mounted Secret.
    #[arg(long, env = "PAYPLANE_OWNER_DATABASE_DIR")]
    pub owner_database_dir: PathBuf,
    /// The engine's login, which is created.
    #[arg(long, env = "PAYPLANE_APP_DATABASE_DIR")]
    pub app_database_dir: PathBuf,
    /// The namespace whose ServiceAccounts may read. Default: one of the tenant's name.
    #[arg(long, env = "PAYPLANE_NAMESPACE")]
    pub namespace: Option<String>,
}
