use serde_json::json;

use super::*;

/// One letter per finding.
fn letter(new: (u64, u64), old: (u64, u64)) -> char {
    let counts = |(answered, failed)| Counts { answered, failed };
    match judge(counts(new), counts(old)) {
        Analysis::None | Analysis::Unread => '-',
        Analysis::TooFew(_) => 'T',
        Analysis::Good(_) => 'G',
        Analysis::Failing { .. } => 'F',
        Analysis::Shared { .. } => 'S',
    }
}

#[test]
fn each_pair_of_counts_has_its_finding() {
    // What new and old engines answered and failed meanwhile.
    let cases = [
        ("nobody called", (0, 0), (0, 0), 'T'),
        ("all of a few failed", (199, 199), (0, 0), 'T'),
        ("enough, and well", (200, 0), (0, 0), 'G'),
        ("one in a hundred", (200, 2), (500, 0), 'G'),
        ("more than that", (200, 3), (500, 0), 'F'),
        ("more than that, and nobody to compare with", (200, 3), (0, 0), 'F'),
        ("everything", (1_000, 1_000), (1_000, 1), 'F'),
        ("the old ones fail, but within bounds", (1_000, 15), (1_000, 10), 'F'),
        ("as the old ones do", (1_000, 500), (1_000, 500), 'S'),
        ("less than twice as often", (1_000, 199), (1_000, 100), 'S'),
        ("twice as often", (1_000, 200), (1_000, 100), 'F'),
        ("the old ones had one call, which failed", (1_000, 500), (1, 1), 'S'),
        ("the old ones had few calls, most went well", (1_000, 500), (5, 1), 'F'),
        ("only the old ones fail", (1_000, 0), (1_000, 900), 'G'),
        ("numbers as large as they get", (u64::MAX, u64::MAX), (u64::MAX, 0), 'F'),
    ];
    for (what, new, old, expected) in cases {
        assert_eq!(letter(new, old), expected, "{what}");
    }
}

#[test]
fn only_failing_engines_are_complained_about_and_the_figures_are_told() {
    let (new, old) = (Counts { answered: 340, failed: 12 }, Counts { answered: 1_000, failed: 0 });
    let complaint = Analysis::Failing { new, old }.complaint().unwrap();
    assert!(complaint.contains("12 of 340 calls (3.5 %)") && complaint.contains("0 of 1000 calls (0.0 %)"));
    for quiet in [
        Analysis::None,
        Analysis::Unread,
        Analysis::TooFew(new),
        Analysis::Good(new),
        Analysis::Shared { new, old },
    ] {
        assert_eq!(quiet.complaint(), None, "{quiet:?}");
        assert_eq!(quiet.told().is_none(), quiet == Analysis::None);
    }
    assert_eq!(Counts::default().told(), "0 of 0 calls (0.0 %)");
}

#[test]
fn a_rollout_is_under_way_while_pods_of_two_templates_run() {
    let set = |revision: &str| {
        serde_json::from_value(json!({"metadata": {
            "uid": format!("set-{revision}"), "annotations": {"deployment.kubernetes.io/revision": revision},
        }}))
        .unwrap()
    };
    let pod = |name: &str, revision: &str| {
        serde_json::from_value(json!({"metadata": {"uid": name, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": format!("set-{revision}")},
        ]}}))
        .unwrap()
    };
    let live = serde_json::from_value(json!({"metadata": {
        "annotations": {"deployment.kubernetes.io/revision": "2"},
    }}))
    .unwrap();
    let mut seen = Seen { live: Some(live), sets: vec![set("1"), set("2")], pods: vec![pod("a", "1")] };
    let (rollout, pods) = both(&seen).unwrap();
    assert_eq!((rollout, pods.len()), ("set-2", 1), "the new ones will count from their beginning");
    seen.pods.extend([pod("b", "2"), pod("stranger", "9")]);
    let (rollout, pods) = both(&seen).unwrap();
    let named: Vec<_> =
        pods.iter().map(|(pod, is_new)| (pod.metadata.uid.as_deref().unwrap(), *is_new)).collect();
    assert_eq!((rollout, named), ("set-2", vec![("b", true), ("a", false)]), "a stranger's pod is not asked");
    seen.pods.retain(|pod| pod.metadata.uid.as_deref() != Some("a"));
    assert!(both(&seen).is_none(), "no old engine is left");
}
