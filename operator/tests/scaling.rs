//! ScalingPolicies on the real API server: the tables of the examples field by field, conflicts, drift, clean-up.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use payplane_crds::ScalingPolicy;
use payplane_operator::{condition::find, context::Context};
use serde_json::{Value, json};
use support::{context, create, in_namespace, look, objects};

/// The kinds of one namespace.
struct Kinds {
    context: Context,
    client: Client,
    namespace: String,
    policies: Api<ScalingPolicy>,
    autoscalers: Api<HorizontalPodAutoscaler>,
    budgets: Api<PodDisruptionBudget>,
}

impl Kinds {
    fn new(client: Client, namespace: String) -> Self {
        Self {
            context: context(&client),
            policies: Api::namespaced(client.clone(), &namespace),
            autoscalers: Api::namespaced(client.clone(), &namespace),
            budgets: Api::namespaced(client.clone(), &namespace),
            client,
            namespace,
        }
    }

    /// Makes a workload of this kind, which runs nothing.
    async fn workload(&self, kind: &str, name: &str) {
        let spec = json!({
            "replicas": 0, "serviceName": if kind == "StatefulSet" { json!("none") } else { json!(null) },
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        });
        let body = json!({"metadata": {"name": name, "labels": {"tier": "all"}}, "spec": spec});
        let params = Default::default();
        match kind {
            "StatefulSet" => {
                let sets = Api::<StatefulSet>::namespaced(self.client.clone(), &self.namespace);
                drop(sets.create(&params, &serde_json::from_value(body).unwrap()).await.unwrap());
            }
            _ => {
                let deployments = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
                drop(deployments.create(&params, &serde_json::from_value(body).unwrap()).await.unwrap());
            }
        }
    }

    /// Makes a policy and lets it be reconciled.
    async fn policy(&self, name: &str, spec: Value) -> ScalingPolicy {
        let body = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name}, "spec": spec,
        });
        create(&objects(&self.client, "ScalingPolicy", &self.namespace), body).await.unwrap();
        self.look(name).await
    }

    async fn look(&self, name: &str) -> ScalingPolicy {
        look(&self.context, &self.policies, name).await.0
    }

    async fn autoscaler(&self, name: &str) -> Value {
        serde_json::to_value(self.autoscalers.get(name).await.unwrap().spec).unwrap()
    }
}

/// Status and reason of a condition.
fn told(policy: &ScalingPolicy, type_: &str) -> (String, String) {
    let conditions = &policy.status.as_ref().unwrap().conditions;
    let found = find(conditions, type_).unwrap_or_else(|| panic!("{}: no {type_}", policy.name_any()));
    (found.status.clone(), found.reason.clone())
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.into(), reason.into())
}

fn utilization(name: &str, percent: i32) -> Value {
    json!({"type": "Resource", "resource": {
        "name": name, "target": {"type": "Utilization", "averageUtilization": percent},
    }})
}

async fn apply_example(kinds: &Kinds, text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for mut document in serde_saphyr::from_multiple::<Value>(text).unwrap() {
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        kinds.workload("Deployment", &name).await;
        document["metadata"]["namespace"] = kinds.namespace.clone().into();
        create(&objects(&kinds.client, "ScalingPolicy", &kinds.namespace), document).await.unwrap();
        names.push(name);
    }
    names
}

