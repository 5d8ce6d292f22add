//! Parameters: limits, thresholds, deadlines and windows, set for the platform, a tenant, a class of wallets or one
//! wallet. The most specific setting wins, and whoever is refused is told which one it was.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Account, AccountId, Currency};

/// What can be set. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ParameterName {
    /// The most that one payment of a wallet may be, in minor units.
    PaymentMaximum = 1,
    /// The most that a wallet may pay in a day (UTC), in minor units.
    DailyAmount = 2,
    /// How many payments a wallet may make in a day (UTC).
    DailyCount = 3,
    /// The most that a wallet may pay in a calendar month (UTC), in minor units.
    MonthlyAmount = 4,
    /// How many payments a wallet may make in a calendar month (UTC).
    MonthlyCount = 5,
    /// Like [`Self::DailyAmount`] for all wallets of a tenant together.
    TenantDailyAmount = 6,
    /// Like [`Self::DailyCount`] for all wallets of a tenant together.
    TenantDailyCount = 7,
    /// Like [`Self::MonthlyAmount`] for all wallets of a tenant together.
    TenantMonthlyAmount = 8,
    /// Like [`Self::MonthlyCount`] for all wallets of a tenant together.
    TenantMonthlyCount = 9,
    /// How long money is held if the request does not say, in microseconds.
    HoldTimeout = 10,
    /// How long after the last money moved a payment can be refunded, in microseconds.
    RefundWindow = 11,
    /// From which amount on a refund needs approval, in minor units.
    RefundApprovalFrom = 12,
    /// How long money is held at most, in microseconds. A request for longer is refused; where the request does not say,
    /// this is how long.
    HoldMaximum = 13,
    /// From which amount on a payment or a hold needs approval, in minor units.
    PaymentApprovalFrom = 14,
    /// The most that one payment of a tenant may be while it owes, in minor units: beside [`Self::PaymentMaximum`], not
    /// instead of it. Nobody sets it; it follows from what billing asks for.
    DebtPaymentMaximum = 15,
    /// What a sweep does with a hold that is past its deadline: one of [`OverdueAction`].
    HoldOverdueAction = 16,
}

/// What becomes of a hold that is past its deadline. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverdueAction {
    /// The sweep gives it back. So it is where nothing is set.
    Reverse = 1,
    /// It stays held until somebody voids it; capturing stays refused.
    Alert = 2,
}

/// Every action, in the order of the numbers.
pub const OVERDUE_ACTIONS: [OverdueAction; 2] = [OverdueAction::Reverse, OverdueAction::Alert];

/// Every parameter, in the order of the numbers.
pub const PARAMETER_NAMES: [ParameterName; 16] = [
    ParameterName::PaymentMaximum,
    ParameterName::DailyAmount,
    ParameterName::DailyCount,
    ParameterName::MonthlyAmount,
    ParameterName::MonthlyCount,
    ParameterName::TenantDailyAmount,
    ParameterName::TenantDailyCount,
    ParameterName::TenantMonthlyAmount,
    ParameterName::TenantMonthlyCount,
    ParameterName::HoldTimeout,
    ParameterName::RefundWindow,
    ParameterName::RefundApprovalFrom,
    ParameterName::HoldMaximum,
    ParameterName::PaymentApprovalFrom,
    ParameterName::DebtPaymentMaximum,
    ParameterName::HoldOverdueAction,
];

/// The first names are limits of what is paid, [`ParameterName::PaymentMaximum`] to the last of the tenant's.
pub(crate) const LIMITS: usize = 9;

/// How long money is held if nobody says otherwise: a minute.
pub const HOLD_TIMEOUT_DEFAULT_US: i64 = 60_000_000;

impl ParameterName {
    /// The name that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentMaximum => "payment-maximum",
            Self::DailyAmount => "daily-amount",
            Self::DailyCount => "daily-count",
            Self::MonthlyAmount => "monthly-amount",
            Self::MonthlyCount => "monthly-count",
            Self::TenantDailyAmount => "tenant-daily-amount",
            Self::TenantDailyCount => "tenant-daily-count",
            Self::TenantMonthlyAmount => "tenant-monthly-amount",
            Self::TenantMonthlyCount => "tenant-monthly-count",
            Self::HoldTimeout => "hold-timeout",
            Self::RefundWindow => "refund-window",
            Self::RefundApprovalFrom => "refund-approval-from",
            Self::HoldMaximum => "hold-maximum",
            Self::PaymentApprovalFrom => "payment-approval-from",
            Self::DebtPaymentMaximum => "debt-payment-maximum",
            Self::HoldOverdueAction => "hold-overdue-action",
        }
    }

    /// Whether somebody may set it.
    pub const fn is_settable(self) -> bool {
        !matches!(self, Self::DebtPaymentMaximum)
    }

    /// Whether the value counts minor units, so that a setting means one currency.
    pub const fn is_amount(self) -> bool {
        matches!(
            self,
            Self::PaymentMaximum
                | Self::DailyAmount
                | Self::MonthlyAmount
                | Self::TenantDailyAmount
                | Self::TenantMonthlyAmount
                | Self::RefundApprovalFrom
                | Self::PaymentApprovalFrom
                | Self::DebtPaymentMaximum
        )
    }
}

