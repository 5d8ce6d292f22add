//! The stored log of a managed database: its volume, and the server's settings. Pure.
//!
//! The server hands each segment to a script when it is full, or some time after its first change, and keeps it until the
//! script has stored it. Where segments are sealed the script hands them to a container of the pod that has the key, and waits
//! until that one has stored them; the server's own container has neither the key nor the volume. A failure therefore loses nothing and stops no payment; the log grows on the ledger's volume
//! meanwhile, which is what a BackupSchedule's `ArchiveCurrent` warns of.

use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Volume, VolumeMount};
use kube::ResourceExt;
use payplane_crds::{
    Platform,
    backup::BackupVolume,
    platform::{Archive, ManagedPostgres},
};

use super::{
    claim,
    container::{claim_volume, mount, scratch},
};
use crate::{
    meta::kept,
    sealed::{self, COPIES_DIR, Keys},
};

/// Where copies and the stored log are mounted.
pub const DIR: &str = "/backups";
/// Where segments wait to be sealed.
const SPOOL_DIR: &str = "/spool";
/// Container that seals and stores them.
const STORE_LOG: &str = "store-log";
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
    let volume = &spec.archive.as_ref()?.volume;
    volume.claim_name.is_none().then(|| claim_of_copies(volume, platform))
}

/// What the server's pod has for it.
pub(super) fn volumes(archive: &Archive, platform: &str) -> Vec<Volume> {
    let copies = claim_volume("backups", copies_name(&archive.volume, platform));
    let spool = archive.encryption.as_ref().map(|_| scratch("spool"));
    [copies].into_iter().chain(spool).chain(keys(archive).volumes()).collect()
}

/// What the server's container has.
pub(super) fn server_mount(archive: &Archive) -> VolumeMount {
    match archive.encryption {
        None => mount("backups", DIR, false),
        Some(_) => mount("spool", SPOOL_DIR, false),
    }
}

/// The container that seals segments and stores them, beside the server from its start to its end.
pub(super) fn sealer(archive: &Archive, platform: &str, image: String) -> Option<Container> {
    archive.encryption.as_ref()?;
    let args = [
        "store-log".into(),
        format!("--folder={COPIES_DIR}"),
        format!("--platform={platform}"),
        format!("--spool={SPOOL_DIR}"),
    ];
    let mounts = vec![mount("backups", COPIES_DIR, false), mount("spool", SPOOL_DIR, false)];
    let mut container = sealed::container(image, STORE_LOG, &keys(archive), args.to_vec(), mounts);
    container.restart_policy = Some("Always".into());
    Some(container)
}

fn keys(archive: &Archive) -> Keys<'_> {
    Keys::of([archive.encryption.as_ref()])
}

/// The server's settings.
pub(super) fn settings(archive: &Archive) -> [String; 3] {
    let script = if archive.encryption.is_some() { "spool.sh" } else { "archive.sh" };
    [
        "archive_mode=on".into(),
        format!("archive_timeout={}s", archive.every_seconds),
        format!(r#"archive_command=sh /etc/payplane/postgres/{script} "%p" "%f""#),
    ]
}
