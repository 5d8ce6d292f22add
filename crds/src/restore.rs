//! Restore: a Backup, and the log after it, made a ledger again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{encryption::Encryption, platform::Storage, timeout_policy::PlatformName};

/// Makes a ledger of a Backup, and of the log that the Platform stored after it, up to a point. It is verified before it
/// counts. It goes into a volume that does not exist yet, for a Platform that is created afterwards; into the volume of a Platform
/// that exists, in the place of the ledger that is named, which is kept beside it; or into a scratch server that is thrown away
/// (a drill). Nothing that exists is ever overwritten.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Restore",
    plural = "restores",
    shortname = "rst",
    category = "payplane",
    namespaced,
    status = "RestoreStatus",
    selectable = ".status.state",
    derive = "PartialEq",
    doc = "Makes a ledger of a Backup and of the log after it, verified before it counts.",
    validation = Rule::new("size(self.metadata.name) <= 52").message("metadata.name can have at most 52 characters"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".spec.backupRef.name"),
    printcolumn(name = "To", type_ = "string", json_path = ".spec.point.time", description = "The moment; empty for the latest"),
    printcolumn(name = "Sequence", type_ = "integer", json_path = ".spec.point.sequence", description = "The seal up to which it goes", priority = 1),
    printcolumn(name = "Into", type_ = "string", json_path = ".spec.into.platform.name", description = "Empty for a drill"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Operations", type_ = "integer", json_path = ".status.operations", description = "Operations that were verified"),
    printcolumn(name = "Seconds", type_ = "integer", json_path = ".status.seconds", description = "From the first step to the verified ledger"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a Restore cannot change; create another one"),
    validation = Rule::new("!has(self.into.platform) || !has(self.into.platform.replace) || self.into.platform.name == self.platformRef.name")
        .message("a ledger is replaced by a copy of itself only: into.platform.name and platformRef.name have to be the same where into.platform.replace is given")
)]
pub struct RestoreSpec {
    /// Whose ledger it was. A Backup of another Platform is refused.
    pub platform_ref: PlatformName,
    /// The Backup to begin with, in the same namespace.
    pub backup_ref: BackupName,
    /// Up to where. Default: everything that the stored log has.
    #[serde(default)]
    pub point: Point,
    /// Where it goes.
    pub into: Destination,
    /// The keys that open copy and log. Default: those that the Backup was sealed with and those of the Platform's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// How long it may take. What takes longer has failed.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 60, max = 86_400))]
    pub deadline_seconds: i64,
}

fn an_hour() -> i64 {
    3_600
}

/// Names a Backup in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupName {
    /// Name of the Backup.
    #[schemars(length(min = 1, max = 52))]
    pub name: String,
}

/// Up to where: at most one of the three. Without any, everything that the stored log has.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.time), has(self.sequence), has(self.copy)].filter(given, given).size() <= 1")
        .message("give at most one of time, sequence and copy"),
    validation = Rule::new("!has(self.copy) || self.copy").message("copy is true or left out")
)]
pub struct Point {
    /// What was committed up to this moment by the database's clock, and nothing after. Needs the stored log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub time: Option<Time>,
    /// Everything that was sealed up to this number, as GetHead and `payplane-engine verify` tell it, and nothing that was
    /// committed after the last of that. Needs the stored log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub sequence: Option<i64>,
    /// The copy alone, without the stored log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<bool>,
}

/// Where it goes: exactly one of the two.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.platform) != has(self.drill)").message("give exactly one of platform and drill"),
    validation = Rule::new("!has(self.drill) || self.drill").message("drill is true or left out")
)]
pub struct Destination {
    /// The volume of a Platform in the same namespace that does not exist yet; nor may its volume. Create the Platform when
    /// the Restore has succeeded. With `replace` the volume of one that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<NewPlatform>,
    /// A scratch server that is thrown away: shows that it can be done, and how long it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<bool>,
}

/// A Platform that does not exist yet, or the one whose ledger is replaced.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPlatform {
    /// The name that it will have, or has.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// The volume of its ledger, as its `spec.postgres.managed.storage` will say, or `spec.postgres.operator.storage` where
    /// CloudNativePG took the Backup. With `replace` its volume stays as it is.
    #[serde(default)]
    pub storage: Storage,
    /// Consent to replace the ledger of a Platform that exists: that ledger's name, as `status.ledger` of the Platform has it.
    /// Each Restore into the volume gives the ledger another name, so a consent never counts for another ledger. The Platform
    /// stands still meanwhile, and the ledger of before is kept on the volume, which needs room for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub replace: Option<String>,
}

/// How far a Restore is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RestoreState {
    /// Nothing was done yet.
    #[default]
    New,
    /// It is being restored and verified.
    Running,
    /// The ledger is there, and sound.
    Succeeded,
    /// There is no ledger that could be used.
    Failed,
}

/// What is known about a Restore.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// How far it is.
    #[serde(default)]
    pub state: RestoreState,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// Operations that were verified in the restored ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<i64>,
    /// The restored ledger's epoch: one more than before. An engine of the epoch before is refused. Not of a drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// Of a Restore to a sequence: how many batches are there that were sealed after it, because they were committed before
    /// the last batch up to it. They are sealed again, under numbers of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later_batches: Option<i64>,
    /// Of a Restore in place: where the ledger of before is, as CLAIM/FOLDER.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub replaced: Option<String>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled; Settled and Succeeded when it has ended.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl RestoreState {
    /// States after which nothing more happens. Their objects leave the operator's cache.
    pub const SETTLED: [&'static str; 2] = ["Succeeded", "Failed"];
}
