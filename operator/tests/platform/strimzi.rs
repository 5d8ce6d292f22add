//! Platforms whose Kafka Strimzi runs, against Strimzi's real CRDs. No controller of it runs here. One test, because the CRDs
//! are there for the whole server.

use super::{
    foreign::{assert_stored, becomes, crds, install},
    support::within,
    *,
};

const VERSION: &str = "kafka.strimzi.io/v1";

fn ready(generation: Option<i64>) -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({
        "observedGeneration": generation,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
    })
}

/// What is meant: kind, name, spec.
fn meant(pool: &str) -> [(&'static str, String, Value); 4] {
    [
        (
            "Kafka",
            "main-kafka".into(),
            json!({
                "entityOperator": {"topicOperator": {}, "userOperator": {}},
                "kafka": {
                    "authorization": {"type": "simple"},
                    "config": {
                        "auto.create.topics.enable": false, "default.replication.factor": 3,
                        "min.insync.replicas": 2, "offsets.topic.replication.factor": 3,
                        "transaction.state.log.min.isr": 2, "transaction.state.log.replication.factor": 3,
                    },
                    "listeners": [{
                        "authentication": {"type": "scram-sha-512"}, "name": "tls", "port": 9093, "tls": true,
                        "type": "internal",
                    }],
                    "version": "4.1.0",
                },
            }),
        ),
        (
            "KafkaNodePool",
            pool.into(),
            json!({
                "replicas": 3, "roles": ["controller", "broker"],
                "resources": {"limits": {"memory": "2Gi"}},
                "storage": {"type": "jbod", "volumes": [{
                    "class": "fast", "deleteClaim": false, "id": 0, "kraftMetadata": "shared", "size": "10Gi",
                    "type": "persistent-claim",
                }]},
            }),
        ),
        (
            "KafkaTopic",
            "main-kafka-events".into(),
            json!({
                "config": {"min.insync.replicas": 2, "retention.bytes": 447_392_426}, "partitions": 12,
                "replicas": 3, "topicName": "payplane.events",
            }),
        ),
        (
            "KafkaUser",
            "main-kafka-engine".into(),
            json!({
                "authentication": {"type": "scram-sha-512", "password": {"valueFrom": {
                    "secretKeyRef": {"key": "password", "name": "main-kafka-client"},
                }}},
                "authorization": {"type": "simple", "acls": [{
                    "operations": ["Describe", "DescribeConfigs", "Write"],
                    "resource": {"name": "payplane.events", "patternType": "literal", "type": "topic"},
                }]},
            }),
        ),
    ]
}

#[tokio::test]
async fn kafka_can_be_run_by_strimzi_and_money_does_not_wait_for_it() {
    in_namespace("strimzi", |client, namespace| async move {
        let place = Place::new(client.clone(), namespace.clone());
        let class: StorageClass = serde_json::from_value(
            json!({"metadata": {"name": format!("{namespace}-fast")}, "provisioner": "none"}),
        )
        .unwrap();
        let classes = Api::<StorageClass>::all(client.clone());
        classes.create(&PostParams::default(), &class).await.unwrap();
        let operator = json!({
            "version": "4.1.0", "resources": {"limits": {"memory": "2Gi"}},
            "storage": {"size": "10Gi", "storageClassName": class.name_any()},
        });
        place.serving(json!({"postgres": {"managed": {}}, "kafka": {"operator": operator}})).await;

        // Not installed: payments go on, and it is looked for.
        let (platform, again) = place.look().await;
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));
        assert_eq!(told(&platform, "KafkaReady"), pair("False", "OperatorNotInstalled"));
        assert!(message(&platform, "KafkaReady").contains("install Strimzi 0.49"));
        assert!(matches!(again, Again::After(_)));
        let all = crds("strimzi");
        assert_eq!(all.len(), 4);
        for crd in &all {
            install(&client, crd).await;
        }
        let platform = within("the API server says that it knows the kinds", async {
            loop {
                let (platform, _) = place.look().await;
                if told(&platform, "KafkaReady") != pair("False", "OperatorNotInstalled") {
                    return platform;
                }
            }
        })
        .await;
        assert_eq!(told(&platform, "KafkaReady"), pair("False", "KafkaNotReady"));

        let pools = place.foreign(VERSION, "KafkaNodePool").list(&Default::default()).await.unwrap();
        let pool = pools.items[0].name_any();
        let mut expected = meant(&pool);
        expected[1].2["storage"]["volumes"][0]["class"] = json!(class.name_any());
        let mut fields = 0;
        for (kind, name, spec) in &expected {
            fields += assert_stored(&place.foreign(VERSION, kind), name, spec).await;
        }
        println!("Strimzi: {fields} fields are stored as they were meant");
        assert_eq!(fields, 41, "every leaf of what is meant");
        for (kind, name, _) in &expected[1..] {
            let live = place.foreign(VERSION, kind).get(name).await.unwrap();
            assert_eq!(live.labels()["strimzi.io/cluster"], "main-kafka", "{kind}");
        }

        // The engine gets Kafka when its authority is known, and its password is the user's.
        let told_of_kafka = async || {
            let pod = place.engine().await.spec.unwrap().template.spec.unwrap();
            pod.containers[0].args.clone().unwrap().contains(&"--kafka-dir".to_owned())
        };
        assert!(!told_of_kafka().await);
        place
            .make::<Secret>(
                json!({"metadata": {"name": "main-kafka-cluster-ca-cert"}, "stringData": {"ca.crt": "PEM"}}),
            )
            .await;
        place.look().await;
        assert!(told_of_kafka().await);
        let secret = place.of::<Secret>().get("main-kafka-client").await.unwrap().data.unwrap();
        let text = |key: &str| String::from_utf8(secret[key].0.clone()).unwrap();
        assert_eq!(text("brokers"), format!("main-kafka-kafka-bootstrap.{namespace}.svc:9093"));
        assert_eq!([text("username"), text("ca.crt")], ["main-kafka-engine", "PEM"]);
        assert_eq!(text("password").len(), 64);

        for (kind, name, _) in &expected {
            let objects = place.foreign(VERSION, kind);
            let generation = objects.get(name).await.unwrap().metadata.generation;
            becomes(&objects, name, &ready(generation)).await;
        }
        assert_eq!(told(&place.look().await.0, "KafkaReady"), pair("True", "AsSpecified"));

        // What somebody changed comes back: here the rights of the engine's user.
        let users = place.foreign(VERSION, "KafkaUser");
        let more = json!({"spec": {"authorization": {"acls": [{
            "operations": ["All"], "resource": {"name": "*", "patternType": "literal", "type": "topic"},
        }]}}});
        users.patch("main-kafka-engine", &PatchParams::default(), &Patch::Merge(more)).await.unwrap();
        let (platform, _) = place.look().await;
        assert_stored(&users, "main-kafka-engine", &expected[3].2).await;
        assert_eq!(
            told(&platform, "KafkaReady"),
            pair("False", "KafkaNotReady"),
            "until Strimzi has seen it"
        );
        assert!(message(&platform, "KafkaReady").contains("not looked at the KafkaUser"));

        // Somebody else's is left alone, and nothing is written beside it.
        let kafkas = place.foreign(VERSION, "Kafka");
        kafkas.delete("main-kafka", &DeleteParams::default()).await.unwrap();
        let foreign = json!({"apiVersion": VERSION, "kind": "Kafka", "metadata": {"name": "main-kafka"},
            "spec": expected[0].2});
        let version = create(&kafkas, foreign).await.unwrap().metadata.resource_version;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "KafkaReady"), pair("False", "NameTaken"));
        assert_eq!(kafkas.get("main-kafka").await.unwrap().metadata.resource_version, version);
        classes.delete(&class.name_any(), &DeleteParams::default()).await.unwrap();
    })
    .await;
}
