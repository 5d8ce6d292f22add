//! Double entry as a pure function: [`apply()`] decides one request against a [`Snapshot`] and changes the snapshot.
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

mod parameter;

mod request;

mod state;

mod outcome;

mod table;

mod snapshot;

mod calendar;

mod apply;

mod effects;

mod split;

mod seal;

pub use account::{Account, AccountKind, Balance, Side, Status};
pub use amount::{AMOUNT_CHARS_MAX, AmountError, Sign, format_minor, format_sum, parse_amount};
pub use apply::{LINKED_ITEMS_MAX, apply, apply_linked};
pub use currency::{Currency, CurrencyError};
pub use effects::{Change, Effects, OperationRow};
pub use id::{
    AccountId, BatchId, KeySpace, OperationId, Origin, PlatformId, SEQUENCES_PER_BATCH, Sequence, TenantId,
};
pub use outcome::{
    After, Decision, FIELDS, Field, Movement, Outcome, Posting, REASONS, Reason, Refusal, Transfer, Verdict,
    WalletTerms,
};
pub use parameter::{
    HOLD_TIMEOUT_DEFAULT_US, Level, OVERDUE_ACTIONS, OverdueAction, PARAMETER_NAMES, ParameterName,
    Parameters, Scope, Setting, Usage,
};
pub use request::{AccountRef, Body, Expect, KINDS, Kind, Provenance, Request, Terms, Timestamp};
pub use seal::{
    BatchSeal, CHAIN_START, Root, TenantRoot, batch_root, chain_link, named_batch_root, tenant_label,
};
pub use snapshot::{BATCH_ITEMS_MAX, Snapshot};
pub use split::split;
pub use state::{PaymentState, Phase, RefundPhase, RefundState};
