//! What is due, what was missed, what comes next, and what stands in the way. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use payplane_crds::{
    Payment, StandingOrder,
    standing_order::{InForce, OnMiss, ShortAction},
};

use super::{
    build,
    observe::{Child, Stand},
    validate::Valid,
};

/// A time that is served within this is on time: longer than a new leader takes, shorter than anybody waits for money.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// Payments of one order that are open at once. More only pile up behind what keeps these from settling.
const OPEN_MAX: usize = 10;
/// Missed times are counted up to this in one look.
const MISSED_MAX: usize = 1000;
/// Settled payments that are deleted in one look.
const PRUNED_MAX: usize = 20;
/// How often to look whether the refused payment is gone that an order waits for: settled ones are not watched.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What to do, and what to say.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What keeps the order from paying.
    pub held: Option<Held>,
    /// The Payment to make.
    pub due: Option<(Timestamp, Box<Payment>)>,
    /// Times that pass without a Payment: how many, and the latest.
    pub missed: Option<(i64, Timestamp)>,
    /// The next time.
    pub next: Option<Timestamp>,
    /// Payments whose objects are no longer kept.
    pub prune: Vec<Payment>,
    /// The schedule that is followed, to remember. None while the order is suspended.
    pub in_force: Option<InForce>,
}

/// What keeps an order from paying.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    /// The spec says so.
    Suspended,
    /// The payer had too little for this Payment, and the spec says to stop then.
    Short(String),
    /// Only a person can help this Payment.
    Stalled(String),
    /// So many are not settled.
    TooManyOpen(usize),
}

/// One look.
pub fn plan(order: &StandingOrder, valid: &Valid, children: &[Child], now: Timestamp) -> Plan {
    let held = held(order, children);
    let is_suspended = matches!(held, Some(Held::Suspended | Held::Short(_)));
    let last = last(order, children, now).map_or(valid.after, |last| last.max(valid.after));
    let latest = valid.schedule.last_until(now.min(valid.until)).filter(|latest| last < *latest);
    let (due, missed) = match (latest, &held) {
        (None, _) | (_, Some(_)) => (None, None),
        (Some(latest), None) => serve(order, valid, last, latest, now),
    };
    let next = valid.schedule.next_after(now.max(last)).filter(|next| *next <= valid.until && !is_suspended);
    Plan {
        held,
        due: due.map(|time| (time, Box::new(build::payment(order, time)))),
        missed,
        next,
        prune: prune(order, children),
        in_force: (!is_suspended).then(|| valid.in_force.clone()),
    }
}

/// The latest time: paid, or missed like those before it.
fn serve(
    order: &StandingOrder,
    valid: &Valid,
    last: Timestamp,
    latest: Timestamp,
    now: Timestamp,
) -> (Option<Timestamp>, Option<(i64, Timestamp)>) {
    let is_paid = now.duration_since(latest) <= GRACE || order.spec.on_miss == OnMiss::CatchUpOnce;
    let times =
        valid.schedule.after(last).take_while(|time| if is_paid { *time < latest } else { *time <= latest });
    let mut missed: Option<(i64, Timestamp)> = None;
    for time in times.take(MISSED_MAX) {
        missed = Some((missed.map_or(1, |(count, _)| count + 1), time));
    }
    if !is_paid {
        // However many there were, all of them are over.
        missed = Some((missed.map_or(1, |(count, _)| count), latest));
    }
    (is_paid.then_some(latest), missed)
}

/// The last time that was served or passed over: by its Payment, or by what the status remembers. A status that tells of
/// the future is forged, or from before the clock was put right: a Payment is believed, that is not.
fn last(order: &StandingOrder, children: &[Child], now: Timestamp) -> Option<Timestamp> {
    let told =
        order.status.as_ref().and_then(|status| status.last_scheduled_time.as_ref()).map(|last| last.0);
    let told = told.filter(|told| *told <= now);
    told.max(children.last().map(|child| child.time))
}

fn held(order: &StandingOrder, children: &[Child]) -> Option<Held> {
    if order.spec.suspend {
        return Some(Held::Suspended);
    }
    // Who moves `start` beyond a payment leaves it behind; so does one that was paid since.
    let start = order.spec.start.as_ref().map_or(Timestamp::MIN, |start| start.0);
    let of_now = |child: &&Child| start <= child.time && child.stand() != Stand::Paid;
    let recent: Vec<_> = children.iter().rev().take_while(of_now).collect();
    let name = |child: &Child| child.payment.metadata.name.clone().unwrap_or_default();
    if let Some(stalled) = recent.iter().find(|child| child.is_stalled()) {
        return Some(Held::Stalled(name(stalled)));
    }
    let stops = order.spec.on_insufficient_funds.action == ShortAction::Suspend;
    if let Some(short) = recent.iter().find(|child| stops && child.is_short()) {
        return Some(Held::Short(name(short)));
    }
    let open = children.iter().filter(|child| child.stand() == Stand::Open).count();
    (OPEN_MAX <= open).then_some(Held::TooManyOpen(open))
}

/// The oldest settled ones beyond the limit. The newest Payment always stays.
fn prune(order: &StandingOrder, children: &[Child]) -> Vec<Payment> {
    let settled: Vec<_> = children.iter().filter(|child| child.stand() != Stand::Open).collect();
    let kept = usize::try_from(order.spec.history_limit).unwrap_or(1).max(1);
    let beyond = settled.len().saturating_sub(kept).min(PRUNED_MAX);
    settled[..beyond].iter().map(|child| child.payment.clone()).collect()
}

/// How long until something happens by itself. None if nothing does.
pub fn wait(plan: &Plan, now: Timestamp) -> Option<Duration> {
    if matches!(plan.held, Some(Held::Short(_) | Held::Stalled(_))) {
        return Some(LOOK_AGAIN);
    }
    // A timer may be early by less than a millisecond.
    let until = |next: Timestamp| Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO);
    plan.next.map(|next| until(next) + Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
