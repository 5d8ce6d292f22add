//! Publishing: every operation of the sealed journal reaches Kafka as CloudEvents, in order per wallet, at least once.
//!
//! 1. `publish` takes the right to publish, which one engine of all has, and reads pages of the journal under the seals
//!    after the position;
//! 2. `event` says what each operation means for each wallet (pure);
//! 3. `kafka` sends, and says of each event whether it was acknowledged;
//! 4. when all of a page are, the position moves, and what Kafka refused for what it is becomes a dead letter, in one
//!    commit.
//!
//! Reached thresholds of billing wait in a table of their own, and are sent and taken out of it in the same way.
//!
//! Bounds: one page is in memory, whatever Kafka does; what waits is in the journal. Money waits for none of it: nothing
//! here is on the way of a commit, and an engine whose Kafka is away is as ready as any.
//!
//! Guarantees: nothing is skipped, because the position moves only after the acknowledgements, and only for the publisher
//! that the database knows as the current one. Whoever crashes between the two, or is stopped and wakes up late, repeats
//! what has the same ids. Of the events of a wallet, the first of each id come in the order of its versions.

mod config;
mod event;
mod kafka;
mod measure;
mod pace;
mod publish;
mod threshold;

pub use config::{KafkaConfig, KafkaConfigError};
pub use event::{EVENT_BYTES_MAX, Event, event_of_threshold, events_of};
pub use measure::keep_measuring;
pub use publish::keep_publishing;
