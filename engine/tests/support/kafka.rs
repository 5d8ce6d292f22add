//! A throwaway Kafka: one broker that is its own controller, on loopback, from the jars of the Kafka image, for tests of the
//! engine; and a consumer that reads what is there. As the operator runs it, it is in [`super::nodes`].
//!
//! A watchdog process ends the broker and removes its files when this process ends in whatever way: it waits for the end
//! of a pipe whose other side only this process holds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use payplane_ledger::AccountId;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};
use serde_json::Value;
use uuid::Uuid;

use super::{PATIENCE, TempDir, eventually, postgres::free_port};

const HEAP: [&str; 4] = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// How long a broker may take to start: a virtual machine and a log to recover, perhaps on a busy machine.
pub(crate) const STARTS_IN: Duration = Duration::from_secs(300);

/// How often a client in a test looks for a broker that is away.
pub(crate) const RECONNECT_MS: &str = "200";

/// After how long without an event a reader reads on over a new connection. A client of librdkafka 2.10 and later that hears of
/// no broker at all, as from a node that its controller has not let in yet, may never ask anybody again (its issue 5301).
const SILENCE: Duration = Duration::from_secs(10);

/// A broker of its own.
#[derive(Debug)]
pub(crate) struct Kafka {
    directory: PathBuf,
    port: u16,
    broker: Mutex<Option<Child>>,
    _watchdog: Child,
}

/// One event as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) key: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) event: Value,
}

impl Seen {
    pub(crate) fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }

    /// The last two words of the type.
    pub(crate) fn word(&self) -> &str {
        let r#type = self.event["type"].as_str().unwrap();
        r#type.strip_prefix("io.payplane.").and_then(|rest| rest.strip_suffix(".v1")).unwrap()
    }

    pub(crate) fn operation(&self) -> &Value {
        &self.event["data"]["operation"]
    }

    /// The wallet's version after it; nothing if the operation did not change the wallet.
    pub(crate) fn version(&self) -> Option<i64> {
        self.event["data"]["wallet"]["version"].as_i64()
    }

    pub(crate) fn account(&self) -> AccountId {
        AccountId::from_uuid(self.key.parse().unwrap())
    }
}

