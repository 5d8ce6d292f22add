use serde_json::{Value, json};

use super::{analysis::Counts, *};
use crate::platform::migration::Done;

const NOW: i64 = 1_000_000;

fn template(image: &str) -> PodTemplateSpec {
    serde_json::from_value(json!({
        "metadata": {"labels": {"app": "engine"}},
        "spec": {"containers": [{"name": "engine", "image": image}]},
    }))
    .unwrap()
}

fn live(revision: &str, image: &str, refused: Option<&str>) -> Deployment {
    let mut annotations = json!({
        "deployment.kubernetes.io/revision": revision, "payplane.io/template": hash(&template(image)),
    });
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

fn pod(revision: &str, main: Value) -> Pod {
    let mut status =
        json!({"name": "engine", "image": "engine:2", "imageID": "", "ready": false, "restartCount": 0});
    for (key, value) in main.as_object().unwrap() {
        status[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": format!("set-{revision}")},
        ]},
        "status": {"containerStatuses": [status]},
    }))
    .unwrap()
}

fn crashed(times: i32, message: &str) -> Value {
    json!({"restartCount": times, "lastState": {"terminated": {"exitCode": 1, "message": message}}})
}

fn waiting(reason: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": "no such image"}}})
}

fn done() -> Migration {
    Migration::Done(Done::default())
}

fn failing() -> Analysis {
    Analysis::Failing {
        new: Counts { answered: 400, failed: 40 },
        old: Counts { answered: 1_000, failed: 0 },
    }
}

fn verdict(seen: &Seen, wanted: &str, migration: &Migration, analysis: &Analysis) -> Verdict {
    judge(seen, &template(wanted), migration, analysis, Timestamp::from_second(NOW).unwrap())
}

/// One letter per verdict.
fn letter(seen: &Seen, wanted: &str, migration: &Migration, analysis: &Analysis) -> char {
    match verdict(seen, wanted, migration, analysis) {
        Verdict::Proceed => 'P',
        Verdict::Migrating => 'M',
        Verdict::Frozen(_) => 'F',
        Verdict::GoBack { .. } => 'B',
        Verdict::StayBack { .. } => 'S',
        Verdict::NoWayBack { .. } => 'N',
    }
}

