//! The health scripts for Argo CD, run by a real Lua against every state that an object can show.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use mlua::{Lua, Table, Value as LuaValue};
use serde_json::{Value, json};
use support::in_namespace;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn script() -> String {
    fs::read_to_string(root().join("docs/argocd/health.lua")).unwrap()
}

/// JSON as Argo CD hands it to Lua.
fn to_lua(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(value.as_f64().unwrap()),
        Value::String(value) => LuaValue::String(lua.create_string(value).unwrap()),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_lua(lua, item));
            LuaValue::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), to_lua(lua, value)));
            LuaValue::Table(lua.create_table_from(fields).unwrap())
        }
    }
}

/// Health and message of an object, by the script.
fn health(object: &Value) -> (String, String) {
    let lua = Lua::new();
    lua.globals().set("obj", to_lua(&lua, object)).unwrap();
    let answer: Table = lua.load(script()).eval().unwrap();
    (answer.get("status").unwrap(), answer.get("message").unwrap())
}

/// An object of generation 2 with these conditions, such as "Ready=True:Completed".
fn object(observed: Option<i64>, conditions: &[&str]) -> Value {
    let condition = |text: &&str| {
        let (type_, rest) = text.split_once('=').unwrap();
        let (status, reason) = rest.split_once(':').unwrap();
        json!({"type": type_, "status": status, "reason": reason, "message": "why"})
    };
    let conditions: Vec<_> = conditions.iter().map(condition).collect();
    json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Any", "metadata": {"name": "a", "generation": 2},
        "status": {"observedGeneration": observed, "conditions": conditions},
    })
}

/// Name, observed generation, conditions; health, and what the message says.
type Case<'a> = (&'a str, Option<i64>, &'a [&'a str], &'a str, &'a str);

#[test]
fn health_follows_from_conditions_and_only_stalled_is_degraded() {
    let unknown = ["Ready=Unknown:Pending"];
    let ready = ["Ready=True:AsSpecified", "Reconciling=False:AsSpecified", "Stalled=False:AsSpecified"];
    let waiting = ["Ready=False:NoTenant", "Reconciling=True:NoTenant", "Stalled=False:NoTenant"];
    let stalled = ["Ready=False:Invalid", "Reconciling=False:Invalid", "Stalled=True:Invalid"];
    let paid = [
        "Ready=True:Completed",
        "Stalled=False:Completed",
        "Settled=True:Completed",
        "Succeeded=True:Completed",
    ];
    let refused = [
        "Ready=False:InsufficientFunds",
        "Reconciling=False:InsufficientFunds",
        "Stalled=False:InsufficientFunds",
        "Settled=True:InsufficientFunds",
        "Succeeded=False:InsufficientFunds",
    ];
    let held = ["Ready=True:Held", "Reconciling=False:Held", "Stalled=False:Held", "Settled=False:Held"];
    let refused_capture =
        ["Ready=False:WalletFrozen", "Reconciling=False:WalletFrozen", "Stalled=False:WalletFrozen"];
    let paused = ["Ready=True:Suspended", "Stalled=False:Suspended", "Suspended=True:Suspended"];
    let stopped = ["Ready=False:InsufficientFunds", "Stalled=False:X", "Suspended=True:InsufficientFunds"];
    let broken_and_paused = ["Ready=False:Invalid", "Stalled=True:Invalid", "Suspended=True:Suspended"];
    let cases: [Case; 14] = [
        ("fresh", None, &unknown, "Progressing", "not looked"),
        ("nothing at all", None, &[], "Progressing", "not looked"),
        ("ready", Some(2), &ready, "Healthy", "AsSpecified: why"),
        ("changed since", Some(1), &ready, "Progressing", "latest change"),
        ("stalled before a change", Some(1), &stalled, "Progressing", "latest change"),
        ("waiting", Some(2), &waiting, "Progressing", "NoTenant: why"),
        ("stalled", Some(2), &stalled, "Degraded", "Invalid: why"),
        ("paid", Some(2), &paid, "Healthy", "Completed: why"),
        ("refused", Some(2), &refused, "Healthy", "InsufficientFunds: why"),
        ("held", Some(2), &held, "Healthy", "Held: why"),
        ("a capture refused", Some(2), &refused_capture, "Healthy", "WalletFrozen: why"),
        ("paused", Some(2), &paused, "Suspended", "Suspended: why"),
        ("stopped", Some(2), &stopped, "Suspended", "InsufficientFunds: why"),
        ("broken while paused", Some(2), &broken_and_paused, "Degraded", "Invalid: why"),
    ];
    for (name, observed, conditions, status, says) in cases {
        let (found, message) = health(&object(observed, conditions));
        assert_eq!(found, status, "{name}");
        assert!(message.contains(says), "{name}: {message}");
    }
}

#[test]
fn an_object_without_status_or_on_its_way_out_is_progressing() {
    let bare = json!({"kind": "Any", "metadata": {"name": "a", "generation": 1}});
    assert_eq!(health(&bare).0, "Progressing");
    let mut leaving = object(Some(2), &["Ready=True:AsSpecified"]);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z");
    assert_eq!(health(&leaving).0, "Progressing");
}

/// What the API server puts into the status of an object that nobody has looked at.
#[test]
fn the_schemas_own_first_status_of_every_kind_is_progressing() {
    for crd in payplane_crds::all() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let status = schema["openAPIV3Schema"]["properties"]["status"]["default"].clone();
        let fresh = json!({"kind": crd.spec.names.kind, "metadata": {"generation": 1}, "status": status});
        assert_eq!(health(&fresh).0, "Progressing", "{}", crd.spec.names.kind);
    }
}

#[test]
fn the_settings_to_install_have_every_kind_and_this_very_script() {
    let text = fs::read_to_string(root().join("docs/argocd/argocd-cm.yaml")).unwrap();
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let data = config["data"].as_object().unwrap();
    let wanted: BTreeSet<_> = payplane_crds::all()
        .iter()
        .map(|crd| format!("resource.customizations.health.{}_{}", crd.spec.group, crd.spec.names.kind))
        .collect();
    let found: BTreeSet<_> = data.keys().filter(|key| key.contains(".health.")).cloned().collect();
    assert_eq!(found, wanted);
    for key in wanted {
        assert_eq!(data[&key].as_str().unwrap().trim(), script().trim(), "{key}");
    }
}

#[tokio::test]
async fn the_command_to_install_keeps_what_else_is_set() {
    in_namespace("argocd", |client, namespace| async move {
        let maps = Api::<ConfigMap>::namespaced(client, &namespace);
        let theirs =
            json!({"metadata": {"name": "argocd-cm"}, "data": {"url": "https://argocd.example.com"}});
        maps.create(&Default::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();

        let page = fs::read_to_string(root().join("docs/argocd/README.md")).unwrap();
        let command = page.split("```sh\n").nth(1).unwrap().split("\n```").next().unwrap();
        let command = command.replace("-n argocd ", &format!("-n {namespace} "));
        let output = Command::new("bash").args(["-c", &command]).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let data = maps.get("argocd-cm").await.unwrap().data.unwrap();
        assert_eq!(data["url"], "https://argocd.example.com");
        assert_eq!(data["resource.customizations.health.payplane.io_Payment"].trim(), script().trim());
    })
    .await;
}
