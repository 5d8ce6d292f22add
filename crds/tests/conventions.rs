//! What holds for every kind, kinds that are added later included, and that the page tells it as it is.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use payplane_crds::{all, conventions};
use serde_json::Value;

#[test]
fn the_page_has_the_table_of_the_kinds_as_they_are() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conventions.md");
    let page = fs::read_to_string(page).unwrap();
    let expected = conventions::with_table(&page, &all()).expect("the page has a place for the table");
    assert!(page == expected, "docs/conventions.md is old: run `make generate`");
}

fn schema(crd: &CustomResourceDefinition) -> Value {
    serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].clone()
}

#[test]
fn every_kind_has_a_short_name_of_its_own_the_category_and_columns_that_answer_first() {
    let mut seen = BTreeMap::new();
    for crd in all() {
        let kind = crd.spec.names.kind.clone();
        let short = crd.spec.names.short_names.clone().unwrap_or_default();
        assert!(!short.is_empty(), "{kind} has no short name");
        for name in short {
            assert_eq!(
                seen.insert(name.clone(), kind.clone()),
                None,
                "{kind} takes a name that is taken: {name}"
            );
        }
        assert_eq!(crd.spec.names.categories.as_deref(), Some(&["payplane".to_owned()][..]), "{kind}");
        let columns = crd.spec.versions[0].additional_printer_columns.clone().unwrap_or_default();
        let has = |name: &str, wide: bool| {
            columns.iter().any(|column| column.name == name && (column.priority == Some(1)) == wide)
        };
        assert!(
            has("Age", false) && ["Ready", "Reason", "State"].into_iter().any(|name| has(name, false)),
            "{kind}: {columns:?}"
        );
        assert!(has("Message", true), "{kind} tells its message with -o wide");
    }
}

#[test]
fn every_status_is_a_subresource_with_generation_and_conditions_by_type() {
    for crd in all() {
        let kind = crd.spec.names.kind.clone();
        let version = &crd.spec.versions[0];
        assert!(version.subresources.as_ref().is_some_and(|found| found.status.is_some()), "{kind}");
        let status = &schema(&crd)["properties"]["status"]["properties"];
        assert_eq!(status["observedGeneration"]["type"], "integer", "{kind}");
        let conditions = &status["conditions"];
        assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]), "{kind}");
        assert!(conditions["items"]["properties"]["observedGeneration"].is_object(), "{kind}");
        let told = conditions["description"].as_str().unwrap();
        for type_ in ["Ready", "Reconciling", "Stalled"] {
            assert!(told.contains(type_), "{kind} does not say that it has {type_}: {told}");
        }
    }
}

#[test]
fn every_string_list_and_map_of_a_status_is_bounded() {
    for crd in all() {
        let kind = crd.spec.names.kind.clone();
        let mut properties = schema(&crd)["properties"]["status"]["properties"].clone();
        // Kubernetes' own type; how many there are is bounded.
        let conditions = properties.as_object_mut().unwrap().remove("conditions").unwrap();
        assert!(conditions["maxItems"].is_number(), "{kind}");
        let mut unbounded = Vec::new();
        for (name, property) in properties.as_object().unwrap() {
            look_for_unbounded(property, &format!("{kind}.status.{name}"), &mut unbounded);
        }
        assert_eq!(unbounded, [""; 0]);
    }
}

fn look_for_unbounded(schema: &Value, path: &str, found: &mut Vec<String>) {
    let has = |bound: &str| schema.get(bound).is_some();
    let is_bounded = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum") || schema["format"] == "date-time",
        Some("array") => has("maxItems"),
        Some("object") => !has("additionalProperties") || has("maxProperties"),
        _ => true,
    };
    found.extend((!is_bounded).then(|| path.to_owned()));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        look_for_unbounded(property, &format!("{path}.{name}"), found);
    }
    for inner in
        ["items", "additionalProperties"].map(|inner| &schema[inner]).into_iter().filter(|s| s.is_object())
    {
        look_for_unbounded(inner, &format!("{path}[]"), found);
    }
}

/// What is paid, decided or copied cannot change; of what lives on, what it is cannot.
#[test]
fn every_kind_says_what_of_it_cannot_change() {
    // Everything may change: it is a set of rules about other objects, and none of it is an identity.
    let free = ["ScalingPolicy", "Platform"];
    for crd in all() {
        let kind = &*crd.spec.names.kind;
        let rules = serde_json::to_string(&schema(&crd)).unwrap().contains("oldSelf");
        assert!(rules || free.contains(&kind), "{kind} has no rule of change");
    }
}

#[test]
fn every_rule_says_in_words_what_is_wrong() {
    fn look(schema: &Value, path: &str) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let told = rule["message"].as_str().or(rule["messageExpression"].as_str()).unwrap_or_default();
            assert!(10 < told.len(), "{path} has a rule without words: {rule}");
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            look(property, &format!("{path}.{name}"));
        }
        if schema["items"].is_object() {
            look(&schema["items"], &format!("{path}[]"));
        }
    }
    for crd in all() {
        look(&schema(&crd), &crd.spec.names.kind);
    }
}
