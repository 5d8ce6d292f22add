//! Platforms whose PostgreSQL CloudNativePG runs, against CloudNativePG's real CRD. No controller of it runs here: its statuses
//! are those that `cluster/report.rs` tells apart. One test, because the CRD is there for the whole server.

use payplane_operator::controllers::Reconciled;

use super::{
    foreign::{assert_stored, becomes, crds, install},
    support::within,
    *,
};

const VERSION: &str = "postgresql.cnpg.io/v1";
const CRD: &str = "clusters.postgresql.cnpg.io";
const CLUSTER: &str = "main-postgres";

fn cluster_crd() -> Value {
    let found = crds("cloudnative-pg").into_iter().find(|crd| crd["metadata"]["name"] == CRD);
    found.expect("the CRD of Cluster")
}

/// The CRD of before 1.28.
fn older() -> Value {
    let mut crd = cluster_crd();
    for version in crd["spec"]["versions"].as_array_mut().unwrap() {
        let spec = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let synchronous = &mut spec["postgresql"]["properties"]["synchronous"]["properties"];
        assert!(synchronous.as_object_mut().unwrap().remove("failoverQuorum").is_some());
    }
    crd
}

/// What is meant with the spec of this test.
fn meant() -> Value {
    json!({
        "bootstrap": {"initdb": {
            "dataChecksums": true, "database": "payplane", "encoding": "UTF8", "localeCType": "C.UTF-8",
            "localeCollate": "C.UTF-8", "owner": "payplane_owner",
            "postInitSQL": ["alter role payplane_owner createrole"], "secret": {"name": "main-database-owner"},
        }},
        "enableSuperuserAccess": false,
        "imageName": "postgres:17",
        "instances": 3,
        "postgresql": {
            "parameters": {
                "effective_cache_size": "512MB", "maintenance_work_mem": "64MB", "max_connections": "100",
                "shared_buffers": "256MB", "synchronous_commit": "on",
                "timezone": "UTC",
            },
            "pg_hba": ["hostnossl all all all reject"],
            "synchronous": {"dataDurability": "required", "failoverQuorum": true, "method": "any", "number": 1},
        },
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
        "storage": {"size": "2Gi"},
    })
}

fn healthy(names: &[&str], primaries: [&str; 2], phase: &str) -> Value {
    let now = jiff::Timestamp::now().to_string();
    let ready = json!({"type": "Ready", "status": if names.len() == 3 { "True" } else { "False" },
        "reason": "Any", "message": "", "lastTransitionTime": now});
    json!({
        "conditions": [ready], "currentPrimary": primaries[0], "targetPrimary": primaries[1], "instances": 3,
        "instancesStatus": {"healthy": names}, "readyInstances": names.len(), "phase": phase, "phaseReason": null,
    })
}

impl Place {
    async fn text(&self, name: &str, key: &str) -> Option<String> {
        let secret = self.of::<Secret>().get(name).await.unwrap();
        let value = secret.data.unwrap().get(key)?.0.clone();
        Some(String::from_utf8(value).unwrap())
    }

    async fn restart_mark(&self) -> String {
        let template = self.engine().await.spec.unwrap().template.metadata.unwrap();
        template.annotations.unwrap()["payplane.io/restart"].clone()
    }
}

