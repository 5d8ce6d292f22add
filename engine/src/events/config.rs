//! Where Kafka is: a directory with one file per value, the shape of a mounted Secret, read anew for each connection, so
//! that rotated credentials are found. Nothing secret is ever an argument, an environment variable or part of a log line.

use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;

use crate::mounted::{self, MountedError};

/// What topics are called before their last word, if no file says so.
const TOPIC_PREFIX_DEFAULT: &str = "payplane.";

/// What Kafka allows, less what is appended.
const TOPIC_PREFIX_CHARS_MAX: usize = 200;

/// What the files say.
#[derive(Clone)]
pub struct KafkaConfig {
    brokers: String,
    login: Option<(String, String)>,
    ca: Option<PathBuf>,
    topic: String,
}

/// A file is missing or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum KafkaConfigError {
    /// A file could not be read.
    #[error(transparent)]
    Mounted(#[from] MountedError),
    /// The prefix cannot begin a topic's name.
    #[error("{} holds no prefix of topics: expected 1 to 200 characters of [a-zA-Z0-9._-]", path.display())]
    Prefix {
        /// Which file.
        path: PathBuf,
    },
}

impl KafkaConfig {
    /// Reads `brokers` (`host:port`, separated by commas) and, if they are there, `username` with `password`, `ca.crt` and
    /// `topic-prefix`.
    pub fn read(directory: &Path) -> Result<Self, KafkaConfigError> {
        let username = mounted::optional(directory, "username")?;
        let login = match username {
            Some(username) => Some((username, mounted::required(directory, "password")?)),
            None => None,
        };
        let prefix = mounted::optional(directory, "topic-prefix")?;
        let prefix = prefix.unwrap_or_else(|| TOPIC_PREFIX_DEFAULT.to_owned());
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if TOPIC_PREFIX_CHARS_MAX < prefix.len() || !prefix.bytes().all(inner) {
            return Err(KafkaConfigError::Prefix { path: directory.join("topic-prefix") });
        }
        Ok(Self {
            brokers: mounted::required(directory, "brokers")?,
            login,
            ca: mounted::authority(directory),
            topic: format!("{prefix}events"),
        })
    }

    /// The topic of all events.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How to get there. With a CA the server's certificate and name are verified; with a login it is used as
    /// SCRAM-SHA-512.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        let protocol = match (&self.ca, &self.login) {
            (Some(_), Some(_)) => "SASL_SSL",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (None, None) => "PLAINTEXT",
        };
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "payplane-engine")
            .set("security.protocol", protocol)
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "200")
            .set("reconnect.backoff.max.ms", "5000");
        if let Some(ca) = &self.ca {
            client.set("ssl.ca.location", ca.to_string_lossy());
        }
        if let Some((username, password)) = &self.login {
            client.set("sasl.mechanism", "SCRAM-SHA-512");
            client.set("sasl.username", username).set("sasl.password", password);
        }
        client
    }
}