impl Kafka {
    /// The one that tests share which do not end it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| {
            let kafka = Self::prepare();
            kafka.launch();
            kafka
        })
    }

    /// A broker of its own, started.
    pub(crate) async fn start() -> Self {
        let kafka = Self::prepare();
        kafka.launch();
        kafka.answers().await;
        kafka
    }

    /// Waits until the broker takes connections.
    pub(crate) async fn answers(&self) {
        let started = Instant::now();
        while tokio::net::TcpStream::connect(self.address()).await.is_err() {
            let log = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            let ended = self.broker.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "Kafka ended: {}", log());
            assert!(started.elapsed() < STARTS_IN, "Kafka does not start: {}", log());
            // Between two looks.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Formatted, with an address, and not started.
    pub(crate) fn prepare() -> Self {
        let directory = std::env::temp_dir().join(format!("payplane-kafka-{}", Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        let watchdog = watchdog(&directory);
        let (port, controller) = (free_port(), free_port());
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}/data\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nauto.create.topics.enable=false\nnum.io.threads=2\n\
             num.network.threads=2\n",
            directory.display()
        );
        std::fs::write(directory.join("server.properties"), properties).unwrap();
        let kafka = Self { directory, port, broker: Mutex::default(), _watchdog: watchdog };
        let format = kafka
            .java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "5L6g3nShT-eMCtK--X86sw", "--config"])
            .arg(kafka.directory.join("server.properties"))
            .output()
            .unwrap();
        assert!(format.status.success(), "format: {}", String::from_utf8_lossy(&format.stderr));
        kafka
    }

    /// Starts the broker; whoever needs it waits for it.
    pub(crate) fn launch(&self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log")).unwrap();
        let mut command = self.java("kafka.Kafka");
        command.arg(self.directory.join("server.properties"));
        let broker =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        std::fs::write(self.directory.join("pid"), broker.id().to_string()).unwrap();
        *self.broker.lock().unwrap() = Some(broker);
    }

    /// Ends the broker without a goodbye.
    pub(crate) fn kill(&self) {
        let mut broker = self.broker.lock().unwrap().take().unwrap();
        broker.kill().unwrap();
        broker.wait().unwrap();
    }

    /// A folder as the engine wants it, with a topic that nobody else has.
    pub(crate) fn files(&self) -> (TempDir, String) {
        let (files, prefix) = (TempDir::new(), format!("t{}.", Uuid::new_v4().simple()));
        files.write("brokers", &self.address());
        files.write("topic-prefix", &prefix);
        (files, format!("{prefix}events"))
    }

    /// Makes a topic before the engine does, with a bound on its messages.
    pub(crate) async fn create_topic(&self, topic: &str, message_bytes: usize) {
        let bytes = message_bytes.to_string();
        eventually("a topic", async || {
            let wanted =
                [NewTopic::new(topic, 3, TopicReplication::Fixed(1)).set("max.message.bytes", &bytes)];
            let made = self.admin().create_topics(&wanted, &AdminOptions::new()).await.ok()?;
            made.into_iter().next()?.ok()
        })
        .await;
    }

    /// Sets another bound.
    pub(crate) async fn bound_topic(&self, topic: &str, message_bytes: usize) {
        let bytes = message_bytes.to_string();
        let wanted = [AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", &bytes)];
        let done = self.admin().alter_configs(&wanted, &AdminOptions::new()).await.unwrap();
        done.into_iter().next().unwrap().unwrap();
    }

    /// Reads a topic from its beginning.
    pub(crate) async fn reader(&self, topic: &str) -> Reader {
        Reader::new(self.client(), "nobody", topic).await
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.address())
            .set("reconnect.backoff.ms", RECONNECT_MS)
            .set("reconnect.backoff.max.ms", RECONNECT_MS);
        client
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn java(&self, class: &str) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let config = root.join("tests/e2e/cluster/images/kafka/config/log4j2.properties");
        let mut command = Command::new("java");
        command.args(HEAP).arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.arg("-cp").arg(jars().join("*")).arg(class);
        command
    }
}

/// A consumer, and all that it has read.
pub(crate) struct Reader {
    client: ClientConfig,
    topic: String,
    consumer: Option<BaseConsumer>,
    pub(crate) seen: Vec<Seen>,
}

impl Reader {
    /// Reads a topic from its beginning.
    pub(crate) async fn new(mut client: ClientConfig, group: &str, topic: &str) -> Self {
        client.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        let mut reader = Self { client, topic: topic.to_owned(), consumer: None, seen: Vec::new() };
        reader.connect().await;
        reader
    }

    /// Reads until what was read is as wanted.
    pub(crate) async fn until(&mut self, what: &str, is_enough: impl Fn(&[Seen]) -> bool) -> &[Seen] {
        self.until_in(3 * PATIENCE, what, is_enough).await
    }

    /// The same, in so much time.
    pub(crate) async fn until_in(
        &mut self,
        most: Duration,
        what: &str,
        is_enough: impl Fn(&[Seen]) -> bool,
    ) -> &[Seen] {
        let started = Instant::now();
        let mut heard = started;
        while !is_enough(&self.seen) {
            let count = self.seen.len();
            assert!(started.elapsed() < most, "still waiting after {count} events: {what}");
            self.read_some().await;
            if count < self.seen.len() {
                heard = Instant::now();
            } else if SILENCE < heard.elapsed() {
                self.connect().await;
                heard = Instant::now();
            }
        }
        &self.seen
    }

