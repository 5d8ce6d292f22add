use serde_json::{Value, json};

use super::*;
use crate::{place, platform::fixture};

fn backup() -> Backup {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay", "uid": "b-1"},
        "spec": {"platformRef": {"name": "main"}, "deadlineSeconds": 600},
    }))
    .unwrap()
}

fn made(head: Option<&str>) -> Value {
    made_of(&backup(), head)
}

fn made_of(backup: &Backup, head: Option<&str>) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let postgres = platform.spec.postgres.managed.clone().unwrap();
    serde_json::to_value(job(backup, &platform, &postgres, &fixture::settings(), (head, &Base::Nothing)))
        .unwrap()
}

fn sealed() -> Value {
    let mut backup = backup();
    backup.spec.encryption = serde_json::from_value(json!({"secretRef": {"name": "backup-keys"}})).unwrap();
    made_of(&backup, None)
}

fn all(pod: &Value) -> Vec<&Value> {
    [&pod["initContainers"], &pod["containers"]].iter().flat_map(|some| some.as_array().unwrap()).collect()
}

/// Names of the containers that have this volume.
fn having<'a>(pod: &'a Value, volume: &str) -> Vec<&'a str> {
    let has =
        |one: &&Value| one["volumeMounts"].as_array().unwrap().iter().any(|mount| mount["name"] == volume);
    all(pod).into_iter().filter(has).map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_sealed_copy_is_restored_from_what_comes_out_of_the_volume() {
    let job = sealed();
    let pod = &job["spec"]["template"]["spec"];
    let names: Vec<&str> = all(pod).into_iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["copy", "seal", "open", "unpack", "restore", "scratch", "verify"]);
    assert_eq!(having(pod, "backups"), ["seal", "open"], "nobody else sees the volume");
    assert_eq!(having(pod, "opened"), ["open", "unpack", "restore"]);
    assert_eq!(having(pod, "database-owner"), ["copy", "restore"]);
    let (seal, open) = (&pod["initContainers"][1]["args"], &pod["initContainers"][2]["args"]);
    assert_eq!(
        *seal,
        json!([
            "store-copy",
            "--folder=/copies",
            "--name=nightly",
            "--uid=b-1",
            "--from=/scratch/copy",
            "--summary-file=/dev/termination-log",
            "--keys-dir=/etc/payplane/backup-keys/0"
        ])
    );
    assert_eq!(
        *open,
        json!([
            "fetch-copy",
            "--folder=/copies",
            "--name=nightly",
            "--to=/backups",
            "--must-be-sealed",
            "--keys-dir=/etc/payplane/backup-keys/0"
        ])
    );
}

#[test]
fn only_the_engines_image_has_the_keys_and_only_as_files() {
    let job = sealed();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(having(pod, "backup-keys-0"), ["seal", "open"]);
    for container in all(pod) {
        let has_keys = container["volumeMounts"].to_string().contains("backup-keys");
        assert!(!has_keys || container["image"] == "engine:1", "{container}");
        assert!(!container["env"].to_string().contains("backup-keys"), "{container}");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    }
    assert!(!made(None).to_string().contains("backup-keys"), "a copy that is not sealed needs none");
}

#[test]
fn the_job_ends_in_time_with_one_try_and_goes_with_its_backup() {
    let job = made(Some("7:ab"));
    assert_eq!(job["metadata"]["name"], "nightly-backup");
    assert_eq!(job["metadata"]["annotations"], json!({"payplane.io/head": "7:ab"}));
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "b-1");
    assert_eq!(
        (&job["spec"]["activeDeadlineSeconds"], &job["spec"]["backoffLimit"]),
        (&json!(600), &json!(0))
    );
    assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["payplane.io/backup"], "nightly");
}

