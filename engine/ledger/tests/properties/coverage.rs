//! How often what happened: a property that nothing exercised proves nothing.

use std::collections::BTreeMap;

use payplane_ledger::{KINDS, REASONS};

use crate::{
    ask::{ACTS, Act, Answer},
    generate::Call,
};

const DONE_MIN: u32 = 500;
const REASON_MIN: u32 = 50;

#[derive(Default)]
pub(crate) struct Coverage {
    pub(crate) histories: u32,
    asked: BTreeMap<Act, u32>,
    done: BTreeMap<Act, u32>,
    reasons: BTreeMap<u8, u32>,
    limits: BTreeMap<u8, u32>,
    groups_done: u32,
    groups_refused: u32,
    groups_declined: u32,
    replayed: u32,
    failed_approvals: u32,
}

impl Coverage {
    pub(crate) fn count(&mut self, call: &Call, answers: &[(Answer, bool)]) {
        for (ask, (answer, replayed)) in call.asks.iter().zip(answers) {
            *self.asked.entry(ask.act).or_default() += 1;
            self.replayed += u32::from(*replayed);
            match answer {
                _ if *replayed => {}
                Answer::Done(done) => {
                    *self.done.entry(ask.act).or_default() += 1;
                    self.failed_approvals +=
                        u32::from(done.refund.as_ref().is_some_and(|refund| refund.phase == 5));
                }
                Answer::Declined(reason, _) => *self.reasons.entry(*reason).or_default() += 1,
                Answer::Refused(reason, _, limit) => {
                    *self.reasons.entry(*reason).or_default() += 1;
                    if let Some((name, _)) = limit {
                        *self.limits.entry(*name).or_default() += 1;
                    }
                }
            }
        }
        if 1 < answers.len() {
            self.groups_done +=
                u32::from(answers.iter().all(|(answer, _)| matches!(answer, Answer::Done(_))));
            self.groups_refused +=
                u32::from(answers.iter().all(|(answer, _)| matches!(answer, Answer::Refused(..))));
            self.groups_declined +=
                u32::from(answers.iter().all(|(answer, _)| matches!(answer, Answer::Declined(..))));
        }
    }

    /// What another thread counted.
    pub(crate) fn add(&mut self, other: Self) {
        sum(&mut self.asked, other.asked);
        sum(&mut self.done, other.done);
        sum(&mut self.reasons, other.reasons);
        sum(&mut self.limits, other.limits);
        self.histories += other.histories;
        self.groups_done += other.groups_done;
        self.groups_refused += other.groups_refused;
        self.groups_declined += other.groups_declined;
        self.replayed += other.replayed;
        self.failed_approvals += other.failed_approvals;
    }

    pub(crate) fn print(&self) {
        let calls: u32 = self.asked.values().sum();
        println!("{} histories, {calls} requests", self.histories);
        for (act, kind) in ACTS.into_iter().zip(KINDS) {
            let count = |counts: &BTreeMap<Act, u32>| counts.get(&act).copied().unwrap_or_default();
            println!("{kind:?}: asked {}, done {}", count(&self.asked), count(&self.done));
        }
        for reason in REASONS {
            println!("{reason:?}: {}", self.reasons.get(&(reason as u8)).copied().unwrap_or_default());
        }
        println!("limits by number: {:?}", self.limits);
        let Self { groups_done, groups_refused, groups_declined, replayed, failed_approvals, .. } = self;
        println!("groups: done {groups_done}, refused {groups_refused}, declined {groups_declined}");
        println!("replayed {replayed}, approvals of what could not be paid any more {failed_approvals}");
    }

    pub(crate) fn assert_enough(&self) {
        for act in ACTS {
            assert!(DONE_MIN <= self.done.get(&act).copied().unwrap_or_default(), "too few {act:?}");
        }
        for reason in REASONS {
            let count = self.reasons.get(&(reason as u8)).copied().unwrap_or_default();
            assert!(REASON_MIN <= count, "too few {reason:?}: {count}");
        }
        assert!((1..=9).all(|name| self.limits.contains_key(&name)), "too few limits: {:?}", self.limits);
        let groups = [self.groups_done, self.groups_refused, self.groups_declined];
        assert!(
            groups.into_iter().chain([self.replayed, self.failed_approvals]).all(|count| REASON_MIN <= count)
        );
    }
}

fn sum<Key: Ord>(counts: &mut BTreeMap<Key, u32>, others: BTreeMap<Key, u32>) {
    for (key, count) in others {
        *counts.entry(key).or_default() += count;
    }
}
