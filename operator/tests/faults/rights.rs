//! S7: what the chart's ServiceAccount and its roles for people may do, as rules and as the API server judges them.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::bed::{SYSTEM, Site, api_server::Keys, site::chart};

const OPERATOR: &str = "system:serviceaccount:payplane-system:payplane-operator";
const BACKUP: &str = "system:serviceaccount:payplane-system:payplane-operator-backup";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_may_more_than_the_chart_says_and_the_chart_says_little() {
    let (mut rules, mut judged) = (0, 0);
    for role in
        chart().iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
    {
        for rule in role["rules"].as_array().into_iter().flatten() {
            check(role, rule);
            rules += 1;
        }
    }
    let site = Site::new(&Keys::new()).await;
    let reviews = Api::<SubjectAccessReview>::all(site.client.clone());
    let operator = cases().into_iter().map(|case| (OPERATOR, case));
    for (user, (allowed, namespace, verb, group, resource)) in
        operator.chain(backup_cases().into_iter().map(|case| (BACKUP, case)))
    {
        let attributes = ResourceAttributes {
            namespace: Some(namespace.into()).filter(|namespace: &String| !namespace.is_empty()),
            verb: Some(verb.into()),
            group: Some(group.into()),
            resource: Some(resource.split('/').next().unwrap().into()),
            subresource: resource.split('/').nth(1).map(String::from),
            ..Default::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.into()),
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        let verdict = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
        assert_eq!(
            verdict.allowed, allowed,
            "{user}: {verb} {group}/{resource} in {namespace:?}: {:?}",
            verdict.reason
        );
        judged += 1;
    }
    println!("{rules} rules without a wildcard, {judged} judged");
    assert!(30 < rules);
}

/// No wildcard, no escalation, no Secret outside the namespaces of Platforms, no status for people.
fn check(role: &Value, rule: &Value) {
    let name = &role["metadata"]["name"];
    let words = |field: &str| -> BTreeSet<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(|word| word.as_str().map(String::from)).collect()
    };
    let (verbs, resources, groups) = (words("verbs"), words("resources"), words("apiGroups"));
    for list in [&verbs, &resources, &groups] {
        assert!(!list.contains("*"), "{name}: a wildcard in {rule}");
    }
    assert!(verbs.is_disjoint(&["escalate", "impersonate"].map(String::from).into()), "{name}: {rule}");
    assert!(!verbs.contains("bind") || rule["resourceNames"].is_array(), "{name}: binds any role: {rule}");
    assert!(!resources.contains("pods/exec") && !resources.contains("nodes/proxy"), "{name}: {rule}");
    let is_everywhere = role["kind"] == "ClusterRole";
    let is_own = rule["resourceNames"] == serde_json::json!(["payplane-api-keys"]);
    assert!(
        !(is_everywhere && resources.contains("secrets") && !is_own),
        "{name}: Secrets everywhere: {rule}"
    );
    let is_for_people = name != "payplane-operator" && is_everywhere;
    let writes_status = resources.iter().any(|resource| resource.ends_with("/status"));
    assert!(!(is_for_people && writes_status), "{name}: people write status: {rule}");
}

/// Whether it is allowed, then namespace, verb, group and resource.
type Case = (bool, &'static str, &'static str, &'static str, &'static str);

/// Whether the step of a Backup that copies the objects may do this.
fn backup_cases() -> Vec<Case> {
    vec![
        (true, "", "list", "payplane.io", "payments"),
        (true, "", "list", "payplane.io", "tenants"),
        (true, SYSTEM, "list", "payplane.io", "platforms"),
        (false, "", "watch", "payplane.io", "payments"),
        (false, "acme", "get", "payplane.io", "payments"),
        (false, "acme", "create", "payplane.io", "payments"),
        (false, "acme", "patch", "payplane.io", "payments/status"),
        (false, SYSTEM, "list", "payplane.io", "backups"),
        (false, SYSTEM, "list", "", "secrets"),
        (false, SYSTEM, "get", "", "secrets"),
        (false, SYSTEM, "list", "", "pods"),
        (false, "", "list", "", "namespaces"),
    ]
}

/// Whether the operator may do this, as the API server judges it.
fn cases() -> Vec<Case> {
    vec![
        (true, "", "list", "payplane.io", "payments"),
        (true, "acme", "patch", "payplane.io", "payments/status"),
        (true, SYSTEM, "get", "", "secrets"),
        (false, "acme", "get", "", "secrets"),
        (false, "", "list", "", "secrets"),
        (false, "kube-system", "create", "", "pods"),
        (false, "acme", "create", "", "pods/exec"),
        (false, "acme", "update", "payplane.io", "payments"),
        (false, "acme", "patch", "payplane.io", "payments"),
        (false, "", "delete", "", "namespaces"),
        (false, "", "create", "rbac.authorization.k8s.io", "clusterrolebindings"),
        (false, "", "escalate", "rbac.authorization.k8s.io", "clusterroles"),
        (false, "", "impersonate", "", "users"),
        (false, "", "delete", "payplane.io", "tenants"),
        (false, "kube-system", "get", "", "configmaps"),
        (false, "kube-system", "list", "", "secrets"),
        (false, "", "create", "apiregistration.k8s.io", "apiservices"),
        (false, "", "patch", "apiregistration.k8s.io", "apiservices"),
    ]
}
