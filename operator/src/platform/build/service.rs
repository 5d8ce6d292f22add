//! Names in the network.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use payplane_crds::Platform;

use super::{ENGINE, POSTGRES};
use crate::{
    meta::{owned, selector},
    platform::names::{GRPC_PORT, HTTP_PORT, Names, POSTGRES_PORT},
};

/// The engine: gRPC for callers, metrics for Prometheus.
pub fn engine(platform: &Platform, names: &Names) -> Service {
    let ports = vec![port("grpc", GRPC_PORT, "grpc"), port("metrics", HTTP_PORT, "http")];
    service(owned(platform, names.engine(), ENGINE), names, ENGINE, ports, None)
}

/// PostgreSQL: the name leads to the pod itself.
pub fn postgres(platform: &Platform, names: &Names) -> Service {
    let ports = vec![port("postgres", POSTGRES_PORT, "postgres")];
    service(owned(platform, names.postgres(), POSTGRES), names, POSTGRES, ports, Some("None".into()))
}

pub(super) fn service(
    metadata: ObjectMeta,
    names: &Names,
    component: &str,
    ports: Vec<ServicePort>,
    cluster_ip: Option<String>,
) -> Service {
    Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip,
            ports: Some(ports),
            selector: Some(selector(&names.platform, component)),
            type_: Some("ClusterIP".into()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

pub(super) fn port(name: &str, port: i32, target: &str) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port,
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::String(target.into())),
        ..ServicePort::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::fixture, *};

    #[test]
    fn callers_find_the_engine_under_this_name_and_port_which_are_in_its_certificate_too() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        assert_eq!(
            serde_json::to_value(engine(&platform, &fixture::names())).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": fixture::owned("main-engine", "engine"),
                "spec": {
                    "type": "ClusterIP",
                    "selector": fixture::selector("engine"),
                    "ports": [
                        {"name": "grpc", "port": 8443, "protocol": "TCP", "targetPort": "grpc"},
                        {"name": "metrics", "port": 8080, "protocol": "TCP", "targetPort": "http"},
                    ],
                },
            })
        );
    }

    #[test]
    fn the_engine_finds_the_database_under_the_name_that_its_secret_says() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        assert_eq!(
            serde_json::to_value(postgres(&platform, &fixture::names())).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": fixture::owned("main-postgres", "postgres"),
                "spec": {
                    "type": "ClusterIP",
                    "clusterIP": "None",
                    "selector": fixture::selector("postgres"),
                    "ports": [{"name": "postgres", "port": 5432, "protocol": "TCP", "targetPort": "postgres"}],
                },
            })
        );
    }
}
