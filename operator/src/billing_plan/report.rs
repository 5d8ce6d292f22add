//! From who names it to a BillingPlan's status. Pure.

use jiff::Timestamp;
use payplane_crds::{BillingPlan, BillingPlanStatus, condition::reason::AS_SPECIFIED};

use super::{observe::User, version_of};
use crate::{condition::Conditions, status::Reported};

/// How many users the status names; it counts all of them.
const NAMES_MAX: usize = 20;

/// The status that tells who uses it.
pub fn report(plan: &BillingPlan, users: &[User], now: Timestamp) -> BillingPlanStatus {
    let conditions = Conditions::new(plan.current(), plan.metadata.generation, now);
    let version = version_of(plan);
    let current = users.iter().filter(|user| user.is_current).count();
    let message = match (users.len(), current) {
        (0, _) => "No TenantBilling names it.".to_owned(),
        (all, current) if all == current => {
            format!("All {all} TenantBillings that name it are on {version}.")
        }
        (all, current) => format!(
            "{current} of {all} TenantBillings that name it are on {version}; the others say in PlanApplied why not."
        ),
    };
    let count = |users: usize| i64::try_from(users).unwrap_or(i64::MAX);
    BillingPlanStatus {
        users: count(users.len()),
        current: count(current),
        used_by: users.iter().take(NAMES_MAX).map(|user| user.name.clone()).collect(),
        observed_generation: plan.metadata.generation,
        conditions: conditions.ready(AS_SPECIFIED, &message).into_vec(),
        version: Some(version),
    }
}

#[cfg(test)]
mod tests {
    use payplane_crds::condition::READY;
    use serde_json::json;

    use super::*;
    use crate::condition::find;

    #[test]
    fn users_are_counted_and_the_first_are_named() {
        let plan: BillingPlan = serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "BillingPlan",
            "metadata": {"name": "gold", "namespace": "payplane-system", "generation": 4},
            "spec": {"version": "2", "plan": {"currency": "USD"}},
        }))
        .unwrap();
        let users = |all: usize, current: usize| -> Vec<User> {
            (0..all).map(|n| User { name: format!("t{n:02}"), is_current: n < current }).collect()
        };
        for (all, current, said, named) in [
            (0, 0, "No TenantBilling names it.", 0),
            (2, 2, "All 2 TenantBillings that name it are on gold@2.", 2),
            (
                25,
                3,
                "3 of 25 TenantBillings that name it are on gold@2; the others say in PlanApplied why not.",
                20,
            ),
        ] {
            let status = report(&plan, &users(all, current), Timestamp::UNIX_EPOCH);
            assert_eq!((status.users, status.current), (all as i64, current as i64));
            assert_eq!(status.used_by.len(), named);
            assert_eq!(find(&status.conditions, READY).unwrap().message, said);
            assert_eq!((status.version.as_deref(), status.observed_generation), (Some("gold@2"), Some(4)));
        }
    }
}
