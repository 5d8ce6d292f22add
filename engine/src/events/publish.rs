//! The publisher. One engine of all publishes at a time; each of them tries to be that one, so none is missed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use payplane_ledger::PlatformId;
use tokio::time::Instant;

use super::{
    Event, KafkaConfig,
    event::{Made, events_of, letter},
    kafka::{Kafka, Sent, is_reached},
    pace::Pace,
};
use crate::{
    engine::Engine,
    store::{EventLook, EventSession, LETTERS_MAX, Letter, StoreError},
    telemetry::Causes,
};

/// How often the chain's end is looked at while everything is published.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often an engine asks whether it is its turn, while another one publishes.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// How often whoever waits for acknowledgements looks whether the turn is still its own.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for acknowledgements before a fresh connection is tried: files with credentials may have changed.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how many looks in a row at which a new connection is answered, but ours has lost all brokers and brings nothing, it is
/// given up. More than the five seconds in which it tries again by itself.
const FORLORN_LOOKS: u32 = 6;

/// How long to wait while too many letters wait.
const LETTERS_PAUSE: Duration = Duration::from_secs(5);

/// Why a turn ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// Another engine publishes.
    #[error("another engine publishes")]
    Elsewhere,
    /// The position was set anew.
    #[error("the position was set anew")]
    Moved,
    /// The database.
    #[error("the database did not answer")]
    Database(#[from] StoreError),
    /// Kafka, in its own words.
    #[error("{0}")]
    Kafka(String),
}

/// From when an engine has the right to publish until something fails.
pub(super) struct Turn<'a> {
    pub(super) engine: &'a Engine,
    directory: &'a Path,
    pub(super) platform: PlatformId,
    pub(super) session: EventSession,
    kafka: Kafka,
    pub(super) pace: &'a mut Pace,
}

