//! CloudNativePG's Backup, and the Job that proves what it took. Pure.
//!
//! The Job's steps: fetch the copy and bring it up to where it is whole, with Barman's programs of the servers' own image; serve
//! it to this pod alone; verify the ledger in it. Nothing of it outlives the pod. The custom resources are kept before that, as with any
//! copy.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use payplane_crds::{Backup, Platform};

use crate::{
    backup::build::{COMPONENT, annotations, job_name, place, verify},
    barman,
    context::Settings,
    job,
    meta::{BACKUP, HEAD, labels, owner},
    platform::{
        cluster_name,
        container::{mount, resources, scratch, variable},
        foreign::cloudnative_pg::{
            LocalReference,
            backup::{OperatedBackup, OperatedBackupSpec},
        },
    },
};

use super::base;

/// Container that fetches the copy.
pub const FETCH: &str = "fetch";

/// The copy to take. Of the primary: a standby may not have yet what was acknowledged last.
pub fn copy(backup: &Backup, platform: &Platform, head: Option<&str>) -> OperatedBackup {
    let mut copy = OperatedBackup::new(
        &backup.name_any(),
        OperatedBackupSpec {
            cluster: LocalReference { name: cluster_name(&platform.name_any()) },
            method: "barmanObjectStore".into(),
            target: "primary".into(),
        },
    );
    let head = head.map(|head| (HEAD.to_owned(), head.to_owned()));
    copy.metadata = ObjectMeta {
        annotations: head.map(|head| BTreeMap::from([head])),
        ..metadata(backup, platform, backup.name_any())
    };
    copy
}

/// The Job.
pub fn prove(
    backup: &Backup,
    platform: &Platform,
    copy: &OperatedBackup,
    (image, seconds): (&str, i64),
    settings: &Settings,
) -> Job {
    let head = copy.annotations().get(HEAD).map(String::as_str);
    let fetch = fetch(backup, platform, copy, image);
    // The server has nothing of the bucket's.
    let mut serve = Container { name: "scratch".into(), env: None, ..fetch.clone() };
    serve.volume_mounts = Some(vec![mount("scratch", "/scratch", false), mount("tmp", "/tmp", false)]);
    let pod = PodSpec {
        containers: vec![verify(backup, platform, settings, head)],
        // What it holds is thrown away in any case.
        init_containers: Some(vec![
            fetch,
            job::serve(serve, "/scratch/data", &["fsync=off", "archive_mode=off"]),
        ]),
        volumes: Some(vec![place(backup).volume(), scratch("scratch"), scratch("tmp")]),
        ..job::pod(barman::USER)
    };
    let metadata = ObjectMeta {
        annotations: annotations(head, &base(backup)),
        ..metadata(backup, platform, job_name(backup))
    };
    job::once(metadata, seconds, pod)
}

fn metadata(backup: &Backup, platform: &Platform, name: String) -> ObjectMeta {
    let mut labels = labels(&platform.name_any(), COMPONENT);
    labels.insert(BACKUP.into(), backup.name_any());
    ObjectMeta {
        name: Some(name),
        namespace: platform.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![owner(backup)]),
        ..ObjectMeta::default()
    }
}

fn fetch(backup: &Backup, platform: &Platform, copy: &OperatedBackup, image: &str) -> Container {
    let status = copy.status.clone().unwrap_or_default();
    let mut container = barman::container((FETCH, image), &place(backup), include_str!("fetch.sh"));
    container.env.get_or_insert_default().extend([
        variable("DESTINATION", status.destination_path),
        variable("SERVER", status.server_name),
        variable("COPY", status.backup_id),
    ]);
    let asked = platform.spec.postgres.operator.as_ref().map(|operated| operated.resources.clone());
    container.resources = Some(resources(&asked.unwrap_or_default(), "100m", "256Mi"));
    container.volume_mounts.get_or_insert_default().push(mount("scratch", "/scratch", false));
    container
}
