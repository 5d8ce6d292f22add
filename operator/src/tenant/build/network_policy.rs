//! What pods of a tenant may talk to: nothing, but each other, DNS, the Platform's engine, and what the spec opens.
//!
//! Namespaces are named by the label that the API server itself sets, so nobody gets in by labelling a namespace. Ports
//! are those of the pods: DNS is opened by number and by the names that CoreDNS gives its ports, because not every cluster
//! runs it on 53.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};
use payplane_crds::{
    Tenant,
    tenant::{IsolationMode, Opening, Peer, Protocol},
};

use super::metadata;
use crate::{meta::selector, platform::GRPC_PORT};

/// Their names: what is denied, what always is opened, what the spec opens.
pub const NAMES: [&str; 3] = ["payplane-default-deny", "payplane-allow", "payplane-openings"];

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const DNS_NAMESPACE: &str = "kube-system";
const DNS_PODS: (&str, &str) = ("k8s-app", "kube-dns");

/// The policies of one namespace.
pub fn policies(tenant: &Tenant, namespace: &str) -> Vec<NetworkPolicy> {
    let isolation = &tenant.spec.isolation;
    if isolation.mode == IsolationMode::None {
        return Vec::new();
    }
    let policy = |name: &str, ingress, egress| NetworkPolicy {
        metadata: metadata(tenant, namespace, name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress,
            egress,
        }),
    };
    let [denied, allowed, opened] = NAMES;
    let mut policies =
        vec![policy(denied, None, None), policy(allowed, Some(vec![from_own(tenant)]), Some(always(tenant)))];
    let ingress: Vec<_> = isolation.ingress.iter().map(way_in).collect();
    let egress: Vec<_> = isolation.egress.iter().map(way_out).collect();
    if !ingress.is_empty() || !egress.is_empty() {
        policies.push(policy(opened, some(ingress), some(egress)));
    }
    policies
}

fn from_own(tenant: &Tenant) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(vec![own(tenant)]), ports: None }
}

fn always(tenant: &Tenant) -> Vec<NetworkPolicyEgressRule> {
    let platform = &tenant.spec.platform_ref;
    let to = |peer, ports| NetworkPolicyEgressRule { to: Some(vec![peer]), ports };
    let (label, value) = DNS_PODS;
    let dns = pods(DNS_NAMESPACE, BTreeMap::from([(label.into(), value.into())]));
    let by_name = |name: &str| IntOrString::String(name.into());
    vec![
        to(own(tenant), None),
        to(
            dns,
            Some(vec![
                port("UDP", IntOrString::Int(53)),
                port("TCP", IntOrString::Int(53)),
                port("UDP", by_name("dns")),
                port("TCP", by_name("dns-tcp")),
            ]),
        ),
        to(
            pods(&platform.namespace, selector(&platform.name, "engine")),
            Some(vec![port("TCP", IntOrString::Int(GRPC_PORT))]),
        ),
    ]
}

/// All pods of all namespaces of the tenant.
fn own(tenant: &Tenant) -> NetworkPolicyPeer {
    let names = tenant.spec.namespaces.iter().map(|namespace| namespace.name.clone()).collect();
    let listed =
        LabelSelectorRequirement { key: NAMESPACE_NAME.into(), operator: "In".into(), values: Some(names) };
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![listed]),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn pods(namespace: &str, labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    let by = |labels| LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
    NetworkPolicyPeer {
        namespace_selector: Some(by(BTreeMap::from([(NAMESPACE_NAME.into(), namespace.into())]))),
        pod_selector: Some(labels).filter(|labels| !labels.is_empty()).map(by),
        ip_block: None,
    }
}

fn way_in(opening: &Opening) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(vec![peer(&opening.peer)]), ports: ports(opening) }
}

fn way_out(opening: &Opening) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(vec![peer(&opening.peer)]), ports: ports(opening) }
}

/// The schema takes exactly one of the two.
fn peer(peer: &Peer) -> NetworkPolicyPeer {
    let labels = peer.pods.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let mut built = peer.namespace.as_ref().map(|name| pods(name, labels)).unwrap_or_default();
    built.ip_block = peer.cidr.clone().map(|cidr| IPBlock { cidr, except: None });
    built
}

fn ports(opening: &Opening) -> Option<Vec<NetworkPolicyPort>> {
    let all = opening.ports.iter().map(|one| {
        let protocol = match one.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        };
        port(protocol, IntOrString::Int(one.port))
    });
    some(all.collect())
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.into()), port: Some(port), end_port: None }
}

/// An empty list would be left out by the API server, and look like drift.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tests::tenant, *};

    fn specs(isolation: Value) -> Vec<Value> {
        let policies = policies(&tenant(json!({"isolation": isolation})), "shop");
        policies.iter().map(|policy| serde_json::to_value(&policy.spec).unwrap()).collect()
    }

    #[test]
    fn everything_is_denied_but_the_tenants_own_dns_and_the_engine() {
        let own = json!({"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "web"]},
        ]}});
        let specs = specs(json!({}));
        assert_eq!(specs[0], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
        assert_eq!(specs[1]["ingress"], json!([{"from": [own.clone()]}]));
        assert_eq!(specs[1]["egress"][0], json!({"to": [own]}));
        assert_eq!(specs[1]["egress"][1]["ports"][2], json!({"protocol": "UDP", "port": "dns"}));
        assert_eq!(
            specs[1]["egress"][2],
            json!({
                "to": [{
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "pay"}},
                    "podSelector": {"matchLabels": {
                        "app.kubernetes.io/component": "engine",
                        "app.kubernetes.io/instance": "main",
                        "app.kubernetes.io/name": "payplane-engine",
                    }},
                }],
                "ports": [{"protocol": "TCP", "port": 8443}],
            })
        );
        assert_eq!(specs.len(), 2);
    }

    #[test]
    fn openings_are_added_and_isolation_can_be_left_to_others() {
        let specs = specs(json!({
            "ingress": [{"peer": {"namespace": "ingress", "pods": {"app": "proxy"}}, "ports": [{"port": 8080}]}],
            "egress": [{"peer": {"cidr": "203.0.113.0/24"}, "ports": [{"port": 123, "protocol": "UDP"}]}],
        }));
        assert_eq!(
            specs[2],
            json!({
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{
                    "from": [{
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}},
                        "podSelector": {"matchLabels": {"app": "proxy"}},
                    }],
                    "ports": [{"protocol": "TCP", "port": 8080}],
                }],
                "egress": [{
                    "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
                    "ports": [{"protocol": "UDP", "port": 123}],
                }],
            })
        );
        assert!(policies(&tenant(json!({"isolation": {"mode": "None"}})), "shop").is_empty());
    }
}
