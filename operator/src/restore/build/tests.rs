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
fn a_ledger_is_handed_over_to_another_platform_and_to_no_other() {
    for (into, expected) in [
        (json!({"platform": {"name": "new"}}), Some("--platform=pay/new")),
        (json!({"platform": {"name": "main"}}), None),
        (json!({"drill": true}), None),
    ] {
        let job = made(into.clone(), json!({}));
        let steps = job["spec"]["template"]["spec"]["initContainers"].as_array().unwrap();
        let args = steps.iter().find(|one| one["name"] == "adopt").unwrap()["args"].as_array().unwrap();
        let mut found = args.iter().filter_map(Value::as_str).filter(|one| one.starts_with("--platform"));
        assert_eq!(found.next(), expected, "{into}");
    }
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
    let backup: Backup = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup", "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}},
    }))
    .unwrap();
    let source = Source {
        backup: &backup,
        postgres: None,
        engine_image: None,
        keys: Keys::default(),
        makes_volume: true,
        makes_secret: true,
    };
    let made = job(&restore, &source, &fixture::settings());
    let volume = serde_json::to_value(volume(&restore, &into, &source, &fixture::settings())).unwrap();
    assert_eq!(volume["metadata"]["name"], "data-new-postgres-0");
    let annotations = json!({"payplane.io/restore": "r-1", "payplane.io/postgres-image": "postgres:17"});
    assert_eq!(volume["metadata"]["annotations"], annotations);
    assert_eq!(image_of(&made), Some("postgres:17"), "what a server of the volume has to be like");
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

/// Variables of a container, and the folder that a server serves.
fn variables(container: &Value) -> Value {
    let all = container["env"].as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap().to_owned(), one["value"].clone())).collect()
}

#[test]
fn in_place_the_ledger_is_made_beside_and_the_one_of_before_is_kept() {
    let archive = json!({"managed": {"archive": {}}});
    let platform = fixture::platform(json!({ "postgres": archive }));
    let backup: Backup = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup", "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}}, "status": {"state": "Succeeded"},
    }))
    .unwrap();
    let built = |into: Value| {
        let restore = restore(json!({ "platform": into }), json!({}));
        let source = Source {
            backup: &backup,
            postgres: platform.spec.postgres.managed.as_ref(),
            engine_image: None,
            keys: Keys::default(),
            makes_volume: false,
            makes_secret: false,
        };
        serde_json::to_value(job(&restore, &source, &fixture::settings())).unwrap()["spec"]["template"]["spec"].take()
    };
    let pod = built(json!({"name": "main", "replace": "c-1"}));
    let steps = pod["initContainers"].as_array().unwrap();
    for step in [&steps[0], &steps[1], &pod["containers"][0]] {
        let told = variables(step);
        assert_eq!(told["LEDGER"], "/target/ledger.restored", "{step}");
        assert_eq!(told["KEPT"], "/target/ledger.replaced-r-1", "{step}");
    }
    assert_eq!(steps[2]["command"][2], "/target/ledger.restored");
    assert_eq!(pod.get("affinity"), None, "the server that it would be beside is stopped");
    let beside = built(json!({"name": "new"}));
    assert!(beside["affinity"].is_object());
    assert_eq!(beside["initContainers"][2]["command"][2], "/target/ledger");
    assert_eq!(variables(&beside["containers"][0])["KEPT"], "");
}

#[test]
fn what_undoes_it_has_the_same_folders_and_is_tried_again() {
    let restore = restore(json!({"platform": {"name": "main", "replace": "c-1"}}), json!({}));
    let into = restore.spec.into.platform.clone().unwrap();
    let job = serde_json::to_value(undo::undo(&restore, &into, None, &fixture::settings())).unwrap();
    assert_eq!(job["metadata"]["name"], "back-undo");
    assert_eq!(job["metadata"]["labels"]["payplane.io/restore"], "back", "its end wakes the Restore");
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "r-1");
    assert_eq!(job["spec"]["backoffLimit"], 6);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-main-postgres-0");
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        variables(&pod["containers"][0]),
        json!({"LEDGER": "/target/ledger.restored", "KEPT": "/target/ledger.replaced-r-1"})
    );
}

