//! Names, labels and owner references that every kind shares.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use payplane_crds::Platform;
use sha2::{Digest, Sha256};

/// Field manager of every write, `app.kubernetes.io/managed-by` of every child, and reporter of every event.
pub const MANAGER: &str = "payplane-operator";
/// Field manager of values that the operator once set and now leaves to others, such as an autoscaler.
pub const LEFT_TO_OTHERS: &str = "payplane-operator-left-to-others";
/// Label of a Platform's children: the Platform's name.
pub const PLATFORM: &str = "payplane.io/platform";
/// Annotation of a Job that copies a ledger: where the ledger's chain ended before, as SEAL:LINK.
pub const HEAD: &str = "payplane.io/head";
/// Annotation of a Job that copies a ledger: why the copy is a full one, though it was to build on another one.
pub const FULL_BECAUSE: &str = "payplane.io/full-because";
/// Label of a Job and its pod: the Backup that they work for.
pub const BACKUP: &str = "payplane.io/backup";
/// Label of a BackupSchedule's Backups: the BackupSchedule's name.
pub const BACKUP_SCHEDULE: &str = "payplane.io/backup-schedule";
/// Annotation of a Job that deletes copies: the Backups whose copies they are, as NAME:UID.
pub const DOOMED: &str = "payplane.io/doomed";
/// Label of a Job and its pod: the Restore that they work for. Annotation of a volume: the UID of the one that fills it, or the name of the
/// ledger that a major upgrade made.
pub const RESTORE: &str = "payplane.io/restore";
/// Annotation of a ledger's volume while what is on it is replaced, as NAME:UID of a Restore or upgrade/MILLISECONDS:HASH of a major upgrade:
/// the Platform stands still. On the database's StatefulSet it says that it does.
pub const RESTORING: &str = "payplane.io/restoring";
/// Annotation of a ledger's volume: the image whose server made what is on it, where a Restore or a major upgrade did.
pub const POSTGRES_IMAGE: &str = "payplane.io/postgres-image";
/// Annotation of a ledger's volume: hash of a major upgrade that failed and is not tried again.
pub const REFUSED_UPGRADE: &str = "payplane.io/refused-upgrade";
/// Annotation of a ledger's volume: why that upgrade failed.
pub const REFUSED_UPGRADE_BECAUSE: &str = "payplane.io/refused-upgrade-because";
/// Finalizer of a Restore that replaces a ledger: the Platform gets its volume back first.
pub const GIVE_BACK: &str = "payplane.io/give-back";
/// Label of a Tenant's namespaces: the Tenant's name.
pub const TENANT: &str = "payplane.io/tenant";
/// Label of a ScalingPolicy's children: the ScalingPolicy's name.
pub const SCALING_POLICY: &str = "payplane.io/scaling-policy";
/// Label of a StandingOrder's payments: the StandingOrder's name.
pub const STANDING_ORDER: &str = "payplane.io/standing-order";
/// Annotation by which a namespace consents to belong to the Tenant of this name.
pub const ADOPT_BY: &str = "payplane.io/adopt-by";
/// Annotation of a Payment or a Refund by which somebody consents that it is done again after a restore lost it. Its value
/// is the name of the ledger's epoch, so that it means one restore.
pub const REPLAY: &str = "payplane.io/replay";
/// Annotation of a Payment or a Refund that was kept in a file and applied again: since when the object was there that it is a
/// copy of. It can make an object older and never younger.
pub const ASKED_SINCE: &str = "payplane.io/asked-since";
/// Finalizer of Tenants and Wallets: what they stand for is let go first.
pub const OFFBOARD: &str = "payplane.io/offboard";
/// Annotation that lets a deleted object go at once, if its value is "true": the way out when nobody can be asked.
pub const LET_GO: &str = "payplane.io/let-go";
/// Annotation of a child: hash of what was last applied, so that fields which are no longer wanted get removed.
pub const APPLIED: &str = "payplane.io/applied";
/// Annotation of a pod template: hash of everything that must restart the pods when it changes.
pub const RESTART: &str = "payplane.io/restart";
/// Annotation of a Platform: "true" leaves everything as it is until the annotation goes.
pub const PAUSED: &str = "payplane.io/paused";
/// Annotation of the engine's Deployment: hash of the pod template that was asked for when it got the one that it has.
pub const TEMPLATE: &str = "payplane.io/template";
/// Annotation of the engine's Deployment: hash of a pod template that failed and is not tried again.
pub const REFUSED: &str = "payplane.io/refused-template";
/// Annotation of the engine's Deployment: why that template failed.
pub const REFUSED_BECAUSE: &str = "payplane.io/refused-because";
/// Annotation of the engine's Deployment: hash of the last migration that succeeded.
pub const MIGRATED: &str = "payplane.io/migrated";
/// Annotation of the engine's Deployment, and of a ReplicaSet of it: the newest migration that its engines know.
pub const SCHEMA: &str = "payplane.io/schema";
/// Annotation of the engine's Deployment: the oldest engine that the schema lets run, by the newest migration that it knows.
pub const OLDEST_ENGINE: &str = "payplane.io/oldest-engine";
/// Annotation of the Secrets of the database's logins: the change of logins that they come from.
pub const ROTATION: &str = "payplane.io/rotation";
/// Annotation of the Job of a change of logins: hash of the password that it gives the database's owner.
pub const OWNER_PASSWORD: &str = "payplane.io/owner-password";
/// Annotation of Kafka's StatefulSet: hash of the users and rights that were written last.
pub const KAFKA_RIGHTS: &str = "payplane.io/kafka-rights";
/// Annotation of a certificate's Secret: when to issue the next one.
pub const RENEW_AT: &str = "payplane.io/renew-at";
/// ConfigMap in every namespace of a tenant: the engine's address and the certificate to check it with.
pub const CA_CONFIG_MAP: &str = "payplane-ca";