#[test]
fn the_copy_is_verified_in_a_server_that_only_its_pod_reaches() {
    let job = made(Some("7:ab"));
    let pod = &job["spec"]["template"]["spec"];
    let steps: Vec<&str> =
        pod["initContainers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(steps, ["copy", "restore", "scratch"]);
    assert_eq!(pod["initContainers"][2]["restartPolicy"], "Always", "serves while the last step runs");
    assert!(pod["initContainers"][2]["command"].to_string().contains("listen_addresses=127.0.0.1"));
    let verify = &pod["containers"][0];
    assert_eq!(
        verify["args"],
        json!([
            "verify",
            "--database-dir=/scratch/login",
            "--summary-file=/dev/termination-log",
            "--wait-seconds=600",
            "--expect-head=7:ab"
        ])
    );
    assert!(!made(None).to_string().contains("expect-head"), "nothing is sealed yet");
}

#[test]
fn no_step_can_do_more_than_it_must() {
    let job = made(None);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let all = pod["initContainers"].as_array().unwrap().iter().chain(pod["containers"].as_array().unwrap());
    for container in all {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
        let mounts = container["volumeMounts"].to_string();
        let opens_ledger = mounts.contains("database-owner");
        assert_eq!(opens_ledger, container["name"] == "copy" || container["name"] == "restore");
    }
}

#[test]
fn copies_outlive_backup_and_platform() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let claim = serde_json::to_value(claim(&backup(), &platform)).unwrap();
    assert_eq!(claim["metadata"]["name"], "main-backups");
    assert_eq!(claim["metadata"].get("ownerReferences"), None);
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
}

fn with_objects(encryption: Value) -> Value {
    let mut backup = backup();
    backup.spec.encryption = serde_json::from_value(encryption).unwrap();
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let postgres = platform.spec.postgres.managed.clone().unwrap();
    let mut job = job(&backup, &platform, &postgres, &fixture::settings(), (None, &Base::Nothing));
    objects::add(&mut job, &backup, &platform, &fixture::settings());
    serde_json::to_value(job).unwrap()
}

#[test]
fn objects_are_listed_before_the_ledger_is_copied_by_the_only_step_with_a_token() {
    for encryption in [json!(null), json!({"secretRef": {"name": "backup-keys"}})] {
        let job = with_objects(encryption.clone());
        let pod = &job["spec"]["template"]["spec"];
        let names: Vec<&str> = all(pod).into_iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["list-objects", "keep-objects", "copy"]);
        assert_eq!(having(pod, "api-access"), ["list-objects"], "no script and no server has the token");
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["serviceAccountName"], "payplane-operator-backup");
        let (list, keep) = (&pod["initContainers"][0], &pod["initContainers"][1]);
        assert_eq!((&list["image"], &keep["image"]), (&json!("operator:1"), &json!("engine:1")));
        assert_eq!(
            list["args"],
            json!([
                "copy-objects",
                "--platform=pay/main",
                "--to=/scratch/objects.json",
                "--summary-file=/dev/termination-log",
                "--within-seconds=150"
            ])
        );
        let mut expected = vec![
            "store-objects",
            "--folder=/copies",
            "--name=nightly",
            "--uid=b-1",
            "--from=/scratch/objects.json",
            "--summary-file=/dev/termination-log",
        ];
        if encryption.is_object() {
            expected.push("--keys-dir=/etc/payplane/backup-keys/0");
        }
        assert_eq!(keep["args"], json!(expected));
        assert!(!list["volumeMounts"].to_string().contains("backup"), "neither copies nor keys");
        for step in [list, keep] {
            assert_eq!(step["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(step["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
        }
    }
    assert_eq!(made(None)["spec"]["template"]["spec"].get("serviceAccountName"), None);
}

