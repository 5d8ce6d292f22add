//! What publishing asks of the database: a connection that holds the right to publish, pages of the sealed journal over
//! all tenants, the position, and letters that could not be sent.
//!
//! The right is an advisory lock of that connection, so it goes when the connection goes. It is not what keeps the
//! position right: that is the epoch, which the database compares in the same statement that moves the position.

mod threshold;

pub use threshold::ThresholdRow;

use std::time::Duration;

use payplane_ledger::{AccountId, Decision, OperationId, TenantId, Timestamp};
use sqlx::{Executor as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Store, StoreError, error::bounded, row};

/// More operations than a batch has, so that a page is a few batches at least.
pub const PAGE_OPERATIONS: i64 = 2_048;

/// How many seals one page looks at: with small batches it is this that bounds a page.
const PAGE_SEALS: i32 = 512;

/// How many letters are sent again at once.
const RETRIES_MAX: i32 = 100;

/// While so many letters wait, nothing more is published: it is the topic that is wrong then, not the events.
pub const LETTERS_MAX: i64 = 10_000;

/// Longer than any statement here should take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A publisher that is stopped, or cut off, loses its connection and with it the right to publish.
const PREPARE: &str =
    "set statement_timeout = '8s'; set lock_timeout = '2s'; set idle_session_timeout = '30s'";

/// The numbers also stand in `event_status`.
const LOCK: &str = "select pg_try_advisory_lock(1886413172, 1)";

/// Where things stand for a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLook {
    /// Who may move the position.
    pub epoch: i64,
    /// The position.
    pub seal: i64,
    /// The chain's end.
    pub newest: i64,
    /// Letters that wait, at most [`LETTERS_MAX`].
    pub waiting: i64,
    /// Letters that are to be sent again.
    pub retries: i64,
    /// Whether thresholds wait to be published.
    pub thresholds: bool,
}

/// An operation under a seal.
#[derive(Debug)]
pub struct EventRow {
    /// The seal.
    pub seal: i64,
    /// Whose it is.
    pub tenant: TenantId,
    /// What the tenant is called.
    pub tenant_name: String,
    /// Which operation.
    pub operation: OperationId,
    /// The wallet that it is about if it changed none; of a letter, the wallet whose event it is.
    pub home: Option<AccountId>,
    /// What was decided, or what about the row makes no sense.
    pub decision: Result<Decision, String>,
}

/// The name of an event that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which operation.
    pub operation: OperationId,
    /// The wallet whose event it is.
    pub account: AccountId,
    /// Its seal.
    pub seal: i64,
    /// Why it was refused; nothing if it was sent after all.
    pub problem: Option<String>,
}

/// A letter as it is kept.
#[derive(Clone, Debug)]
pub struct LetterRow {
    /// Its name, and why it was refused.
    pub letter: Letter,
    /// What the tenant is called.
    pub tenant_name: String,
    /// 1 waits, 2 is to be sent again, 3 was sent, 4 was dropped.
    pub state: i16,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was last refused.
    pub failed_at: Timestamp,
    /// Who last decided about it; empty before that.
    pub decided_by: String,
    /// Why.
    pub reason: String,
}

/// Where things stand for a person.
#[derive(Clone, Debug)]
pub struct EventStatus {
    /// The position.
    pub seal: i64,
    /// The chain's end.
    pub newest: i64,
    /// When the first seal after the position was made.
    pub waiting_since: Option<Timestamp>,
    /// The database's time.
    pub now: Timestamp,
    /// Letters that wait or are to be sent again, at most [`LETTERS_MAX`].
    pub letters: i64,
    /// Why nothing moves; empty if it does.
    pub problem: String,
    /// When the position last moved, or when the problem began.
    pub changed_at: Timestamp,
    /// Whether some engine publishes.
    pub is_published: bool,
}

impl EventStatus {
    /// How long the oldest seal waits to be published.
    pub fn lag(&self) -> Duration {
        let since = self.waiting_since.map_or(0, |since| self.now.0 - since.0);
        Duration::from_micros(u64::try_from(since).unwrap_or_default())
    }
}

/// What is done about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterAct {
    /// It is sent again.
    Retry = 1,
    /// It is never sent.
    Drop = 2,
}