/// Labels of a child of a Platform.
pub fn labels(platform: &str, component: &str) -> BTreeMap<String, String> {
    let mut labels = selector(platform, component);
    labels.insert("app.kubernetes.io/managed-by".into(), MANAGER.into());
    labels.insert("app.kubernetes.io/part-of".into(), "payplane".into());
    labels.insert(PLATFORM.into(), platform.into());
    labels
}

/// The part of the labels by which Services and Deployments find pods. It can never change.
pub fn selector(platform: &str, component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/component".into(), component.into()),
        ("app.kubernetes.io/instance".into(), platform.into()),
        ("app.kubernetes.io/name".into(), format!("payplane-{component}")),
    ])
}

/// Metadata of a child that goes when its Platform goes.
pub fn owned(platform: &Platform, name: String, component: &str) -> ObjectMeta {
    let owner = OwnerReference { block_owner_deletion: Some(true), ..owner(platform) };
    ObjectMeta { owner_references: Some(vec![owner]), ..kept(platform, name, component) }
}

/// Metadata of a child that outlives its Platform: what is needed to open the ledger again.
pub fn kept(platform: &Platform, name: String, component: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: platform.namespace(),
        labels: Some(labels(&platform.name_any(), component)),
        ..ObjectMeta::default()
    }
}

/// Makes a child go with its owner, which need not wait for that.
pub fn owner<K: Resource<DynamicType = ()>>(object: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into(),
        block_owner_deletion: None,
        controller: Some(true),
        kind: K::kind(&()).into(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

/// Labels of what a Tenant makes in its namespaces. Only what has them is ever removed.
pub fn tenant_labels(tenant: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/managed-by".into(), MANAGER.into()),
        ("app.kubernetes.io/part-of".into(), "payplane".into()),
        (TENANT.into(), tenant.into()),
    ])
}

/// Whether the object waits for us before it goes.
pub fn is_held(object: &impl Resource) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == OFFBOARD)
}

/// Whether the object was deleted.
pub fn is_leaving(object: &impl Resource) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether somebody says that it shall go whatever is left.
pub fn may_go(object: &impl Resource) -> bool {
    object.annotations().get(LET_GO).is_some_and(|value| value == "true")
}

/// A short hash in lower-case hex, for names and annotations.
pub fn short_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With lengths, so that moving a byte from one part to the next changes the hash.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_parts_apart() {
        assert_ne!(short_hash([&b"ab"[..], b"c"]), short_hash([&b"a"[..], b"bc"]));
        assert_eq!(short_hash([&b"ab"[..]]).len(), 16);
    }

    #[test]
    fn only_the_selector_finds_pods_so_it_holds_nothing_that_changes() {
        let selector = selector("main", "engine");
        assert_eq!(
            selector.into_iter().collect::<Vec<_>>(),
            [
                ("app.kubernetes.io/component".to_owned(), "engine".to_owned()),
                ("app.kubernetes.io/instance".to_owned(), "main".to_owned()),
                ("app.kubernetes.io/name".to_owned(), "payplane-engine".to_owned()),
            ]
        );
    }
}
