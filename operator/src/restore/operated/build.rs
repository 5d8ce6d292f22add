//! The Cluster that CloudNativePG recovers a copy into, and the Job that makes a ledger of its own of it. Pure.
//!
//! The Cluster is as the one of the Platform that the copy is of, so that the new Platform finds what it would make. The Job moves
//! the epoch on and verifies, over the network, as the database's owner.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{
            Container, KeyToPath, PodSpec, ProjectedVolumeSource, Secret, SecretProjection, Volume,
            VolumeProjection,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use payplane_crds::{
    Backup, Platform, PlatformSpec, Restore,
    platform::{EngineSpec, OperatedPostgres, PostgresSpec},
    restore::NewPlatform,
};

use super::Copy;
use crate::{
    context::Settings,
    job,
    meta::{RESTORE, RESTORING, labels, owner},
    platform::{
        cluster,
        container::mount,
        foreign::cloudnative_pg::{
            Bootstrap, Cluster, ExternalCluster, LocalReference, Recovery, RecoveryTarget,
        },
        owner_login, program,
        restoring::Mark,
        secret, store, store_environment,
    },
    restore::build::{ADOPT, COMPONENT, VERIFY, adopt_args, engine_step, job_name, names, owner_metadata},
};

/// How the copy is called in the Cluster.
const SOURCE: &str = "copy";
const LOGIN: &str = "login";
const LOGIN_DIR: &str = "/etc/payplane/database-owner";

/// The Cluster, as the Platform's would be that the copy is of, with the volume that the Restore says. `credentials` is the Secret of the
/// bucket.
pub fn cluster(
    restore: &Restore,
    (copy, into): (Copy<'_>, &NewPlatform),
    source: Option<&Platform>,
    credentials: &Secret,
) -> Option<Cluster> {
    let names = names(restore, &into.name);
    let mut cluster = cluster::build::cluster(&platform(restore, into, source), &names)?;
    let initdb = cluster.spec.bootstrap.initdb.take()?;
    cluster.spec.bootstrap = Bootstrap {
        initdb: None,
        recovery: Some(Recovery {
            source: SOURCE.into(),
            recovery_target: target(restore, copy),
            database: initdb.database,
            owner: initdb.owner,
            secret: LocalReference { name: names.database_owner() },
        }),
    };
    cluster.spec.external_clusters = vec![ExternalCluster {
        name: SOURCE.into(),
        barman_object_store: Some(store(copy.bucket, copy.told.server_name.clone(), credentials)),
    }];
    cluster.spec.env = store_environment(copy.bucket);
    let mark = (RESTORING.to_owned(), Mark::of(restore).text());
    cluster.metadata.annotations = Some(BTreeMap::from([mark]));
    Some(cluster)
}

fn target(restore: &Restore, copy: Copy<'_>) -> RecoveryTarget {
    let point = &restore.spec.point;
    RecoveryTarget {
        backup_id: copy.told.backup_id.clone(),
        target_time: point.time.as_ref().map(|time| time.0.to_string()),
        target_immediate: point.copy,
    }
}

/// A Platform of the new name with the servers of the one that the copy is of, or those that one gets who says nothing. What is
/// made here outlives it.
fn platform(restore: &Restore, into: &NewPlatform, source: Option<&Platform>) -> Platform {
    let operated = source.and_then(|source| source.spec.postgres.operator.clone());
    let operated = operated.unwrap_or_else(|| OperatedPostgres {
        instances: 3,
        image: None,
        storage: into.storage.clone(),
        resources: Default::default(),
        archive: None,
        deletion_policy: Default::default(),
        rotation: 0,
    });
    let operated = OperatedPostgres {
        archive: None,
        deletion_policy: Default::default(),
        storage: into.storage.clone(),
        ..operated
    };
    let postgres = PostgresSpec { managed: None, operator: Some(operated), external: None };
    let spec =
        PlatformSpec { postgres, engine: EngineSpec::default(), kafka: None, redis: None, restore: None };
    let mut platform = Platform::new(&into.name, spec);
    platform.metadata.namespace = restore.namespace();
    platform
}

/// The login of the new ledger's owner. Where there is one, as of a Platform that was deleted, it is used as it is.
pub fn owner_secret(restore: &Restore, platform: &str, password: String) -> Secret {
    let database = cluster::database(&names(restore, platform), None);
    secret::login(owner_metadata(restore, platform), &database, &owner_login(password))
}

/// The Job.
pub fn job(
    restore: &Restore,
    into: &NewPlatform,
    (backup, seconds): (Option<&Backup>, i64),
    image: &str,
) -> Job {
    let mut labels = labels(&restore.spec.platform_ref.name, COMPONENT);
    labels.insert(RESTORE.into(), restore.name_any());
    let metadata = ObjectMeta {
        name: Some(job_name(restore)),
        namespace: restore.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![owner(restore)]),
        ..ObjectMeta::default()
    };
    let pod = PodSpec {
        containers: vec![verify(backup, seconds, image)],
        init_containers: Some(vec![adopt(restore, image)]),
        volumes: Some(vec![login(restore, into)]),
        ..job::pod(program::USER)
    };
    job::once(metadata, seconds, pod)
}

/// The image of the engine that does it.
pub fn image(source: Option<&Platform>, settings: &Settings) -> String {
    source.map_or_else(|| settings.engine_image.clone(), |source| program::image(source, settings))
}

fn adopt(restore: &Restore, image: &str) -> Container {
    let args = adopt_args(restore, LOGIN_DIR, LOGIN_DIR);
    engine_step(image.into(), ADOPT, args, vec![mount(LOGIN, LOGIN_DIR, true)])
}

fn verify(backup: Option<&Backup>, seconds: i64, image: &str) -> Container {
    let args = [
        "verify".into(),
        format!("--database-dir={LOGIN_DIR}"),
        "--summary-file=/dev/termination-log".into(),
        format!("--wait-seconds={seconds}"),
    ];
    let head = backup.and_then(|backup| backup.status.as_ref()?.head.as_ref());
    let expected = head.map(|head| format!("--expect-head={head}"));
    let mounts = vec![mount(LOGIN, LOGIN_DIR, true)];
    engine_step(image.into(), VERIFY, args.into_iter().chain(expected).collect(), mounts)
}

/// The owner's login, with the authority that CloudNativePG made for this Cluster.
fn login(restore: &Restore, into: &NewPlatform) -> Volume {
    let names = names(restore, &into.name);
    let of = |name: String, entries: &[&str]| VolumeProjection {
        secret: Some(SecretProjection {
            name,
            items: Some(
                entries
                    .iter()
                    .map(|entry| KeyToPath { key: (*entry).into(), path: (*entry).into(), mode: None })
                    .collect(),
            ),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let sources = vec![
        of(names.database_owner(), &["host", "port", "dbname", "username", "password"]),
        of(names.cluster_ca(), &["ca.crt"]),
    ];
    let projected = ProjectedVolumeSource { default_mode: Some(0o440), sources: Some(sources) };
    Volume { name: LOGIN.into(), projected: Some(projected), ..Volume::default() }
}
