//! What is asked in a property test, in plain numbers: the words that the model, the generator and the driver share.

/// The number of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    /// By a caller's key.
    New(u32),
    /// The end of this hold at its deadline.
    Expiry(u32),
    /// The capture of this hold at its date.
    Due(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Pay = 1,
    Authorize = 2,
    Capture = 3,
    Void = 4,
    Expire = 5,
    CaptureDue = 6,
    HandOver = 7,
    Settle = 8,
    Fail = 9,
    Refund = 10,
    ApproveRefund = 11,
    RejectRefund = 12,
    Reverse = 13,
    ChangeWallet = 14,
}

pub(crate) const ACTS: [Act; 14] = [
    Act::Pay,
    Act::Authorize,
    Act::Capture,
    Act::Void,
    Act::Expire,
    Act::CaptureDue,
    Act::HandOver,
    Act::Settle,
    Act::Fail,
    Act::Refund,
    Act::ApproveRefund,
    Act::RejectRefund,
    Act::Reverse,
    Act::ChangeWallet,
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) id: Id,
    pub(crate) act: Act,
    pub(crate) from: Option<usize>,
    pub(crate) to: Option<usize>,
    pub(crate) minor: i64,
    /// 0 for USD, 1 for EUR.
    pub(crate) currency: Option<usize>,
    pub(crate) reference: u8,
    pub(crate) target: Option<Id>,
    pub(crate) actor: u8,
    pub(crate) terms: Terms,
    /// Answered only if it is known.
    pub(crate) is_old: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) timeout: Option<i64>,
    pub(crate) capture_at: Option<i64>,
    pub(crate) is_final: bool,
    pub(crate) up_to: bool,
    pub(crate) from_version: Option<i64>,
    pub(crate) to_version: Option<i64>,
    pub(crate) available: Option<i64>,
    pub(crate) status: Option<u8>,
    pub(crate) floor: Option<i64>,
    pub(crate) ceiling: Option<i64>,
    pub(crate) link: Option<Id>,
    pub(crate) approver: Option<u8>,
}

/// What comes back, in plain numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Refused without a trace: reason and field.
    Declined(u8, u8),
    /// Refused for ever: reason, field, and the limit's name and level.
    Refused(u8, u8, Option<(u8, u8)>),
    Done(Box<Done>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Payer, payee, posted, pending.
    pub(crate) transfer: Option<(usize, usize, i128, i128)>,
    pub(crate) payment: Option<Payment>,
    pub(crate) refund: Option<Refund>,
    /// Which, status, floor, ceiling.
    pub(crate) wallet: Option<(usize, u8, i128, Option<i128>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) currency: usize,
    pub(crate) phase: u8,
    pub(crate) amount: i128,
    pub(crate) captured: i128,
    pub(crate) refunding: i128,
    pub(crate) refunded: i128,
    pub(crate) deadline: Option<i128>,
    pub(crate) level: Option<u8>,
    pub(crate) capture_at: Option<i128>,
    pub(crate) gateway: Option<u8>,
    pub(crate) moved_at: Option<i128>,
    pub(crate) version: i128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) payment: Id,
    pub(crate) amount: i128,
    pub(crate) currency: usize,
    pub(crate) phase: u8,
    pub(crate) requester: u8,
    pub(crate) approver: Option<u8>,
    pub(crate) version: i128,
}

/// Not a parameter: the tenant itself is suspended.
pub(crate) const SUSPENDED: u8 = 0;

/// What is set: the parameter's number or [`SUSPENDED`], for whom, for which currency, and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: u8,
    pub(crate) whom: Whom,
    pub(crate) currency: Option<usize>,
    pub(crate) value: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Platform,
    Tenant,
    Class(u8),
    Wallet(usize),
}

/// An account as a test begins with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) currency: usize,
    /// 1 wallet, 2 settlement, 4 fee.
    pub(crate) kind: u8,
    pub(crate) class: u8,
    pub(crate) status: u8,
    pub(crate) floor: i128,
    pub(crate) ceiling: Option<i128>,
    pub(crate) debits: i128,
    pub(crate) credits: i128,
    pub(crate) out: i128,
    pub(crate) coming: i128,
    pub(crate) version: i128,
}

/// Credits equal debits per currency from the start. The tenth account does not exist.
pub(crate) const ACCOUNTS: usize = 10;

pub(crate) fn accounts() -> Vec<Account> {
    let plain = Account {
        currency: 0,
        kind: 1,
        class: 0,
        status: 1,
        floor: 0,
        ceiling: None,
        debits: 0,
        credits: 0,
        out: 0,
        coming: 0,
        version: 0,
    };
    let worn = i128::from(i64::MAX) - 60;
    vec![
        Account { kind: 2, floor: -1_500, debits: 1_100, ..plain },
        Account { credits: 500, class: 1, ..plain },
        Account { credits: 300, class: 1, ..plain },
        Account { credits: 200, class: 2, ceiling: Some(450), ..plain },
        Account { credits: 100, floor: -40, ..plain },
        plain,
        Account { debits: worn, credits: worn, floor: -30, ..plain },
        Account { kind: 4, ..plain },
        Account { currency: 1, kind: 2, floor: -300, debits: 100, ..plain },
        Account { currency: 1, credits: 100, ..plain },
    ]
}
