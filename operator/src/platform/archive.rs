//! The stored log of a managed database: its volume, and the server's settings. Pure.
//!
//! The server hands each segment to a script when it is full, or some time after its first change, and keeps it until the
//! script has stored it. A failure therefore loses nothing and stops no payment; the log grows on the ledger's volume
//! meanwhile, which is what a BackupSchedule's `ArchiveCurrent` warns of.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Volume};
use kube::ResourceExt;
use payplane_crds::{
    Platform,
    backup::BackupVolume,
    platform::{Archive, ManagedPostgres},
};

use super::{claim, container::claim_volume};
use crate::meta::kept;

/// Where copies and the stored log are mounted.
pub const DIR: &str = "/backups";
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

/// The volume as the server's pod has it.
pub(super) fn volume(archive: &Archive, platform: &str) -> Volume {
    claim_volume("backups", copies_name(&archive.volume, platform))
}

/// The server's settings.
pub(super) fn settings(archive: &Archive) -> [String; 3] {
    [
        "archive_mode=on".into(),
        format!("archive_timeout={}s", archive.every_seconds),
        r#"archive_command=sh /etc/payplane/postgres/archive.sh "%p" "%f""#.into(),
    ]
}
