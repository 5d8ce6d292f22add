use serde_json::{Value, json};

use super::{super::fixture, *};

fn built(spec: Value) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "engine": spec}));
    serde_json::to_value(engine(&platform, &fixture::settings(), &fixture::names(), &fixture::made()))
        .unwrap()
}

fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
    })
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

fn probe(path: &str, period: i32, failures: i32) -> Value {
    json!({
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    })
}

fn serve() -> Value {
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    json!({
        "name": "engine",
        "image": "engine:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["payplane-engine"],
        "args": ["serve", "--database-dir", "/etc/payplane/database-app", "--tls-dir", "/etc/payplane/tls",
                 "--issuer", "https://issuer", "--jwks-url", "https://kubernetes.default.svc/openid/v1/jwks",
                 "--jwks-ca-file", format!("{account}/ca.crt"), "--jwks-token-file", format!("{account}/token"),
                 "--platform-subject", "system:serviceaccount:pay:operator"],
        "ports": [
            {"name": "grpc", "containerPort": 8443, "protocol": "TCP"},
            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
        ],
        "startupProbe": probe("/livez", 2, 60),
        "livenessProbe": probe("/livez", 10, 3),
        "readinessProbe": probe("/readyz", 5, 1),
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": container_security(),
        "volumeMounts": [
            mount("database-app", "/etc/payplane/database-app"),
            mount("tls", "/etc/payplane/tls"),
        ],
    })
}

fn secret(name: &str, secret: &str) -> Value {
    json!({"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}})
}

#[test]
fn the_engine_serves_without_the_owners_password_and_under_the_restricted_standard() {
    let selector = json!({"matchLabels": fixture::selector("engine")});
    assert_eq!(
        built(json!({})),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": fixture::owned("main-engine", "engine"),
            "spec": {
                "minReadySeconds": 12,
                "replicas": 2,
                "revisionHistoryLimit": 3,
                "selector": selector,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {
                        "annotations": {"payplane.io/restart": "e0"},
                        "labels": fixture::labels("engine"),
                    },
                    "spec": {
                        "automountServiceAccountToken": true,
                        "enableServiceLinks": false,
                        "serviceAccountName": "main-engine",
                        "terminationGracePeriodSeconds": 40,
                        "securityContext": {
                            "fsGroup": 65532,
                            "fsGroupChangePolicy": "OnRootMismatch",
                            "runAsGroup": 65532,
                            "runAsNonRoot": true,
                            "runAsUser": 65532,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "topologySpreadConstraints": [{
                            "labelSelector": selector,
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "ScheduleAnyway",
                        }],
                        "containers": [serve()],
                        "volumes": [
                            secret("database-app", "main-database-app"),
                            secret("tls", "main-engine-tls"),
                        ],
                    },
                },
            },
        }),
        "another template restarts every engine at the next upgrade of the operator"
    );
}

#[test]
fn the_spec_decides_image_replicas_and_resources() {
    let built = built(json!({"image": "mine:2", "replicas": 5, "resources": {"limits": {"memory": "1Gi"}}}));
    let pod = &built["spec"]["template"]["spec"];
    assert_eq!(built["spec"]["replicas"], 5);
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "mine:2");
    assert_eq!(container["resources"], json!({"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}));
}

#[test]
fn engines_use_redis_where_the_platform_asks_for_it_and_start_without_its_secret() {
    for (redis, secret) in [
        (json!({"managed": {}}), "main-redis"),
        (json!({"external": {"secretRef": {"name": "mine"}}}), "mine"),
    ] {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "redis": redis}));
        let built = engine(&platform, &fixture::settings(), &fixture::names(), &fixture::made());
        let pod = built.spec.unwrap().template.spec.unwrap();
        let args = pod.containers[0].args.clone().unwrap();
        let at = args.iter().position(|arg| arg == "--redis-dir").unwrap();
        assert_eq!(args[at + 1], "/etc/payplane/redis");
        let volume = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "redis").unwrap();
        let source = volume.secret.unwrap();
        assert_eq!((source.secret_name.as_deref(), source.optional), (Some(secret), Some(true)));
    }
}
