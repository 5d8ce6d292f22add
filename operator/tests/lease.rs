//! Two candidates for one Lease, on the real API server.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_operator::lease::Elector;
use support::{in_namespace, within};

#[tokio::test]
async fn of_two_candidates_one_leads_and_the_other_follows_after_release() {
    in_namespace("lease", |client, namespace| async move {
        let candidate = |name: &str| Elector::new(client.clone(), &namespace, "lead", name.into());
        let (mut one, mut two) = (candidate("one"), candidate("two"));
        let (first, second) = tokio::join!(one.attempt(), two.attempt());
        let leads = (first.unwrap(), second.unwrap());
        assert!(leads.0 != leads.1, "exactly one leads: {leads:?}");
        let (mut leader, mut follower) = if leads.0 { (one, two) } else { (two, one) };
        for round in 0..3 {
            assert!(leader.attempt().await.unwrap(), "round {round}: the leader renews");
            assert!(!follower.attempt().await.unwrap(), "round {round}: the other waits");
        }
        leader.release().await.unwrap();
        within("the other leads after release", follower.acquire(|_| ())).await;
        assert!(!leader.attempt().await.unwrap(), "the former leader waits now");
    })
    .await;
}

#[tokio::test]
async fn releasing_what_one_does_not_hold_takes_it_from_nobody() {
    in_namespace("lease", |client, namespace| async move {
        let candidate = |name: &str| Elector::new(client.clone(), &namespace, "lead", name.into());
        let (mut leader, mut other) = (candidate("leader"), candidate("other"));
        assert!(leader.attempt().await.unwrap());
        other.release().await.unwrap();
        assert!(!other.attempt().await.unwrap());
        assert!(leader.attempt().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_vanished_is_followed_once_its_lease_ran_out() {
    in_namespace("lease", |client, namespace| async move {
        let candidate = |name: &str| Elector::new(client.clone(), &namespace, "lead", name.into());
        assert!(candidate("vanished").attempt().await.unwrap());
        let mut heir = candidate("heir");
        assert!(!heir.attempt().await.unwrap());
        within("the heir leads", heir.acquire(|_| ())).await;
    })
    .await;
}
