use serde_json::{Value, json};

use super::{super::fixture::schedule, *};
use crate::{place, platform::fixture};

fn pruner(changes: Value, archive: Value) -> Value {
    let doomed = |name: &str| Doomed { name: name.into(), uid: format!("u-{name}") };
    let platform = fixture::platform(json!({"postgres": {"managed": {"archive": archive}}}));
    let of = schedule(changes);
    serde_json::to_value(prune(&of, &[doomed("a"), doomed("b")], Some(&platform), &fixture::settings()))
        .unwrap()
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