#[tokio::test]
async fn the_table_of_eleven_services_becomes_what_it_says() {
    in_namespace("services", |client, namespace| async move {
        let kinds = Kinds::new(client, namespace);
        let (cpu, both) =
            (vec![utilization("cpu", 60)], vec![utilization("cpu", 60), utilization("memory", 80)]);
        let table = [
            ("api-gateway", 2, 10, 2, vec![utilization("cpu", 70)]),
            ("auth-service", 2, 8, 2, cpu.clone()),
            ("tenant-service", 2, 8, 2, cpu.clone()),
            ("billing-service", 2, 8, 2, cpu.clone()),
            ("metering-service", 2, 6, 1, cpu.clone()),
            ("web3-event-service", 2, 6, 1, cpu.clone()),
            ("ai-orchestrator", 2, 6, 1, both),
            ("monitoring-service", 2, 6, 1, cpu.clone()),
            ("notification-service", 2, 6, 1, cpu.clone()),
            ("security-service", 2, 6, 1, cpu.clone()),
            ("audit-log-service", 2, 6, 1, cpu),
        ];
        let names = apply_example(&kinds, include_str!("../../examples/scaling/services.yaml")).await;
        assert_eq!(names, table.iter().map(|row| row.0).collect::<Vec<_>>());
        for (name, minimum, maximum, available, metrics) in table {
            let policy = kinds.look(name).await;
            let found = kinds.autoscaler(&format!("{name}-{name}")).await;
            assert_eq!(
                (&found["minReplicas"], &found["maxReplicas"]),
                (&json!(minimum), &json!(maximum)),
                "{name}"
            );
            assert_eq!(found["metrics"], json!(metrics), "{name}");
            assert_eq!(
                found["scaleTargetRef"],
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name})
            );
            let budget = kinds.budgets.get(&format!("{name}-{name}")).await.unwrap().spec.unwrap();
            let budget = serde_json::to_value(budget).unwrap();
            assert_eq!(budget["minAvailable"], available, "{name}");
            assert_eq!(budget["selector"]["matchLabels"], json!({"app": name}));
            let blocks = if available == 2 { "BudgetEqualsMinimum" } else { "AsSpecified" };
            assert_eq!(told(&policy, "DrainsBlocked").1, blocks, "{name}");
            assert_eq!(told(&policy, "FullyMapped"), pair("True", "AsSpecified"));
            assert_eq!(told(&policy, "Conflict"), pair("False", "AsSpecified"));
        }
    })
    .await;
}

