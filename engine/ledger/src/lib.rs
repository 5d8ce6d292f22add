//! Double entry as a pure function: [`apply`] decides one request against a [`Snapshot`] and changes the snapshot.
//!
//! What always holds:
//! - A transfer debits one account and credits another by the same amount, so posted debits equal posted credits over
//!   all accounts of a currency at any moment.
//! - No debit takes an account's available balance below its floor.
//! - A decided key is never decided again: the same body gets the first answer, another body gets a conflict.
//! - Deciding a batch equals deciding its items one by one, in order. One item is a batch of one.
//! - There is no async, I/O, clock, randomness or logging here. Time and ids are arguments.

mod id;

mod currency;

mod amount;

mod account;

mod request;

mod outcome;

mod snapshot;

mod apply;

mod effects;

mod seal;

pub use account::{Account, AccountKind, Balance, Status};
pub use amount::{AMOUNT_CHARS_MAX, AmountError, Sign, format_minor, format_sum, parse_amount};
pub use apply::apply;
pub use currency::{Currency, CurrencyError};
pub use effects::{AccountChange, Effects, PaymentRow, Posting, TransferRow};
pub use id::{AccountId, BatchId, Origin, PaymentId, PlatformId, SEQUENCES_PER_BATCH, Sequence, TenantId};
pub use outcome::{Decision, Field, Outcome, Reason, Refusal, Verdict};
pub use request::{AccountRef, Body, Provenance, Request, Timestamp};
pub use seal::{BatchSeal, Root, TenantRoot};
pub use snapshot::{BATCH_ITEMS_MAX, Snapshot};
