//! What an operation means for the wallets that it is about: one CloudEvent for each wallet that it changed, or one for the
//! payer's wallet if it changed none. A pure function of the journal's row, so that an event sent again is the same.
//!
//! One event per wallet, not one per operation: Kafka keeps the order of one key, a transfer has two wallets, and whoever
//! follows a wallet needs all of its versions. A key of the tenant would keep every order, at one partition's speed.

mod body;
mod threshold;

pub use threshold::event_of_threshold;

use payplane_ledger::{
    AccountId, After, Decision, Kind, OperationId, PlatformId, Posting, RefundPhase, Status, Timestamp,
    Verdict,
};
use serde::Serialize;

use crate::store::{EventRow, Letter};

/// No event is larger: the texts of an operation are bounded where they come in.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// An event, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Kafka's key: the wallet or, of a threshold, the tenant.
    pub key: String,
    /// The event in the structured JSON form of CloudEvents.
    pub payload: Vec<u8>,
    /// When it was decided.
    pub at: Timestamp,
    /// Its name, for the case that it is refused.
    pub letter: Letter,
}

/// The envelope. Names of attributes are those of CloudEvents 1.0; what is ours begins with `payplane`.
#[derive(Serialize)]
struct Envelope<'a, T> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    partitionkey: String,
    payplanetenant: &'a str,
    data: T,
}

/// What is made of one row.
#[derive(Debug, Default)]
pub struct Made {
    /// To be sent.
    pub events: Vec<Event>,
    /// What cannot be: the row makes no sense.
    pub refused: Vec<Letter>,
}

/// The events of an operation. `only` leaves out those of other wallets.
pub fn events_of(platform: PlatformId, row: &EventRow, only: Option<AccountId>) -> Made {
    let mut made = Made::default();
    let home = row.home.unwrap_or(AccountId::from_uuid(uuid::Uuid::nil()));
    let decision = match &row.decision {
        Ok(decision) => decision,
        Err(problem) => {
            made.refused.push(letter(row, home, Some(problem.clone())));
            return made;
        }
    };
    let mut sides: Vec<(AccountId, Option<&Posting>)> = match &decision.verdict {
        Verdict::Done { movement, .. } => {
            movement.postings().map(|posting| (posting.account, Some(posting))).collect()
        }
        Verdict::Refused(_) => Vec::new(),
    };
    if sides.is_empty() {
        sides.push((home, None));
    }
    for (account, posting) in
        sides.into_iter().filter(|(account, _)| only.is_none_or(|only| only == *account))
    {
        match event(platform, row, decision, account, posting) {
            Some(event) if event.payload.len() <= EVENT_BYTES_MAX => made.events.push(event),
            _ => made.refused.push(letter(
                row,
                account,
                Some("the event is larger than any may be".to_owned()),
            )),
        }
    }
    made
}

/// The name of an event: the operation and the wallet.
pub(super) fn letter(row: &EventRow, account: AccountId, problem: Option<String>) -> Letter {
    Letter { tenant: row.tenant, operation: row.operation, account, seal: row.seal, problem }
}

fn event(
    platform: PlatformId,
    row: &EventRow,
    decision: &Decision,
    account: AccountId,
    posting: Option<&Posting>,
) -> Option<Event> {
    let about = (letter(row, account, None), word(decision), decision.decided_at);
    envelope(platform, &row.tenant_name, about, body::of(row, decision, posting))
}

/// What every event has; its name says whose it is and what it is about.
fn envelope(
    platform: PlatformId,
    tenant_name: &str,
    (letter, word, at): (Letter, &str, Timestamp),
    data: impl Serialize,
) -> Option<Event> {
    let key = letter.account.to_string();
    let envelope = Envelope {
        specversion: "1.0",
        id: event_id(letter.operation, letter.account),
        source: format!("/payplane.io/platforms/{platform}/tenants/{}", letter.tenant),
        r#type: format!("io.payplane.{word}.v1"),
        subject: key.clone(),
        time: time(at)?,
        datacontenttype: "application/json",
        partitionkey: key.clone(),
        payplanetenant: tenant_name,
        data,
    };
    // Texts, numbers and options always have a JSON form.
    let payload = serde_json::to_vec(&envelope).ok()?;
    Some(Event { key, payload, at, letter })
}

/// Follows from what it is about, so that whoever gets it twice can tell.
fn event_id(operation: OperationId, account: AccountId) -> String {
    format!("{operation}/{account}")
}

/// RFC 3339 in UTC; nothing for a moment that no calendar has.
fn time(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(at.0).ok().map(|time| time.to_string())
}

/// What happened, in two words.
fn word(decision: &Decision) -> &'static str {
    let after = match &decision.verdict {
        Verdict::Refused(_) => return "operation.refused",
        Verdict::Done { after, .. } => after.as_deref(),
    };
    match decision.body.kind {
        Kind::Pay => "payment.completed",
        Kind::Authorize => "payment.held",
        Kind::Capture | Kind::CaptureDue => "payment.captured",
        Kind::Void => "payment.voided",
        Kind::Expire => "payment.expired",
        Kind::HandOver => "payment.handed-over",
        Kind::Settle => "payment.settled",
        Kind::Fail => "payment.failed",
        Kind::Reverse => "payment.reversed",
        Kind::Refund | Kind::ApproveRefund | Kind::RejectRefund => match after {
            Some(After::Refund(refund, _)) => refund_word(refund.phase),
            _ => "payment.refunded",
        },
        // Told by what was asked: one whose limits change stays frozen without having been frozen anew.
        Kind::ChangeWallet => match decision.body.terms.status {
            None => "wallet.changed",
            Some(Status::Active) => "wallet.activated",
            Some(Status::Closed) => "wallet.closed",
            Some(Status::Frozen | Status::FrozenDebit | Status::FrozenCredit) => "wallet.frozen",
        },
    }
}

const fn refund_word(phase: RefundPhase) -> &'static str {
    match phase {
        RefundPhase::Requested => "refund.requested",
        RefundPhase::Approved => "refund.approved",
        RefundPhase::Completed => "payment.refunded",
        RefundPhase::Rejected => "refund.rejected",
        RefundPhase::Failed => "refund.failed",
    }
}

#[cfg(test)]
mod tests;
