//! Where every run begins: two tenants with wallets of all sorts.

use std::sync::Arc;

use payplane_ledger::{
    Account, AccountId, AccountKind, Balance, Currency, ParameterName, PlatformId, Scope, Sequence, Setting,
    Status, TenantId,
};
use uuid::Uuid;

use super::tables::Tables;

/// Wallets of a tenant in its first currency; the first of them is hot.
pub(crate) const WALLETS: usize = 8;

/// What a wallet begins with, in minor units.
const MONEY: i64 = 20_000;

pub(crate) const CAP: i64 = 400_000;

pub(crate) fn platform() -> PlatformId {
    PlatformId::from_uuid(Uuid::from_u128(1))
}

pub(crate) fn tenants() -> [TenantId; 2] {
    [tenant(1), tenant(2)]
}

fn tenant(number: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(0x7e00 + number))
}

/// Not hashed, so that traces can be read.
pub(crate) fn wallet(tenant: TenantId, number: usize) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128((tenant.uuid().as_u128() << 32) + 0x100 + number as u128))
}

pub(crate) fn settlement(tenant: TenantId) -> AccountId {
    wallet(tenant, 0x50)
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

pub(crate) fn tables() -> Tables {
    let mut tables = Tables { settings_version: 1, ..Tables::default() };
    for tenant in tenants() {
        let mut add = |number: usize, account: Account| {
            tables.accounts.insert((tenant, wallet(tenant, number)), account);
        };
        for number in 0..WALLETS {
            let (floor, ceiling, class) = match number {
                5 => (-3_000, None, ""),
                6 => (0, Some(2 * MONEY), ""),
                7 => (0, None, "gold"),
                _ => (0, None, ""),
            };
            let account = account(AccountKind::Wallet, "USD", MONEY);
            add(number, Account { floor, ceiling, class: class.into(), ..account });
        }
        add(WALLETS, account(AccountKind::Wallet, "EUR", MONEY));
        add(WALLETS + 1, account(AccountKind::Wallet, "EUR", 0));
        add(0x40, account(AccountKind::Fee, "USD", 0));
        let issued = -MONEY * i64::try_from(WALLETS).unwrap();
        add(0x50, Account { floor: -CAP, ..account(AccountKind::Settlement, "USD", issued) });
        add(0x51, Account { floor: -CAP, ..account(AccountKind::Settlement, "EUR", -MONEY) });
    }
    tables
}

fn account(kind: AccountKind, code: &str, money: i64) -> Account {
    let balance =
        Balance { posted_credits: money.max(0), posted_debits: (-money).max(0), ..Balance::default() };
    Account {
        currency: currency(code),
        kind,
        status: Status::Active,
        class: Arc::from(""),
        floor: 0,
        ceiling: None,
        balance,
        last: Sequence::default(),
    }
}

/// What a tenant may have set. The first is what most of a run has: limits keep the memory out of it.
pub(crate) fn settings(tenant: TenantId, number: usize) -> Vec<Setting> {
    let set = |name, scope, currency, value| Setting { name, scope, currency, value };
    let approval = set(ParameterName::RefundApprovalFrom, Scope::Tenant, Some(currency("USD")), 300);
    match number {
        0 => vec![approval],
        1 => vec![],
        2 => vec![
            approval,
            set(ParameterName::PaymentMaximum, Scope::Class("gold".into()), Some(currency("USD")), 400),
            set(ParameterName::DailyAmount, Scope::Wallet(wallet(tenant, 1)), None, 2_000),
        ],
        3 => vec![
            set(ParameterName::TenantDailyCount, Scope::Tenant, None, 60),
            set(ParameterName::DailyCount, Scope::Tenant, None, 12),
            set(ParameterName::RefundWindow, Scope::Tenant, None, 3_000_000),
        ],
        _ => vec![approval, set(ParameterName::HoldTimeout, Scope::Tenant, None, 900_000)],
    }
}