#[test]
fn a_copy_in_a_bucket_is_packed_and_only_the_engines_image_has_the_credentials() {
    for encryption in [Value::Null, json!({"secretRef": {"name": "backup-keys"}})] {
        let mut backup = backup();
        backup.spec.bucket = Some(place::fixture::bucket());
        backup.spec.encryption = serde_json::from_value(encryption.clone()).unwrap();
        let job = made_of(&backup, None);
        let pod = &job["spec"]["template"]["spec"];
        let names: Vec<&str> = all(pod).into_iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["copy", "seal", "open", "unpack", "restore", "scratch", "verify"]);
        assert_eq!(having(pod, "bucket"), ["seal", "open"], "nobody else has the credentials");
        assert!(!pod.to_string().contains("persistentVolumeClaim"), "{pod}");
        for (at, command) in [(1, "store-copy"), (2, "fetch-copy")] {
            let args: Vec<&str> = pod["initContainers"][at]["args"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert_eq!((args[0], &args[1..7]), (command, place::fixture::FLAGS.as_slice()));
            assert_eq!(args.contains(&"--must-be-sealed"), at == 2 && !encryption.is_null());
            assert_eq!(args.iter().any(|arg| arg.starts_with("--keys-dir")), !encryption.is_null());
        }
    }
}

/// Another pod's volume is on its node; a bucket is everywhere.
#[test]
fn only_a_volume_that_the_server_has_too_ties_the_job_to_its_node() {
    let bucket = place::fixture::spec();
    for (of_copy, of_log, expected) in [
        (json!(null), json!(null), true),
        (json!(null), bucket.clone(), false),
        (bucket.clone(), json!(null), false),
        (bucket.clone(), bucket.clone(), false),
    ] {
        let mut backup = backup();
        backup.spec.bucket = serde_json::from_value(of_copy).unwrap();
        let platform = fixture::platform(json!({"postgres": {"managed": {"archive": {"bucket": of_log}}}}));
        let postgres = platform.spec.postgres.managed.clone().unwrap();
        let job = serde_json::to_value(job(
            &backup,
            &platform,
            &postgres,
            &fixture::settings(),
            (None, &Base::Nothing),
        ))
        .unwrap();
        assert_eq!(job["spec"]["template"]["spec"].get("affinity").is_some(), expected, "{job}");
    }
}

#[test]
fn objects_are_kept_where_the_copy_is() {
    let mut backup = backup();
    backup.spec.bucket = Some(place::fixture::bucket());
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let postgres = platform.spec.postgres.managed.clone().unwrap();
    let mut job = job(&backup, &platform, &postgres, &fixture::settings(), (None, &Base::Nothing));
    objects::add(&mut job, &backup, &platform, &fixture::settings());
    let job = serde_json::to_value(job).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(having(pod, "bucket"), ["keep-objects", "seal", "open"]);
    let args: Vec<&str> =
        pod["initContainers"][1]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((args[0], &args[1..7]), ("store-objects", place::fixture::FLAGS.as_slice()));
}

#[test]
fn a_copy_that_builds_on_another_is_packed_and_one_that_cannot_remembers_why() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let postgres = platform.spec.postgres.managed.clone().unwrap();
    let made = |base: &Base| {
        let made = job(&backup(), &platform, &postgres, &fixture::settings(), (Some("7:ab"), base));
        serde_json::to_value(made).unwrap()
    };
    let onto = made(&Base::Copy { name: "before".into(), uid: "b-0".into() });
    let pod = &onto["spec"]["template"]["spec"];
    let names: Vec<&str> = all(pod).into_iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["copy", "seal", "open", "unpack", "restore", "scratch", "verify"]);
    let args = pod["initContainers"][1]["args"].as_array().unwrap();
    assert!(args.contains(&json!("--parent=before:b-0")), "{args:?}");
    assert_eq!(onto["metadata"]["annotations"], json!({"payplane.io/head": "7:ab"}));

    let full = made(&Base::Unfit("Backup \"before\" has not succeeded.".into()));
    assert!(!full.to_string().contains("--parent"), "{full}");
    assert_eq!(
        full["metadata"]["annotations"]["payplane.io/full-because"],
        "Backup \"before\" has not succeeded."
    );
}
