//! TenantBilling: what a tenant pays for what it uses, and the invoices that come of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    billing_plan::PlanReference,
    money::{Amount, Currency, PositiveAmount},
};

mod collection;
mod status;
mod threshold;

pub use collection::{
    BillingCollection, BillingDunning, BillingReceiver, CollectionStatus, DunningAction, DunningStep,
    LedgerWallet,
};
pub use status::{AgreedPlan, BilledUsage, IssuedInvoice, OpenPeriod, TenantBillingStatus};
pub use threshold::{BillingThreshold, ThresholdName};

/// What a Tenant pays for what it uses. The ledger counts usage from its own journal, so that every operation is in
/// exactly one invoice, and closes each period once. Deleting the object ends nothing but the closing of periods: issued
/// invoices stay, and a TenantBilling that is applied again goes on where the last one ended.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "TenantBilling",
    plural = "tenantbillings",
    shortname = "bill",
    category = "payplane",
    namespaced,
    status = "TenantBillingStatus",
    derive = "PartialEq",
    doc = "What a Tenant pays for what it uses, and the invoices that come of it.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name", description = "Who pays"),
    printcolumn(name = "Accrued", type_ = "string", json_path = ".status.accrued", description = "What the open period comes to so far"),
    printcolumn(name = "Forecast", type_ = "string", json_path = ".status.forecast", priority = 1, description = "What it will come to if usage goes on so"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".status.currency"),
    printcolumn(name = "Closes", type_ = "string", json_path = ".status.period.closesAt", description = "When the open period is closed"),
    printcolumn(name = "Invoice", type_ = "integer", json_path = ".status.lastInvoice.number", description = "The last one issued"),
    printcolumn(name = "Total", type_ = "string", json_path = ".status.lastInvoice.total", description = "Of the last invoice"),
    printcolumn(name = "Due", type_ = "string", json_path = ".status.collection.due", description = "What is invoiced and not paid"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.tenantRef == oldSelf.tenantRef")
        .message("tenantRef cannot change; create another TenantBilling instead"),
    validation = Rule::new("has(self.plan) != has(self.planRef)").message("give exactly one of plan and planRef"),
    validation = Rule::new("!has(self.plan) || !has(oldSelf.plan) || self.plan.currency == oldSelf.plan.currency")
        .message("plan.currency cannot change; delete this TenantBilling and create another one, which goes on where it ended")
)]
pub struct TenantBillingSpec {
    /// The Tenant that pays. Its Platform is in the namespace of this object.
    pub tenant_ref: TenantReference,
    /// What usage costs. A change holds for the open period too: its invoice names the version that it was made by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanTerms>,
    /// A BillingPlan instead. The ledger keeps the version that was agreed: a change of it holds from the next period on, or
    /// cuts the open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<PlanReference>,
    /// When periods begin and end.
    pub period: BillingPeriod,
    /// How long after its end a period is closed, for what the ledger orders late. At most 31 days.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_678_400))]
    pub grace_seconds: i64,
    /// How invoices become money. Default: nobody collects them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<BillingCollection>,
    /// What follows while an invoice is not paid. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dunning: Option<BillingDunning>,
    /// What to be told of while a period is open, each once in a period. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub thresholds: Vec<BillingThreshold>,
    /// Keeps the last invoice as documents in a ConfigMap beside this object, so that kubectl can read them. Default: they
    /// are only fetched over gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<BillingDocuments>,
}

/// The last invoice for people: JSON, HTML and PDF.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingDocuments {
    /// How words, numbers and dates are written in HTML and PDF.
    #[serde(default)]
    pub locale: DocumentLocale,
}

/// A language with its numbers and dates.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DocumentLocale {
    /// 1,234.50 and 2026-11-30.
    #[default]
    #[serde(rename = "en")]
    En,
    /// 1.234,50 and 30.11.2026.
    #[serde(rename = "de")]
    De,
    /// 1’234.50 and 30.11.2026.
    #[serde(rename = "de-CH")]
    DeCh,
    /// 1 234,50 and 30/11/2026.
    #[serde(rename = "fr")]
    Fr,
}

/// Names a Tenant.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantReference {
    /// Name of the Tenant.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What usage costs.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanTerms {
    /// ISO 4217 code of all amounts.
    pub currency: Currency,
    /// What each period costs, whatever is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_fee: Option<Amount>,
    /// What is priced, each metric once. What is not listed costs nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["metric".into()]))]
    pub prices: Vec<MetricPrice>,
    /// Usage that others record over gRPC, each name once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["event".into()]))]
    pub events: Vec<EventPrice>,
    /// What the lines come to at least, before discount and tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
    /// What is taken off the sum of the lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<BillingDiscount>,
    /// Taxes, each on the discounted sum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub taxes: Vec<TaxRate>,
}

/// What can be billed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum BillingMetric {
    /// Payments that were made at once.
    Payments,
    /// Money that payments and captures moved, in the plan's currency.
    Volume,
    /// Holds that were made.
    Holds,
    /// Refunds that gave money back.
    Refunds,
    /// Different wallets that were used.
    ActiveWallets,
    /// Calls of the API by the tenant that were let in, whatever became of them. Engines count them for every quarter of an hour.
    ApiCalls,
    /// Operations that the ledger keeps of the tenant when the period ends, whenever they were made.
    Storage,
}