/// Publishes until the process ends.
pub async fn keep_publishing(engine: Arc<Engine>, directory: PathBuf) {
    let mut database = engine.database();
    let mut pace = Pace::default();
    loop {
        if database.wait_for(|up| *up).await.is_err() {
            return;
        }
        let stop = match turn(&engine, &directory, &mut pace).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        let pause = match &stop {
            Stop::Elsewhere => TRY_EVERY,
            Stop::Moved => LOOK_EVERY,
            Stop::Database(_) | Stop::Kafka(_) => {
                engine.metrics.count_event_error();
                tracing::warn!(reason = %Causes(&stop), "events are not published");
                pace.failed()
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn turn(engine: &Engine, directory: &Path, pace: &mut Pace) -> Result<std::convert::Infallible, Stop> {
    let platform = engine.platform().await?;
    let mut session = engine.store.event_session().await?.ok_or(Stop::Elsewhere)?;
    let connected = connect(directory).await;
    let kafka = match connected {
        Ok(kafka) => kafka,
        Err(problem) => {
            session.note(&problem).await?;
            return Err(Stop::Kafka(problem));
        }
    };
    let mut turn = Turn { engine, directory, platform, session, kafka, pace };
    loop {
        if let Err(stop) = turn.step().await {
            if let Stop::Kafka(problem) = &stop {
                turn.session.note(problem).await?;
            }
            return Err(stop);
        }
    }
}

async fn connect(directory: &Path) -> Result<Kafka, String> {
    let config = KafkaConfig::read(directory).map_err(|error| Causes(&error).to_string())?;
    Kafka::connect(&config).await
}

impl Turn<'_> {
    async fn step(&mut self) -> Result<(), Stop> {
        let look = self.look().await?;
        if look.retries != 0 {
            self.send_again().await?;
        }
        if LETTERS_MAX <= look.waiting {
            let problem = format!("{} dead letters wait: look at the topic's bounds", look.waiting);
            self.session.note(&problem).await?;
            tokio::time::sleep(LETTERS_PAUSE).await;
        } else if look.thresholds {
            // Few, and not to wait for a journal that never ends.
            self.publish_thresholds().await?;
        } else if look.seal < look.newest {
            self.publish_page(look.seal).await?;
        } else {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<EventLook, Stop> {
        self.session.look().await?.ok_or(Stop::Moved)
    }

    /// One page: read, send, wait for all acknowledgements, and only then move the position.
    async fn publish_page(&mut self, after: i64) -> Result<(), Stop> {
        let rows = self.session.page(after).await?;
        let Some(through) = rows.last().map(|row| row.seal) else {
            return Err(Stop::Kafka(format!("seal {} has no operations", after + 1)));
        };
        let mut made = Made::default();
        for row in &rows {
            let Made { events, refused } = events_of(self.platform, row, None);
            made.events.extend(events);
            made.refused.extend(refused);
        }
        drop(rows);
        let refused = self.send_all(&made.events).await?;
        let sent = made.events.len() - refused.len();
        made.refused.extend(refused);
        made.refused.iter().for_each(warn);
        if !self.session.advance(through, &made.refused).await? {
            return Err(Stop::Moved);
        }
        self.engine.metrics.count_published(sent);
        self.pace.reset();
        Ok(())
    }

    /// Letters that somebody had sent again, one by one.
    async fn send_again(&mut self) -> Result<(), Stop> {
        let mut settled = Vec::new();
        // Whoever asks for this has perhaps given the topic other bounds.
        self.reconnect().await?;
        for row in self.session.retries().await? {
            let Made { events, refused } = events_of(self.platform, &row, row.home);
            let mut problem = refused.into_iter().next().and_then(|letter| letter.problem);
            for refused in self.send_each(&events).await? {
                problem = refused.problem;
            }
            if let Some(account) = row.home {
                settled.push(letter(&row, account, problem));
            }
        }
        let sent = settled.iter().filter(|letter| letter.problem.is_none()).count();
        settled.extend(self.send_thresholds_again().await?);
        if !self.session.settle(&settled).await? {
            return Err(Stop::Moved);
        }
        self.engine.metrics.count_published(sent);
        Ok(())
    }

    /// Sends all, and gives those that were refused for what they are. What would be refused without being sent is found
    /// on the way; if the broker refuses something, all are sent again one by one, to tell which it was.
    pub(super) async fn send_all(&mut self, events: &[Event]) -> Result<Vec<Letter>, Stop> {
        let (mut ways, mut sent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for event in events {
            match self.kafka.send(event).map_err(Stop::Kafka)? {
                super::kafka::Way::Refused(problem) => refused.push(refusal(event, problem)),
                way @ super::kafka::Way::Open(_) => {
                    sent.push(event);
                    ways.push(way.end());
                }
            }
        }
        for answer in self.wait(join_all(ways)).await? {
            match answer {
                Sent::Done => {}
                Sent::Refused(_) => {
                    self.reconnect().await?;
                    return self.send_each(events).await;
                }
                Sent::Lost(problem) => return Err(Stop::Kafka(problem)),
            }
        }
        Ok(refused)
    }

    /// The same one by one.
    pub(super) async fn send_each(&mut self, events: &[Event]) -> Result<Vec<Letter>, Stop> {
        let mut refused = Vec::new();
        for event in events {
            let way = self.kafka.send(event).map_err(Stop::Kafka)?;
            match self.wait(way.end()).await? {
                Sent::Done => {}
                Sent::Refused(problem) => {
                    refused.push(refusal(event, problem));
                    // A connection that had something refused takes nothing more, so that there is no gap.
                    self.reconnect().await?;
                }
                Sent::Lost(problem) => return Err(Stop::Kafka(problem)),
            }
        }
        Ok(refused)
    }

    async fn reconnect(&mut self) -> Result<(), Stop> {
        self.kafka = connect(self.directory).await.map_err(Stop::Kafka)?;
        Ok(())
    }

    /// Waits for answers, as long as the turn is our own. Meanwhile whoever asks learns why nothing moves.
    async fn wait<T>(&mut self, answers: impl Future<Output = T>) -> Result<T, Stop> {
        let (mut answers, began) = (std::pin::pin!(answers), Instant::now());
        let mut reached = 0;
        loop {
            tokio::select! {
                answers = &mut answers => {
                    self.kafka.has_answered();
                    return Ok(answers);
                }
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            self.look().await?;
            let heard = self.kafka.heard();
            let problem = if heard.is_empty() { "Kafka acknowledges nothing".to_owned() } else { heard };
            reached = if self.is_left_alone().await { reached + 1 } else { 0 };
            if PATIENCE < began.elapsed() || FORLORN_LOOKS <= reached {
                return Err(Stop::Kafka(problem));
            }
            self.session.note(&problem).await?;
        }
    }

    /// Whether Kafka is there for others. Brokers may have moved to where the files say; and a client of librdkafka 2.10 and
    /// later that hears of no broker at all, as from a node that its controller has not let in yet, may never ask anybody again
    /// (its issue 5301).
    async fn is_left_alone(&self) -> bool {
        match KafkaConfig::read(self.directory) {
            Ok(config) if self.kafka.has_lost_all() => is_reached(&config).await,
            Ok(_) | Err(_) => false,
        }
    }
}

pub(super) fn warn(letter: &Letter) {
    let (operation, wallet) = (letter.operation, letter.account);
    tracing::warn!(%operation, %wallet, reason = letter.problem, "an event is a dead letter");
}

fn refusal(event: &Event, problem: String) -> Letter {
    Letter { problem: Some(problem), ..event.letter.clone() }
}
