//! Kafka as the operator runs it: one node or three, started by its script with its settings, on loopback addresses of their
//! own; and users with the rights that its Job writes.
//!
//! What is different here: ports that are free, and folders. A watchdog ends the nodes and removes their files when this
//! process ends in whatever way.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    time::Instant,
};

use rdkafka::ClientConfig;
use uuid::Uuid;

use super::{
    kafka::{RECONNECT_MS, Reader, STARTS_IN, jars, watchdog},
    postgres::free_port,
};

/// The engine's user.
pub(crate) const ENGINE: &str = "payplane-engine";
/// The engine's topic.
pub(crate) const TOPIC: &str = "payplane.events";

/// What nodes call themselves to each other.
const NODE_NAME: &str = "main-kafka";

/// Nodes and users.
#[derive(Debug)]
pub(crate) struct Nodes {
    directory: PathBuf,
    ports: [u16; 3],
    running: Mutex<Vec<Option<Child>>>,
    _watchdog: Child,
}

impl Nodes {
    /// So many nodes, in sync, and these users besides the engine, each a member of the group of its name.
    pub(crate) async fn start(count: usize, readers: &[&str]) -> Self {
        let directory = std::env::temp_dir().join(format!("payplane-nodes-{}", Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        let watchdog = watchdog(&directory);
        let ports = [free_port(), free_port(), free_port()];
        let running = Mutex::new((0..count).map(|_| None).collect());
        let nodes = Self { directory, ports, running, _watchdog: watchdog };
        let mut script = own("build/start.sh");
        for (fixed, port) in ["9093", "9094", "9095"].into_iter().zip(ports) {
            assert!(script.contains(fixed), "{fixed} is in the script no more");
            script = script.replace(fixed, &port.to_string());
        }
        nodes.write("start.sh", &script);
        nodes.write("rights.sh", &own("rights/rights.sh"));
        nodes.certify();
        for ordinal in 0..count {
            nodes.launch(ordinal);
        }
        for ordinal in 0..count {
            nodes.in_sync(ordinal).await;
        }
        nodes.grant(readers).await;
        nodes
    }

    /// Starts a node; whoever needs it waits for it.
    pub(crate) fn launch(&self, ordinal: usize) {
        let own = self.directory.join(format!("node-{ordinal}"));
        std::fs::create_dir_all(&own).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(own.join("log")).unwrap();
        let mut command = self.program("start.sh", "tls");
        command
            .env("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw")
            .env("DATA_DIR", own.join("data"))
            .env("IN_SYNC", own.join("in-sync"))
            .env("KAFKA_HEAP_OPTS", "-Xms64m -Xmx256m")
            .env("LISTEN_ON", host(ordinal))
            .env("NODES", self.hosts().join(" "))
            .env("NODE_NAME", NODE_NAME)
            .env("POD_NAME", format!("main-kafka-{ordinal}"))
            .env("RETENTION_BYTES", "1048576")
            .env("WORK_DIR", own.join("work"));
        // What a node of before has left says nothing about this one.
        let _ = std::fs::remove_file(own.join("in-sync"));
        let node = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut running = self.running.lock().unwrap();
        running[ordinal] = Some(node);
        let pids: Vec<_> = running.iter().flatten().map(|node| node.id().to_string()).collect();
        self.write("pid", &pids.join("\n"));
    }

    /// Waits until a node has all that the others have.
    pub(crate) async fn in_sync(&self, ordinal: usize) {
        let started = Instant::now();
        let own = self.directory.join(format!("node-{ordinal}"));
        while !own.join("in-sync").exists() {
            let log = || std::fs::read_to_string(own.join("log")).unwrap_or_default();
            let ended = self.running.lock().unwrap()[ordinal].as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "node {ordinal} ended: {}", log());
            assert!(started.elapsed() < STARTS_IN, "node {ordinal} is never in sync: {}", log());
            // Between two looks.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// Ends a node without a goodbye.
    pub(crate) fn kill(&self, ordinal: usize) {
        let mut node = self.running.lock().unwrap()[ordinal].take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    /// Runs the operator's Job: these users and nobody else, besides the engine.
    pub(crate) async fn grant(&self, readers: &[&str]) {
        let of_reader = own("rights/reader.acl");
        let rights = readers.iter().map(|user| of_reader.replace("USER", user).replace("ONE_GROUP", user));
        let rights = [own("rights/engine.acl")].into_iter().chain(rights).collect::<String>();
        for user in [ENGINE].iter().chain(readers) {
            if !self.client_dir(user).join("password").exists() {
                self.set_password(user, &Uuid::new_v4().simple().to_string());
            }
        }
        let users = [&[ENGINE], readers].concat().join(" ");
        let mut command = self.program("rights.sh", "tls");
        command
            .env("PARTITIONS", "12")
            .env("RIGHTS", rights.trim_end())
            .env("SERVERS", self.servers(self.ports[2]))
            .env("TOPIC", TOPIC)
            .env("USERS", users)
            .env("USERS_DIR", self.directory.join("users"))
            .env("WORK_DIR", self.directory.join("work"));
        let done = output(command).await;
        assert!(done.status.success(), "rights: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// What the operator puts into the user's Secret. Kafka is told by [`Self::grant`].
    pub(crate) fn set_password(&self, user: &str, password: &str) {
        let authority = std::fs::read_to_string(self.directory.join("tls/ca.crt")).unwrap();
        let file = |name: &str, text: &str| self.write(&format!("users/{user}/{name}"), text);
        file("ca.crt", &authority);
        file("brokers", &self.servers(self.ports[0]));
        file("username", user);
        file("password", password);
    }

    /// The user's Secret, as files.
    pub(crate) fn client_dir(&self, user: &str) -> PathBuf {
        self.directory.join("users").join(user)
    }

    /// A client with the user's login.
    pub(crate) fn client(&self, user: &str) -> ClientConfig {
        let value = |name: &str| std::fs::read_to_string(self.client_dir(user).join(name)).unwrap();
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", value("brokers"))
            .set("security.protocol", "SASL_SSL")
            .set("ssl.ca.pem", value("ca.crt"))
            .set("sasl.mechanism", "SCRAM-SHA-512")
            .set("sasl.username", value("username"))
            .set("sasl.password", value("password"))
            .set("reconnect.backoff.ms", RECONNECT_MS)
            .set("reconnect.backoff.max.ms", RECONNECT_MS);
        client
    }

    /// Reads all events as a user.
    pub(crate) async fn reader(&self, user: &str) -> Reader {
        Reader::new(self.client(user), user, TOPIC).await
    }

    /// One of Kafka's programs, with the certificate of this folder. Gives whether it ended well, and what it said.
    pub(crate) async fn ask(&self, program: &str, tls: &str, arguments: &[&str]) -> (bool, String) {
        let properties = format!(
            "security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location={0}/pair.pem\n\
             ssl.truststore.type=PEM\nssl.truststore.location={0}/ca.crt\n",
            self.directory.join(tls).display()
        );
        self.write(&format!("{tls}/client.properties"), &properties);
        let mut command = Command::new(image().join("bin").join(program));
        self.environment(&mut command, tls);
        command.arg("--bootstrap-server").arg(self.servers(self.ports[2])).arg("--command-config");
        command.arg(self.directory.join(tls).join("client.properties")).args(arguments);
        let done = output(command).await;
        (
            done.status.success(),
            String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap(),
        )
    }

    /// The nodes' certificate in `tls`; in `other` one of the same authority, for somebody else.
    fn certify(&self) {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::from_ca_cert_pem(&authority, key).unwrap();
        for (folder, name) in [("tls", NODE_NAME), ("other", "main-engine")] {
            let mut leaf = rcgen::CertificateParams::new(self.hosts()).unwrap();
            leaf.distinguished_name.push(rcgen::DnType::CommonName, name);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = leaf.signed_by(&key, &issuer).unwrap().pem();
            self.write(&format!("{folder}/ca.crt"), &authority);
            self.write(&format!("{folder}/tls.crt"), &certificate);
            self.write(&format!("{folder}/tls.key"), &key.serialize_pem());
            self.write(&format!("{folder}/pair.pem"), &(key.serialize_pem() + &certificate));
        }
    }

    fn program(&self, script: &str, tls: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg(self.directory.join(script));
        self.environment(&mut command, tls);
        command
    }

    fn environment(&self, command: &mut Command, tls: &str) {
        command
            .env("KAFKA_BIN", image().join("bin"))
            .env("KAFKA_HEAP_OPTS", "-Xms32m -Xmx128m")
            .env("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .env("KAFKA_HOME", jars().parent().unwrap())
            .env("KAFKA_LOG4J_CONFIG", image().join("config/log4j2.properties"))
            .env("TLS_DIR", self.directory.join(tls));
    }

    fn hosts(&self) -> Vec<String> {
        (0..self.running.lock().unwrap().len()).map(host).collect()
    }

    fn servers(&self, port: u16) -> String {
        self.hosts().iter().map(|host| format!("{host}:{port}")).collect::<Vec<_>>().join(",")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// All of loopback's addresses are this machine's.
fn host(ordinal: usize) -> String {
    format!("127.0.0.{}", ordinal + 1)
}

/// A file of the operator's.
fn own(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/src/platform/kafka");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/cluster/images/kafka")
}

async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}
