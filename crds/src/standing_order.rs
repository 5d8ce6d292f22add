//! StandingOrder: the same payment again and again, by a schedule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, PositiveAmount};
use crate::reference::WalletReference;

/// The same payment again and again, by a schedule. Each scheduled time makes one Payment object under a key of its own,
/// so it is paid once, whatever is restarted, restored or applied twice. Deleting the order deletes its Payment objects,
/// and never what the ledger has of them.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "StandingOrder",
    plural = "standingorders",
    shortname = "so",
    category = "payplane",
    namespaced,
    status = "StandingOrderStatus",
    derive = "PartialEq",
    doc = "The same payment again and again, by a schedule.",
    validation = Rule::new("size(self.metadata.name) <= 45").message("metadata.name can have at most 45 characters: each payment's name adds its time"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Time zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Amount", type_ = "string", json_path = ".spec.template.amount", description = "Of each payment"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.template.currency"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduledTime", description = "When the next payment is due"),
    printcolumn(name = "Last", type_ = "string", json_path = ".status.lastScheduledTime", description = "Scheduled time of the last payment"),
    printcolumn(name = "Outcome", type_ = "string", json_path = ".status.lastPayment.outcome", description = "Of the last payment"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Paid", type_ = "integer", json_path = ".status.counts.paid", priority = 1),
    printcolumn(name = "Missed", type_ = "integer", json_path = ".status.counts.missed", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.idempotencyKey) == has(oldSelf.idempotencyKey) && (!has(self.idempotencyKey) || self.idempotencyKey == oldSelf.idempotencyKey)")
        .message("idempotencyKey cannot change, or times that were paid would be paid again; create another StandingOrder instead"),
    validation = Rule::new("!has(self.count) || has(self.start)").message("count needs start: it counts the scheduled times from there"),
    validation = Rule::new("!has(self.start) || !has(self.end) || self.start <= self.end").message("end cannot be before start")
)]
pub struct StandingOrderSpec {
    /// When, as a cron expression of five fields: minute, hour, day of the month, month, day of the week. "0 9 1 * *" is
    /// the first of each month at nine; L stands for the last day, MON-FRI for weekdays.
    #[schemars(
        length(min = 9, max = 128),
        regex(pattern = r"^[0-9A-Za-z*,/#+?-]+( +[0-9A-Za-z*,/#+?-]+){4}$")
    )]
    pub schedule: String,
    /// On whose clock, as a name of the IANA time zone database. A local time that the clock skips in spring counts right
    /// after the gap; one that comes twice in autumn counts once.
    #[serde(default = "utc")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$")
    )]
    pub time_zone: String,
    /// Nothing is due before. What was due before the object existed is never paid either.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub start: Option<Time>,
    /// Nothing is due after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub end: Option<Time>,
    /// Ends the order after so many scheduled times, counted from `start`; missed and refused ones count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub count: Option<i32>,
    /// `true` pauses the order. What is due meanwhile is never paid.
    #[serde(default)]
    pub suspend: bool,
    /// What each payment is. Changes apply from the next scheduled time.
    pub template: PaymentTemplate,
    /// What becomes of a scheduled time that passed more than five minutes ago without a payment.
    #[serde(default)]
    pub on_miss: OnMiss,
    /// What follows when the payer has too little.
    #[serde(default)]
    pub on_insufficient_funds: OnInsufficientFunds,
    /// How many settled payments are kept as objects and in the status. The ledger keeps all.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 50))]
    pub history_limit: i32,
    /// What makes this order the same order wherever and whenever it is applied. Default: the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[!-~]+$"))]
    pub idempotency_key: Option<String>,
}

fn utc() -> String {
    "Etc/UTC".into()
}

fn ten() -> i32 {
    10
}

/// What each payment of an order is.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.from.name) && has(self.to.name) && self.from.name == self.to.name) && !(has(self.from.id) && has(self.to.id) && self.from.id == self.to.id) && !(has(self.from.settlement) && has(self.to.settlement))")
        .message("from and to cannot be the same wallet")
)]
pub struct PaymentTemplate {
    /// Who pays. `{settlement: true}` brings money into the tenant: whoever writes such an order needs the
    /// `payplane-treasury` role, and the Tenant caps it.
    pub from: WalletReference,
    /// Who is paid. `{settlement: true}` takes money out of the tenant.
    pub to: WalletReference,
    /// How much each time, as a decimal string: "125.00". Never rounded.
    pub amount: PositiveAmount,
    /// ISO 4217 code of the amount and of both wallets.
    pub currency: Currency,
    /// Free text that the ledger keeps with each payment. Never personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub reference: Option<String>,
}

/// What becomes of a scheduled time that nobody served.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OnMiss {
    /// It is not paid any more.
    Skip,
    /// The latest one is paid late, under its own time; earlier ones are not paid any more.
    #[default]
    CatchUpOnce,
}

/// What follows when the payer has too little.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.action == 'Retry') == has(self.retryForSeconds)").message("retryForSeconds goes with action Retry, and only with it"))]
pub struct OnInsufficientFunds {
    /// What to do.
    #[serde(default)]
    pub action: ShortAction,
    /// How long after its scheduled time a payment is tried again. At most 31 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_678_400))]
    pub retry_for_seconds: Option<i64>,
}

/// What to do when the payer has too little.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ShortAction {
    /// That payment is refused; the next one is made as if nothing had happened.
    #[default]
    Skip,
    /// That payment is tried again for a while, beside the ones that follow.
    Retry,
    /// That payment is refused and the order stops. To go on, set `start` to a time after it, or delete the refused
    /// Payment.
    Suspend,
}

/// What is known about a StandingOrder.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingOrderStatus {
    /// When the next payment is due. Absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_scheduled_time: Option<Time>,
    /// The last scheduled time that was served or passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scheduled_time: Option<Time>,
    /// The last payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_payment: Option<Occurrence>,
    /// How many scheduled times came to what, as far as this object saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// What came of the latest scheduled times, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 70))]
    pub history: Vec<Occurrence>,
    /// The schedule that is followed. Absent while the order is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<InForce>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Suspended.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// One scheduled time and what came of it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// When it was due.
    pub scheduled_time: Time,
    /// Name of its Payment. Absent if it was missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub payment: Option<String>,
    /// What came of it.
    pub outcome: OccurrenceOutcome,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
}

/// What came of a scheduled time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OccurrenceOutcome {
    /// Its Payment is not settled yet.
    Open,
    /// The money moved.
    Paid,
    /// The ledger refused it.
    Refused,
    /// It passed without a Payment.
    Missed,
    /// Somebody deleted its Payment before it was settled.
    Deleted,
}

/// How many scheduled times came to what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Counts {
    /// The money moved.
    pub paid: i64,
    /// The ledger refused.
    pub refused: i64,
    /// Nobody served them in time, or not all could be caught up.
    pub missed: i64,
}

/// A schedule, and since when it is followed: a new one brings nothing that would have been due before.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// The expression.
    #[schemars(length(max = 128))]
    pub schedule: String,
    /// The time zone.
    #[schemars(length(max = 64))]
    pub time_zone: String,
    /// Since when.
    pub since: Time,
}
