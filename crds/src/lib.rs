//! What a user writes in YAML: the Rust types of every Payplane kind, and the CRDs generated from them.
//!
//! One kind per file, most used first. [`all`] is the complete list in install order; `crdgen` writes it to
//! `crds/*.yaml` and into the chart, and a test fails when either differs from the types. This crate knows nothing of
//! the operator or the engine.

pub mod approval;
pub mod payment;
pub mod refund;
pub mod standing_order;
pub mod wallet;

pub mod backup;
pub mod backup_schedule;
pub mod billing_plan;
pub mod platform;
pub mod restore;
pub mod scaling_policy;
pub mod tenant;
pub mod tenant_billing;
pub mod timeout_policy;

pub mod bucket;
pub mod condition;
pub mod conventions;
pub mod encryption;
pub mod kafka;
pub mod money;
pub mod reference;

mod manifest;

pub use approval::{Approval, ApprovalSpec, ApprovalState, ApprovalStatus};
pub use backup::{Backup, BackupSpec, BackupState, BackupStatus};
pub use backup_schedule::{BackupSchedule, BackupScheduleSpec, BackupScheduleStatus};
pub use billing_plan::{BillingPlan, BillingPlanSpec, BillingPlanStatus};
pub use manifest::{all, file_name, to_yaml};
pub use payment::{Payment, PaymentSpec, PaymentState, PaymentStatus};
pub use platform::{Platform, PlatformSpec, PlatformStatus};
pub use refund::{Refund, RefundSpec, RefundState, RefundStatus};
pub use restore::{Restore, RestoreSpec, RestoreState, RestoreStatus};
pub use scaling_policy::{ScalingPolicy, ScalingPolicySpec, ScalingPolicyStatus};
pub use standing_order::{StandingOrder, StandingOrderSpec, StandingOrderStatus};
pub use tenant::{Tenant, TenantSpec, TenantStatus};
pub use tenant_billing::{TenantBilling, TenantBillingSpec, TenantBillingStatus};
pub use timeout_policy::{TimeoutPolicy, TimeoutPolicySpec, TimeoutPolicyStatus};
pub use wallet::{Wallet, WalletSpec, WalletStatus};

/// API group of every kind.
pub const GROUP: &str = "payplane.io";
