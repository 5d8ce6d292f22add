//! Platforms whose Redis the Redis operator of Opstree runs, against its real CRDs. No controller of it runs here. One test,
//! because the CRDs are there for the whole server.

use k8s_openapi::api::core::v1::ConfigMap;

use super::{
    foreign::{assert_stored, becomes, crds, install},
    support::within,
    *,
};

const VERSION: &str = "redis.redis.opstreelabs.in/v1beta2";
const NAME: &str = "main-redis-set";

/// What is meant, but for the environment.
fn meant() -> Value {
    json!({
        "TLS": {
            "ca": "ca.crt", "cert": "tls.crt", "key": "tls.key", "secret": {"secretName": "main-redis-set-tls"},
        },
        "acl": {"secret": {"secretName": "main-redis"}},
        "clusterSize": 3,
        "initContainer": {
            "enabled": false, "image": "redis:7",
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
        },
        "kubernetesConfig": {
            "image": "redis:7", "imagePullPolicy": "IfNotPresent",
            "redisSecret": {"key": "operator-password", "name": "main-redis"},
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "50m"}},
        },
        "podSecurityContext": {
            "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch", "runAsGroup": 1000, "runAsNonRoot": true,
            "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "redisConfig": {"additionalRedisConfig": NAME},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    })
}

#[tokio::test]
async fn redis_can_be_run_by_its_operator_and_nothing_waits_for_it() {
    in_namespace("redis-operator", |client, namespace| async move {
        let place = Place::new(client.clone(), namespace.clone());
        let operator =
            json!({"image": "redis:7", "instances": 3, "resources": {"limits": {"memory": "256Mi"}}});
        place.serving(json!({"postgres": {"managed": {}}, "redis": {"operator": operator}})).await;

        // Not installed: payments go on, and it is looked for.
        let (platform, again) = place.look().await;
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));
        assert_eq!(told(&platform, "RedisReady"), pair("False", "OperatorNotInstalled"));
        assert!(message(&platform, "RedisReady").contains("install the Redis operator of Opstree"));
        assert!(matches!(again, Again::After(_)));
        let all = crds("redis-operator");
        assert_eq!(all.len(), 1);
        install(&client, &all[0]).await;
        let platform = within("the API server says that it knows the kind", async {
            loop {
                let (platform, _) = place.look().await;
                if told(&platform, "RedisReady") != pair("False", "OperatorNotInstalled") {
                    return platform;
                }
            }
        })
        .await;
        assert_eq!(told(&platform, "RedisReady"), pair("False", "Progressing"));

        let replications = place.foreign(VERSION, "RedisReplication");
        let mut expected = meant();
        expected["env"] = replications.get(NAME).await.unwrap().data["spec"]["env"].clone();
        assert_eq!(expected["env"][0]["name"], "PAYPLANE_RESTART");
        let fields = assert_stored(&replications, NAME, &expected).await;
        println!("Redis operator: {fields} fields are stored as they were meant");
        assert_eq!(fields, 28, "every leaf of what is meant");
        let settings = place.of::<ConfigMap>().get(NAME).await.unwrap().data.unwrap();
        assert!(settings["redis-additional.conf"].starts_with("maxmemory 192mb\n"));

        // The engines' login is for the primary, and the certificate for its Service.
        let secret = async |name: &str| place.of::<Secret>().get(name).await.unwrap().data.unwrap();
        let login = secret("main-redis").await;
        let text = |key: &str| String::from_utf8(login[key].0.clone()).unwrap();
        assert_eq!(text("host"), format!("{NAME}-master.{namespace}.svc"));
        assert_ne!(text("password"), text("operator-password"));
        assert!(secret("main-redis-set-tls").await.contains_key("tls.key"));

        becomes(&replications, NAME, &json!({"masterNode": "main-redis-set-1"})).await;
        let (platform, again) = place.look().await;
        assert_eq!(told(&platform, "RedisReady"), pair("True", "AsSpecified"));
        assert!(message(&platform, "RedisReady").contains("main-redis-set-1"));
        assert!(matches!(again, Again::OnChange));
        assert_eq!(secret("main-redis").await, login, "passwords are made once");

        // What somebody changed comes back: here who may do what.
        let nobody = json!({"spec": {"acl": null}});
        replications.patch(NAME, &PatchParams::default(), &Patch::Merge(nobody)).await.unwrap();
        place.look().await;
        assert_stored(&replications, NAME, &expected).await;

        // The mode can change: the servers go, and engines are told of the others.
        let managed = json!({"spec": {"redis": {"operator": null, "managed": {}}}});
        place.change(managed).await;
        assert!(replications.get_opt(NAME).await.unwrap().is_none());
        let host = secret("main-redis").await["host"].0.clone();
        assert_eq!(String::from_utf8(host).unwrap(), format!("main-redis.{namespace}.svc"));

        // Somebody else's is left alone.
        let foreign = json!({"apiVersion": VERSION, "kind": "RedisReplication", "metadata": {"name": NAME},
            "spec": expected});
        let version = create(&replications, foreign).await.unwrap().metadata.resource_version;
        let operated = json!({"spec": {"redis": {"managed": null, "operator": operator}}});
        let platform = place.change(operated).await;
        assert_eq!(told(&platform, "RedisReady"), pair("False", "NameTaken"));
        place.change(json!({"spec": {"redis": null}})).await;
        assert_eq!(replications.get(NAME).await.unwrap().metadata.resource_version, version);
    })
    .await;
}
