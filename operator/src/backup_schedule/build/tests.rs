use serde_json::{Value, json};

use payplane_crds::backup::OperatedCopy;

use super::{super::fixture::schedule, *};
use crate::{
    place,
    platform::{fixture, foreign::cloudnative_pg::Cluster},
};

fn pruner(changes: Value, archive: Value) -> Value {
    let doomed = |name: &str| Doomed { name: name.into(), uid: format!("u-{name}"), operated: None };
    let platform = fixture::platform(json!({"postgres": {"managed": {"archive": archive}}}));
    let of = schedule(changes);
    let observed = Observed { platform: Some(platform), ..Observed::default() };
    serde_json::to_value(prune(&of, &[doomed("a"), doomed("b")], &observed, &fixture::settings())).unwrap()
}

#[test]
fn copies_of_cloudnative_pgs_are_deleted_by_the_names_that_it_gave_them() {
    let of = schedule(json!({"bucket": place::fixture::spec()}));
    let doomed = |name: &str, copy: &str| Doomed {
        name: name.into(),
        uid: format!("u-{name}"),
        operated: Some(OperatedCopy {
            destination: "s3://copies/pay/main".into(),
            server_name: "main-postgres-u-1".into(),
            backup_id: copy.into(),
            ..OperatedCopy::default()
        }),
    };
    let both = [doomed("a", "20270101T000000"), doomed("failed", "")];
    let cluster = |image: &str| -> Option<Cluster> {
        let status = json!({"image": image});
        serde_json::from_value(json!({"metadata": {"name": "main-postgres"}, "spec": {}, "status": status}))
            .unwrap()
    };
    let observed = |cluster| Observed { cluster, ..Observed::default() };
    for nobody_knows in [None, cluster("")] {
        assert!(prune(&of, &both, &observed(nobody_knows), &fixture::settings()).is_none());
    }
    let job = prune(&of, &both, &observed(cluster("postgres:18-system")), &fixture::settings()).unwrap();
    let pod = serde_json::to_value(job.spec.unwrap().template.spec).unwrap();
    assert_eq!(pod["securityContext"]["runAsUser"], 26, "as whom CloudNativePG's images run");
    assert_eq!(pod["containers"][0]["name"], "prune", "what is kept with them goes as ever");
    let container = &pod["initContainers"][0];
    assert_eq!(
        (&container["name"], &container["image"]),
        (&json!("delete-copies"), &json!("postgres:18-system"))
    );
    let env = container["env"].as_array().unwrap();
    let copies = env.iter().find(|one| one["name"] == "COPIES").unwrap();
    assert_eq!(
        copies["value"], "s3://copies/pay/main main-postgres-u-1 20270101T000000",
        "what failed has no copy"
    );
    let text = container.to_string();
    assert!(text.contains("barman-cloud-backup-delete") && !text.contains("secretKeyRef"), "{text}");
}

#[test]
fn copies_are_deleted_by_name_and_uid_where_they_are() {
    for (changes, place) in [
        (json!({}), vec!["--folder=/copies"]),
        (json!({"bucket": place::fixture::spec()}), place::fixture::FLAGS.to_vec()),
    ] {
        let job = pruner(changes, json!(null));
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let args: Vec<&str> =
            container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let doomed = ["--doomed=a:u-a", "--doomed=b:u-b", "--summary-file=/dev/termination-log"];
        assert_eq!(args, [&["prune-copies"], place.as_slice(), &doomed].concat());
        assert_eq!((&container["name"], &container["image"]), (&json!("prune"), &json!("engine:1")));
        assert_eq!(job["metadata"]["annotations"]["payplane.io/doomed"], "a:u-a b:u-b");
    }
}

#[test]
fn only_a_volume_that_the_server_has_too_ties_it_to_a_node() {
    let is_tied = |job: Value| job["spec"]["template"]["spec"].get("affinity").is_some();
    assert!(!is_tied(pruner(json!({}), json!(null))));
    assert!(is_tied(pruner(json!({}), json!({}))));
    assert!(!is_tied(pruner(json!({"bucket": place::fixture::spec()}), json!({}))));
}

#[test]
fn a_backup_is_made_where_the_schedule_says() {
    let of = schedule(json!({"bucket": place::fixture::spec()}));
    let backup = backup(&of, "2027-01-01T01:00:00Z".parse().unwrap());
    assert_eq!(backup.spec.bucket, Some(place::fixture::bucket()));
}
