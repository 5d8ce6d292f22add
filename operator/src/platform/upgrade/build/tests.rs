use serde_json::{Value, json};

use super::*;
use crate::platform::build::fixture;

fn pod(managed: Value) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": managed}}));
    let copy = Copy {
        spec: platform.spec.postgres.managed.as_ref().unwrap(),
        began: 0x1_000,
        from: "p:15".into(),
        image: "p:17".into(),
        to: 17,
        deadline_seconds: 600,
    };
    let job = job(&platform, &fixture::settings(), &fixture::names(), &copy, Some("engine:0".into()));
    assert_eq!(image_of(&job), Some("p:17"));
    let job = serde_json::to_value(job).unwrap();
    assert_eq!(job["metadata"]["name"], "main-upgrade-1000");
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "u-1");
    assert_eq!(
        (&job["spec"]["activeDeadlineSeconds"], &job["spec"]["backoffLimit"]),
        (&json!(600), &json!(0))
    );
    job["spec"]["template"]["spec"].clone()
}

fn all(pod: &Value) -> Vec<&Value> {
    ["initContainers", "containers"].iter().flat_map(|part| pod[part].as_array().unwrap()).collect()
}

#[test]
fn each_step_has_the_image_that_it_needs_and_the_last_one_alone_moves_folders() {
    let pod = pod(json!({}));
    let images: Vec<_> =
        all(&pod).iter().map(|one| (one["name"].as_str().unwrap(), one["image"].as_str().unwrap())).collect();
    assert_eq!(
        images,
        [
            ("prepare", "p:15"),
            ("serve-old", "p:15"),
            ("verify-before", "engine:0"),
            ("initialise", "p:17"),
            ("serve-new", "p:17"),
            ("copy", "p:17"),
            ("compare", "p:17"),
            ("verify", "engine:0"),
            ("release", "p:17"),
        ]
    );
    let told: Vec<_> =
        images.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("serve-")).collect();
    assert_eq!(told, STEPS.map(|(name, _)| name), "what is told of");
    let moves: Vec<_> = all(&pod)
        .iter()
        .filter(|one| one["command"].to_string().contains("mv "))
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(
        moves,
        ["prepare", "initialise", "release"],
        "the first what was left behind, the second what it made"
    );
    for one in all(&pod) {
        let env = one["env"].as_array().cloned().unwrap_or_default();
        let value = |name: &str| env.iter().find(|one| one["name"] == name).map(|one| one["value"].clone());
        if !one["name"].as_str().unwrap().starts_with("verify") {
            assert_eq!(value("LEDGER"), Some(json!("/target/ledger.restored")));
            assert_eq!(value("KEPT"), Some(json!("/target/ledger.replaced-upgrade-1000")));
        }
        assert_eq!(one["securityContext"]["readOnlyRootFilesystem"], true);
        let mounts = one["volumeMounts"].to_string();
        assert_eq!(
            mounts.contains("database-owner"),
            one["name"] == "initialise",
            "the owner's password: {one}"
        );
    }
}

#[test]
fn the_second_verification_wants_what_the_first_one_found() {
    let pod = pod(json!({}));
    let args = |name: &str| all(&pod).into_iter().find(|one| one["name"] == name).unwrap()["args"].clone();
    assert_eq!(
        args("verify-before"),
        json!([
            "verify",
            "--database-dir=/scratch/old",
            "--wait-seconds=600",
            "--summary-file=/scratch/before.json"
        ])
    );
    assert_eq!(
        args("verify"),
        json!([
            "verify",
            "--database-dir=/scratch/new",
            "--wait-seconds=600",
            "--same-as=/scratch/before.json",
            "--summary-file=/dev/termination-log"
        ])
    );
}

#[test]
fn nobody_writes_to_the_ledger_meanwhile_and_its_log_is_kept_where_it_is_stored() {
    for (managed, keeps_log) in [(json!({}), false), (json!({"archive": {}}), true)] {
        let pod = pod(managed);
        let server =
            |name: &str| all(&pod).into_iter().find(|one| one["name"] == name).unwrap()["command"].clone();
        let (old, new) = (server("serve-old"), server("serve-new"));
        assert_eq!((&old[2], &new[2]), (&json!("/served"), &json!("/served")));
        assert!(old.to_string().contains("default_transaction_read_only=on"));
        // Without a command segments wait for one.
        assert_eq!(
            old.to_string().contains("archive_mode=on\",\"-c\",\"archive_command=\""),
            keeps_log,
            "{old}"
        );
        assert!(new.to_string().contains("archive_mode=off"));
    }
}

#[test]
fn what_undoes_it_has_the_image_and_the_folders_of_before() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let job = serde_json::to_value(undo(&platform, &fixture::names(), 0x1_000, "p:15".into())).unwrap();
    assert_eq!(job["metadata"]["name"], "main-undo-1000");
    assert!(crate::platform::awaits(&serde_json::from_value(job["metadata"]["labels"].clone()).unwrap()));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "p:15");
    assert!(pod["containers"][0]["env"].to_string().contains("/target/ledger.replaced-upgrade-1000"));
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-main-postgres-0");
}

#[test]
fn a_server_keeps_its_folder_whatever_name_that_gets() {
    let pod = pod(json!({}));
    for (name, folder) in [("serve-old", "ledger"), ("serve-new", "ledger.restored")] {
        let server = all(&pod).into_iter().find(|one| one["name"] == name).unwrap();
        let mounts = server["volumeMounts"].as_array().unwrap();
        let of_volume: Vec<_> = mounts.iter().filter(|mount| mount["name"] == "target").collect();
        assert_eq!(of_volume, [&json!({"name": "target", "mountPath": "/served", "subPath": folder})]);
    }
}
