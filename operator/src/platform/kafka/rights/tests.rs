use serde_json::{Value, json};

use super::{build::lines, *};
use crate::platform::{fixture, kafka::MadeKafka};

fn wanted(users: Value, logins: &str) -> WantedRights {
    let platform = fixture::platform(
        json!({"postgres": {"managed": {}}, "kafka": {"managed": {"replicas": 3, "users": users}}}),
    );
    let spec = platform.spec.kafka.clone().unwrap().managed.unwrap();
    let made = MadeKafka { logins_hash: logins.into(), ..MadeKafka::default() };
    job(&platform, &spec, &fixture::settings(), &fixture::names(), &made)
}

#[test]
fn the_engine_writes_users_read_and_nobody_does_anything_else() {
    let users = json!([{"name": "books"}, {"name": "risk", "groups": ["risk.fast", "risk.slow"]}]);
    let spec = serde_json::from_value(json!({"users": users})).unwrap();
    assert_eq!(
        lines(&spec),
        [
            "payplane-engine TOPIC payplane.events DESCRIBE",
            "payplane-engine TOPIC payplane.events DESCRIBE_CONFIGS",
            "payplane-engine TOPIC payplane.events WRITE",
            "books TOPIC payplane.events DESCRIBE",
            "books TOPIC payplane.events READ",
            "books GROUP books READ",
            "risk TOPIC payplane.events DESCRIBE",
            "risk TOPIC payplane.events READ",
            "risk GROUP risk.fast READ",
            "risk GROUP risk.slow READ",
        ]
    );
}

#[test]
fn the_job_has_every_password_as_a_file_and_none_in_its_environment() {
    let pod = serde_json::to_value(wanted(json!([{"name": "books"}]), "l").job).unwrap();
    let pod = &pod["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let value = |name: &str| {
        let all = container["env"].as_array().unwrap();
        all.iter().find(|variable| variable["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("USERS"), "payplane-engine books");
    assert_eq!(
        value("SERVERS"),
        "main-kafka-0.main-kafka.pay.svc:9095,main-kafka-1.main-kafka.pay.svc:9095,main-kafka-2.main-kafka.pay.svc:9095"
    );
    assert_eq!(container["volumeMounts"][4]["mountPath"], "/etc/payplane/users/books");
    assert_eq!(pod["volumes"][4]["secret"]["secretName"], "main-kafka-user-books");
    assert_eq!(pod["volumes"][3]["secret"]["secretName"], "main-kafka-client");
    assert_eq!(container["command"], json!(["sh", "/etc/payplane/kafka/rights.sh"]));
    assert!(!pod.to_string().contains("valueFrom"), "a secret in the environment");
}

#[test]
fn another_user_or_password_is_another_job_and_the_name_always_fits() {
    let hash = |users, logins: &str| wanted(users, logins).hash;
    assert_eq!(hash(json!([]), "l"), hash(json!([]), "l"));
    assert_ne!(hash(json!([]), "l"), hash(json!([]), "m"));
    assert_ne!(hash(json!([]), "l"), hash(json!([{"name": "books"}]), "l"));
    let longest = crate::platform::Names { namespace: "pay".into(), platform: "x".repeat(40) };
    assert!(longest.kafka_rights(&hash(json!([]), "l")).len() <= 63);
}

#[test]
fn a_job_and_its_pod_tell_how_far_rights_are() {
    let job = |condition: Option<&str>| -> Job {
        let conditions: Vec<_> =
            condition.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
        serde_json::from_value(json!({"metadata": {"name": "r"}, "status": {"conditions": conditions}}))
            .unwrap()
    };
    let pod = |more: Value| -> Pod {
        let mut container =
            json!({"name": COMPONENT, "image": "kafka:4", "imageID": "", "ready": false, "restartCount": 0});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": {}, "status": {"containerStatuses": [container]}})).unwrap()
    };
    let failed = pod(
        json!({"restartCount": 2, "lastState": {"terminated": {"exitCode": 1, "message": "TimeoutException"}}}),
    );
    let absent =
        pod(json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}));
    let cases = [
        (job(None), None, "Running"),
        (job(None), Some(pod(json!({}))), "Running"),
        (job(Some("Complete")), None, "Done"),
        (job(None), Some(failed.clone()), "with code 1. TimeoutException"),
        (job(None), Some(absent), "kafka:4 does not start (ImagePullBackOff): no such image"),
        (job(Some("Failed")), Some(failed), "with code 1. TimeoutException"),
        (job(Some("Failed")), None, "Job r gave up"),
    ];
    for (job, pod, words) in cases {
        let told = format!("{:?}", state(&job, pod.as_ref()));
        assert!(told.contains(words), "{told}: {words}");
    }
}
