use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

fn platform(operator: &Value) -> (Platform, OperatedRedis) {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "redis": {"operator": operator}}));
    let spec = platform.spec.redis.clone().unwrap().operator.unwrap();
    (platform, spec)
}

fn built(operator: &Value, certificate: &str) -> OperatedParts {
    let (platform, spec) = platform(operator);
    parts(&platform, &spec, &fixture::names(), certificate)
}

#[test]
fn the_servers_are_encrypted_bounded_and_keep_nothing() {
    let operator = json!({"image": "redis:7", "instances": 3, "resources": {"limits": {"memory": "256Mi"}}});
    let parts = built(&operator, "certificate");
    assert_eq!(
        parts.settings.data.unwrap()["redis-additional.conf"],
        "maxmemory 192mb\nmaxmemory-policy allkeys-lru\nmaxclients 1000\nsave \"\"\nappendonly no\ntls-auth-clients no\n"
    );
    let told = serde_json::to_value(&parts.replication).unwrap();
    assert_eq!(told["metadata"], fixture::owned("main-redis-set", "redis"));
    let spec = &told["spec"];
    assert_eq!(spec["clusterSize"], 3);
    assert_eq!(
        spec["TLS"],
        json!({"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key", "secret": {"secretName": "main-redis-set-tls"}})
    );
    assert_eq!(
        spec["kubernetesConfig"],
        json!({
            "image": "redis:7", "imagePullPolicy": "IfNotPresent",
            "redisSecret": {"key": "operator-password", "name": "main-redis"},
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "50m"}},
        })
    );
    assert_eq!(spec["acl"], json!({"secret": {"secretName": "main-redis"}}));
    assert_eq!(spec["initContainer"]["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(spec["podSecurityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
    assert!(spec.get("storage").is_none(), "it needs no volume");
}

#[test]
fn what_servers_read_at_their_start_only_makes_new_ones() {
    let operator = json!({"image": "redis:7"});
    let with = |operator: &Value, certificate| built(operator, certificate).replication.spec.env;
    assert_eq!(with(&operator, "one"), with(&operator, "one"));
    assert_ne!(with(&operator, "one"), with(&operator, "two"));
    let larger = json!({"image": "redis:7", "resources": {"limits": {"memory": "1Gi"}}});
    assert_ne!(with(&operator, "one"), with(&larger, "one"));
}

#[test]
fn engines_may_do_as_much_as_on_a_managed_server_and_only_the_operator_more() {
    let (platform, _) = platform(&json!({"image": "redis:7"}));
    let secret = login(&platform, &fixture::names(), ("secret", "other".into()), "PEM");
    let data = secret.data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    let users = text("user.acl");
    let (first, rest) = users.split_once('\n').unwrap();
    let hash = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
    assert_eq!(first, format!("user default on #{hash} ~* &* +@all"), "without a password nobody gets in");
    assert_eq!(rest, crate::platform::build::redis::users("secret").strip_prefix(NOBODY).unwrap());
    assert_eq!(
        ["host", "port", "username", "password", "ca.crt", "operator-password"].map(text),
        ["main-redis-set-master.pay.svc", "6379", "payplane", "secret", "PEM", "other"]
    );
}