#[tokio::test]
async fn the_database_can_be_a_cluster_of_cloudnative_pg() {
    in_namespace("cnpg", |client, namespace| async move {
        let place = Place::new(client.clone(), namespace.clone());
        let body = |name: &str| {
            let operator = json!({
                "image": "postgres:17", "storage": {"size": "2Gi"},
                "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
            });
            json!({"apiVersion": "payplane.io/v1alpha1", "kind": "Platform", "metadata": {"name": name},
                "spec": {"postgres": {"operator": operator}}})
        };
        let platforms = objects(&client, "Platform", &namespace);
        create(&platforms, body("main")).await.unwrap();

        // Not installed, too old, installed.
        let platform = place.refused("main").await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "OperatorNotInstalled"));
        assert!(
            message(&platform, "Ready").contains("install CloudNativePG 1.28"),
            "{}",
            message(&platform, "Ready")
        );
        install(&client, &older()).await;
        let platform = served(&place).await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "OperatorNotInstalled"));
        assert!(message(&platform, "Ready").contains("failoverQuorum"), "{}", message(&platform, "Ready"));
        install(&client, &cluster_crd()).await;
        let clusters = place.foreign(VERSION, "Cluster");
        let platform = within("the newer schema holds", async {
            loop {
                let platform = place.platforms.get("main").await.unwrap();
                let _ = Box::pin(platform.reconcile(&place.context)).await;
                if clusters.get_opt(CLUSTER).await.unwrap().is_some() {
                    return place.platforms.get("main").await.unwrap();
                }
            }
        })
        .await;
        assert_eq!(told(&platform, "PostgresReady"), pair("False", "DatabaseNotReady"));
        let fields = assert_stored(&clusters, CLUSTER, &meant()).await;
        println!("Cluster: {fields} fields are stored as they were meant");
        assert_eq!(fields, 25, "every leaf of what is meant");

        // Nobody connects before there is a primary, a standby, and the authority of both.
        let all = ["main-postgres-1", "main-postgres-2", "main-postgres-3"];
        let one = [all[0], all[0]];
        becomes(&clusters, CLUSTER, &healthy(&all[..1], one, "Creating a new replica")).await;
        let (platform, again) = place.look().await;
        assert!(matches!(again, Again::After(_)));
        assert_eq!(told(&platform, "Ready"), pair("False", "DatabaseNotReady"));
        assert!(message(&platform, "Ready").contains("payments wait for a standby"));
        becomes(&clusters, CLUSTER, &healthy(&all, one, "Cluster in healthy state")).await;
        place.look().await;
        assert!(place.of::<Deployment>().get_opt("main-engine").await.unwrap().is_none());
        assert_eq!(place.text("main-database-app", "ca.crt").await, None);
        place
            .make::<Secret>(
                json!({"metadata": {"name": "main-postgres-ca"}, "stringData": {"ca.crt": "FIRST"}}),
            )
            .await;
        let (platform, _) = place.look().await;
        assert_eq!(told(&platform, "PostgresReady"), pair("True", "AsSpecified"));
        assert!(place.of::<Deployment>().get_opt("main-engine").await.unwrap().is_none(), "no schema yet");
        place.migrated().await;
        place.rolled_out().await;
        let (platform, again) = place.look().await;
        assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"));
        assert_eq!(again, Again::OnChange);

        // The Secrets of a database that is managed here, with other values.
        let host = format!("main-postgres-rw.{namespace}.svc");
        for (secret, username) in
            [("main-database-owner", "payplane_owner"), ("main-database-app", "payplane_app")]
        {
            let expected = [
                ("host", &*host),
                ("port", "5432"),
                ("dbname", "payplane"),
                ("username", username),
                ("ca.crt", "FIRST"),
            ];
            for (key, value) in expected {
                assert_eq!(place.text(secret, key).await.as_deref(), Some(value), "{secret} {key}");
            }
            assert_eq!(place.text(secret, "password").await.unwrap().len(), 64);
        }
        let [owner, app] = ["main-database-owner", "main-database-app"];
        assert_ne!(place.text(owner, "password").await, place.text(app, "password").await);

        the_primary_moves(&place, &clusters).await;
        what_somebody_changed_comes_back(&place, &clusters).await;
        the_log_is_stored_where_the_archive_says(&place, &clusters).await;
        nothing_uses_a_cluster_that_a_restore_fills(&place, &clusters).await;
        authorities_and_logins_change(&place).await;
        it_goes_only_where_that_is_asked_for(&place, &clusters).await;

        // Somebody's own Cluster under our name is left alone, whatever it has.
        let foreign = json!({
            "apiVersion": VERSION, "kind": "Cluster", "metadata": {"name": "other-postgres"},
            "spec": {"instances": 1, "storage": {"size": "1Gi"}},
        });
        create(&clusters, foreign).await.unwrap();
        let before = clusters.get("other-postgres").await.unwrap();
        create(&platforms, body("other")).await.unwrap();
        let platform = place.refused("other").await;
        assert_eq!(told(&platform, "Stalled"), pair("True", "NameTaken"));
        assert_eq!(clusters.get("other-postgres").await.unwrap().metadata, before.metadata);
    })
    .await;
}

/// Discovery follows a new CRD a moment later.
async fn served(place: &Place) -> Platform {
    within("the API server says that it knows the kind", async {
        loop {
            let platform = place.refused("main").await;
            if !message(&platform, "Ready").contains("knows no Cluster") {
                return platform;
            }
        }
    })
    .await
}

