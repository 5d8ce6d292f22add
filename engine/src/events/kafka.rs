//! The producer: idempotent, so that the broker appends each event of a connection once and in order, and without gaps, so
//! that nothing is appended after something that was not.
//!
//! Within one connection the broker's log of a partition is therefore a prefix of what was sent. A connection that failed
//! is replaced by one that sends again from the position on: repeated, but never out of order for whoever leaves
//! repetitions out.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
    util::Timeout,
};

use super::{Event, KafkaConfig};

/// Of a topic that is made here. Wallets are spread over them, and the number never changes: it decides where a wallet is.
const PARTITIONS: i32 = 12;

/// As many copies as the broker makes by default.
const REPLICAS_DEFAULT: i32 = -1;

const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that only finds out whether Kafka is there may take.
const SCOUT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that fails has to say why.
const WHY_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a topic does not say how large its messages may be: Kafka's own default.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;

/// What Kafka adds to an event: the record's and the batch's own fields, and our header.
const OVERHEAD_BYTES: usize = 256;

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// A connection.
pub(super) struct Kafka {
    producer: Option<FutureProducer<Ear>>,
    topic: String,
    /// The largest message that the topic takes.
    limit: usize,
    ear: Ear,
}

/// What became of an event.
#[derive(Debug)]
pub(super) enum Sent {
    /// Acknowledged.
    Done,
    /// Refused for what it is: the same again would be refused again.
    Refused(String),
    /// Nobody knows.
    Lost(String),
}

/// An event that is on its way.
pub(super) enum Way {
    /// Not sent, because it would be refused.
    Refused(String),
    /// Sent; the acknowledgement is awaited.
    Open(DeliveryFuture),
}

/// Hears what the client says about its connections.
#[derive(Clone, Debug, Default)]
struct Ear(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    reason: Mutex<String>,
    /// Whether all brokers were lost since something was acknowledged.
    has_lost_all: AtomicBool,
}

impl Ear {
    fn heard(&self) -> String {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Ear {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as an error, or as the end of a turn.
        tracing::debug!(facility, message, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        // "All brokers are down" says less than what came before it.
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.0.has_lost_all.store(true, Ordering::Relaxed),
            _ => reason.clone_into(&mut self.0.reason.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Kafka {
    /// Makes the topic unless it is there, and a producer that knows its bounds.
    pub(super) async fn connect(config: &KafkaConfig) -> Result<Self, String> {
        let ear = Ear::default();
        let limit = prepare_topic(config, &ear).await?;
        let bytes = limit.to_string();
        let mut client = config.client();
        client
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            // Whoever waits decides when to give up, never the client by itself: that would leave a gap.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "262144")
            .set("message.max.bytes", &bytes)
            // So that a batch is only ever refused for an event in it that is too large by itself.
            .set("batch.size", &bytes);
        let producer = client.create_with_context(ear.clone()).map_err(|error| error.to_string())?;
        Ok(Self { producer: Some(producer), topic: config.topic().to_owned(), limit, ear })
    }

    /// Begins to send. An error means that this connection is of no more use.
    pub(super) fn send(&self, event: &Event) -> Result<Way, String> {
        let Some(producer) = &self.producer else { return Err("the connection is closed".to_owned()) };
        let bytes = event.payload.len() + event.key.len() + OVERHEAD_BYTES;
        if self.limit < bytes {
            return Ok(Way::Refused(format!(
                "about {bytes} bytes: the topic takes messages of at most {}",
                self.limit
            )));
        }
        let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some(CONTENT_TYPE) });
        let record = FutureRecord::to(&self.topic)
            .key(&event.key)
            .payload(&event.payload)
            .timestamp(event.at.0 / 1_000)
            .headers(headers);
        match producer.send_result(record) {
            Ok(delivery) => Ok(Way::Open(delivery)),
            Err((error, _)) if is_refusal(&error) => Ok(Way::Refused(error.to_string())),
            Err((error, _)) => Err(error.to_string()),
        }
    }

    /// The last thing that was heard; empty for nothing.
    pub(super) fn heard(&self) -> String {
        self.ear.heard()
    }

    /// Whether it has lost all brokers since [`Self::has_answered`].
    pub(super) fn has_lost_all(&self) -> bool {
        self.ear.0.has_lost_all.load(Ordering::Relaxed)
    }

    /// Brokers are there: they answered.
    pub(super) fn has_answered(&self) {
        self.ear.0.has_lost_all.store(false, Ordering::Relaxed);
    }
}

impl Way {
    /// Waits for the answer, for ever if need be.
    pub(super) async fn end(self) -> Sent {
        match self {
            Self::Refused(problem) => Sent::Refused(problem),
            Self::Open(delivery) => match delivery.await {
                Ok(Ok(_)) => Sent::Done,
                Ok(Err((error, _))) if is_refusal(&error) => Sent::Refused(error.to_string()),
                Ok(Err((error, _))) => Sent::Lost(error.to_string()),
                Err(_) => Sent::Lost("the connection was closed".to_owned()),
            },
        }
    }
}

impl Drop for Kafka {
    /// Ending the client's threads takes a moment, which no task should wait for.
    fn drop(&mut self) {
        let producer = self.producer.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(producer)));
        }
    }
}

