//! From what was found and done to a StandingOrder's status. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::{
    StandingOrder, StandingOrderStatus,
    condition::{
        SUSPENDED as SUSPENDED_TYPE,
        reason::{
            FINISHED, INSUFFICIENT_FUNDS, INVALID, NAME_TAKEN, PAYMENT_STALLED, SCHEDULED, SUSPENDED,
            TOO_MANY_OPEN,
        },
    },
    standing_order::{Counts, Occurrence, OccurrenceOutcome},
};

use super::{
    Answer, Made,
    observe::{Child, Stand},
    plan::{Held, Plan},
};
use crate::{condition::Conditions, status::Reported};

/// The status that tells this answer.
pub fn report(
    order: &StandingOrder,
    children: &[Child],
    answer: &Answer,
    now: Timestamp,
) -> StandingOrderStatus {
    let conditions = Conditions::new(order.current(), order.metadata.generation, now);
    let before = order.status.clone().unwrap_or_default();
    let (records, counts) = history(&before, children, answer);
    let mut status = StandingOrderStatus {
        last_payment: records.iter().rev().find(|record| record.payment.is_some()).cloned(),
        last_scheduled_time: last(&before, &records, now),
        counts: Some(counts),
        history: kept(order, records),
        observed_generation: order.metadata.generation,
        ..StandingOrderStatus::default()
    };
    match answer {
        Answer::Invalid(message) => {
            let conditions = conditions.stalled(INVALID, message);
            status.conditions =
                conditions.set(SUSPENDED_TYPE, "False", INVALID, "The order is not paused.").into_vec();
            // A repaired schedule brings nothing that would have been due before.
            status.in_force = before.in_force;
        }
        Answer::Followed(plan, made) => {
            status.next_scheduled_time = plan.next.map(Time);
            status.in_force = plan.in_force.clone();
            status.conditions = judge(conditions, plan, made).into_vec();
        }
    }
    status
}

fn judge<'a>(conditions: Conditions<'a>, plan: &Plan, made: &Made) -> Conditions<'a> {
    let on = |conditions: Conditions<'a>, reason: &str, message: &str| {
        conditions.set(SUSPENDED_TYPE, "True", reason, message)
    };
    let off = |conditions: Conditions<'a>, reason: &str| {
        conditions.set(SUSPENDED_TYPE, "False", reason, "The order is not paused.")
    };
    match (&plan.held, made) {
        (Some(Held::Suspended), _) => {
            let message = "Paused by spec.suspend. What is due meanwhile is never paid.";
            on(conditions.ready(SUSPENDED, message), SUSPENDED, message)
        }
        (Some(Held::Short(payment)), _) => {
            let message = format!(
                "The payer had too little for {payment}. To go on, set spec.start to a time after it, or delete that \
                 Payment; what is due meanwhile is never paid."
            );
            on(conditions.refused(INSUFFICIENT_FUNDS, &message), INSUFFICIENT_FUNDS, &message)
        }
        (Some(Held::Stalled(payment)), _) => {
            let message = format!(
                "Payment {payment} is Stalled, and the next ones would be. Correct what its condition names, then \
                 delete it, or set spec.start to a time after it."
            );
            off(conditions.stalled(PAYMENT_STALLED, &message), PAYMENT_STALLED)
        }
        (Some(Held::TooManyOpen(open)), _) => {
            let message =
                format!("{open} payments of this order are not settled; no more are made until one is.");
            off(conditions.waiting(TOO_MANY_OPEN, &message), TOO_MANY_OPEN)
        }
        (None, Made::Taken(name)) => {
            let message =
                format!("Payment {name} exists and is not this order's. Delete it, or rename the order.");
            off(conditions.stalled(NAME_TAKEN, &message), NAME_TAKEN)
        }
        (None, Made::Rejected(message)) => {
            let message = format!("The API server refuses the Payment that is due: {message}");
            off(conditions.stalled(INVALID, &message), INVALID)
        }
        (None, Made::Nothing | Made::Payment(_)) => match plan.next {
            Some(next) => {
                off(conditions.ready(SCHEDULED, &format!("The next payment is due at {next}.")), SCHEDULED)
            }
            None => off(conditions.ready(FINISHED, "No payment is due any more."), FINISHED),
        },
    }
}

/// What came of each time that is known, oldest first, and the counts with what is new in it.
fn history(before: &StandingOrderStatus, children: &[Child], answer: &Answer) -> (Vec<Occurrence>, Counts) {
    let known: BTreeMap<Timestamp, Occurrence> =
        before.history.iter().map(|record| (record.scheduled_time.0, record.clone())).collect();
    let mut records = known.clone();
    for record in records.values_mut().filter(|record| record.outcome == OccurrenceOutcome::Open) {
        // Its Payment below says otherwise, if it is there.
        record.outcome = OccurrenceOutcome::Deleted;
    }
    records.extend(children.iter().map(|child| (child.time, told(child))));
    let mut counts = before.counts.unwrap_or_default();
    // Each Payment is counted when its record stops being open. Without any record the objects are all there is.
    let is_first = before.counts.is_none();
    for (time, record) in &records {
        let was_open = known.get(time).is_some_and(|known| known.outcome == OccurrenceOutcome::Open);
        let is_news = was_open || is_first;
        counts.paid += i64::from(is_news && record.outcome == OccurrenceOutcome::Paid);
        counts.refused += i64::from(is_news && record.outcome == OccurrenceOutcome::Refused);
    }
    if let Answer::Followed(plan, made) = answer {
        if let Some((count, latest)) = plan.missed {
            counts.missed += count;
            records.insert(latest, occurrence(latest, None, OccurrenceOutcome::Missed, None));
        }
        if let (Some((time, _)), Made::Payment(name)) = (&plan.due, made) {
            let made = occurrence(*time, Some(name.clone()), OccurrenceOutcome::Open, None);
            records.entry(*time).or_insert(made);
        }
    }
    (records.into_values().collect(), counts)
}

fn told(child: &Child) -> Occurrence {
    let (outcome, reason) = match child.stand() {
        Stand::Open => (OccurrenceOutcome::Open, None),
        Stand::Paid => (OccurrenceOutcome::Paid, None),
        Stand::Refused(reason) => (OccurrenceOutcome::Refused, Some(reason)),
    };
    occurrence(child.time, child.payment.metadata.name.clone(), outcome, reason)
}

fn occurrence(
    time: Timestamp,
    payment: Option<String>,
    outcome: OccurrenceOutcome,
    reason: Option<String>,
) -> Occurrence {
    Occurrence { scheduled_time: Time(time), payment, outcome, reason }
}

/// What stays in the status, newest first: what is open, and so many of the others.
fn kept(order: &StandingOrder, records: Vec<Occurrence>) -> Vec<Occurrence> {
    let mut room = order.spec.history_limit;
    let mut keep = |record: &Occurrence| {
        let is_open = record.outcome == OccurrenceOutcome::Open;
        room -= i32::from(!is_open);
        is_open || 0 <= room
    };
    records.into_iter().rev().filter(|record| keep(record)).collect()
}

fn last(before: &StandingOrderStatus, records: &[Occurrence], now: Timestamp) -> Option<Time> {
    let newest = records.last().map(|record| record.scheduled_time.clone());
    newest.max(before.last_scheduled_time.clone().filter(|last| last.0 <= now))
}

#[cfg(test)]
mod tests;