/// What one metric costs: exactly one of `flat`, `graduated`, `volume` and `packages`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.flat), has(self.graduated), has(self.volume), has(self.packages)].filter(x, x).size() == 1")
        .message("give exactly one of flat, graduated, volume and packages"),
    validation = Rule::new("self.metric == 'Volume' || !has(self.free) || self.free.matches('^[0-9]+$')")
        .message("free is a whole number, but for the metric Volume"),
    validation = Rule::new("self.metric == 'Volume' || !has(self.packages) || self.packages.size.matches('^[0-9]+$')")
        .message("packages.size is a whole number, but for the metric Volume")
)]
pub struct MetricPrice {
    /// Of what.
    pub metric: BillingMetric,
    /// How much costs nothing: a whole number or, of Volume, an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<Amount>,
    /// Every unit costs the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<FlatPrice>,
    /// Each unit costs what its own tier says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graduated: Option<TieredPrice>,
    /// All units cost what the tier says that the whole quantity falls into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<TieredPrice>,
    /// Whole packages, the last one in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<PackagePrice>,
}

/// What usage of one name costs that others record: exactly one of `flat`, `graduated`, `volume` and `packages`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.flat), has(self.graduated), has(self.volume), has(self.packages)].filter(x, x).size() == 1")
        .message("give exactly one of flat, graduated, volume and packages"),
    validation = Rule::new("!has(self.packages) || self.packages.size.matches('^[0-9]+$')")
        .message("packages.size is a whole number"),
    validation = Rule::new("!self.event.startsWith('payplane.')")
        .message("event cannot begin with payplane.; price the engine's own counts in prices, such as ApiCalls")
)]
pub struct EventPrice {
    /// What the events call it.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9._-]+$"))]
    pub event: String,
    /// How much costs nothing: a whole number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 18), regex(pattern = r"^(0|[1-9][0-9]*)$"))]
    pub free: Option<String>,
    /// Every unit costs the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<FlatPrice>,
    /// Each unit costs what its own tier says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graduated: Option<TieredPrice>,
    /// All units cost what the tier says that the whole quantity falls into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<TieredPrice>,
    /// Whole packages, the last one in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<PackagePrice>,
}

/// Zero or more with at most 8 decimals: "0.0025".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct Rate(
    /// The decimal string.
    #[schemars(length(min = 1, max = 19), regex(pattern = r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,8})?$"))]
    pub String,
);

/// From zero to a hundred with at most 8 decimals: "8.1".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct Percentage(
    /// The decimal string.
    #[schemars(
        length(min = 1, max = 12),
        regex(pattern = r"^(100(\.0{1,8})?|(0|[1-9][0-9]?)(\.[0-9]{1,8})?)$")
    )]
    pub String,
);

/// Every unit costs the same.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlatPrice {
    /// Per piece or, of Volume, per unit of the currency.
    pub unit_price: Rate,
}

/// Steps of a price.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.tiers.filter(t, !has(t.upTo)).size() == 1 && !has(self.tiers[self.tiers.size() - 1].upTo)")
        .message("every tier but the last needs upTo, and the last has none"),
    // Only the order: the ledger compares them exactly.
    validation = Rule::new("self.tiers.filter(t, has(t.upTo)).map(t, double(t.upTo)).isSorted()")
        .message("tiers overlap: upTo has to ascend from tier to tier")
)]
pub struct TieredPrice {
    /// In ascending order.
    #[schemars(length(min = 1, max = 16))]
    pub tiers: Vec<PriceTier>,
}

/// One step.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PriceTier {
    /// The last quantity of the tier, counted after what is free: a whole number or, of Volume, an amount. The last tier
    /// has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<PositiveAmount>,
    /// Per piece or, of Volume, per unit of the currency.
    pub unit_price: Rate,
    /// What the tier costs once it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat_fee: Option<Amount>,
}

/// Whole packages.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagePrice {
    /// How much one holds: a whole number or, of Volume, an amount.
    pub size: PositiveAmount,
    /// What one costs.
    pub price: Amount,
}

/// What is taken off: exactly one of `amount` and `percent`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.amount) != has(self.percent)").message("give exactly one of amount and percent"),
    validation = Rule::new("!has(self.percent) || !self.percent.matches('^0([.]0*)?$')")
        .message("percent is more than zero; leave the discount out otherwise")
)]
pub struct BillingDiscount {
    /// At most the sum of the lines is taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<PositiveAmount>,
    /// Of the sum of the lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percentage>,
    /// Periods, and parts of periods, that begin from then on have no discount. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub until: Option<Time>,
}

/// A tax.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaxRate {
    /// What it is called on the invoice.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\x00-\x1F\x7F]+$"))]
    pub name: String,
    /// Of the discounted sum.
    pub percent: Percentage,
}

/// What a period lasts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum BillingUnit {
    /// A day of the calendar.
    Day,
    /// Seven of them.
    Week,
    /// A month of the calendar.
    Month,
}

/// When periods begin and end: at midnight of a time zone. A change makes the next period shorter, never an issued one.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingPeriod {
    /// What one lasts.
    pub unit: BillingUnit,
    /// A name of the IANA database, such as "Europe/Zurich".
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: String,
    /// The date that periods are counted from, such as "2026-01-31" for the ends of months. Default: months begin on the
    /// 1st, weeks on a Monday.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 10, max = 10), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub anchor: Option<String>,
    /// Where billing begins: usage before it is in no invoice. Default: when this object was created. Has no meaning once
    /// the tenant has an invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub start: Option<Time>,
}
