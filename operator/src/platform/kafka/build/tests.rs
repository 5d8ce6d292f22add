use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

/// Kafka reads 22 letters as 128 bits.
const CLUSTER_ID: &str = "ece56267c47ece46ece56A";

fn made(hash: &str) -> MadeKafka {
    MadeKafka { secret: "main-kafka-client".into(), broker_hash: hash.into(), ..MadeKafka::default() }
}

fn built(kafka: Value, hash: &str) -> Option<KafkaParts> {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": kafka}));
    parts(&platform, &fixture::settings(), &fixture::names(), Some(&made(hash)))
}

fn broker(kafka: Value) -> Value {
    serde_json::to_value(built(kafka, "b0").unwrap().stateful_set).unwrap()
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

#[test]
fn nothing_is_run_where_somebody_else_runs_it() {
    assert!(built(Value::Null, "b0").is_none());
    assert!(built(json!({"external": {"secretRef": {"name": "bus"}}}), "b0").is_none());
}

#[test]
fn the_broker_runs_under_the_restricted_standard_and_keeps_its_volume() {
    let set = broker(json!({"managed": {}}));
    assert_eq!(set["metadata"], fixture::owned("main-kafka", "kafka"));
    let spec = &set["spec"];
    assert_eq!((&spec["replicas"], &spec["serviceName"]), (&json!(1), &json!("main-kafka")));
    let pod = &spec["template"]["spec"];
    assert_eq!(
        pod["securityContext"],
        json!({
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": 1000,
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let server = &pod["containers"][0];
    assert_eq!(server["image"], "kafka:4");
    assert_eq!(server["command"], json!(["sh", "/etc/payplane/kafka/start.sh"]));
    assert_eq!(
        server["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        })
    );
    assert_eq!(
        server["volumeMounts"],
        json!([
            mount("config", "/etc/payplane/kafka"),
            {"name": "data", "mountPath": "/var/lib/kafka/data"},
            mount("tls", "/etc/payplane/tls"),
            {"name": "tmp", "mountPath": "/tmp"},
        ])
    );
    assert_eq!(
        server["env"],
        json!([
            {"name": "CLUSTER_ID", "value": CLUSTER_ID},
            {"name": "DATA_DIR", "value": "/var/lib/kafka/data/log"},
            {"name": "EXTRA_ARGS", "value": "-name kafkaServer"},
            {"name": "IN_SYNC", "value": "/tmp/payplane/in-sync"},
            {"name": "KAFKA_HEAP_OPTS", "value": "-Xms128m -Xmx256m"},
            {"name": "LOG_DIR", "value": "/tmp/payplane/logs"},
            {"name": "NODES", "value": "main-kafka-0.main-kafka.pay.svc"},
            {"name": "NODE_NAME", "value": "main-kafka"},
            {"name": "RETENTION_BYTES", "value": "357913941"},
            {"name": "TLS_DIR", "value": "/etc/payplane/tls"},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]),
        "no value here is a secret"
    );
    assert_eq!(
        (&spec["podManagementPolicy"], &pod["topologySpreadConstraints"]),
        (&Value::Null, &Value::Null)
    );
    let volume = &spec["volumeClaimTemplates"][0];
    assert_eq!(volume["metadata"], json!({"name": "data", "labels": fixture::selector("kafka")}));
    assert_eq!(volume["spec"]["resources"]["requests"]["storage"], "8Gi");
}

#[test]
fn three_nodes_start_at_once_and_are_replaced_one_by_one_each_when_it_is_in_sync() {
    let parts = built(json!({"managed": {"replicas": 3}}), "b0").unwrap();
    let set = serde_json::to_value(parts.stateful_set).unwrap();
    let (spec, pod) = (&set["spec"], &set["spec"]["template"]["spec"]);
    assert_eq!((&spec["replicas"], &spec["podManagementPolicy"]), (&json!(3), &json!("Parallel")));
    assert_eq!(spec["updateStrategy"], Value::Null, "the default is one by one");
    let server = &pod["containers"][0];
    assert_eq!(server["startupProbe"]["exec"]["command"], json!(["test", "-e", "/tmp/payplane/in-sync"]));
    assert_eq!(server["readinessProbe"]["tcpSocket"]["port"], "kafka");
    assert_eq!(pod["topologySpreadConstraints"][0]["whenUnsatisfiable"], "ScheduleAnyway");
    let nodes = &server["env"].as_array().unwrap()[6];
    let hosts = [0, 1, 2].map(|ordinal| format!("main-kafka-{ordinal}.main-kafka.pay.svc")).join(" ");
    assert_eq!(nodes, &json!({"name": "NODES", "value": hosts}));
    let budget = serde_json::to_value(parts.budget.unwrap()).unwrap();
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"]["matchLabels"], fixture::selector("kafka"));
    assert!(
        built(json!({"managed": {}}), "b0").unwrap().budget.is_none(),
        "it would keep its host from being drained"
    );
}

#[test]
fn settings_follow_from_memory_and_volume() {
    let set = broker(json!({"managed": {
        "image": "mine:4",
        "storage": {"size": "24Mi", "storageClassName": "fast"},
        "resources": {"limits": {"memory": "2Gi"}},
    }}));
    let server = &set["spec"]["template"]["spec"]["containers"][0];
    let value = |name: &str| {
        let all = server["env"].as_array().unwrap();
        all.iter().find(|variable| variable["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("KAFKA_HEAP_OPTS"), "-Xms512m -Xmx1024m");
    assert_eq!(value("RETENTION_BYTES"), "1048576");
    assert_eq!(server["image"], "mine:4");
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast");
}

#[test]
fn a_new_certificate_restarts_the_broker_which_reads_it_only_then() {
    let restart = |hash: &str| {
        let set = built(json!({"managed": {}}), hash).unwrap().stateful_set;
        set.spec.unwrap().template.metadata.unwrap().annotations.unwrap()[crate::meta::RESTART].clone()
    };
    assert_eq!(restart("a"), restart("a"));
    assert_ne!(restart("a"), restart("b"));
}

#[test]
fn the_engine_gets_what_an_external_secret_has_and_it_outlives_the_platform() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": {"managed": {}}}));
    let login = Access {
        brokers: "main-kafka.pay.svc:9093".into(),
        username: "u".into(),
        password: "p".into(),
        ca_pem: Some("PEM".into()),
    };
    let metadata = crate::meta::kept(&platform, fixture::names().kafka_client(), KAFKA);
    let secret = super::login(metadata, &login);
    assert_eq!(
        serde_json::to_value(&secret.metadata).unwrap(),
        json!({"name": "main-kafka-client", "namespace": "pay", "labels": fixture::labels("kafka")})
    );
    let keys: Vec<_> = secret.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["brokers", "ca.crt", "password", "username"]);
}

#[test]
fn clients_find_the_broker_under_the_name_that_it_tells_them() {
    let parts = built(json!({"managed": {}}), "b0").unwrap();
    let service = serde_json::to_value(parts.service).unwrap();
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["selector"], fixture::selector("kafka"));
    assert_eq!(service["spec"]["ports"][0]["port"], 9093);
    assert!(fixture::names().dns_names("main-kafka").contains(&"main-kafka.pay.svc".to_owned()));
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "nodes find each other to become ready");
    assert!(!START.contains("PLAINTEXT"), "a listener that is not encrypted");
}
