//! Every answer has its conditions.

use payplane_crds::condition::{
    READY, RECONCILING, STALLED,
    reason::{FOREIGN_AUTOSCALER, FOREIGN_BUDGET},
};
use serde_json::{Value, json};

use super::{
    super::{fixture::policy, validate::validate},
    *,
};
use crate::condition::find;

fn applied(policy: &ScalingPolicy) -> Applied {
    let valid = validate(policy, Timestamp::UNIX_EPOCH).unwrap();
    let has_budget = valid.disruption.is_some();
    Applied { valid, targets: 1, conflicts: Vec::new(), troubles: Vec::new(), has_budget }
}

/// The conditions of these types as T, F or a dash, and Ready's reason.
fn told(status: &ScalingPolicyStatus, types: &[&str]) -> (String, String) {
    let letter = |type_: &&str| {
        find(&status.conditions, type_).map_or("-", |condition| &condition.status[..1]).to_owned()
    };
    (types.iter().map(letter).collect(), find(&status.conditions, READY).unwrap().reason.clone())
}

#[test]
fn every_answer_has_its_conditions() {
    let policy = policy(json!({"class": "Business"}));
    let good = applied(&policy);
    let conflict = |reason| Conflict { workload: "api".into(), reason, other: "theirs".into() };
    let with = |change: &dyn Fn(&mut Applied)| {
        let mut applied = good.clone();
        change(&mut applied);
        Answer::Applied(Box::new(applied))
    };
    let cases = [
        (with(&|_| {}), "TFFF", "AsSpecified"),
        (
            with(&|applied| applied.conflicts = vec![conflict(FOREIGN_AUTOSCALER)]),
            "FFTT",
            "ForeignAutoscaler",
        ),
        (with(&|applied| applied.conflicts = vec![conflict(FOREIGN_BUDGET)]), "FFTT", "ForeignBudget"),
        (with(&|applied| applied.troubles = vec!["no metrics".into()]), "FTFF", "MetricsUnavailable"),
        (Answer::Invalid("x".into()), "FFT-", "Invalid"),
        (Answer::Rejected("x".into()), "FFT-", "Invalid"),
        (Answer::NoTarget("x".into()), "FTF-", "TargetNotFound"),
    ];
    for (answer, letters, reason) in cases {
        let status = report(&policy, &answer, Timestamp::UNIX_EPOCH);
        let types = [READY, RECONCILING, STALLED, CONFLICT];
        assert_eq!(told(&status, &types), (letters.into(), reason.into()), "{answer:?}");
    }
}

#[test]
fn what_cannot_be_mapped_and_what_blocks_drains_is_said() {
    let cpu = |below: Value| json!([{"resource": {"name": "cpu", "averageUtilization": 70}, "scaleInBelow": below}]);
    for (spec, letters) in [
        (json!({"class": "Business"}), "TF"),
        (json!({"class": "Core"}), "TT"),
        (json!({"class": "Core", "minReplicas": 3}), "TF"),
        (json!({"class": "Core", "disruption": {"maxUnavailable": 1}}), "TF"),
        (json!({"minReplicas": 3, "maxReplicas": 10, "metrics": cpu(json!("30"))}), "FF"),
    ] {
        let policy = policy(spec.clone());
        let status = report(&policy, &Answer::Applied(Box::new(applied(&policy))), Timestamp::UNIX_EPOCH);
        assert_eq!(told(&status, &[FULLY_MAPPED, DRAINS_BLOCKED]).0, letters, "{spec}");
    }
}
