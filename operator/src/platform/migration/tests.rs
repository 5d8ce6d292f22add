use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};

use super::{
    super::{
        build::{self as parts, fixture},
        rollout::template_of,
    },
    *,
};

fn job(condition: Option<&str>) -> Job {
    let conditions: Vec<_> = condition.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
    serde_json::from_value(json!({"metadata": {"name": "m"}, "status": {"conditions": conditions}})).unwrap()
}

fn pod(status: Value) -> Pod {
    let mut container =
        json!({"name": "migrate", "image": "engine:2", "imageID": "", "ready": false, "restartCount": 0});
    for (key, value) in status.as_object().unwrap() {
        container[key] = value.clone();
    }
    serde_json::from_value(json!({"metadata": {}, "status": {"containerStatuses": [container]}})).unwrap()
}

fn ended(code: i32, message: &str) -> Value {
    json!({"state": {"terminated": {"exitCode": code, "message": message}}})
}

fn crashed(times: i32, message: &str) -> Value {
    json!({"restartCount": times, "lastState": {"terminated": {"exitCode": 1, "message": message}}})
}

#[test]
fn a_job_and_its_pod_tell_how_far_the_schema_is() {
    let said = json!({"reason": "DatabaseUnsuitable", "message": "fsync is off"}).to_string();
    let trouble = |reason: &str, message: &str| {
        Migration::Failing(Trouble { reason: reason.into(), message: message.into() })
    };
    let done = |schema| Migration::Done(Done { hash: "h".into(), schema });
    let waiting = json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}});
    let cases = [
        (None, None, Migration::Running),
        (None, Some(pod(json!({}))), Migration::Running),
        (
            None,
            Some(pod(waiting)),
            Migration::CannotStart("Image engine:2 does not start (ImagePullBackOff): no such image".into()),
        ),
        (None, Some(pod(crashed(0, &said))), Migration::Running),
        (None, Some(pod(crashed(1, &said))), trouble("DatabaseUnsuitable", "fsync is off")),
        (
            None,
            Some(pod(crashed(2, "panicked"))),
            trouble(
                "",
                "Container migrate of image engine:2 ended 2 times, the last time with code 1. panicked",
            ),
        ),
        (Some("Failed"), Some(pod(crashed(9, &said))), trouble("DatabaseUnsuitable", "fsync is off")),
        (
            Some("Failed"),
            None,
            trouble("", "Job m gave up; it is made again a day after its end, or when it is deleted."),
        ),
        (Some("Complete"), None, done(None)),
        (Some("Complete"), Some(pod(ended(0, "{}"))), done(None)),
        (
            Some("Complete"),
            Some(pod(ended(0, r#"{"schema":20,"oldest":7}"#))),
            done(Some(Schema { schema: 20, oldest: 7 })),
        ),
    ];
    for (condition, pod, expected) in cases {
        assert_eq!(state(&job(condition), pod.as_ref(), "h".into()), expected, "{condition:?} {pod:?}");
    }
}

#[test]
fn a_success_is_remembered_by_what_it_depends_on() {
    let engine = || Deployment::default();
    let success = |schema| Migration::Done(Done { hash: "h2".into(), schema });
    let mut live = engine();
    remember(&mut live, None, &success(Some(Schema { schema: 20, oldest: 7 })));
    let marks = |engine: &Deployment| {
        [MIGRATED, SCHEMA, OLDEST_ENGINE]
            .map(|name| engine.annotations().get(name).cloned().unwrap_or_default())
    };
    assert_eq!(marks(&live), ["h2", "20", "7"]);
    let found = Done { hash: "h2".into(), schema: Some(Schema { schema: 20, oldest: 7 }) };
    assert_eq!(remembered(Some(&live), "h2"), Some(found));
    assert_eq!(remembered(Some(&live), "h3"), None, "another image, login or volume");
    assert_eq!(remembered(None, "h2"), None);
    for (migration, expected) in [
        (Migration::Running, ["h2", "20", "7"]),
        (Migration::NotAsked, ["h2", "20", "7"]),
        (Migration::Done(Done { hash: "h3".into(), schema: None }), ["h3", "", "7"]),
        (
            Migration::Done(Done { hash: "h3".into(), schema: Some(Schema { schema: 21, oldest: 9 }) }),
            ["h3", "21", "9"],
        ),
    ] {
        let mut next = engine();
        remember(&mut next, Some(&live), &migration);
        assert_eq!(marks(&next), expected, "{migration:?}");
    }
}

#[test]
fn a_job_is_named_by_image_login_owner_volume_and_restore() {
    let template = |image: &str| {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "engine": {"image": image}}));
        let parts = parts::parts(&platform, &fixture::settings(), &fixture::names(), &fixture::made());
        template_of(&parts.engine.deployment).unwrap()
    };
    let claim = |uid: &str, restore: &str| -> Observed {
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"uid": uid, "annotations": {"payplane.io/restore": restore}},
        }))
        .unwrap();
        Observed { claim: Some(claim), ..Observed::default() }
    };
    let made = |hash: &str, owner: &str| Made {
        engine_hash: hash.into(),
        owner_secret: owner.into(),
        ..fixture::made()
    };
    let cases = [
        (claim("u", "r"), made("e", "o"), template("engine:1")),
        (claim("u", "r"), made("e", "o"), template("engine:2")),
        (claim("u", "r"), made("f", "o"), template("engine:1")),
        (claim("u", "r"), made("e", "p"), template("engine:1")),
        (claim("v", "r"), made("e", "o"), template("engine:1")),
        (claim("u", "s"), made("e", "o"), template("engine:1")),
        (Observed::default(), made("e", "o"), template("engine:1")),
    ];
    let mut hashes: Vec<_> = cases.iter().map(|(seen, made, template)| hash(seen, made, template)).collect();
    let (seen, made, template) = &cases[0];
    assert_eq!(hash(seen, made, template), hashes[0]);
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), cases.len());
}

#[test]
fn only_the_job_has_the_owners_login_and_its_words_can_be_read() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "engine": {"image": "mine:2"}}));
    let job = build::job(&platform, &fixture::settings(), &fixture::names(), &fixture::made(), "h");
    assert_eq!(job.metadata.name.as_deref(), Some("main-migrate-h"));
    let pod = serde_json::to_value(job.spec.unwrap().template.spec.unwrap()).unwrap();
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "mine:2");
    assert_eq!(
        container["args"],
        json!([
            "migrate",
            "--owner-database-dir",
            "/etc/payplane/database-owner",
            "--app-database-dir",
            "/etc/payplane/database-app",
            "--platform",
            "pay/main",
            "--failure-file",
            "/dev/termination-log",
            "--summary-file",
            "/dev/termination-log"
        ])
    );
    assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError");
    assert_eq!(
        (&pod["restartPolicy"], &pod["automountServiceAccountToken"]),
        (&json!("OnFailure"), &json!(false))
    );
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], "main-database-owner");
    let parts = parts::parts(&platform, &fixture::settings(), &fixture::names(), &fixture::made());
    let engine = serde_json::to_string(&parts.engine.deployment).unwrap();
    assert!(!engine.contains("database-owner"), "engines cannot change the schema");
}