/// The connection of the one who publishes.
#[derive(Debug)]
pub struct EventSession {
    connection: PgConnection,
    epoch: i64,
}

impl Store {
    /// Takes the right to publish; nothing if another engine has it.
    pub async fn event_session(&self) -> Result<Option<EventSession>, StoreError> {
        let mut connection = self.connect().await?;
        bounded("prepare", STEP_TIMEOUT, connection.execute(sqlx::raw_sql(PREPARE))).await?;
        if !bounded("lock", STEP_TIMEOUT, sqlx::query_scalar(LOCK).fetch_one(&mut connection)).await? {
            return Ok(None);
        }
        let claim = sqlx::query_scalar("select epoch from payplane.claim_events()");
        let epoch = bounded("claim", STEP_TIMEOUT, claim.fetch_one(&mut connection)).await?;
        Ok(Some(EventSession { connection, epoch }))
    }

    /// Where things stand.
    pub async fn event_status(&self) -> Result<EventStatus, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query("select * from payplane.event_status($1)").bind(LETTERS_MAX);
        let found = query.fetch_one(&mut *connection).await?;
        Ok(EventStatus {
            seal: found.try_get("seal")?,
            newest: found.try_get("newest")?,
            waiting_since: found.try_get::<Option<i64>, _>("waiting_since_us")?.map(Timestamp),
            now: Timestamp(found.try_get("now_us")?),
            letters: found.try_get("letters")?,
            problem: found.try_get("problem")?,
            changed_at: Timestamp(found.try_get("changed_us")?),
            is_published: found.try_get("is_published")?,
        })
    }

    /// Sets the position back to before `start`; gives the one that was, nothing if `start` is not behind it.
    pub async fn replay_events(
        &self,
        start: i64,
        actor: &str,
        reason: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.replay_events($1, $2, $3)");
        Ok(query.bind(start).bind(actor).bind(reason).fetch_one(&mut *connection).await?)
    }

    /// Letters after the given one, in the order of their seals; `all` includes those that are settled.
    pub async fn dead_letters(
        &self,
        after: (i64, Uuid, Uuid),
        all: bool,
        max: i32,
    ) -> Result<Vec<LetterRow>, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query("select * from payplane.list_dead_letters($1, $2, $3, $4, $5)");
        let query = query.bind(after.0).bind(after.1).bind(after.2).bind(all).bind(max);
        query.fetch_all(&mut *connection).await?.iter().map(letter).collect()
    }

    /// Acts on a letter that waits. Gives the state that it was in; nothing if there is none.
    pub async fn decide_dead_letter(
        &self,
        (operation, account): (Uuid, Uuid),
        act: LetterAct,
        actor: &str,
        reason: &str,
    ) -> Result<Option<i16>, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.decide_dead_letter($1, $2, $3, $4, $5)");
        let query = query.bind(operation).bind(account).bind(act as i16).bind(actor).bind(reason);
        Ok(query.fetch_one(&mut *connection).await?)
    }
}

impl EventSession {
    /// Where things stand. Nothing if this publisher is no longer the one, or the position was set anew.
    pub async fn look(&mut self) -> Result<Option<EventLook>, StoreError> {
        let query = sqlx::query("select * from payplane.look_events($1)").bind(LETTERS_MAX);
        let found = bounded("look", STEP_TIMEOUT, query.fetch_one(&mut self.connection)).await?;
        let look = EventLook {
            epoch: found.try_get("epoch")?,
            seal: found.try_get("seal")?,
            newest: found.try_get("newest")?,
            waiting: found.try_get("waiting")?,
            retries: found.try_get("retries")?,
            thresholds: found.try_get("thresholds")?,
        };
        Ok((look.epoch == self.epoch).then_some(look))
    }

    /// Whole batches under the seals after this one, in order.
    pub async fn page(&mut self, after: i64) -> Result<Vec<EventRow>, StoreError> {
        let query = sqlx::query("select * from payplane.read_events($1, $2, $3)");
        let query = query.bind(after).bind(PAGE_SEALS).bind(PAGE_OPERATIONS);
        let rows = bounded("read", STEP_TIMEOUT, query.fetch_all(&mut self.connection)).await?;
        rows.iter().map(event_row).collect()
    }

