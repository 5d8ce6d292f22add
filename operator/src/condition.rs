//! Conditions as a value: pure, so that every status can be tested without a cluster.
//!
//! A transition time changes only with the condition's status, and every condition names the generation that it
//! speaks of.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use payplane_crds::condition::{READY, RECONCILING, REPLAYED, SETTLED, STALLED, SUCCEEDED};

/// Collects the conditions of one status.
#[derive(Debug)]
pub struct Conditions<'a> {
    before: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    after: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts from what the object says now.
    pub fn new(before: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { before, generation, now, after: Vec::new() }
    }

    /// Everything is as asked.
    pub fn ready(self, reason: &str, message: &str) -> Self {
        self.set(READY, "True", reason, message)
            .set(RECONCILING, "False", reason, message)
            .set(STALLED, "False", reason, message)
    }

    /// Not there yet; it goes on by itself.
    pub fn waiting(self, reason: &str, message: &str) -> Self {
        self.set(READY, "False", reason, message)
            .set(RECONCILING, "True", reason, message)
            .set(STALLED, "False", reason, message)
    }

    /// Only a person can help.
    pub fn stalled(self, reason: &str, message: &str) -> Self {
        self.set(READY, "False", reason, message)
            .set(RECONCILING, "False", reason, message)
            .set(STALLED, "True", reason, message)
    }

    /// Decided for good, and the answer is no. That is a result, not a fault: nothing is stalled.
    pub fn refused(self, reason: &str, message: &str) -> Self {
        self.set(READY, "False", reason, message)
            .set(RECONCILING, "False", reason, message)
            .set(STALLED, "False", reason, message)
    }

    /// On money objects: nothing more will happen, and whether the money moved.
    pub fn settled(self, succeeded: bool, reason: &str, message: &str) -> Self {
        let succeeded = if succeeded { "True" } else { "False" };
        self.set(SETTLED, "True", reason, message).set(SUCCEEDED, succeeded, reason, message)
    }

    /// On money objects: says so when another object asked first. It was deleted and applied again, restored, or lives in
    /// another cluster.
    pub fn replayed(self, uid: Option<&str>, asked_first: &str, what: &str, id: &str) -> Self {
        if asked_first.is_empty() || Some(asked_first) == uid {
            return self;
        }
        let message = format!(
            "The ledger had decided this key before, for another object: this is the outcome of {what} {id}. Nothing \
             moved again."
        );
        self.set(REPLAYED, "True", "Replayed", &message)
    }

    /// Adds one condition.
    pub fn set(mut self, type_: &str, status: &str, reason: &str, message: &str) -> Self {
        let before = find(self.before, type_).filter(|before| before.status == status);
        let since = before.map_or_else(|| Time(self.now), |before| before.last_transition_time.clone());
        self.after.push(Condition {
            last_transition_time: since,
            message: message.into(),
            observed_generation: self.generation,
            reason: reason.into(),
            status: status.into(),
            type_: type_.into(),
        });
        self
    }

    /// The finished list.
    pub fn into_vec(self) -> Vec<Condition> {
        self.after
    }
}

/// The condition of this type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of this type is True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = Conditions::new(&[], Some(1), at(10)).waiting("NoTenant", "a").into_vec();
        let second = Conditions::new(&first, Some(2), at(20)).waiting("WalletNotReady", "b").into_vec();
        let third = Conditions::new(&second, Some(2), at(30)).ready("Completed", "c").into_vec();
        let times = |list: &[Condition]| -> Vec<i64> {
            list.iter().map(|condition| condition.last_transition_time.0.as_second()).collect()
        };
        assert_eq!(times(&second), [10, 10, 10], "another reason is no transition");
        assert_eq!(times(&third), [30, 30, 10], "Stalled stayed False throughout");
        assert!(second.iter().all(|condition| condition.observed_generation == Some(2)));
    }

    #[test]
    fn the_three_standard_conditions_agree() {
        let cases = [
            (Conditions::new(&[], None, at(0)).ready("R", ""), ["True", "False", "False"]),
            (Conditions::new(&[], None, at(0)).waiting("R", ""), ["False", "True", "False"]),
            (Conditions::new(&[], None, at(0)).stalled("R", ""), ["False", "False", "True"]),
            (Conditions::new(&[], None, at(0)).refused("R", ""), ["False", "False", "False"]),
        ];
        for (conditions, expected) in cases {
            let list = conditions.into_vec();
            assert_eq!(list.iter().map(|condition| condition.status.as_str()).collect::<Vec<_>>(), expected);
        }
    }
}
