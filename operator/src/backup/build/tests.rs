use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

fn backup() -> Backup {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay", "uid": "b-1"},
        "spec": {"platformRef": {"name": "main"}, "deadlineSeconds": 600},
    }))
    .unwrap()
}

fn made(head: Option<&str>) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let postgres = platform.spec.postgres.managed.clone().unwrap();
    serde_json::to_value(job(&backup(), &platform, &postgres, &fixture::settings(), head)).unwrap()
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