    /// Letters that are to be sent again.
    pub async fn retries(&mut self) -> Result<Vec<EventRow>, StoreError> {
        let query = sqlx::query("select * from payplane.read_retries($1)").bind(RETRIES_MAX);
        let rows = bounded("read", STEP_TIMEOUT, query.fetch_all(&mut self.connection)).await?;
        rows.iter().map(event_row).collect()
    }

    /// Moves the position and keeps what was refused on the way. False if somebody else publishes by now.
    pub async fn advance(&mut self, seal: i64, refused: &[Letter]) -> Result<bool, StoreError> {
        let names = Names::of(refused);
        let query = sqlx::query_scalar("select payplane.advance_events($1, $2, $3, $4, $5, $6, $7)")
            .bind(self.epoch)
            .bind(seal)
            .bind(names.tenants)
            .bind(names.operations)
            .bind(names.accounts)
            .bind(refused.iter().map(|letter| letter.seal).collect::<Vec<_>>())
            .bind(names.problems);
        bounded("advance", STEP_TIMEOUT, query.fetch_one(&mut self.connection)).await
    }

    /// Says what became of letters that were sent again. False if somebody else publishes by now.
    pub async fn settle(&mut self, letters: &[Letter]) -> Result<bool, StoreError> {
        let names = Names::of(letters);
        let query = sqlx::query_scalar("select payplane.settle_retries($1, $2, $3, $4, $5)")
            .bind(self.epoch)
            .bind(names.tenants)
            .bind(names.operations)
            .bind(names.accounts)
            .bind(names.problems);
        bounded("settle", STEP_TIMEOUT, query.fetch_one(&mut self.connection)).await
    }

    /// Says why nothing moves.
    pub async fn note(&mut self, problem: &str) -> Result<(), StoreError> {
        let query = sqlx::query("select payplane.note_event_problem($1, $2)").bind(self.epoch).bind(problem);
        bounded("note", STEP_TIMEOUT, query.execute(&mut self.connection)).await?;
        Ok(())
    }
}

/// Columns of letters.
struct Names {
    tenants: Vec<Uuid>,
    operations: Vec<Uuid>,
    accounts: Vec<Uuid>,
    problems: Vec<Option<String>>,
}

impl Names {
    fn of(letters: &[Letter]) -> Self {
        Self {
            tenants: letters.iter().map(|letter| letter.tenant.uuid()).collect(),
            operations: letters.iter().map(|letter| letter.operation.uuid()).collect(),
            accounts: letters.iter().map(|letter| letter.account.uuid()).collect(),
            problems: letters.iter().map(|letter| letter.problem.clone()).collect(),
        }
    }
}

fn event_row(found: &PgRow) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seal: found.try_get("seal")?,
        tenant: TenantId::from_uuid(found.try_get("tenant_id")?),
        tenant_name: found.try_get::<Option<String>, _>("tenant_name")?.unwrap_or_default(),
        operation: OperationId::from_uuid(found.try_get("operation_id")?),
        home: found.try_get::<Option<Uuid>, _>("home")?.map(AccountId::from_uuid),
        // One row that makes no sense must not hold up all that come after it.
        decision: row::decision(found).map(|(_, _, decision)| decision).map_err(|error| error.to_string()),
    })
}

fn letter(found: &PgRow) -> Result<LetterRow, StoreError> {
    Ok(LetterRow {
        letter: Letter {
            tenant: TenantId::from_uuid(found.try_get("tenant_id")?),
            operation: OperationId::from_uuid(found.try_get("operation_id")?),
            account: AccountId::from_uuid(found.try_get("account_id")?),
            seal: found.try_get("seal")?,
            problem: Some(found.try_get("problem")?),
        },
        tenant_name: found.try_get::<Option<String>, _>("tenant_name")?.unwrap_or_default(),
        state: found.try_get("state")?,
        attempts: found.try_get("attempts")?,
        failed_at: Timestamp(found.try_get("failed_us")?),
        decided_by: found.try_get("decided_by")?,
        reason: found.try_get("reason")?,
    })
}