async fn the_primary_moves(place: &Place, clusters: &Api<kube::core::DynamicObject>) {
    let left = ["main-postgres-2", "main-postgres-3"];
    becomes(clusters, CLUSTER, &healthy(&left, ["main-postgres-1", "pending"], "Failing over")).await;
    let (platform, _) = place.look().await;
    assert_eq!(told(&platform, "PostgresReady"), pair("False", "DatabaseNotReady"));
    assert!(message(&platform, "PostgresReady").contains("CloudNativePG says: Failing over"));
    assert_eq!(told(&platform, "EngineReady").unwrap().0, "True", "engines stay, and wait");
    becomes(clusters, CLUSTER, &healthy(&left, [left[0], left[0]], "Creating a new replica")).await;
    let (platform, _) = place.look().await;
    assert_eq!(told(&platform, "PostgresReady"), pair("True", "Degraded"));
    assert_eq!(told(&platform, "Ready"), pair("True", "AsSpecified"), "payments go on");
    let all = ["main-postgres-1", left[0], left[1]];
    becomes(clusters, CLUSTER, &healthy(&all, [left[0], left[0]], "Cluster in healthy state")).await;
    assert_eq!(told(&place.look().await.0, "PostgresReady"), pair("True", "AsSpecified"));
}

async fn what_somebody_changed_comes_back(place: &Place, clusters: &Api<kube::core::DynamicObject>) {
    let drift = json!({"spec": {
        "postgresql": {"synchronous": {"dataDurability": "preferred", "number": 2}, "pg_hba": []}, "instances": 9,
    }});
    clusters.patch(CLUSTER, &PatchParams::default(), &Patch::Merge(drift)).await.unwrap();
    // What is nobody's but theirs stays.
    let theirs = json!({"spec": {"logLevel": "debug", "postgresql": {"parameters": {"log_min_duration_statement": "1s"}}}});
    clusters.patch(CLUSTER, &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    place.look().await;
    assert_stored(clusters, CLUSTER, &meant()).await;
    let live = clusters.get(CLUSTER).await.unwrap();
    assert_eq!(live.data["spec"]["logLevel"], "debug");
    assert_eq!(live.data["spec"]["postgresql"]["parameters"]["log_min_duration_statement"], "1s");
    let quiet = live.metadata.resource_version;
    place.look().await;
    assert_eq!(
        clusters.get(CLUSTER).await.unwrap().metadata.resource_version,
        quiet,
        "and nothing is written"
    );
}

/// What is meant with an archive, in the folder that this ledger got first.
fn archived(folder: &str) -> Value {
    let entry = |key: &str| json!({"name": "copies-bucket", "key": key});
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut spec = meant();
    spec["postgresql"]["parameters"]["archive_timeout"] = "30s".into();
    spec["env"] = json!([
        variable("AWS_DEFAULT_REGION", "eu-1"),
        variable("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        variable("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
    ]);
    spec["backup"] = json!({"barmanObjectStore": {
        "data": {"compression": "gzip", "immediateCheckpoint": true},
        "destinationPath": "s3://copies/pay/main",
        "endpointCA": entry("ca.crt"),
        "endpointURL": "https://s3.example",
        "s3Credentials": {"accessKeyId": entry("access-key-id"), "secretAccessKey": entry("secret-access-key")},
        "serverName": folder,
        "wal": {"compression": "gzip"},
    }});
    spec
}

async fn the_log_is_stored_where_the_archive_says(place: &Place, clusters: &Api<kube::core::DynamicObject>) {
    let bucket = json!({
        "endpoint": "https://s3.example/", "name": "copies", "prefix": "pay/main", "region": "eu-1",
        "credentialsRef": {"name": "copies-bucket"},
    });
    let with = |archive: Value| json!({"spec": {"postgres": {"operator": {"archive": archive}}}});
    let mut in_host = bucket.clone();
    in_host["pathStyle"] = false.into();
    let keys = json!({"secretRef": {"name": "keys"}});
    for (archive, blamed) in [
        (json!({"everySeconds": 30}), "give archive.bucket"),
        (json!({"bucket": bucket, "encryption": keys}), "leave archive.encryption out"),
        (json!({"bucket": in_host}), "leave archive.bucket.pathStyle out"),
    ] {
        let patch = Patch::Merge(with(archive.clone()));
        let refused = place.platforms.patch("main", &PatchParams::default(), &patch).await.unwrap_err();
        assert!(refused.to_string().contains(blamed), "{archive}: {refused}");
    }
    let platform = place.change(with(json!({"bucket": bucket, "everySeconds": 30}))).await;
    assert_eq!(told(&platform, "Stalled"), pair("True", "SecretNotFound"));
    assert!(message(&platform, "Ready").contains("\"copies-bucket\""), "{}", message(&platform, "Ready"));
    let entries = json!({"access-key-id": "id", "secret-access-key": "key", "ca.crt": "PEM"});
    place.make::<Secret>(json!({"metadata": {"name": "copies-bucket"}, "stringData": entries})).await;
    place.look().await;
    let uid = clusters.get(CLUSTER).await.unwrap().metadata.uid.unwrap();
    let folder = format!("{CLUSTER}-{uid}");
    let fields = assert_stored(clusters, CLUSTER, &archived(&folder)).await;
    assert_eq!(fields, 44, "every leaf of what is meant");
    place.change(with(json!(null))).await;
    assert_stored(clusters, CLUSTER, &meant()).await;
    assert_eq!(clusters.get(CLUSTER).await.unwrap().data["spec"].get("backup"), None);
}

async fn nothing_uses_a_cluster_that_a_restore_fills(
    place: &Place,
    clusters: &Api<kube::core::DynamicObject>,
) {
    let mark =
        |value: Value| Patch::Merge(json!({"metadata": {"annotations": {"payplane.io/restoring": value}}}));
    clusters.patch(CLUSTER, &PatchParams::default(), &mark(json!("back:r-1"))).await.unwrap();
    let (platform, _) = place.look().await;
    assert_eq!(told(&platform, "Stalled"), pair("True", "Restoring"));
    assert!(message(&platform, "Ready").contains("Restore back fills"), "{}", message(&platform, "Ready"));
    clusters.patch(CLUSTER, &PatchParams::default(), &mark(json!(null))).await.unwrap();
    assert_eq!(told(&place.look().await.0, "Ready"), pair("True", "AsSpecified"));
}

async fn authorities_and_logins_change(place: &Place) {
    let before = place.restart_mark().await;
    let secrets = place.of::<Secret>();
    let renewed = Patch::Merge(json!({"stringData": {"ca.crt": "SECOND"}}));
    secrets.patch("main-postgres-ca", &PatchParams::default(), &renewed).await.unwrap();
    place.look().await;
    assert_eq!(place.text("main-database-app", "ca.crt").await.as_deref(), Some("SECOND"));
    place.migrated().await;
    assert_ne!(place.restart_mark().await, before, "engines read it at their start");
    secrets.delete("main-postgres-ca", &DeleteParams::default()).await.unwrap();
    place.look().await;
    assert_eq!(
        place.text("main-database-app", "ca.crt").await.as_deref(),
        Some("SECOND"),
        "never without one"
    );
    place.rolled_out().await;

    let platform = place.change(json!({"spec": {"postgres": {"operator": {"rotation": 1}}}})).await;
    assert_eq!(place.text("main-database-app", "username").await.as_deref(), Some("payplane_app_b"));
    assert_eq!(told(&platform, "CredentialsRotated"), pair("False", "Progressing"));
    place.migrated().await;
    place.rolled_out().await;
    assert!(place.of::<Job>().get_opt("main-retire-login-1").await.unwrap().is_some());
}

async fn it_goes_only_where_that_is_asked_for(place: &Place, clusters: &Api<kube::core::DynamicObject>) {
    let owners = async || clusters.get(CLUSTER).await.unwrap().metadata.owner_references.unwrap_or_default();
    let policy = |policy: &str| json!({"spec": {"postgres": {"operator": {"deletionPolicy": policy}}}});
    assert!(owners().await.is_empty());
    let platform = place.change(policy("Delete")).await;
    let found = owners().await;
    assert_eq!(
        (found.len(), &*found[0].uid, found[0].controller),
        (1, &*platform.uid().unwrap(), Some(true))
    );
    place.change(policy("Retain")).await;
    assert!(owners().await.is_empty());

    // Deleted and applied again it finds its own.
    let uid = clusters.get(CLUSTER).await.unwrap().metadata.uid;
    place.platforms.delete("main", &DeleteParams::default()).await.unwrap();
    let spec = json!({"postgres": {"operator": {
        "image": "postgres:17", "storage": {"size": "2Gi"}, "rotation": 1,
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
    }}});
    place.platform(spec).await;
    assert_eq!(clusters.get(CLUSTER).await.unwrap().metadata.uid, uid);
    assert_stored(clusters, CLUSTER, &meant()).await;
}
