//! Limits of what wallets pay: per payment, and per day and month (UTC) of the wallet and of its tenant.
//!
//! Payments and holds of wallets count, each with its full amount when it is made; what is given back later counts all
//! the same. A window is counted only while a limit of it is set, so most payments touch no usage. What would exceed is
//! refused in the order of the parameters' numbers; but what a tenant that owes may pay at once comes second.

use super::money::Parties;
use crate::{
    AccountKind, Currency, Field, Level, PARAMETER_NAMES, ParameterName, Reason, Refusal, Snapshot, TenantId,
    Timestamp, Usage, calendar, snapshot::UsageKey,
};

/// What usages will be once the payment is made.
#[derive(Default)]
pub(super) struct Tally {
    wallet: Option<(UsageKey, Usage)>,
    tenant: Option<(UsageKey, Usage)>,
}

impl Tally {
    pub(super) fn record(self, snapshot: &mut Snapshot) {
        for (key, usage) in [self.wallet, self.tenant].into_iter().flatten() {
            snapshot.usages.set(key, usage);
        }
    }
}

type Limit = Option<(i64, Level)>;

/// The limits of one subject, by window: an amount and a count.
struct Limits {
    names: [ParameterName; 4],
    values: [Limit; 4],
}

pub(super) fn check(
    snapshot: &Snapshot,
    Parties { debit: payer, credit: payee }: Parties,
    minor: i64,
    now: Timestamp,
) -> Result<Tally, Refusal> {
    let (tenant, id) = snapshot.accounts.key(payer);
    let account = snapshot.accounts.get(payer);
    let set = snapshot.parameters.get(&tenant).filter(|_| account.kind == AccountKind::Wallet);
    let Some(parameters) = set else { return Ok(Tally::default()) };
    let [maximum, a, b, c, d, e, f, g, h] = parameters.limits(id, account);
    let [name, na, nb, nc, nd, ne, nf, ng, nh, ..] = PARAMETER_NAMES;
    refuse_beyond(name, maximum, i128::from(minor))?;
    let debt = parameters.find(ParameterName::DebtPaymentMaximum, id, account);
    // What it owes goes to clearing, as in `money::refuse_suspended`.
    let debt = debt.filter(|_| snapshot.accounts.get(payee).kind != AccountKind::Clearing);
    refuse_beyond(ParameterName::DebtPaymentMaximum, debt, i128::from(minor))?;
    let of_wallet = Limits { names: [na, nb, nc, nd], values: [a, b, c, d] };
    let of_tenant = Limits { names: [ne, nf, ng, nh], values: [e, f, g, h] };
    let key = |subject| -> (TenantId, _, Currency) { (tenant, subject, account.currency) };
    Ok(Tally {
        wallet: count(snapshot, key(id.uuid()), &of_wallet, minor, now)?,
        tenant: count(snapshot, key(tenant.uuid()), &of_tenant, minor, now)?,
    })
}

/// The subject's usage with the payment counted, or nothing if no limit asks for it.
fn count(
    snapshot: &Snapshot,
    key: UsageKey,
    limits: &Limits,
    minor: i64,
    now: Timestamp,
) -> Result<Option<(UsageKey, Usage)>, Refusal> {
    let [day_amount, day_count, month_amount, month_count] = limits.values;
    let (by_day, by_month) = (day_amount.or(day_count).is_some(), month_amount.or(month_count).is_some());
    if !by_day && !by_month {
        return Ok(None);
    }
    let mut usage = snapshot.usages.find(&key).copied().unwrap_or_default();
    if by_day {
        roll(&mut usage.day, calendar::day_of(now), &mut usage.day_minor, &mut usage.day_count);
        refuse_beyond(limits.names[0], day_amount, i128::from(usage.day_minor) + i128::from(minor))?;
        refuse_beyond(limits.names[1], day_count, i128::from(usage.day_count) + 1)?;
        add(&mut usage.day_minor, &mut usage.day_count, minor);
    }
    if by_month {
        roll(&mut usage.month, calendar::month_of(now), &mut usage.month_minor, &mut usage.month_count);
        refuse_beyond(limits.names[2], month_amount, i128::from(usage.month_minor) + i128::from(minor))?;
        refuse_beyond(limits.names[3], month_count, i128::from(usage.month_count) + 1)?;
        add(&mut usage.month_minor, &mut usage.month_count, minor);
    }
    usage.version = usage.version.saturating_add(1);
    Ok(Some((key, usage)))
}

/// Begins a new window. A clock that steps back opens no window again.
fn roll(window: &mut i32, now: i32, minor: &mut i64, count: &mut i64) {
    if *window < now {
        (*window, *minor, *count) = (now, 0, 0);
    }
}

/// Without a limit on the amount the sum may leave 64 bits: then it stays at their end, above any limit set later.
fn add(sum: &mut i64, count: &mut i64, minor: i64) {
    *sum = sum.saturating_add(minor);
    *count = count.saturating_add(1);
}

fn refuse_beyond(name: ParameterName, limit: Limit, used: i128) -> Result<(), Refusal> {
    match limit {
        Some((value, level)) if i128::from(value) < used => {
            Err(Refusal { reason: Reason::LimitExceeded, field: Field::Amount, limit: Some((name, level)) })
        }
        _ => Ok(()),
    }
}