/// A situation, the sets by revision as (ready, age in seconds) of the old and the new one, a pod, and the verdict.
type Case = (&'static str, Option<(i32, i64)>, (i32, i64), Pod, char);

#[test]
fn each_situation_has_its_verdict() {
    let fine = || pod("2", json!({}));
    let cases: Vec<Case> = vec![
        ("all is well", Some((2, 9_000)), (1, 60), fine(), 'P'),
        ("not ready yet", Some((2, 9_000)), (0, 60), fine(), 'P'),
        ("never ready", Some((2, 9_000)), (0, 600), fine(), 'B'),
        ("late, but one is ready", Some((2, 9_000)), (1, 600), fine(), 'P'),
        ("never ready, and nothing to go back to", None, (0, 600), fine(), 'P'),
        ("old ones serve nobody", Some((0, 9_000)), (0, 600), fine(), 'P'),
        ("crashed twice", Some((2, 9_000)), (0, 60), pod("2", crashed(2, "x")), 'P'),
        ("crashes", Some((2, 9_000)), (0, 60), pod("2", crashed(3, "x")), 'B'),
        ("crashes, and nothing to go back to", None, (0, 60), pod("2", crashed(9, "x")), 'P'),
        ("no image", Some((2, 9_000)), (0, 60), pod("2", waiting("ImagePullBackOff")), 'B'),
        ("image being pulled", Some((2, 9_000)), (0, 60), pod("2", waiting("PodInitializing")), 'P'),
        ("an old pod crashes", Some((2, 9_000)), (0, 60), pod("1", crashed(9, "x")), 'P'),
    ];
    for (what, old, (ready, age), pod, expected) in cases {
        let old = old.map(|(ready, age)| set("1", "engine:1", ready, age));
        let sets = old.into_iter().chain([set("2", "engine:2", ready, age)]).collect();
        let seen = Seen { live: Some(live("2", "engine:2", None)), sets, pods: vec![pod] };
        assert_eq!(letter(&seen, "engine:2", &done(), &Analysis::None), expected, "{what}");
    }
}

#[test]
fn nothing_changes_until_the_schema_is_there_and_what_failed_is_not_tried_again() {
    let trouble = || Trouble { reason: String::new(), message: "x".into() };
    let runs = Seen { live: Some(live("1", "engine:1", None)), ..Seen::default() };
    let bad = hash(&template("engine:2"));
    let back = Seen { live: Some(live("3", "engine:1", Some(&bad))), ..Seen::default() };
    // What is to be run, and the verdict where nothing runs, where engine:1 does, and where it does after engine:2 failed.
    let cases = [
        ("engine:2", done(), ['P', 'P', 'S']),
        ("engine:2", Migration::Waiting, ['M', 'M', 'S']),
        ("engine:2", Migration::Running, ['M', 'M', 'S']),
        ("engine:2", Migration::NotAsked, ['M', 'M', 'S']),
        ("engine:2", Migration::Failing(trouble()), ['F', 'F', 'S']),
        ("engine:2", Migration::CannotStart("x".into()), ['F', 'B', 'S']),
        ("engine:3", Migration::CannotStart("x".into()), ['F', 'B', 'B']),
        // The same image, which was there before: for another login, or on another volume.
        ("engine:1", Migration::CannotStart("x".into()), ['F', 'F', 'F']),
        ("engine:1", done(), ['P', 'P', 'P']),
        ("engine:3", done(), ['P', 'P', 'P']),
    ];
    for (wanted, migration, expected) in cases {
        let found =
            [&Seen::default(), &runs, &back].map(|seen| letter(seen, wanted, &migration, &Analysis::None));
        assert_eq!(found, expected, "{wanted} {migration:?}");
    }
}

#[test]
fn engines_that_answer_with_failures_go_back_where_others_serve_and_the_schema_lets_them() {
    let seen = |old_ready: i32, known: Option<&str>, oldest: Option<&str>| {
        let mut live = live("2", "engine:2", None);
        let mut old = set("1", "engine:1", old_ready, 9_000);
        let mark = |annotations: &mut Option<std::collections::BTreeMap<String, String>>,
                    name: &str,
                    value: Option<&str>| {
            annotations
                .get_or_insert_default()
                .extend(value.map(|value| (name.to_owned(), value.to_owned())));
        };
        mark(&mut live.metadata.annotations, "payplane.io/oldest-engine", oldest);
        mark(&mut old.metadata.annotations, "payplane.io/schema", known);
        Seen {
            live: Some(live),
            sets: vec![old, set("2", "engine:2", 1, 60)],
            pods: vec![pod("2", json!({}))],
        }
    };
    let cases = [
        ("nothing was taken away yet", seen(2, None, None), 'B'),
        ("nothing was taken away, as the Job says", seen(2, Some("15"), Some("0")), 'B'),
        ("they know enough", seen(2, Some("20"), Some("20")), 'B'),
        ("they know more", seen(2, Some("21"), Some("20")), 'B'),
        ("they know too little", seen(2, Some("19"), Some("20")), 'N'),
        ("nobody knows what they know", seen(2, None, Some("20")), 'N'),
        ("nothing serves", seen(0, Some("20"), None), 'P'),
    ];
    for (what, seen, expected) in cases {
        assert_eq!(letter(&seen, "engine:2", &done(), &failing()), expected, "{what}");
        assert_eq!(letter(&seen, "engine:2", &done(), &Analysis::None), 'P', "{what}, and all is well");
        assert_eq!(
            letter(&seen, "engine:3", &done(), &failing()),
            'P',
            "{what}, and another one is asked for"
        );
    }
    let back = verdict(&seen(2, Some("15"), None), "engine:2", &done(), &failing());
    let Verdict::GoBack { schema, why, .. } = back else { panic!("{back:?}") };
    assert_eq!(schema.as_deref(), Some("15"), "what the engines know that come back");
    assert!(why.contains("40 of 400 calls (10.0 %)"), "{why}");
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
        pods: vec![pod("3", crashed(3, "out of paper"))],
    };
    let verdict = verdict(&seen, "engine:3", &done(), &Analysis::None);
    let Verdict::GoBack { template: found, refused, why, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(*found, template("engine:2"));
    assert_eq!(refused, hash(&template("engine:3")));
    assert!(why.contains("engine:2") && why.contains("out of paper"), "it names the image: {why}");
}
