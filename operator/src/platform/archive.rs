//! The stored log of a managed database: its place, and the server's settings. Pure.
//!
//! The server hands each segment to a script when it is full, or some time after its first change, and keeps it until the
//! script has stored it. Where segments are sealed, or kept in a bucket, the script hands them to a container of the pod that has the
//! key and the credentials, and waits until that one has stored them; the server's own container has neither these nor the volume.
//! A failure therefore loses nothing and stops no payment; the log grows on the ledger's volume meanwhile, which is what a
//! BackupSchedule's `ArchiveCurrent` warns of.

use k8s_openapi::api::core::v1::{Container, ContainerPort, PersistentVolumeClaim, Volume, VolumeMount};
use kube::ResourceExt;
use payplane_crds::{
    Platform,
    backup::BackupVolume,
    platform::{Archive, ManagedPostgres},
};

use super::{
    claim,
    container::{mount, scratch},
};
use crate::{
    meta::kept,
    place::Place,
    sealed::{self, Keys},
};

/// Where copies and the stored log are mounted.
pub const DIR: &str = "/backups";
/// Where segments wait to be sealed.
const SPOOL_DIR: &str = "/spool";
/// Container that seals them, where they are sealed, and stores them.
const STORE_LOG: &str = "store-log";
/// Where that one says why it stores nothing.
pub const TROUBLE_PORT: i32 = 8080;
/// Component label of the volume.
const COMPONENT: &str = "backup";

/// Name of the claim that copies and the stored log of a Platform are kept in.
pub fn copies_name(volume: &BackupVolume, platform: &str) -> String {
    volume.claim_name.clone().unwrap_or_else(|| format!("{platform}-backups"))
}

/// The volume of all copies of a Platform. It has no owner: copies outlive whatever they were made of.
pub fn claim_of_copies(volume: &BackupVolume, platform: &Platform) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: kept(platform, copies_name(volume, &platform.name_any()), COMPONENT),
        spec: Some(claim::once(&volume.size, volume.storage_class_name.as_ref())),
        ..PersistentVolumeClaim::default()
    }
}

/// The claim to make, if the log is stored in a volume that nobody else makes.
pub(super) fn claim(platform: &Platform, spec: &ManagedPostgres) -> Option<PersistentVolumeClaim> {
    let archive = spec.archive.as_ref()?;
    let is_made = archive.bucket.is_none() && archive.volume.claim_name.is_none();
    is_made.then(|| claim_of_copies(&archive.volume, platform))
}

/// What the server's pod has for it.
pub(super) fn volumes(archive: &Archive, platform: &str) -> Vec<Volume> {
    let spool = is_handed_over(archive).then(|| scratch("spool"));
    [place(archive, platform).volume()].into_iter().chain(spool).chain(keys(archive).volumes()).collect()
}

/// What the server's container has.
pub(super) fn server_mount(archive: &Archive) -> VolumeMount {
    match is_handed_over(archive) {
        false => mount("backups", DIR, false),
        true => mount("spool", SPOOL_DIR, false),
    }
}

/// Whether another container than the server's stores it, which tells why it does not.
pub const fn is_handed_over(archive: &Archive) -> bool {
    archive.encryption.is_some() || archive.bucket.is_some()
}

/// Where it is stored.
pub fn place<'a>(archive: &'a Archive, platform: &str) -> Place<'a> {
    Place::of(&archive.volume, archive.bucket.as_ref(), platform)
}

/// The container that stores segments, sealed where there are keys, beside the server from its start to its end.
pub(super) fn sealer(archive: &Archive, platform: &str, image: String) -> Option<Container> {
    if !is_handed_over(archive) {
        return None;
    }
    let args = vec![
        format!("--platform={platform}"),
        format!("--spool={SPOOL_DIR}"),
        format!("--http-address=0.0.0.0:{TROUBLE_PORT}"),
    ];
    let mounts = vec![mount("spool", SPOOL_DIR, false)];
    let place = (&place(archive, platform), false);
    let mut container =
        sealed::container((image, STORE_LOG), "store-log", place, &keys(archive), (args, mounts));
    container.restart_policy = Some("Always".into());
    container.ports = Some(vec![ContainerPort {
        name: Some("trouble".into()),
        container_port: TROUBLE_PORT,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }]);
    Some(container)
}

fn keys(archive: &Archive) -> Keys<'_> {
    Keys::of([archive.encryption.as_ref()])
}

/// The server's settings.
pub(super) fn settings(archive: &Archive) -> [String; 3] {
    let script = if is_handed_over(archive) { "spool.sh" } else { "archive.sh" };
    [
        "archive_mode=on".into(),
        format!("archive_timeout={}s", archive.every_seconds),
        format!(r#"archive_command=sh /etc/payplane/postgres/{script} "%p" "%f""#),
    ]
}