    /// Reads on over a new connection.
    async fn connect(&mut self) {
        self.consumer = Some(self.client.create().unwrap());
        let started = Instant::now();
        while !self.assign().await {
            assert!(started.elapsed() < STARTS_IN, "there is no topic {}", self.topic);
        }
    }

    async fn read_some(&mut self) {
        let (consumer, seen) = self
            .blocking(|consumer| {
                let mut seen = Vec::new();
                while let Some(message) =
                    consumer.poll(Duration::from_millis(if seen.is_empty() { 100 } else { 0 }))
                {
                    // A broker that is away is an error here, and back later.
                    let Ok(message) = message else { continue };
                    seen.push(Seen {
                        key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                        partition: message.partition(),
                        offset: message.offset(),
                        event: serde_json::from_slice(message.payload().unwrap()).unwrap(),
                    });
                }
                seen
            })
            .await;
        self.consumer = Some(consumer);
        self.seen.extend(seen);
    }

    async fn assign(&mut self) -> bool {
        let (topic, seen) = (self.topic.clone(), self.next());
        let (consumer, done) = self
            .blocking(move |consumer| {
                let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(2)).ok();
                let partitions: Vec<i32> = metadata
                    .iter()
                    .flat_map(|metadata| metadata.topics())
                    .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
                    .collect();
                let mut list = TopicPartitionList::new();
                for partition in &partitions {
                    let next = seen.get(partition).map_or(Offset::Beginning, |next| Offset::Offset(*next));
                    list.add_partition_offset(&topic, *partition, next).unwrap();
                }
                !partitions.is_empty() && consumer.assign(&list).is_ok()
            })
            .await;
        self.consumer = Some(consumer);
        done
    }

    /// Where to read on in the partitions of which something was read.
    fn next(&self) -> BTreeMap<i32, i64> {
        self.seen.iter().map(|seen| (seen.partition, seen.offset + 1)).collect()
    }

    /// The client blocks its thread, which here are few.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&BaseConsumer) -> T + Send + 'static,
    ) -> (BaseConsumer, T) {
        let consumer = self.consumer.take().unwrap();
        tokio::task::spawn_blocking(move || {
            let done = work(&consumer);
            (consumer, done)
        })
        .await
        .unwrap()
    }
}

/// Tells a reader that lags from a topic that has no more: each partition's next offset, and its end.
fn how_far(consumer: &BaseConsumer) -> String {
    let positions = consumer.position().unwrap();
    let of_each = positions.elements().into_iter().map(|at| {
        let ends = consumer.fetch_watermarks(at.topic(), at.partition(), Duration::from_secs(2));
        let end = ends.map_or_else(|error| error.to_string(), |(_, end)| end.to_string());
        format!("{}: {:?} of {end}", at.partition(), at.offset())
    });
    of_each.collect::<Vec<_>>().join(", ")
}

/// Where tests/lib.sh puts what tests need.
pub(crate) fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("PAYPLANE_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("payplane")))
        .or_else(|| Some(variable("HOME")?.join(".cache/payplane")))
        .unwrap()
}

pub(crate) fn jars() -> PathBuf {
    let jars = cache().join("kafka/libs");
    assert!(
        jars.join("../pom.xml").exists(),
        "no jars of Kafka; fetch them: bash -c '. tests/lib.sh; need_kafka'"
    );
    jars
}

/// An authority, and a certificate of its own for `localhost` with the key.
pub(crate) fn certificates() -> (String, String, String) {
    let mut params = rcgen::CertificateParams::default();
    // Not the name that certificates have by default: one that names itself as its issuer would count as self-signed.
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&authority, key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (authority, leaf.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn watchdog(directory: &Path) -> Child {
    let directory = directory.display();
    let script = format!(
        "trap '' INT TERM HUP; cat > /dev/null; kill -9 $(cat {directory}/pid) 2> /dev/null; sleep 0.2; \
         rm -rf {directory}"
    );
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    watchdog.spawn().unwrap()
}
