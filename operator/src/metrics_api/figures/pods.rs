//! Each engine's share of a figure, for those of a namespace that somebody chooses by labels or by name.
//!
//! Order: the chosen engines are listed; for each Platform that they belong to, all of its engines are read, as for the sum, with
//! the same memory; each chosen one gets its share. Bounds: [`PODS_MAX`] engines. Guarantee: there is a share of every chosen
//! engine that is ready, and all engines of its Platform that are ready have spoken, or there is none at all. An engine that is
//! not ready has one if it speaks; without, an autoscaler takes it for idle before it adds pods, and for busy before it takes
//! some away.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use payplane_crds::scaling_policy::EngineFigure;

use super::{Figures, Refusal, is_silent, measured, stays};
use crate::{
    api,
    error::Error,
    meta,
    metrics_api::{documents::OfPod, question::Chosen},
    platform::ENGINE,
    scrape::{self, PODS_MAX},
    telemetry,
};

/// Label of a Platform's pods: its name.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// An engine that was chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Engine {
    uid: String,
    name: String,
    is_ready: bool,
}

impl Figures {
    /// A figure of each chosen engine.
    ///
    /// # Errors
    /// Why there is none, in words that an autoscaler repeats to people.
    pub async fn measure_pods(
        &self,
        namespace: &str,
        chosen: &Chosen,
        figure: EngineFigure,
    ) -> Result<Vec<OfPod>, Refusal> {
        self.serves(namespace)?;
        let mut shares = Vec::new();
        for (platform, engines) in self.choose(namespace, chosen).await? {
            shares.extend(self.shares(namespace, &platform, &engines, figure).await?);
        }
        if shares.is_empty() {
            return Err(none_chosen(namespace));
        }
        Ok(shares)
    }

    /// The chosen engines by their Platform.
    async fn choose(
        &self,
        namespace: &str,
        chosen: &Chosen,
    ) -> Result<BTreeMap<String, Vec<Engine>>, Refusal> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let found = api::call("list the engines", pods.list(&list(chosen))).await;
        let found = found.map_err(|error| refusal(&error, chosen))?;
        if found.metadata.continue_.is_some_and(|more| !more.is_empty()) {
            return Err(Refusal::bad_request(format!(
                "More than {PODS_MAX} engines have these labels; give those of one Platform."
            )));
        }
        Ok(by_platform(found.items, chosen.platform.as_deref()))
    }

    async fn shares(
        &self,
        namespace: &str,
        platform: &str,
        chosen: &[Engine],
        figure: EngineFigure,
    ) -> Result<Vec<OfPod>, Refusal> {
        let engines = self.engines(namespace, platform);
        let mut engines = engines.lock().await;
        self.prepare(&mut engines, namespace, platform, figure).await?;
        let is_new = |engine: &Engine| engine.is_ready && engines.share(&engine.uid, figure).is_none();
        if chosen.iter().any(is_new) {
            // It has become ready since the last reading.
            self.refresh(&mut engines, namespace, platform, Duration::ZERO).await?;
        }
        let share = |engine: &Engine| match engines.share(&engine.uid, figure) {
            Some(found) => {
                Some(Ok(OfPod { pod: engine.name.clone(), measured: measured(platform, figure, found) }))
            }
            None if engine.is_ready => Some(Err(is_silent(&engine.name, namespace, platform))),
            None => None,
        };
        chosen.iter().filter_map(share).collect()
    }
}

/// Whoever asks chooses among engines, and nothing else of the namespace.
fn list(chosen: &Chosen) -> ListParams {
    let mut engines = meta::selector("", ENGINE);
    engines.remove(INSTANCE);
    let mut labels: Vec<_> = engines.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.extend((!chosen.labels.is_empty()).then(|| chosen.labels.clone()));
    let limit = u32::try_from(PODS_MAX).unwrap_or(u32::MAX);
    let list = ListParams::default().labels(&labels.join(",")).limit(limit);
    match &chosen.name {
        Some(name) => list.fields(&format!("metadata.name={name}")),
        None => list,
    }
}

fn refusal(error: &Error, chosen: &Chosen) -> Refusal {
    let told = telemetry::chain(error);
    if api::is_status(error, 400) {
        return Refusal::bad_request(format!(
            "The label selector {:?} cannot be read: {told}",
            chosen.labels
        ));
    }
    Refusal::unavailable(told)
}

fn by_platform(pods: Vec<Pod>, only: Option<&str>) -> BTreeMap<String, Vec<Engine>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for pod in pods.into_iter().filter(stays) {
        let Some(platform) = pod.labels().get(INSTANCE).cloned() else { continue };
        if only.is_none_or(|only| only == platform) {
            let engine = Engine {
                uid: pod.uid().unwrap_or_default(),
                name: pod.name_any(),
                is_ready: scrape::is_ready(&pod),
            };
            found.entry(platform).or_default().push(engine);
        }
    }
    found
}

fn none_chosen(namespace: &str) -> Refusal {
    Refusal::not_found(format!(
        "No engine in namespace {namespace:?} with this name or these labels has figures; see kubectl get pods -n {namespace} \
         -l app.kubernetes.io/component={ENGINE}."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_asks_chooses_among_engines_only() {
        let engines = "app.kubernetes.io/component=engine,app.kubernetes.io/name=payplane-engine";
        let chosen = |labels: &str, name: Option<&str>| Chosen {
            labels: labels.into(),
            name: name.map(String::from),
            platform: None,
        };
        for (asked, labels, fields) in [
            (chosen("", None), engines.to_owned(), None),
            (chosen("a in (b,c)", None), format!("{engines},a in (b,c)"), None),
            (chosen("", Some("engine-0")), engines.to_owned(), Some("metadata.name=engine-0")),
        ] {
            let list = list(&asked);
            assert_eq!(list.label_selector, Some(labels), "{asked:?}");
            assert_eq!(list.field_selector.as_deref(), fields, "{asked:?}");
        }
    }

    #[test]
    fn engines_are_told_apart_by_their_platform_and_one_that_ends_is_none() {
        let pod = |name: &str, platform: Option<&str>, ends: Option<&str>| -> Pod {
            let labels = platform.map(|platform| json!({INSTANCE: platform}));
            serde_json::from_value(json!({
                "metadata": {"name": name, "uid": name, "labels": labels, "deletionTimestamp": ends},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }))
            .unwrap()
        };
        let pods = || {
            let ends = Some("2026-11-22T00:00:00Z");
            let (one, other) = (Some("one"), Some("other"));
            vec![
                pod("a", one, None),
                pod("b", other, None),
                pod("c", one, None),
                pod("d", one, ends),
                pod("e", None, None),
            ]
        };
        let names = |only| -> Vec<(String, Vec<String>)> {
            let found = by_platform(pods(), only).into_iter();
            found
                .map(|(platform, engines)| {
                    (platform, engines.into_iter().map(|engine| engine.name).collect())
                })
                .collect()
        };
        let one = || ("one".to_owned(), vec!["a".to_owned(), "c".to_owned()]);
        assert_eq!(names(None), [one(), ("other".to_owned(), vec!["b".to_owned()])]);
        assert_eq!(names(Some("one")), [one()]);
        assert!(names(Some("none")).is_empty());
    }
}
