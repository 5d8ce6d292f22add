//! A stream of items. One task reads and asks, one waits for outcomes in the order of the items; between them lies a
//! line of bounded length. When it is full nothing more is read, which the sender feels as flow control.

use std::time::Duration;

use payplane_proto::v1 as proto;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    Api, Asker,
    bulk::{Pending, read_view},
};
use crate::{
    commit::CommitError,
    grpc::{
        ask::{self, Group},
        decode::{Path, Violations},
        encode::View,
        status,
    },
};

/// How many items of one stream wait for their outcome.
const IN_FLIGHT_MAX: usize = 1_024;

/// Outcomes that wait to be sent.
const UNSENT_MAX: usize = 64;

/// How long, and how often, an item waits while the ledger's queue is full: two seconds in all.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(10);
const QUEUE_FULL_PAUSES_MAX: u32 = 200;

type Answers = ReceiverStream<Result<proto::StreamPaymentsResponse, Status>>;

/// What is in the line, with the client's tag.
enum Item {
    Asked(u64, Pending, View),
    Refused(u64, Status),
    /// The stream ends so, after everything before it was answered.
    End(Status),
}

pub(super) fn start(api: Api, asker: Asker, items: Streaming<proto::StreamPaymentsRequest>) -> Answers {
    let (sender, unsent) = mpsc::channel(UNSENT_MAX);
    let (line, waiting) = mpsc::channel(IN_FLIGHT_MAX);
    tokio::spawn(read(api, asker, items, line));
    tokio::spawn(answer(waiting, sender));
    ReceiverStream::new(unsent)
}

/// Reads until the client ends the stream or goes away, the engine drains, or the stream is too old.
async fn read(
    api: Api,
    asker: Asker,
    mut items: Streaming<proto::StreamPaymentsRequest>,
    line: mpsc::Sender<Item>,
) {
    let began = Instant::now();
    // First a place in the line, then the item for it.
    while let Ok(place) = line.reserve().await {
        let message = tokio::select! {
            message = items.message() => message,
            end = api.stream_end(began) => Err(end),
        };
        match message {
            Ok(Some(message)) => place.send(ask_for(&api, &asker, message).await),
            Ok(None) => return,
            Err(status) => return place.send(Item::End(status)),
        }
    }
}

async fn ask_for(api: &Api, asker: &Asker, message: proto::StreamPaymentsRequest) -> Item {
    let mut violations = Violations::default();
    let view = read_view(Path::Root.at("view"), message.view, &mut violations);
    let root = Path::Root;
    let group = ask::group(asker, root.at("item"), message.item.unwrap_or_default(), &mut violations);
    match violations.finish(group) {
        Ok(group) => match submit(api, asker, group).await {
            Ok(pending) => Item::Asked(message.tag, pending, view),
            Err(status) => Item::Refused(message.tag, status),
        },
        Err(status) => Item::Refused(message.tag, status),
    }
}

async fn submit(api: &Api, asker: &Asker, group: Group) -> Result<Pending, Status> {
    let Group { requests, tags } = group;
    if let Some(declined) = api.check_treasury(asker, tags.all()).await?.decline(tags.all()) {
        return Ok(Pending::declined(tags, declined));
    }
    let mut answer = api.engine.submit(requests.clone());
    for _ in 0..QUEUE_FULL_PAUSES_MAX {
        if !matches!(answer, Err(CommitError::QueueFull)) {
            break;
        }
        tokio::time::sleep(QUEUE_FULL_PAUSE).await;
        answer = api.engine.submit(requests.clone());
    }
    Ok(Pending::new(tags, answer))
}

async fn answer(
    mut waiting: mpsc::Receiver<Item>,
    sender: mpsc::Sender<Result<proto::StreamPaymentsResponse, Status>>,
) {
    while let Some(item) = waiting.recv().await {
        let answered = |tag, outcome| proto::StreamPaymentsResponse { tag, outcome: Some(outcome) };
        let answer = match item {
            Item::Asked(tag, pending, view) => Ok(answered(tag, pending.finish(view).await)),
            Item::Refused(tag, status) => Ok(answered(tag, status::item_error(&status))),
            Item::End(status) => Err(status),
        };
        // The client may have gone; what was asked is decided all the same.
        if sender.send(answer).await.is_err() {
            return;
        }
    }
}
