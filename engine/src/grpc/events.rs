//! How far the journal is published, and what to do about events that Kafka refused.

use payplane_proto::v1::{self as proto, event_service_server::EventService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    encode, page, status,
};
use crate::{
    engine::detached,
    store::{EventStatus, LetterAct, LetterRow},
};

const REASON_CHARS_MAX: usize = 256;

/// Numbers of the store; the wire has the same.
const WAITING: i16 = 1;

#[tonic::async_trait]
impl EventService for Api {
    async fn get_event_status(
        &self,
        request: Request<proto::GetEventStatusRequest>,
    ) -> Result<Response<proto::GetEventStatusResponse>, Status> {
        Call::of(&request)?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.event_status().await }).await;
        Ok(Response::new(told(&found.map_err(|error| status::of_store(&error))?)))
    }

    async fn replay_events(
        &self,
        request: Request<proto::ReplayEventsRequest>,
    ) -> Result<Response<proto::ReplayEventsResponse>, Status> {
        let actor = actor(&request)?;
        let proto::ReplayEventsRequest { start_seal, reason } = request.into_inner();
        let mut violations = Violations::default();
        if start_seal < 1 {
            violations.add(Path::Root.at("start_seal"), "is out of range: expected 1 or more");
        }
        decode::key(Path::Root.at("reason"), &reason, REASON_CHARS_MAX, &mut violations);
        violations.check()?;
        tracing::warn!(actor, start_seal, reason, "events are published again");
        let store = self.engine.store.clone();
        let done = detached(async move { store.replay_events(start_seal, &actor, &reason).await }).await;
        let before = done.map_err(|error| status::of_store(&error))?;
        let published_seal = before.ok_or_else(status::not_published_yet)?;
        Ok(Response::new(proto::ReplayEventsResponse { published_seal }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<proto::ListDeadLettersRequest>,
    ) -> Result<Response<proto::ListDeadLettersResponse>, Status> {
        Call::of(&request)?;
        let proto::ListDeadLettersRequest { page_size, page_token, include_settled } = request.into_inner();
        let mut violations = Violations::default();
        let size = page::size(page_size, &mut violations);
        let after = page::token(&page_token, place, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let (after, wanted) = (after.unwrap_or((0, Uuid::nil(), Uuid::nil())), i32::try_from(size + 1));
        let wanted = wanted.unwrap_or(i32::MAX);
        let found = detached(async move { store.dead_letters(after, include_settled, wanted).await }).await;
        let mut found = found.map_err(|error| status::of_store(&error))?;
        let is_cut = size < found.len();
        found.truncate(size);
        let next_page_token = found.last().filter(|_| is_cut).map(token).unwrap_or_default();
        let dead_letters = found.iter().map(dead_letter).collect();
        Ok(Response::new(proto::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn retry_dead_letter(
        &self,
        request: Request<proto::RetryDeadLetterRequest>,
    ) -> Result<Response<proto::RetryDeadLetterResponse>, Status> {
        let actor = actor(&request)?;
        let proto::RetryDeadLetterRequest { event_id, reason } = request.into_inner();
        self.decide(LetterAct::Retry, actor, &event_id, reason).await?;
        Ok(Response::new(proto::RetryDeadLetterResponse {}))
    }

    async fn drop_dead_letter(
        &self,
        request: Request<proto::DropDeadLetterRequest>,
    ) -> Result<Response<proto::DropDeadLetterResponse>, Status> {
        let actor = actor(&request)?;
        let proto::DropDeadLetterRequest { event_id, reason } = request.into_inner();
        self.decide(LetterAct::Drop, actor, &event_id, reason).await?;
        Ok(Response::new(proto::DropDeadLetterResponse {}))
    }
}

impl Api {
    async fn decide(
        &self,
        act: LetterAct,
        actor: String,
        event_id: &str,
        reason: String,
    ) -> Result<(), Status> {
        let mut violations = Violations::default();
        let name = name(event_id);
        if name.is_none() {
            violations
                .add(Path::Root.at("event_id"), "is malformed: expected two UUIDs with a slash between");
        }
        decode::key(Path::Root.at("reason"), &reason, REASON_CHARS_MAX, &mut violations);
        let name = violations.finish(name)?;
        tracing::warn!(actor, event_id, ?act, reason, "a dead letter is decided about");
        let store = self.engine.store.clone();
        let done = detached(async move { store.decide_dead_letter(name, act, &actor, &reason).await }).await;
        match done.map_err(|error| status::of_store(&error))? {
            Some(WAITING) => Ok(()),
            Some(_) => Err(status::letter_is_settled()),
            None => Err(status::not_found("dead letter")),
        }
    }
}

/// Who acts: the person that the platform names, or else the caller.
fn actor<T>(request: &Request<T>) -> Result<String, Status> {
    let call = Call::of(request)?;
    Ok(call.on_behalf_of.unwrap_or(call.caller.subject).to_string())
}

fn name(event_id: &str) -> Option<(Uuid, Uuid)> {
    let (operation, wallet) = event_id.split_once('/')?;
    Some((operation.parse().ok()?, wallet.parse().ok()?))
}

/// A page starts after a letter.
fn place(token: &str) -> Option<(i64, Uuid, Uuid)> {
    let (seal, event_id) = token.split_once('/')?;
    let (operation, wallet) = name(event_id)?;
    Some((seal.parse().ok()?, operation, wallet))
}

fn token(row: &LetterRow) -> String {
    format!("{}/{}/{}", row.letter.seal, row.letter.operation, row.letter.account)
}

fn dead_letter(row: &LetterRow) -> proto::DeadLetter {
    proto::DeadLetter {
        event_id: format!("{}/{}", row.letter.operation, row.letter.account),
        tenant: row.tenant_name.clone(),
        seal: row.letter.seal,
        state: i32::from(row.state),
        problem: row.letter.problem.clone().unwrap_or_default(),
        attempts: row.attempts,
        fail_time: Some(encode::timestamp(row.failed_at)),
        decided_by: row.decided_by.clone(),
        reason: row.reason.clone(),
    }
}

fn told(found: &EventStatus) -> proto::GetEventStatusResponse {
    proto::GetEventStatusResponse {
        publishing: found.is_published,
        published_seal: found.seal,
        newest_seal: found.newest,
        lag_seals: found.newest - found.seal,
        lag_millis: i64::try_from(found.lag().as_millis()).unwrap_or(i64::MAX),
        dead_letters: found.letters,
        last_error: found.problem.clone(),
        change_time: (found.changed_at.0 != 0).then(|| encode::timestamp(found.changed_at)),
    }
}