#[tokio::test]
async fn the_table_with_two_thresholds_becomes_what_an_autoscaler_can_say() {
    in_namespace("refunds", |client, namespace| async move {
        let kinds = Kinds::new(client, namespace);
        let queue = json!({"type": "External", "external": {
            "metric": {"name": "queue_messages_visible", "selector": {"matchLabels": {"queue": "refund-requests"}}},
            "target": {"type": "Value", "value": "1k"},
        }});
        let rate = json!({"type": "Pods", "pods": {
            "metric": {"name": "requests_per_minute"}, "target": {"type": "AverageValue", "averageValue": "50"},
        }});
        let table = [
            ("refund-api", 3, 10, utilization("cpu", 70), "30"),
            ("refund-request-manager", 2, 8, queue, "100"),
            ("gateway-integration", 2, 6, rate, "10"),
            ("parameter-service", 2, 4, utilization("cpu", 70), "30"),
        ];
        let names = apply_example(&kinds, include_str!("../../examples/scaling/refunds.yaml")).await;
        assert_eq!(names, table.iter().map(|row| row.0).collect::<Vec<_>>());
        for (name, minimum, maximum, metric, below) in table {
            let policy = kinds.look(name).await;
            let found = kinds.autoscaler(&format!("{name}-{name}")).await;
            assert_eq!((&found["minReplicas"], &found["maxReplicas"]), (&json!(minimum), &json!(maximum)), "{name}");
            assert_eq!(found["metrics"], json!([metric]), "{name}");
            let down = &found["behavior"]["scaleDown"];
            assert_eq!(down["stabilizationWindowSeconds"], 600, "{name}");
            assert_eq!(down["policies"], json!([{"type": "Pods", "value": 1, "periodSeconds": 300}]), "{name}");
            assert_eq!(told(&policy, "FullyMapped"), pair("False", "ScaleInNotMapped"));
            let conditions = &policy.status.as_ref().unwrap().conditions;
            assert!(find(conditions, "FullyMapped").unwrap().message.contains(&format!("({below})")), "{name}");
            assert!(kinds.budgets.get_opt(&format!("{name}-{name}")).await.unwrap().is_none(), "nobody asked for one");
        }
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_scales_is_left_alone_until_it_is_free() {
    in_namespace("conflict", |client, namespace| async move {
        let kinds = Kinds::new(client, namespace);
        kinds.workload("Deployment", "api").await;
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"});
        let theirs =
            json!({"metadata": {"name": "theirs"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}});
        kinds
            .autoscalers
            .create(&Default::default(), &serde_json::from_value(theirs).unwrap())
            .await
            .unwrap();

        let spec = json!({"target": {"workload": {"name": "api"}}, "class": "Gateway"});
        let policy = kinds.policy("front", spec.clone()).await;
        assert_eq!(told(&policy, "Conflict"), pair("True", "ForeignAutoscaler"));
        assert_eq!(told(&policy, "Stalled"), pair("True", "ForeignAutoscaler"));
        assert_eq!(
            kinds.autoscalers.list(&ListParams::default()).await.unwrap().items.len(),
            1,
            "nothing is written"
        );
        assert!(
            kinds.budgets.list(&ListParams::default()).await.unwrap().items.is_empty(),
            "nothing is written"
        );

        kinds.autoscalers.delete("theirs", &DeleteParams::default()).await.unwrap();
        let policy = kinds.look("front").await;
        assert_eq!(told(&policy, "Conflict"), pair("False", "AsSpecified"));
        assert_eq!(kinds.autoscaler("front-api").await["maxReplicas"], 10);

        // The first policy wins over a second one for the same workload.
        let second = kinds.policy("second", spec).await;
        assert_eq!(told(&second, "Conflict"), pair("True", "ForeignAutoscaler"));
        assert!(kinds.autoscalers.get_opt("second-api").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_same_look_writes_nothing_drift_is_repaired_and_what_is_no_longer_wanted_goes() {
    in_namespace("drift", |client, namespace| async move {
        let kinds = Kinds::new(client, namespace);
        for name in ["one", "two"] {
            kinds.workload("StatefulSet", name).await;
        }
        let waiting =
            kinds.policy("none", json!({"target": {"workload": {"name": "one"}}, "class": "Core"})).await;
        assert_eq!(
            told(&waiting, "Reconciling"),
            pair("True", "TargetNotFound"),
            "a Deployment is another kind"
        );

        let selector = json!({"kind": "StatefulSet", "matchLabels": {"tier": "all"}});
        let metric = json!({"external": {"name": "queue", "averageValue": "1500.5"}});
        let spec = json!({
            "target": {"selector": selector}, "minReplicas": 2, "maxReplicas": 5, "metrics": [metric],
            "scaleIn": {"maxPercent": 50}, "disruption": {"maxUnavailable": 1},
        });
        let policy = kinds.policy("all", spec).await;
        assert_eq!(policy.status.as_ref().unwrap().targets, Some(2));
        assert_eq!(told(&policy, "Ready"), pair("True", "AsSpecified"));
        let versions = async || {
            let autoscalers = kinds.autoscalers.list(&ListParams::default()).await.unwrap().items;
            let budgets = kinds.budgets.list(&ListParams::default()).await.unwrap().items;
            let autoscalers = autoscalers.iter().map(|one| {
                (
                    one.name_any(),
                    one.annotations().clone(),
                    one.spec.clone().map(|spec| serde_json::to_value(spec).unwrap()),
                )
            });
            let budgets = budgets.iter().map(|one| {
                (
                    one.name_any(),
                    one.annotations().clone(),
                    one.spec.clone().map(|spec| serde_json::to_value(spec).unwrap()),
                )
            });
            autoscalers.chain(budgets).collect::<Vec<_>>()
        };
        let before = versions().await;
        assert_eq!(before.len(), 4);
        let version = kinds.autoscalers.get("all-one").await.unwrap().resource_version();
        let again = kinds.look("all").await;
        assert_eq!(again.resource_version(), policy.resource_version(), "the status says the same");
        assert_eq!(
            kinds.autoscalers.get("all-one").await.unwrap().resource_version(),
            version,
            "nothing is written"
        );

        let drift = Patch::Merge(json!({"spec": {"maxReplicas": 50}}));
        kinds.autoscalers.patch("all-one", &PatchParams::default(), &drift).await.unwrap();
        kinds.budgets.delete("all-two", &DeleteParams::default()).await.unwrap();
        kinds.look("all").await;
        assert_eq!(versions().await, before);

        let less = Patch::Merge(json!({"spec": {"disruption": null}}));
        kinds.policies.patch("all", &PatchParams::default(), &less).await.unwrap();
        kinds.look("all").await;
        assert!(kinds.budgets.list(&ListParams::default()).await.unwrap().items.is_empty());
        assert_eq!(kinds.autoscalers.list(&ListParams::default()).await.unwrap().items.len(), 2);

        let elsewhere = json!({"kind": "StatefulSet", "matchLabels": {"tier": "none"}});
        let elsewhere = Patch::Merge(json!({"spec": {"target": {"selector": elsewhere}}}));
        kinds.policies.patch("all", &PatchParams::default(), &elsewhere).await.unwrap();
        assert_eq!(told(&kinds.look("all").await, "Ready").1, "TargetNotFound");
        assert!(kinds.autoscalers.list(&ListParams::default()).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_can_never_be_satisfied_is_refused_at_once() {
    in_namespace("never", |client, namespace| async move {
        let policies = objects(&client, "ScalingPolicy", &namespace);
        let cpu = json!([{"resource": {"name": "cpu", "averageUtilization": 60}}]);
        let queue = json!({"name": "QueueDepth", "averageValue": "200"});
        let window = |minimum: i32| {
            json!([{"name": "w", "schedule": "0 6 * * *", "durationSeconds": 60, "minReplicas": minimum}])
        };
        let bad = [
            (json!({}), "give class"),
            (json!({"minReplicas": 1, "maxReplicas": 2}), "at least one metric"),
            (json!({"class": "Core", "minReplicas": 5, "maxReplicas": 4}), "minReplicas cannot be more"),
            (json!({"class": "Core", "maxReplicas": 4, "disruption": {"minAvailable": 4}}), "no pod could ever be evicted"),
            (json!({"class": "Core", "disruption": {"maxUnavailable": 0}}), "no pod could ever be evicted"),
            (json!({"class": "Core", "disruption": {"maxUnavailable": 1, "minAvailable": 1}}), "exactly one"),
            (json!({"class": "Core", "maxReplicas": 4, "windows": window(5)}), "window"),
            (json!({"class": "Core", "metrics": [{}]}), "exactly one of resource"),
            (json!({"class": "Core", "metrics": [{"engine": queue.clone()}]}), "needs target.platform"),
            (json!({"class": "Core", "metrics": [{"engine": {"name": "Length", "averageValue": "1"}}]}), "QueueDepth"),
            (json!({"class": "Core", "metrics": [{"engine": queue, "external": {"name": "a", "value": "1"}}]}), "exactly one of resource"),
            (json!({"class": "Core", "metrics": [{"pods": {"name": "a", "value": "1"}}]}), "averageValue"),
            (json!({"class": "Core", "metrics": [{"external": {"name": "a"}}]}), "exactly one of averageValue"),
            (json!({"class": "Core", "scaleIn": {}}), "at least one of"),
            (json!({"class": "Core", "target": {}}), "exactly one of workload"),
            (json!({"class": "Core", "target": {"selector": {"matchLabels": {}}}}), "matchLabels"),
            (json!({"class": "Core", "target": {"platform": {"name": "main"}}, "disruption": {"maxUnavailable": 1}}), "leave disruption out"),
        ];
        for (change, blamed) in bad {
            let mut body = json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "bad"},
                "spec": {"target": {"workload": {"name": "api"}}},
            });
            for (field, value) in change.as_object().unwrap() {
                body["spec"][field] = value.clone();
            }
            let message = create(&policies, body).await.expect_err(&change.to_string()).to_string();
            assert!(message.contains(blamed), "{change}: {message}");
        }
        for text in [include_str!("../../examples/scaling/payday.yaml"), include_str!("../../examples/scaling/engines.yaml"), include_str!("../../examples/scaling/busy.yaml")] {
            let mut example: Value = serde_saphyr::from_str(text).unwrap();
            example["metadata"]["namespace"] = namespace.clone().into();
            create(&policies, example).await.unwrap();
        }
        let good = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "good"},
            "spec": {"target": {"workload": {"name": "api"}}, "minReplicas": 1, "maxReplicas": 2, "metrics": cpu},
        });
        create(&policies, good).await.unwrap();
    })
    .await;
}
