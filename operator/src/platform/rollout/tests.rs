use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_000_000;

fn template(image: &str) -> PodTemplateSpec {
    serde_json::from_value(json!({
        "metadata": {"labels": {"app": "engine"}},
        "spec": {"containers": [{"name": "engine", "image": image}]},
    }))
    .unwrap()
}

fn live(revision: &str, image: &str, refused: Option<&str>) -> Deployment {
    let mut annotations = json!({"deployment.kubernetes.io/revision": revision});
    if let Some(refused) = refused {
        annotations["payplane.io/refused-template"] = json!(refused);
        annotations["payplane.io/refused-because"] = json!("it was bad");
    }
    serde_json::from_value(json!({
        "metadata": {"annotations": annotations},
        "spec": {"selector": {}, "template": template(image)},
    }))
    .unwrap()
}

/// A ReplicaSet of this revision, with as many ready pods, made so many seconds ago.
fn set(revision: &str, image: &str, ready: i32, age: i64) -> ReplicaSet {
    let mut of = template(image);
    let labels = of.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert("pod-template-hash".into(), revision.into());
    serde_json::from_value(json!({
        "metadata": {
            "uid": format!("set-{revision}"),
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "creationTimestamp": Timestamp::from_second(NOW - age).unwrap().to_string(),
        },
        "spec": {"selector": {}, "template": of},
        "status": {"replicas": 1, "readyReplicas": ready},
    }))
    .unwrap()
}

fn pod(revision: &str, init: Value, main: Value) -> Pod {
    let container = |name: &str, state: Value| {
        let mut status =
            json!({"name": name, "image": "engine:2", "imageID": "", "ready": false, "restartCount": 0});
        for (key, value) in state.as_object().unwrap() {
            status[key] = value.clone();
        }
        status
    };
    serde_json::from_value(json!({
        "metadata": {"ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": format!("set-{revision}")},
        ]},
        "status": {
            "initContainerStatuses": [container("migrate", init)],
            "containerStatuses": [container("engine", main)],
        },
    }))
    .unwrap()
}

fn crashed(times: i32, message: &str) -> Value {
    json!({"restartCount": times, "lastState": {"terminated": {"exitCode": 1, "message": message}}})
}

fn waiting(reason: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": "no such image"}}})
}

fn done() -> Value {
    json!({"state": {"terminated": {"exitCode": 0}}})
}

/// One letter per verdict.
fn letter(seen: &Seen, wanted: &str) -> char {
    match judge(seen, &template(wanted), Timestamp::from_second(NOW).unwrap()) {
        Verdict::Proceed => 'P',
        Verdict::Frozen(_) => 'F',
        Verdict::GoBack { .. } => 'B',
        Verdict::StayBack { .. } => 'S',
    }
}

/// A situation, the sets by revision as (ready, age in seconds) of the old and the new one, a pod, and the verdict.
type Case = (&'static str, Option<(i32, i64)>, (i32, i64), Pod, char);

#[test]
fn each_situation_has_its_verdict() {
    let unsaid = crashed(1, "it said so");
    let bad = hash(&template("engine:2"));
    // What runs, the sets by revision as (ready, age in seconds) of the old and the new one, the new pod, and the verdict.
    let cases: Vec<Case> = vec![
        ("all is well", Some((2, 9_000)), (1, 60), pod("2", done(), json!({})), 'P'),
        ("not ready yet", Some((2, 9_000)), (0, 60), pod("2", done(), json!({})), 'P'),
        ("never ready", Some((2, 9_000)), (0, 600), pod("2", done(), json!({})), 'B'),
        ("late, but one is ready", Some((2, 9_000)), (1, 600), pod("2", done(), json!({})), 'P'),
        ("never ready, and nothing to go back to", None, (0, 600), pod("2", done(), json!({})), 'P'),
        ("old ones serve nobody", Some((0, 9_000)), (0, 600), pod("2", done(), json!({})), 'P'),
        ("crashed twice", Some((2, 9_000)), (0, 60), pod("2", done(), crashed(2, "x")), 'P'),
        ("crashes", Some((2, 9_000)), (0, 60), pod("2", done(), crashed(3, "x")), 'B'),
        ("crashes, and nothing to go back to", None, (0, 60), pod("2", done(), crashed(9, "x")), 'P'),
        ("no image", Some((2, 9_000)), (0, 60), pod("2", waiting("ImagePullBackOff"), json!({})), 'B'),
        (
            "image being pulled",
            Some((2, 9_000)),
            (0, 60),
            pod("2", waiting("PodInitializing"), json!({})),
            'P',
        ),
        ("migration fails", Some((2, 9_000)), (0, 60), pod("2", unsaid.clone(), json!({})), 'F'),
        ("migration fails for long", Some((2, 9_000)), (0, 6_000), pod("2", unsaid.clone(), json!({})), 'F'),
        ("first migration fails", None, (0, 60), pod("2", unsaid, json!({})), 'F'),
        ("an old pod crashes", Some((2, 9_000)), (0, 60), pod("1", done(), crashed(9, "x")), 'P'),
    ];
    for (what, old, (ready, age), pod, verdict) in cases {
        let old = old.map(|(ready, age)| set("1", "engine:1", ready, age));
        let sets = old.into_iter().chain([set("2", "engine:2", ready, age)]).collect();
        let seen = Seen { live: Some(live("2", "engine:2", None)), sets, pods: vec![pod] };
        assert_eq!(letter(&seen, "engine:2"), verdict, "{what}");
    }
    assert_eq!(letter(&Seen::default(), "engine:2"), 'P', "nothing is there");
    let back = Seen { live: Some(live("3", "engine:1", Some(&bad))), ..Seen::default() };
    assert_eq!(letter(&back, "engine:2"), 'S', "it failed before");
    assert_eq!(letter(&back, "engine:3"), 'P', "another one is tried");
    assert_eq!(letter(&back, "engine:1"), 'P', "the one that serves was asked for");
}

#[test]
fn it_goes_back_to_the_newest_template_that_serves_without_the_marks_of_its_set() {
    let seen = Seen {
        live: Some(live("3", "engine:3", None)),
        sets: vec![
            set("1", "engine:1", 1, 9_000),
            set("2", "engine:2", 1, 5_000),
            set("3", "engine:3", 0, 60),
        ],
        pods: vec![pod("3", done(), crashed(3, "out of paper"))],
    };
    let wanted = template("engine:3");
    let verdict = judge(&seen, &wanted, Timestamp::from_second(NOW).unwrap());
    let Verdict::GoBack { template: found, refused, why } = verdict else { panic!("{verdict:?}") };
    assert_eq!(*found, template("engine:2"));
    assert_eq!(refused, hash(&wanted));
    assert!(why.contains("engine:2") && why.contains("out of paper"), "it names the image: {why}");
}

#[test]
fn a_migration_says_itself_why_it_failed() {
    let said = json!({"reason": "DatabaseUnsuitable", "message": "fsync is off"}).to_string();
    let found = trouble(&pod("1", crashed(1, &said), json!({}))).unwrap();
    assert_eq!(
        found,
        Trouble { is_migration: true, reason: "DatabaseUnsuitable".into(), message: "fsync is off".into() }
    );
    let found = trouble(&pod("1", crashed(1, "panicked"), json!({}))).unwrap();
    assert!(found.is_migration && found.reason.is_empty() && found.message.contains("panicked"));
    assert_eq!(trouble(&pod("1", done(), json!({}))), None);
}
