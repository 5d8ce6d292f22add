use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use serde_json::{Value, json};

use super::*;
use crate::{
    meta::RESTORING,
    platform::{build::fixture, upgrade::Seen},
};

const LEDGER: &str = "c-1";
/// In seconds.
const BEGAN: i64 = 1_000;

fn platform(image: &str, consent: Option<(&str, u32)>) -> Platform {
    let upgrade = consent.map(|(ledger, to)| json!({"ledger": ledger, "to": to, "deadlineSeconds": 600}));
    let managed = json!({"image": image, "upgrade": upgrade});
    fixture::platform(json!({"postgres": {"managed": managed}}))
}

fn set(image: &str, annotations: Value, replicas: i32, pods: i32) -> StatefulSet {
    serde_json::from_value(json!({
        "metadata": {"generation": 2, "annotations": annotations},
        "spec": {"selector": {}, "serviceName": "s", "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "postgres", "image": image}]}}},
        "status": {"observedGeneration": 2, "replicas": pods},
    }))
    .unwrap()
}

fn claim(annotations: Value) -> PersistentVolumeClaim {
    serde_json::from_value(
        json!({"metadata": {"name": "data-main-postgres-0", "uid": LEDGER, "annotations": annotations}}),
    )
    .unwrap()
}

/// A server of this image that runs, on a volume with these annotations.
fn running(image: &str, annotations: Value) -> Observed {
    Observed {
        postgres: Some(set(image, json!({}), 1, 1)),
        claim: Some(claim(annotations)),
        ..Observed::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// In a few words.
fn said(platform: &Platform, observed: &Observed, second: i64) -> String {
    match plan(platform, &fixture::settings(), observed, at(second)) {
        Next::Serve(None) => "serve".into(),
        Next::Serve(Some(held)) => format!("{} by {}", held.reason, held.image),
        Next::Mark { mark, image, .. } => {
            assert!(mark.text().starts_with(&format!("upgrade/{:x}:", second * 1_000)), "{mark:?}");
            format!("mark {image}")
        }
        Next::Still(Step::Stop) => "stop".into(),
        Next::Still(Step::Begin(copy)) => {
            assert_eq!((copy.began, copy.to, copy.deadline_seconds), (BEGAN * 1_000, 17, 600));
            format!("begin {} {}", copy.from, copy.image)
        }
        Next::Still(Step::Look(_)) => "look".into(),
        Next::Still(Step::Undo) => "undo".into(),
        Next::Still(Step::LookAtUndo(_)) => "look at undo".into(),
        Next::Finish { outcome: Outcome::Upgraded { image, ledger }, .. } => format!("{ledger} {image}"),
        Next::Finish { outcome: Outcome::Undone { because, .. }, .. } => {
            format!("undone: {}", because.unwrap_or_default())
        }
    }
}

#[test]
fn another_version_is_served_only_after_a_consent_that_names_ledger_and_version() {
    let consent = Some((LEDGER, 17));
    for (runs, wanted, consent, expected) in [
        ("p:15", "p:15.4", None, "serve"),
        ("p:15", "p:15.4", consent, "serve"),
        ("p:15", "p:17", None, "MajorUpgradeNotAllowed by p:15"),
        ("p:15", "p:17", Some(("c-0", 17)), "MajorUpgradeNotAllowed by p:15"),
        ("p:15", "p:17", Some((LEDGER, 16)), "MajorUpgradeNotAllowed by p:15"),
        ("p:15", "p:18", consent, "MajorUpgradeNotAllowed by p:15"),
        ("p:15", "p:17", consent, "mark p:15"),
        ("p:17", "p:15", None, "Unsupported by p:17"),
        ("p:17", "p:15", Some((LEDGER, 15)), "Unsupported by p:17"),
        // A tag without a version is believed.
        ("p:15", "p:latest", consent, "serve"),
        ("p", "p:17", consent, "serve"),
    ] {
        let found = said(&platform(wanted, consent), &running(runs, json!({})), BEGAN);
        assert_eq!(found, expected, "{runs} to {wanted} with {consent:?}");
    }
    // The operator's own image counts like one of the spec.
    let unsaid = fixture::platform(json!({"postgres": {"managed": {}}}));
    assert_eq!(said(&unsaid, &running("p:15", json!({})), BEGAN), "MajorUpgradeNotAllowed by p:15");
    // Whoever else replaces the ledger comes first.
    let restoring = running("p:15", json!({RESTORING: "back:r-1"}));
    assert_eq!(said(&platform("p:17", consent), &restoring, BEGAN), "MajorUpgradeNotAllowed by p:15");
    // Nobody else's database is ours.
    let external = fixture::platform(json!({"postgres": {"external": {"secretRef": {"name": "db"}}}}));
    assert_eq!(said(&external, &Observed::default(), BEGAN), "serve");
    let first = Observed::default();
    assert_eq!(said(&platform("p:17", None), &first, BEGAN), "serve", "before the first start");
}

#[test]
fn what_to_consent_to_is_said_and_what_the_consent_was_for_instead() {
    let message = |consent| {
        let (platform, observed) = (platform("p:17", consent), running("p:15", json!({})));
        plan(&platform, &fixture::settings(), &observed, at(1)).held().unwrap().message
    };
    assert!(
        message(None).contains("spec.postgres.managed.upgrade to {ledger: c-1, to: 17}"),
        "{}",
        message(None)
    );
    let other = message(Some(("c-0", 17)));
    assert!(other.contains("bring ledger c-0 to version 17, which is something else"), "{other}");
}

#[test]
fn what_failed_is_tried_again_when_the_spec_of_the_database_changes() {
    let platform = platform("p:17", Some((LEDGER, 17)));
    let asked = hash(platform.spec.postgres.managed.as_ref().unwrap(), &claim(json!({})));
    let refused = running("p:15", json!({REFUSED_UPGRADE: asked, REFUSED_UPGRADE_BECAUSE: "no room."}));
    assert_eq!(said(&platform, &refused, BEGAN), "UpgradeFailed by p:15");
    let held = plan(&platform, &fixture::settings(), &refused, at(1)).held().unwrap();
    assert!(held.message.contains("no room."), "{held:?}");
    let mut larger = platform.clone();
    larger.spec.postgres.managed.as_mut().unwrap().storage.size.0 = "16Gi".into();
    assert_eq!(said(&larger, &refused, BEGAN), "mark p:15");
    let mut engines = platform;
    engines.spec.engine.replicas = 5;
    assert_eq!(
        said(&engines, &refused, BEGAN),
        "UpgradeFailed by p:15",
        "payments do not wait for that again"
    );
}

fn job(end: &str) -> Job {
    let of_copy = json!({"template": {"spec": {"initContainers": [{"name": "copy", "image": "p:17"}], "containers": []}}});
    let conditions =
        if end.is_empty() { json!([]) } else { json!([{"type": end, "status": "True", "message": "m"}]) };
    serde_json::from_value(
        json!({"metadata": {"name": "j"}, "spec": of_copy, "status": {"conditions": conditions}}),
    )
    .unwrap()
}

fn pod(phase: &str) -> Pod {
    serde_json::from_value(json!({"metadata": {}, "status": {"phase": phase}})).unwrap()
}

/// A volume that is marked for what this Platform asks for, and a server that is stopped for it, or not.
fn marked(platform: &Platform, is_stopped: bool, upgrade: Seen) -> Observed {
    let asked = hash(platform.spec.postgres.managed.as_ref().unwrap(), &claim(json!({})));
    let text = Mark::Upgrade { began: BEGAN * 1_000, asked }.text();
    let (of_set, pods) = if is_stopped { (json!({RESTORING: text}), 0) } else { (json!({}), 1) };
    Observed {
        postgres: Some(set("p:15", of_set, pods, pods)),
        claim: Some(claim(json!({RESTORING: text, POSTGRES_IMAGE: "p:15.1"}))),
        upgrade,
        ..Observed::default()
    }
}

#[test]
fn each_step_is_told_from_what_is_there() {
    let asks = platform("p:17", Some((LEDGER, 17)));
    let gave_up = platform("p:15", None);
    let none = Seen::default;
    let served = || Seen { has_server: true, ..none() };
    let worked = |end: &str, phase: &str| Seen { job: Some(job(end)), pod: Some(pod(phase)), ..none() };
    let undone = |end: &str, undo: &str| Seen {
        job: Some(job(end)).filter(|_| end != "gone"),
        undo: Some(job(undo)),
        ..none()
    };
    let late = BEGAN + 601;
    let too_late = "undone: It took longer than 600 s: raise spec.postgres.managed.upgrade.deadlineSeconds, or look why its \
                    pods do not start or stop.";
    for (line, (platform, is_stopped, seen, second, expected)) in [
        (&asks, false, served(), BEGAN, "stop"),
        (&asks, true, served(), BEGAN, "stop"),
        (&asks, false, none(), BEGAN, "stop"),
        (&asks, true, none(), BEGAN + 600, "begin p:15 p:17"),
        // A pod of a Job that somebody deleted may still be at work.
        (&asks, true, Seen { pod: Some(pod("Running")), ..none() }, BEGAN, "stop"),
        (&asks, true, Seen { pod: Some(pod("Failed")), ..none() }, BEGAN, "begin p:15 p:17"),
        // Nobody asks any more, or it takes too long.
        (&gave_up, false, served(), BEGAN, "undone: "),
        (&gave_up, true, none(), BEGAN, "undo"),
        (&asks, false, served(), late, too_late),
        (&asks, true, none(), late, "undo"),
        // The Job goes on whatever is asked for then.
        (&asks, true, worked("", "Running"), late, "look"),
        (&gave_up, true, worked("", "Running"), BEGAN, "look"),
        (&asks, true, worked("Complete", "Succeeded"), late, "upgrade-f4240 p:17"),
        (&gave_up, true, worked("Complete", "Succeeded"), BEGAN, "upgrade-f4240 p:17"),
        (&asks, true, worked("Failed", "Running"), BEGAN, "look"),
        (&asks, true, worked("Failed", "Failed"), BEGAN, "undo"),
        (&asks, true, undone("Failed", ""), BEGAN, "look at undo"),
        (&asks, true, undone("Failed", "Failed"), BEGAN, "look at undo"),
        (&asks, true, undone("Failed", "Complete"), BEGAN, "undone: Its Job failed: m"),
        (&gave_up, true, undone("gone", "Complete"), BEGAN, "undone: "),
        (&asks, true, undone("gone", "Complete"), BEGAN, "undone: Its Job was deleted."),
        (&asks, true, undone("gone", "Complete"), late, too_late),
    ]
    .into_iter()
    .enumerate()
    {
        // What is asked for may be another thing than what the volume is marked for.
        let observed = marked(&asks, is_stopped, seen);
        assert_eq!(said(platform, &observed, second), expected, "line {line}");
    }
}

#[test]
fn the_image_of_before_serves_until_the_ledger_is_of_another() {
    let asks = platform("p:17", Some((LEDGER, 17)));
    let built = |observed: &Observed| {
        let next = plan(&asks, &fixture::settings(), observed, at(BEGAN));
        let platform = keep_image(&asks, &next, observed.claim.as_ref());
        platform.spec.postgres.managed.unwrap().image.unwrap()
    };
    assert_eq!(built(&marked(&asks, true, Seen::default())), "p:15.1");
    let named_otherwise = platform("p:17", None);
    let nothing = Observed::default();
    let next = plan(&named_otherwise, &fixture::settings(), &nothing, at(1));
    let image = keep_image(&named_otherwise, &next, None).spec.postgres.managed.unwrap().image;
    assert_eq!(image.as_deref(), Some("p:17"));
    // The StatefulSet is of before just after the end.
    let after = running("p:15", json!({POSTGRES_IMAGE: "p:17", crate::meta::RESTORE: "upgrade-1000"}));
    assert_eq!(built(&after), "p:17");
    assert_eq!(said(&asks, &after, BEGAN), "serve", "the consent was for the ledger of before");
    let next = platform("p:18", Some((LEDGER, 18)));
    assert_eq!(said(&next, &after, BEGAN), "MajorUpgradeNotAllowed by p:17");
    assert_eq!(said(&platform("p:18", Some(("upgrade-1000", 18))), &after, BEGAN), "mark p:17");
}