/// The two scripts on a folder of this machine, ended after so many of their lines.
mod scripts {
    use std::{fs, path::Path, process::Command};

    /// Runs a script on this volume, as far as its so many last commands not. True if it came to its end.
    pub fn run(text: &str, volume: &Path, commands: usize) -> bool {
        let place = volume.to_str().unwrap();
        let text = text.replace("/target", place).replace("sync", ":");
        // Ends like a pod that is killed before the command of this number.
        let guard = format!(
            "left={commands}; guard() {{ [ $left -gt 0 ] || exit 9; left=$((left - 1)); }}; \
             mv() {{ guard; command mv \"$@\"; }}; mkdir() {{ guard; command mkdir \"$@\"; }}; \
             rm() {{ guard; command rm \"$@\"; }}\n"
        );
        let status = Command::new("sh")
            .args(["-c", &format!("{guard}{text}")])
            .env("LEDGER", volume.join("ledger.restored"))
            .env("KEPT", volume.join("ledger.replaced-r-1"))
            .status()
            .unwrap();
        assert!(status.success() || status.code() == Some(9), "{status}");
        status.success()
    }

    /// What is on the volume: each name with the text in it.
    pub fn on(volume: &Path) -> Vec<String> {
        let mut found: Vec<String> = fs::read_dir(volume)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let said = fs::read_to_string(entry.path().join("PG_VERSION")).unwrap_or_default();
                format!("{}={said}", entry.file_name().into_string().unwrap())
            })
            .collect();
        found.sort();
        found
    }

    /// A volume with a ledger, one that was restored beside it, and the mark.
    pub fn volume(name: &str, has_ledger: bool) -> std::path::PathBuf {
        let volume = std::env::temp_dir().join(format!("payplane-in-place-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&volume);
        let ledgers = [("ledger", "old"), ("ledger.restored", "new")];
        for (folder, text) in ledgers.into_iter().filter(|(_, text)| has_ledger || *text == "new") {
            fs::create_dir_all(volume.join(folder)).unwrap();
            fs::write(volume.join(folder).join("PG_VERSION"), text).unwrap();
        }
        fs::write(volume.join("ledger.restoring"), "").unwrap();
        volume
    }
}

#[test]
fn a_ledger_is_whole_in_its_place_or_was_never_touched_wherever_the_scripts_end() {
    const NEVER: usize = 99;
    let volume = scripts::volume("done", true);
    assert!(scripts::run(RELEASE, &volume, NEVER));
    assert_eq!(scripts::on(&volume), ["ledger.replaced-r-1=old", "ledger=new"]);
    let mut ended = 0;
    for has_ledger in [true, false] {
        let before: &[&str] = if has_ledger { &["ledger=old"] } else { &["ledger="] };
        for (at, again) in (0..4).flat_map(|at| (0..5).map(move |again| (at, again))) {
            let volume = scripts::volume("ended", has_ledger);
            if scripts::run(RELEASE, &volume, at) {
                continue;
            }
            ended += 1;
            let on = scripts::on(&volume);
            assert!(on.contains(&"ledger.restoring=".into()), "a database could start: {on:?}");
            // What brings it back is ended as well, and begins anew.
            if !scripts::run(UNDO, &volume, again) {
                assert!(scripts::on(&volume).contains(&"ledger.restoring=".into()));
                assert!(scripts::run(UNDO, &volume, NEVER));
            }
            let after = scripts::on(&volume);
            // Where there was none, an empty folder is as good.
            assert!(after == before || (!has_ledger && after.is_empty()), "{at} {again}: {after:?}");
            std::fs::remove_dir_all(&volume).unwrap();
        }
    }
    assert_eq!(
        ended,
        2 * 3 * 5,
        "each of the three commands that change something was the first not to come"
    );
    std::fs::remove_dir_all(&volume).unwrap();
}

#[test]
fn a_copy_that_may_build_on_others_is_opened_first() {
    let spec = json!({"platformRef": {"name": "main"}, "parentRef": {"name": "before"}});
    let job = made_from(json!({"platform": {"name": "new"}}), json!({}), Keys::default(), spec);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(names_of(&pod["initContainers"])[..3], ["open", "unpack", "prepare"]);
    assert!(pod["initContainers"][0]["args"].to_string().contains("--folder=/copies"));
}
