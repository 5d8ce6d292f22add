//! What tests of other operators' kinds share: their real CRDs, and how what was written is held against what is stored.

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{conditions, wait::await_condition},
};
use payplane_crds::Platform;
use payplane_operator::{controllers::Reconciled, error::Error};
use serde_json::Value;

use super::{Place, own::cache, support::within};

/// The CRDs of an operator, as its own packages have them.
pub fn crds(operator: &str) -> Vec<Value> {
    let folder = cache().join("foreign-crds").join(operator);
    let files = std::fs::read_dir(&folder)
        .unwrap_or_else(|_| panic!("no CRDs in {}: run tests/foreign/crds.sh once", folder.display()));
    let is_yaml = |path: &Path| path.extension().is_some_and(|extension| extension == "yaml");
    let read = |path: &Path| serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.map(|file| file.unwrap().path()).filter(|path| is_yaml(path)).map(|path| read(&path)).collect()
}

/// Makes the API server serve it.
pub async fn install(client: &Client, crd: &Value) {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let name = crd["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("payplane-tests").force();
    crds.patch(name, &params, &Patch::Apply(crd)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    within("a CRD is served", await_condition(crds, name, conditions::is_crd_established())).await.unwrap();
}

impl Place {
    /// Objects of another operator's kind.
    pub fn foreign(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Reconciles a Platform that has to be looked at again by itself, because what it waits for is not watched.
    pub async fn refused(&self, name: &str) -> Platform {
        let platform = self.platforms.get(name).await.unwrap();
        let error = Box::pin(platform.reconcile(&self.context)).await.unwrap_err();
        assert!(matches!(error, Error::Missing), "{error:?}");
        self.platforms.get(name).await.unwrap()
    }
}

/// Says what became of an object, as its operator would.
pub async fn becomes(objects: &Api<DynamicObject>, name: &str, status: &Value) {
    let patch = Patch::Merge(serde_json::json!({"status": status}));
    objects.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Asserts that every field that was meant is stored as it was meant, that the schema of the kind knows each, and that nothing
/// is ours beside these. Gives how many there are.
pub async fn assert_stored(objects: &Api<DynamicObject>, name: &str, spec: &Value) -> usize {
    let live = objects.get(name).await.unwrap();
    let mut found = Vec::new();
    compare(&live.data["spec"], spec, "spec", &mut found);
    let wrong: Vec<&String> = found.iter().filter_map(|leaf| leaf.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    // Strictly, as somebody who has never applied anything to it: a field that is unknown would be an error.
    let types = live.types.clone().unwrap();
    let body = serde_json::json!({
        "apiVersion": types.api_version, "kind": types.kind, "metadata": {"name": name}, "spec": spec,
    });
    let strict = PatchParams::apply("payplane-tests").force().dry_run().validation_strict();
    objects.patch(name, &strict, &Patch::Apply(&body)).await.unwrap();
    let ours = live.managed_fields().iter().find(|entry| {
        entry.manager.as_deref() == Some("payplane-operator") && entry.operation.as_deref() == Some("Apply")
    });
    let owned = ours.and_then(|entry| entry.fields_v1.clone()).unwrap().0["f:spec"].clone();
    let mut unmeant = Vec::new();
    beyond(&owned, spec, "spec", &mut unmeant);
    assert!(unmeant.is_empty(), "{name} has fields of ours that were not meant: {unmeant:#?}");
    found.len()
}

fn compare(live: &Value, meant: &Value, path: &str, found: &mut Vec<Result<(), String>>) {
    match (live, meant) {
        (Value::Object(live), Value::Object(meant)) if !meant.is_empty() => {
            for (key, meant) in meant {
                compare(live.get(key).unwrap_or(&Value::Null), meant, &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(live), Value::Array(meant)) if live.len() == meant.len() => {
            for (index, (live, meant)) in live.iter().zip(meant).enumerate() {
                compare(live, meant, &format!("{path}[{index}]"), found);
            }
        }
        (live, meant) if live == meant => found.push(Ok(())),
        (live, meant) => found.push(Err(format!("{path}: {meant} was meant, {live} is stored"))),
    }
}

/// Fields that a manager owns and that were not meant. Elements of lists are compared above.
fn beyond(owned: &Value, meant: &Value, path: &str, unmeant: &mut Vec<String>) {
    let Some(owned) = owned.as_object() else { return };
    for (key, owned) in owned {
        let Some(name) = key.strip_prefix("f:") else { continue };
        match meant.get(name) {
            Some(meant) => beyond(owned, meant, &format!("{path}.{name}"), unmeant),
            None => unmeant.push(format!("{path}.{name}")),
        }
    }
}
