//! Every answer has its conditions, and each time is counted once.

use payplane_crds::condition::{READY, RECONCILING, STALLED};
use serde_json::json;

use super::{
    super::{
        fixture::{at, child, order},
        plan::plan,
        validate::validate,
    },
    *,
};
use crate::condition::find;

/// Ready, Reconciling, Stalled and Suspended as T or F, and Ready's reason.
fn told(status: &StandingOrderStatus) -> (String, String) {
    let letters = [READY, RECONCILING, STALLED, SUSPENDED_TYPE]
        .map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
    (letters.concat(), find(&status.conditions, READY).unwrap().reason.clone())
}

#[test]
fn every_answer_has_its_conditions() {
    let held = |held| (Some(held), Made::Nothing, true);
    let free = |made| (None, made, true);
    let cases = [
        (free(Made::Nothing), "TFFF", "Scheduled"),
        (free(Made::Payment("p".into())), "TFFF", "Scheduled"),
        ((None, Made::Nothing, false), "TFFF", "Finished"),
        (free(Made::Taken("p".into())), "FFTF", "NameTaken"),
        (free(Made::Rejected("no".into())), "FFTF", "Invalid"),
        (held(Held::Suspended), "TFFT", "Suspended"),
        (held(Held::Short("p".into())), "FFFT", "InsufficientFunds"),
        (held(Held::Stalled("p".into())), "FFTF", "PaymentStalled"),
        (held(Held::TooManyOpen(10)), "FTFF", "TooManyOpen"),
    ];
    let (order, now) = (order(json!({})), at("2026-06-20T00:00:00Z"));
    for ((held, made, has_next), letters, reason) in cases {
        let mut plan = plan(&order, &validate(&order, now).unwrap(), &[], now);
        plan.held = held;
        plan.next = plan.next.filter(|_| has_next);
        let answer = Answer::Followed(Box::new(plan), made);
        let status = report(&order, &[], &answer, now);
        assert_eq!(told(&status), (letters.into(), reason.into()), "{answer:?}");
        assert_eq!(status.observed_generation, Some(1));
    }
    let status = report(&order, &[], &Answer::Invalid("schedule is none.".into()), now);
    assert_eq!(told(&status), ("FFTF".into(), "Invalid".into()));
}

/// Looks, reports, and leaves the status on the order.
fn look(order: &mut StandingOrder, children: &[Child], now: &str) -> StandingOrderStatus {
    let plan = plan(order, &validate(order, at(now)).unwrap(), children, at(now));
    let made = plan
        .due
        .as_ref()
        .map_or(Made::Nothing, |(_, payment)| Made::Payment(payment.metadata.name.clone().unwrap()));
    let status = report(order, children, &Answer::Followed(Box::new(plan), made), at(now));
    order.status = Some(status.clone());
    status
}

#[test]
fn each_time_is_counted_once_and_the_newest_stand_first() {
    let mut order = order(json!({"historyLimit": 2}));
    let first = look(&mut order, &[], "2026-07-01T08:00:00Z");
    assert_eq!(first.last_payment.as_ref().unwrap().outcome, OccurrenceOutcome::Open);
    assert_eq!(first.last_payment.unwrap().payment.as_deref(), Some("rent-20260701t0800z"));

    let open = child(&order, "2026-07-01T08:00:00Z", None);
    let paid = child(&order, "2026-07-01T08:00:00Z", Some("Completed"));
    assert_eq!(look(&mut order, &[open], "2026-07-01T08:00:01Z").counts, Some(Counts::default()));
    for second in ["02", "03"] {
        let status = look(&mut order, std::slice::from_ref(&paid), &format!("2026-07-01T08:00:{second}Z"));
        assert_eq!(
            status.counts,
            Some(Counts { paid: 1, ..Counts::default() }),
            "however often it is looked at"
        );
    }
    // August and September are missed, October is caught up and refused.
    look(&mut order, std::slice::from_ref(&paid), "2026-10-03T00:00:00Z");
    let refused = child(&order, "2026-10-01T08:00:00Z", Some("InsufficientFunds"));
    let status = look(&mut order, &[paid, refused], "2026-10-03T00:00:01Z");
    assert_eq!(status.counts, Some(Counts { paid: 1, refused: 1, missed: 2 }));
    let shown: Vec<_> =
        status.history.iter().map(|record| (record.scheduled_time.0.to_string(), record.outcome)).collect();
    assert_eq!(
        shown,
        [
            ("2026-10-01T08:00:00Z".to_owned(), OccurrenceOutcome::Refused),
            ("2026-09-01T08:00:00Z".to_owned(), OccurrenceOutcome::Missed),
        ]
    );
    assert_eq!(status.history[0].reason.as_deref(), Some("InsufficientFunds"));
    assert_eq!(status.last_scheduled_time, Some(Time(at("2026-10-01T08:00:00Z"))));
    assert_eq!(status.next_scheduled_time, Some(Time(at("2026-11-01T08:00:00Z"))));
}

#[test]
fn a_payment_that_somebody_deleted_while_it_was_open_is_told_and_not_made_again() {
    let mut order = order(json!({}));
    look(&mut order, &[], "2026-07-01T08:00:00Z");
    let status = look(&mut order, &[], "2026-07-01T08:00:05Z");
    assert_eq!(status.last_payment.unwrap().outcome, OccurrenceOutcome::Deleted);
    assert_eq!(status.counts, Some(Counts::default()));
}

#[test]
fn the_same_look_gives_the_same_status_or_it_would_be_written_for_ever() {
    let mut order = order(json!({}));
    let paid = child(&order, "2026-07-01T08:00:00Z", Some("Completed"));
    let one = look(&mut order, std::slice::from_ref(&paid), "2026-07-02T00:00:00Z");
    let two = look(&mut order, &[paid], "2026-07-03T00:00:00Z");
    assert_eq!(one, two);
}
