use serde_json::{Value, json};

use super::{super::fixture, *};

fn built(spec: Value) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "redis": {"managed": spec}}));
    let spec = platform.spec.redis.clone().unwrap().managed.unwrap();
    let parts = parts(&platform, &spec, &fixture::settings(), &fixture::names(), "certificate");
    serde_json::to_value(parts.deployment).unwrap()
}

#[test]
fn it_is_encrypted_bounded_and_keeps_nothing() {
    let built = built(json!({"resources": {"limits": {"memory": "256Mi"}}}));
    let container = &built["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    for (flag, value) in [
        ("--port", "0"),
        ("--tls-port", "6379"),
        ("--maxmemory", "192mb"),
        ("--maxmemory-policy", "allkeys-lru"),
        ("--save", ""),
        ("--appendonly", "no"),
    ] {
        let at = args.iter().position(|arg| *arg == flag).unwrap_or_else(|| panic!("no {flag}"));
        assert_eq!(args[at + 1], value, "{flag}");
    }
    assert_eq!(container["image"], "redis:7.0");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(built["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"], true);
}

#[test]
fn without_a_limit_it_is_sized_for_what_it_requests_by_default() {
    let text = built(json!({})).to_string();
    assert!(text.contains("\"48mb\"") && text.contains("\"64Mi\""), "{text}");
}

#[test]
fn a_new_certificate_restarts_it() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let with = |certificate| {
        parts(&platform, &ManagedRedis::default(), &fixture::settings(), &fixture::names(), certificate)
            .deployment
            .spec
            .unwrap()
            .template
    };
    assert_eq!(with("one"), with("one"));
    assert_ne!(with("one"), with("two"));
}

#[test]
fn the_server_knows_the_password_by_its_hash_only() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let secret = login(&platform, &fixture::names(), "secret", "PEM");
    let data = secret.data.unwrap();
    let users = String::from_utf8(data["users.acl"].0.clone()).unwrap();
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    assert!(users.contains(&format!("user payplane on #{hash} ")) && !users.contains("secret"), "{users}");
    assert!(users.starts_with("user default off\n"), "nobody gets in without a name");
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    assert_eq!(
        ["host", "port", "username", "password", "ca.crt"].map(text),
        ["main-redis.pay.svc", "6379", "payplane", "secret", "PEM"]
    );
}