/// Where a parameter is set, from the least to the most specific. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// For everybody.
    Platform = 1,
    /// For a tenant.
    Tenant = 2,
    /// For the wallets of a class.
    Class = 3,
    /// For one wallet.
    Wallet = 4,
}

impl Level {
    /// The name that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Tenant => "tenant",
            Self::Class => "class",
            Self::Wallet => "wallet",
        }
    }
}

/// Whom a setting is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    Platform,
    /// The tenant.
    Tenant,
    /// Wallets of this class.
    Class(Arc<str>),
    /// This wallet.
    Wallet(AccountId),
}

impl Scope {
    /// How specific it is.
    pub const fn level(&self) -> Level {
        match self {
            Self::Platform => Level::Platform,
            Self::Tenant => Level::Tenant,
            Self::Class(_) => Level::Class,
            Self::Wallet(_) => Level::Wallet,
        }
    }

    fn covers(&self, id: AccountId, account: &Account) -> bool {
        match self {
            Self::Platform | Self::Tenant => true,
            Self::Class(class) => *class == account.class,
            Self::Wallet(wallet) => *wallet == id,
        }
    }
}

/// One value for one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub name: ParameterName,
    /// For whom.
    pub scope: Scope,
    /// For accounts of which currency; nothing for all.
    pub currency: Option<Currency>,
    /// Not negative. Minor units, a count, microseconds or the number of an action.
    pub value: i64,
}

impl Setting {
    fn is_for(&self, id: AccountId, account: &Account) -> bool {
        self.currency.is_none_or(|currency| currency == account.currency) && self.scope.covers(id, account)
    }

    fn rank(&self) -> (Level, bool) {
        (self.scope.level(), self.currency.is_some())
    }
}

/// Everything that is set for one tenant, the platform's settings included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    suspended: bool,
    settings: Vec<Setting>,
}

impl Parameters {
    /// Takes the settings in any order.
    pub const fn new(settings: Vec<Setting>) -> Self {
        Self { suspended: false, settings }
    }

    /// The same for a tenant that is suspended, or is not.
    #[must_use]
    pub fn with_suspension(self, suspended: bool) -> Self {
        Self { suspended, ..self }
    }

    /// Whether nothing is set.
    pub const fn is_empty(&self) -> bool {
        self.settings.is_empty() && !self.suspended
    }

    /// Whether money may not leave the tenant's accounts.
    pub const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether any payment may be limited, so that usages are needed.
    pub fn has_limits(&self) -> bool {
        self.settings.iter().any(|setting| setting.name <= ParameterName::TenantMonthlyCount)
    }

    /// The value that holds for an account and where it is set. Within a level a setting for the account's currency
    /// comes before one for all.
    pub fn find(&self, name: ParameterName, id: AccountId, account: &Account) -> Option<(i64, Level)> {
        let found =
            self.settings.iter().filter(|setting| setting.name == name && setting.is_for(id, account));
        let best = found.max_by_key(|setting| setting.rank())?;
        Some((best.value, best.scope.level()))
    }

    /// What [`Self::find`] finds for every limit, in the order of [`PARAMETER_NAMES`], in one pass.
    pub(crate) fn limits(&self, id: AccountId, account: &Account) -> [Option<(i64, Level)>; LIMITS] {
        let mut best: [Option<&Setting>; LIMITS] = [None; LIMITS];
        for setting in &self.settings {
            let Some(place) = best.get_mut(setting.name as usize - 1) else { continue };
            if setting.is_for(id, account) && place.is_none_or(|best| best.rank() <= setting.rank()) {
                *place = Some(setting);
            }
        }
        best.map(|best| best.map(|setting| (setting.value, setting.scope.level())))
    }
}

/// What an account or a tenant has paid in the current day and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Days since 1970.
    pub day: i32,
    /// Paid in the day, in minor units.
    pub day_minor: i64,
    /// Payments in the day.
    pub day_count: i64,
    /// Months since January of the year 0.
    pub month: i32,
    /// Paid in the month, in minor units.
    pub month_minor: i64,
    /// Payments in the month.
    pub month_count: i64,
    /// Counts the changes; zero before the first is stored.
    pub version: i64,
}