/// Whether the broker, or the client for it, refuses an event for what it is.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidMessage, InvalidMessageSize, InvalidRecord, InvalidTimestamp, MessageSizeTooLarge,
    };
    let KafkaError::MessageProduction(code) = error else { return false };
    matches!(
        code,
        MessageSizeTooLarge | InvalidMessageSize | InvalidMessage | InvalidRecord | InvalidTimestamp
    )
}

/// Whether a connection that is made now gets an answer.
pub(super) async fn is_reached(config: &KafkaConfig) -> bool {
    let Ok(admin) = config.client().create_with_context::<_, AdminClient<Ear>>(Ear::default()) else {
        return false;
    };
    let is_reached = describe(&admin, config.topic(), SCOUT_TIMEOUT).await.is_ok();
    // Waits for a thread.
    let _ = tokio::task::spawn_blocking(move || drop(admin)).await;
    is_reached
}

/// Gives the largest message that the topic takes.
async fn prepare_topic(config: &KafkaConfig, ear: &Ear) -> Result<usize, String> {
    let created = config.client().create_with_context(ear.clone());
    let admin: AdminClient<Ear> = created.map_err(|error| error.to_string())?;
    let prepared = async {
        if let Some(limit) = describe(&admin, config.topic(), ADMIN_TIMEOUT).await? {
            return Ok(limit);
        }
        create(&admin, config.topic()).await?;
        Ok(describe(&admin, config.topic(), ADMIN_TIMEOUT).await?.unwrap_or(MESSAGE_BYTES_DEFAULT))
    };
    let prepared = prepared.await;
    // Waits for a thread.
    let _ = tokio::task::spawn_blocking(move || drop(admin)).await;
    match prepared {
        Ok(limit) => Ok(limit),
        Err(error) => Err(why(config, error).await),
    }
}

/// Clients for administration know no better than "timed out"; a producer says why.
async fn why(config: &KafkaConfig, error: String) -> String {
    let ear = Ear::default();
    let mut client = config.client();
    let created = client.set("enable.idempotence", "true").create_with_context(ear.clone());
    let scout: FutureProducer<Ear> = match created {
        Ok(scout) => scout,
        Err(error) => return error.to_string(),
    };
    let until = tokio::time::Instant::now() + WHY_TIMEOUT;
    while ear.heard().is_empty() && tokio::time::Instant::now() < until {
        tokio::time::sleep(WHY_TIMEOUT / 20).await;
    }
    let _ = tokio::task::spawn_blocking(move || drop(scout)).await;
    let heard = ear.heard();
    if heard.is_empty() { error } else { heard }
}

/// Nothing if there is no such topic, or it may not be looked at: the answer is empty either way.
async fn describe(admin: &AdminClient<Ear>, topic: &str, timeout: Duration) -> Result<Option<usize>, String> {
    let (resources, options) = ([ResourceSpecifier::Topic(topic)], options(timeout));
    let answers = admin.describe_configs(&resources, &options).await.map_err(|error| error.to_string())?;
    match answers.into_iter().next() {
        Some(Ok(found)) => {
            Ok(found.get("max.message.bytes").and_then(|entry| entry.value.as_deref()?.parse().ok()))
        }
        Some(Err(code)) => Err(format!("topic {topic}: {code}")),
        None => Err(format!("topic {topic}: no answer")),
    }
}

async fn create(admin: &AdminClient<Ear>, topic: &str) -> Result<(), String> {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, TopicAlreadyExists, TopicAuthorizationFailed};
    let wanted = [NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(REPLICAS_DEFAULT))];
    let answers =
        admin.create_topics(&wanted, &options(ADMIN_TIMEOUT)).await.map_err(|error| error.to_string())?;
    match answers.into_iter().next() {
        // Another engine was quicker; or somebody else makes topics, and whoever may only write can do no more.
        Some(
            Ok(_) | Err((_, TopicAlreadyExists | ClusterAuthorizationFailed | TopicAuthorizationFailed)),
        ) => Ok(()),
        Some(Err((_, code))) => Err(format!("topic {topic} is not there and cannot be made: {code}")),
        None => Err(format!("topic {topic}: no answer")),
    }
}

fn options(timeout: Duration) -> AdminOptions {
    let timeout = Some(Timeout::After(timeout));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}
