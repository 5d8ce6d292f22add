//! Committed files equal what the types say, and every example is a valid object.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use payplane_crds::{
    Approval, Backup, BackupSchedule, Payment, Platform, Refund, Restore, ScalingPolicy, StandingOrder,
    Tenant, TenantBilling, TimeoutPolicy, Wallet, all, file_name, to_yaml,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn committed_crds_equal_the_types() {
    for folder in ["crds", "charts/payplane/files/crds"] {
        let folder = root().join(folder);
        let mut wanted = BTreeSet::new();
        for crd in all() {
            let committed = fs::read_to_string(folder.join(file_name(&crd))).unwrap_or_default();
            assert!(committed == to_yaml(&crd).unwrap(), "{} is old: run `make generate`", file_name(&crd));
            wanted.insert(file_name(&crd));
        }
        let found =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found: BTreeSet<_> = found.filter(|name| name.ends_with(".yaml")).collect();
        assert_eq!(found, wanted, "files without a kind in {}", folder.display());
    }
}

#[test]
fn every_status_begins_as_unknown() {
    for crd in all() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let status = &schema["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(status["default"]["conditions"][0]["status"], "Unknown", "{}", file_name(&crd));
        assert_eq!(
            status["properties"]["conditions"]["x-kubernetes-list-type"],
            "map",
            "{}",
            file_name(&crd)
        );
    }
}

#[test]
fn every_string_and_list_of_a_spec_is_bounded() {
    for crd in all() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        assert_bounded(spec, &format!("{} spec", file_name(&crd)));
    }
}

fn assert_bounded(schema: &Value, path: &str) {
    match schema["type"].as_str() {
        Some("string") => {
            let bounded = schema.get("maxLength").is_some() || schema.get("enum").is_some();
            assert!(bounded, "{path} has no maxLength");
        }
        Some("array") => {
            assert!(schema.get("maxItems").is_some(), "{path} has no maxItems");
            assert_bounded(&schema["items"], &format!("{path}[]"));
        }
        Some("object") if schema.get("additionalProperties").is_some() => {
            assert!(schema.get("maxProperties").is_some(), "{path} has no maxProperties");
        }
        _ => {}
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        assert_bounded(property, &format!("{path}.{name}"));
    }
}

#[test]
fn every_example_is_a_valid_object_without_unknown_fields() {
    let mut seen = 0;
    for document in example_documents() {
        match document["kind"].as_str() {
            Some("Platform") => round_trip::<Platform>(&document),
            Some("Tenant") => round_trip::<Tenant>(&document),
            Some("Wallet") => round_trip::<Wallet>(&document),
            Some("Payment") => round_trip::<Payment>(&document),
            Some("Refund") => round_trip::<Refund>(&document),
            Some("Backup") => round_trip::<Backup>(&document),
            Some("BackupSchedule") => round_trip::<BackupSchedule>(&document),
            Some("Restore") => round_trip::<Restore>(&document),
            Some("ScalingPolicy") => round_trip::<ScalingPolicy>(&document),
            Some("StandingOrder") => round_trip::<StandingOrder>(&document),
            Some("Approval") => round_trip::<Approval>(&document),
            Some("TimeoutPolicy") => round_trip::<TimeoutPolicy>(&document),
            Some("TenantBilling") => round_trip::<TenantBilling>(&document),
            Some("BillingPlan") => round_trip::<payplane_crds::BillingPlan>(&document),
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} examples were looked at");
}

fn example_documents() -> Vec<Value> {
    let mut documents = Vec::new();
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                documents.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
            }
        }
    }
    documents
}

/// What a type drops or renames on the way would be an unknown field to the API server.
fn round_trip<K: Serialize + DeserializeOwned>(document: &Value) {
    let parsed: K = serde_json::from_value(document.clone()).unwrap();
    let written = serde_json::to_value(&parsed).unwrap();
    assert_includes(&written, document, document["metadata"]["name"].as_str().unwrap());
}

fn assert_includes(whole: &Value, part: &Value, path: &str) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert_includes(&whole[name], value, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                assert_includes(&whole[index], item, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(whole, part, "{path}"),
    }
}
