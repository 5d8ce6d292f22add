use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

fn built(operator: Value) -> Value {
    let platform = fixture::platform(json!({"postgres": {"operator": operator}}));
    serde_json::to_value(cluster(&platform, &fixture::names()).unwrap()).unwrap()
}

#[test]
fn nothing_is_written_where_the_platform_asks_for_no_cluster() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    assert!(cluster(&platform, &fixture::names()).is_none());
}

#[test]
fn the_cluster_field_by_field() {
    let metadata =
        json!({"name": "main-postgres", "namespace": "pay", "labels": fixture::labels("postgres")});
    assert_eq!(
        built(json!({})),
        json!({
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": metadata,
            "spec": {
                "bootstrap": {"initdb": {
                    "dataChecksums": true,
                    "database": "payplane",
                    "encoding": "UTF8",
                    "localeCType": "C.UTF-8",
                    "localeCollate": "C.UTF-8",
                    "owner": "payplane_owner",
                    "postInitSQL": ["alter role payplane_owner createrole"],
                    "secret": {"name": "main-database-owner"},
                }},
                "enableSuperuserAccess": false,
                "instances": 3,
                "postgresql": {
                    "parameters": {
                        "effective_cache_size": "256MB",
                        "maintenance_work_mem": "32MB",
                        "max_connections": "100",
                        "shared_buffers": "128MB",
                        "synchronous_commit": "on",
                        "timezone": "UTC",
                    },
                    "pg_hba": ["hostnossl all all all reject"],
                    "synchronous": {
                        "dataDurability": "required", "failoverQuorum": true, "method": "any", "number": 1,
                    },
                },
                "storage": {"size": "8Gi"},
            },
        })
    );
}

#[test]
fn what_the_spec_says_is_passed_on() {
    let built = built(json!({
        "instances": 2, "image": "postgres:17", "deletionPolicy": "Delete",
        "storage": {"size": "50Gi", "storageClassName": "fast"},
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}},
    }));
    assert_eq!(built["metadata"], fixture::owned("main-postgres", "postgres"));
    let spec = &built["spec"];
    assert_eq!((&spec["instances"], &spec["imageName"]), (&json!(2), &json!("postgres:17")));
    assert_eq!(spec["storage"], json!({"size": "50Gi", "storageClass": "fast"}));
    assert_eq!(spec["resources"], json!({"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}}));
    assert_eq!(spec["postgresql"]["parameters"]["shared_buffers"], "1024MB");
}
