use payplane_crds::Backup;
use serde_json::{Value, json};

use super::*;
use crate::{place, platform::fixture, sealed::Keys};

fn restore(into: Value, point: Value) -> Restore {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": "pay", "uid": "r-1"},
        "spec": {
            "platformRef": {"name": "main"}, "backupRef": {"name": "nightly"}, "into": into, "point": point,
            "deadlineSeconds": 600,
        },
    }))
    .unwrap()
}

fn made(into: Value, point: Value) -> Value {
    made_with(into, point, Keys::default(), None)
}

fn made_with(into: Value, point: Value, keys: Keys<'_>, encryption: Option<&str>) -> Value {
    let encryption = encryption.map(|name| json!({"secretRef": {"name": name}}));
    made_from(into, point, keys, json!({"platformRef": {"name": "main"}, "encryption": encryption}))
}

fn made_from(into: Value, point: Value, keys: Keys<'_>, spec: Value) -> Value {
    let backup: Backup = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": spec,
        "status": {"state": "Succeeded", "head": "7:ab"},
    }))
    .unwrap();
    let source = Source {
        backup: &backup,
        postgres: None,
        engine_image: None,
        keys,
        makes_volume: true,
        makes_secret: true,
    };
    serde_json::to_value(job(&restore(into, point), &source, &fixture::settings())).unwrap()
}

fn names_of(containers: &Value) -> Vec<&str> {
    containers.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_ledger_is_released_after_it_was_verified_and_a_drill_never() {
    let job = made(json!({"platform": {"name": "new"}}), json!({}));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(names_of(&pod["initContainers"]), ["prepare", "recover", "serve", "adopt", "verify"]);
    assert_eq!(names_of(&pod["containers"]), ["release"]);
    assert_eq!(pod["initContainers"][2]["restartPolicy"], "Always", "serves while the next steps run");
    assert!(pod["initContainers"][4]["args"].to_string().contains("--expect-head=7:ab"));
    assert!(pod["initContainers"][3]["args"].to_string().contains("--restore-id=r-1"));
    assert!(pod["volumes"].to_string().contains("data-new-postgres-0"));
    assert_eq!(
        (&job["spec"]["activeDeadlineSeconds"], &job["spec"]["backoffLimit"]),
        (&json!(600), &json!(0))
    );
    let drill = made(json!({"drill": true}), json!({}));
    let pod = &drill["spec"]["template"]["spec"];
    assert_eq!(names_of(&pod["containers"]), ["verify"]);
    assert!(!pod.to_string().contains("data-"), "a drill has no volume: {pod}");
    assert!(!pod.to_string().contains("database-owner"));
}

#[test]
fn copies_and_the_log_are_only_read_and_no_step_can_do_more_than_it_must() {
    let job = made(json!({"platform": {"name": "new"}}), json!({"time": "2027-01-01T00:00:00Z"}));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let all = pod["initContainers"].as_array().unwrap().iter().chain(pod["containers"].as_array().unwrap());
    for container in all {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        for mount in container["volumeMounts"].as_array().unwrap() {
            let is_source = mount["name"] == "backups" || mount["name"] == "database-owner";
            assert!(!is_source || mount["readOnly"] == true, "{mount}");
            assert_eq!(
                mount["name"] == "database-owner",
                container["name"] == "adopt" && is_source,
                "{mount}"
            );
        }
    }
    let said = |pod: &Value, name: &str| {
        let env = pod["initContainers"][1]["env"].as_array().unwrap();
        env.iter().find(|one| one["name"] == name).unwrap()["value"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!([said(pod, "POINT"), said(pod, "SEQUENCE")], ["2027-01-01T00:00:00Z", ""]);
    let job = made(json!({"drill": true}), json!({"sequence": 42}));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!([said(pod, "POINT"), said(pod, "SEQUENCE"), said(pod, "LOG")], ["", "42", "replay"]);
}

#[test]
fn the_volume_is_the_one_that_the_platform_will_find_and_says_whose_it_is() {
    let restore = restore(json!({"platform": {"name": "new"}}), json!({}));
    let into = restore.spec.into.platform.clone().unwrap();
    let volume = serde_json::to_value(volume(&restore, &into)).unwrap();
    assert_eq!(volume["metadata"]["name"], "data-new-postgres-0");
    assert_eq!(volume["metadata"]["annotations"], json!({"payplane.io/restore": "r-1"}));
    assert_eq!(volume["metadata"].get("ownerReferences"), None);
    let secret = owner_secret(&restore, "new", "secret".into());
    assert_eq!(secret.metadata.name.as_deref(), Some("new-database-owner"));
    assert_eq!(secret.data.unwrap()["username"].0, b"payplane_owner");
}

#[test]
fn what_is_sealed_is_opened_where_the_other_steps_look_for_it() {
    let job =
        made_with(json!({"drill": true}), json!({}), Keys(vec!["copy-keys", "log-keys"]), Some("copy-keys"));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(names_of(&pod["initContainers"]), ["open", "unpack", "prepare", "recover", "serve", "adopt"]);
    assert_eq!(
        pod["initContainers"][0]["args"],
        json!([
            "fetch-copy",
            "--folder=/copies",
            "--name=nightly",
            "--to=/backups",
            "--log-of=main",
            "--must-be-sealed",
            "--keys-dir=/etc/payplane/backup-keys/0",
            "--keys-dir=/etc/payplane/backup-keys/1"
        ])
    );
    for container in pod["initContainers"].as_array().unwrap() {
        let mounts = container["volumeMounts"].to_string();
        let name = container["name"].as_str().unwrap();
        assert_eq!(mounts.contains("backup-keys"), name == "open", "{name} must not have keys");
        for mount in container["volumeMounts"].as_array().unwrap() {
            match mount["name"].as_str().unwrap() {
                "backups" => {
                    assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!("/copies"), &json!(true)))
                }
                "opened" => {
                    assert_eq!(mount["mountPath"], "/backups");
                    assert_eq!(mount["readOnly"] == true, !["open", "unpack"].contains(&name), "{name}");
                }
                _ => {}
            }
        }
    }
    // The copy alone needs no log; a copy that was never sealed beside a sealed log is taken as it is.
    let copy = made_with(json!({"drill": true}), json!({"copy": true}), Keys(vec!["k"]), None);
    let args = &copy["spec"]["template"]["spec"]["initContainers"][0]["args"];
    assert!(!args.to_string().contains("log-of") && !args.to_string().contains("must-be-sealed"), "{args}");
}

#[test]
fn what_is_in_a_bucket_is_fetched_with_the_log_whether_it_is_sealed_or_not() {
    let spec = json!({"platformRef": {"name": "main"}, "bucket": place::fixture::spec()});
    let job = made_from(json!({"drill": true}), json!({}), Keys::default(), spec);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(names_of(&pod["initContainers"]), ["open", "unpack", "prepare", "recover", "serve", "adopt"]);
    let open: Vec<&str> =
        pod["initContainers"][0]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((open[0], &open[1..7]), ("fetch-copy", place::fixture::FLAGS.as_slice()));
    assert_eq!(open[7..], ["--name=nightly", "--to=/backups", "--log-of=main"]);
    for container in pod["initContainers"].as_array().unwrap() {
        let mounts = container["volumeMounts"].to_string();
        assert_eq!(mounts.contains("\"bucket\""), container["name"] == "open", "{container}");
        assert!(!mounts.contains("\"backups\""), "there is no volume with copies: {container}");
    }
}
