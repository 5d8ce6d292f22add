//! Many things in one call. Independent items are in the ledger's queue together and commit together; each has its own
//! outcome, or its own reason why there is none.

use std::collections::VecDeque;

use payplane_ledger::{Outcome, Request};
use payplane_proto::v1 as proto;
use tokio::sync::oneshot;
use tonic::Status;

use super::{Api, Asker, Tag};
use crate::{
    commit::{Answer, CommitError},
    grpc::{
        ask::{self, Group, ITEMS_MAX, Tags},
        decode::{Path, Violations},
        encode::{self, View},
        status,
    },
};

/// How many items of one call wait for their outcome at a time: a batch that commits, and one that gathers.
const IN_FLIGHT_MAX: usize = 2_000;

/// An item that the ledger has, or whose end is known already.
pub(super) struct Pending {
    tags: Tags,
    end: End,
}

enum End {
    Awaited(oneshot::Receiver<Answer>),
    Known(Answer),
}

impl Api {
    pub(super) async fn bulk(
        &self,
        asker: &Asker,
        request: proto::CreatePaymentsRequest,
    ) -> Result<Vec<proto::ItemOutcome>, Status> {
        let proto::CreatePaymentsRequest { items, view } = request;
        let mut violations = Violations::default();
        let view = read_view(Path::Root.at("view"), view, &mut violations);
        let groups = read_items(asker, items, &mut violations);
        let groups = violations.finish(groups)?;
        let tags: Vec<Tag> = groups.iter().flat_map(|group| group.tags.all()).copied().collect();
        let treasury = self.check_treasury(asker, &tags).await?;
        let mut outcomes = Vec::with_capacity(groups.len());
        let mut waiting = VecDeque::new();
        for Group { requests, tags } in groups {
            if IN_FLIGHT_MAX <= waiting.len() {
                self.finish_oldest(&mut waiting, &mut outcomes, view).await;
            }
            let pending = match treasury.decline(tags.all()) {
                Some(declined) => Pending::declined(tags, declined),
                None => self.submit(requests, tags, &mut waiting, (&mut outcomes, view)).await,
            };
            if outcomes.is_empty() && waiting.is_empty() {
                pending.nothing_was_done()?;
            }
            waiting.push_back(pending);
        }
        while !waiting.is_empty() {
            self.finish_oldest(&mut waiting, &mut outcomes, view).await;
        }
        Ok(outcomes)
    }

    pub(super) async fn linked(
        &self,
        asker: &Asker,
        request: proto::CreateLinkedRequest,
    ) -> Result<Vec<proto::ItemOutcome>, Status> {
        let mut violations = Violations::default();
        let group = ask::linked(asker, Path::Root, request.items, &mut violations);
        let (tags, outcomes) = self.together(asker, violations.finish(group)?).await?;
        Ok(tags.iter().zip(&outcomes).map(|(tag, outcome)| encode::item(*tag, outcome, View::Full)).collect())
    }

    pub(super) async fn split(
        &self,
        asker: &Asker,
        request: proto::SplitPaymentRequest,
    ) -> Result<Vec<proto::PaymentOutcome>, Status> {
        let mut violations = Violations::default();
        let group = ask::split(asker, request, &mut violations);
        let (tags, outcomes) = self.together(asker, violations.finish(group)?).await?;
        let parts = tags.iter().zip(&outcomes);
        Ok(parts.map(|(tag, outcome)| encode::payment_outcome(*tag, outcome, View::Full)).collect())
    }

    /// Asks the ledger for things that succeed or fail together.
    async fn together(&self, asker: &Asker, group: Group) -> Result<(Vec<Tag>, Vec<Outcome>), Status> {
        let tags = group.tags.all().to_vec();
        if let Some(declined) = self.check_treasury(asker, &tags).await?.decline(&tags) {
            return Ok((tags, declined));
        }
        let outcomes = self.engine.decide(group.requests).await.map_err(status::of_commit)?;
        if outcomes.len() == tags.len() { Ok((tags, outcomes)) } else { Err(status::no_outcome()) }
    }

    /// Puts a group into the queue. When the queue is full, our own items get out of the way first; only when there are
    /// none left, the group is turned away.
    async fn submit(
        &self,
        requests: Vec<Request>,
        tags: Tags,
        waiting: &mut VecDeque<Pending>,
        (outcomes, view): (&mut Vec<proto::ItemOutcome>, View),
    ) -> Pending {
        let mut answer = self.engine.submit(requests.clone());
        while matches!(answer, Err(CommitError::QueueFull)) && !waiting.is_empty() {
            self.finish_oldest(waiting, outcomes, view).await;
            answer = self.engine.submit(requests.clone());
        }
        Pending::new(tags, answer)
    }

    async fn finish_oldest(
        &self,
        waiting: &mut VecDeque<Pending>,
        outcomes: &mut Vec<proto::ItemOutcome>,
        view: View,
    ) {
        if let Some(oldest) = waiting.pop_front() {
            outcomes.push(oldest.finish(view).await);
        }
    }
}

impl Pending {
    pub(super) fn new(tags: Tags, answer: Result<oneshot::Receiver<Answer>, CommitError>) -> Self {
        Self { tags, end: answer.map_or_else(|error| End::Known(Err(error)), End::Awaited) }
    }

    /// The ledger was not asked.
    pub(super) const fn declined(tags: Tags, declined: Vec<Outcome>) -> Self {
        Self { tags, end: End::Known(Ok(declined)) }
    }

    /// The whole call fails if the ledger takes not even its first item: then it says nothing about any of them.
    fn nothing_was_done(&self) -> Result<(), Status> {
        match &self.end {
            End::Known(Err(error)) => Err(status::of_commit(*error)),
            End::Known(Ok(_)) | End::Awaited(_) => Ok(()),
        }
    }

    pub(super) async fn finish(self, view: View) -> proto::ItemOutcome {
        let answer = match self.end {
            End::Known(answer) => answer,
            // A committer that vanishes without an answer had a defect at a moment that nobody knows.
            End::Awaited(answer) => answer.await.unwrap_or(Err(CommitError::Unknown)),
        };
        match answer {
            Ok(outcomes) => encode::items(&self.tags, &outcomes, view),
            Err(error) => status::item_error(&status::of_commit(error)),
        }
    }
}

impl Tags {
    pub(super) fn all(&self) -> &[Tag] {
        match self {
            Self::One(tag) => std::slice::from_ref(tag),
            Self::Linked(tags) => tags,
        }
    }
}

fn read_items(
    asker: &Asker,
    items: Vec<proto::PaymentItem>,
    violations: &mut Violations,
) -> Option<Vec<Group>> {
    let operations = ask::operations(&items);
    if operations == 0 || ITEMS_MAX < operations {
        let description =
            "has a wrong number of entries: expected 1 to 8000, linked items counted one by one";
        violations.add(Path::Root.at("items"), description);
        return None;
    }
    let items = items.into_iter().enumerate();
    let root = Path::Root;
    let read = items.map(|(index, item)| ask::group(asker, root.entry("items", index), item, violations));
    // Every item is read, so that each says what is wrong with it.
    let read: Vec<Option<Group>> = read.collect();
    read.into_iter().collect()
}

pub(super) fn read_view(field: Path<'_>, number: i32, violations: &mut Violations) -> View {
    match proto::OutcomeView::try_from(number) {
        Ok(proto::OutcomeView::Brief) => View::Brief,
        Ok(proto::OutcomeView::Unspecified | proto::OutcomeView::Full) => View::Full,
        Err(_) => {
            violations.add(field, "is unknown: expected a value of OutcomeView");
            View::Full
        }
    }
}
