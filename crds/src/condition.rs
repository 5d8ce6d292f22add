//! Condition types and reasons. A reason never changes its meaning: scripts may match on it, never on the message.

/// Works as asked. `Unknown` from the first moment until something is known.
pub const READY: &str = "Ready";
/// Something is still under way.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more will happen without a change by a person.
pub const STALLED: &str = "Stalled";
/// On money objects: nothing more will happen, whatever the outcome.
pub const SETTLED: &str = "Settled";
/// On money objects: whether the money moved.
pub const SUCCEEDED: &str = "Succeeded";
/// On money objects: the ledger had decided this key for an object with another UID.
pub const REPLAYED: &str = "Replayed";
/// On a Refund or a Payment that needs approval: whether somebody else approved it.
pub const APPROVED: &str = "Approved";
/// On a ScalingPolicy: something of somebody else scales or keeps the same pods.
pub const CONFLICT: &str = "Conflict";
/// On a ScalingPolicy: the budget keeps as many pods as may be all there are, so that no node can be drained then.
pub const DRAINS_BLOCKED: &str = "DrainsBlocked";
/// On a ScalingPolicy: everything that the spec asks for can be said in the objects that it becomes.
pub const FULLY_MAPPED: &str = "FullyMapped";
/// On a StandingOrder, a Tenant or a TenantBilling: nothing new is paid, as `spec.suspend` or a rule asks.
pub const SUSPENDED: &str = "Suspended";
/// On a TenantBilling: an invoice is unpaid for longer than the first dunning step allows.
pub const OVERDUE: &str = "Overdue";
/// On a TenantBilling: large payments are refused until it has paid, as a dunning step asks.
pub const RESTRICTED: &str = "Restricted";
/// On a TenantBilling with `collection`: the wallets that pay and are paid are there, in the plan's currency.
pub const COLLECTABLE: &str = "Collectable";
/// On a TenantBilling with `planRef`: the version of the BillingPlan was agreed.
pub const PLAN_APPLIED: &str = "PlanApplied";
/// On a TimeoutPolicy: whether holds are given back soon after their deadline.
pub const REVERSALS_CURRENT: &str = "ReversalsCurrent";
/// On a Tenant with API keys: whether each is in its Secret and was replaced in time.
pub const API_KEYS_CURRENT: &str = "ApiKeysCurrent";
/// On a TimeoutPolicy: whether no hold waits for somebody's decision.
pub const DECISIONS_CURRENT: &str = "DecisionsCurrent";
/// On a Tenant or Wallet that was deleted: it stays until nothing is left in it. The reason says what that is.
pub const OFFBOARDING: &str = "Offboarding";
/// On a Platform: PostgreSQL accepts connections.
pub const POSTGRES_READY: &str = "PostgresReady";
/// On a Platform with Redis: Redis answers. Engines work without it, so it does not count for Ready.
pub const REDIS_READY: &str = "RedisReady";
/// On a Platform after a change of logins: every engine uses the new one, and the old one is gone.
pub const CREDENTIALS_ROTATED: &str = "CredentialsRotated";
/// On a Platform: the database has the schema of the engines that the spec asks for.
pub const MIGRATED: &str = "Migrated";
/// On a Platform: new engines failed, and those of before serve. The message names the image.
pub const ROLLED_BACK: &str = "RolledBack";
/// On a Platform: an annotation asks for nothing to be changed.
pub const PAUSED: &str = "Paused";
/// On a Platform: a Restore replaces its ledger, and nothing of it runs meanwhile.
pub const RESTORING: &str = "Restoring";
/// On a Platform: its ledger is brought to another major version of PostgreSQL, and nothing of it runs meanwhile. False when that
/// has ended; the reason says how.
pub const UPGRADING: &str = "Upgrading";
/// On a Platform: at least one engine answers.
pub const ENGINE_READY: &str = "EngineReady";
/// On a Platform with Kafka: the broker takes connections. Money does not wait for it.
pub const KAFKA_READY: &str = "KafkaReady";

/// On a BackupSchedule: whether what a restore would bring back now, and how long it would take, is as `objectives` ask.
pub const OBJECTIVE_MET: &str = "ObjectiveMet";
/// On a BackupSchedule whose Platform keeps its log: whether the log is stored as it is written.
pub const ARCHIVE_CURRENT: &str = "ArchiveCurrent";
/// On a BackupSchedule: whether copies beyond `retention` are deleted.
pub const PRUNED: &str = "Pruned";

/// On a Backup that succeeded, and on its BackupSchedule: whether the custom resources were copied with the ledger.
pub const OBJECTS_COPIED: &str = "ObjectsCopied";

/// Reasons, in alphabetical order.
pub mod reason {
    /// Somebody else decided it before.
    pub const ALREADY_DECIDED: &str = "AlreadyDecided";
    /// The Approval's time was over before it could be used.
    pub const APPROVAL_EXPIRED: &str = "ApprovalExpired";
    /// Somebody else has to approve it first.
    pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";
    /// Somebody else approved it.
    pub const APPROVED: &str = "Approved";
    /// Whoever asked for something cannot approve it.
    pub const APPROVER_IS_REQUESTER: &str = "ApproverIsRequester";
    /// The log is stored late, or not at all; payments go on, and the volume of the ledger fills.
    pub const ARCHIVE_BEHIND: &str = "ArchiveBehind";
    /// The log is stored as it is written.
    pub const ARCHIVE_ON_TIME: &str = "ArchiveOnTime";
    /// It works, with fewer instances than asked for.
    pub const DEGRADED: &str = "Degraded";
    /// The wanted state is reached.
    pub const AS_SPECIFIED: &str = "AsSpecified";
    /// The Backup that is named did not succeed, so nothing can be restored from it.
    pub const BACKUP_NOT_GOOD: &str = "BackupNotGood";
    /// No hold waits for somebody's decision.
    pub const NOTHING_TO_DECIDE: &str = "NothingToDecide";
    /// There is no Backup of this name.
    pub const BACKUP_NOT_FOUND: &str = "BackupNotFound";
    /// A step of the backup failed; the message has its last words.
    pub const BACKUP_FAILED: &str = "BackupFailed";
    /// There is no bucket of the name that is told.
    pub const BUCKET_NOT_FOUND: &str = "BucketNotFound";
    /// The server of the bucket does not let these credentials do what is needed.
    pub const BUCKET_REFUSED: &str = "BucketRefused";
    /// The server of the bucket gives no whole answer.
    pub const BUCKET_UNREACHABLE: &str = "BucketUnreachable";
    /// Somebody else has to approve it first.
    pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
    /// Holds past their deadline stay held until somebody voids them.
    pub const AWAITING_DECISION: &str = "AwaitingDecision";
    /// The budget keeps as many pods as the range has at least.
    pub const BUDGET_EQUALS_MINIMUM: &str = "BudgetEqualsMinimum";
    /// The balance would leave the ledger's range.
    pub const BALANCE_OVERFLOW: &str = "BalanceOverflow";
    /// The hash is not that of the object as it is now.
    pub const BODY_HASH_MISMATCH: &str = "BodyHashMismatch";
    /// New engines failed, and the schema does not let those of before run.
    pub const CANNOT_GO_BACK: &str = "CannotGoBack";
    /// The capture is more than what is left of the hold.
    pub const CAPTURE_EXCEEDS_HOLD: &str = "CaptureExceedsHold";
    /// Less was captured than the spec asks for, and the hold is over.
    pub const CAPTURE_INCOMPLETE: &str = "CaptureIncomplete";
    /// There is no PersistentVolumeClaim of this name.
    pub const CLAIM_NOT_FOUND: &str = "ClaimNotFound";
    /// What is stored is not what was stored: a byte was changed, or something was put in its place.
    pub const COPY_DAMAGED: &str = "CopyDamaged";
    /// What was asked for was done: the payment's money moved, the backup was proved.
    pub const COMPLETED: &str = "Completed";
    /// The wallet is not as the request expects.
    pub const CONDITION_NOT_MET: &str = "ConditionNotMet";
    /// A wallet has another currency than the payment.
    pub const CURRENCY_MISMATCH: &str = "CurrencyMismatch";
    /// The database is another Platform's; the message says whose, and the way out.
    pub const DATABASE_CLAIMED: &str = "DatabaseClaimed";
    /// The database could lose what was committed, or does not allow what is needed; the message says each thing.
    pub const DATABASE_UNSUITABLE: &str = "DatabaseUnsuitable";
    /// PostgreSQL is not there or not ready.
    pub const DATABASE_NOT_READY: &str = "DatabaseNotReady";
    /// A period has one currency, so another one begins with the next period.
    pub const CURRENCY_CHANGED: &str = "CurrencyChanged";
    /// The engine did not answer, or cannot reach its database.
    pub const ENGINE_UNAVAILABLE: &str = "EngineUnavailable";
    /// Somebody else has an autoscaler for the same workload.
    pub const FOREIGN_AUTOSCALER: &str = "ForeignAutoscaler";
    /// Somebody else has a disruption budget for the same pods.
    pub const FOREIGN_BUDGET: &str = "ForeignBudget";
    /// The deadline passed before any of the hold was captured; it was given back.
    pub const EXPIRED: &str = "Expired";
    /// Nothing is due any more.
    pub const FINISHED: &str = "Finished";
    /// The external gateway failed the payment.
    pub const GATEWAY_FAILED: &str = "GatewayFailed";
    /// The money is held.
    pub const HELD: &str = "Held";
    /// The deadline of the hold has passed.
    pub const HOLD_EXPIRED: &str = "HoldExpired";
    /// The key is known to the ledger with another body.
    pub const IDEMPOTENCY_CONFLICT: &str = "IdempotencyConflict";
    /// The payer has less available than the amount.
    pub const INSUFFICIENT_FUNDS: &str = "InsufficientFunds";
    /// An invoice is not paid in the time that it should be.
    pub const INVOICE_UNPAID: &str = "InvoiceUnpaid";
    /// A field has a value that can never work; the message names it.
    pub const INVALID: &str = "Invalid";
    /// Another part of the same request was refused.
    pub const LINKED_ITEM_REFUSED: &str = "LinkedItemRefused";
    /// The ledger that was restored from the backup is not sound.
    pub const LEDGER_NOT_SOUND: &str = "LedgerNotSound";
    /// The broker is not there or not ready; events wait in the journal.
    pub const KAFKA_NOT_READY: &str = "KafkaNotReady";
    /// Every API key is in its Secret, and was replaced in time.
    pub const KEYS_CURRENT: &str = "KeysCurrent";
    /// A limit on payments of the wallet or the tenant.
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    /// The payee would hold more than its maximum.
    pub const MAXIMUM_EXCEEDED: &str = "MaximumExceeded";
    /// The autoscaler gets no metrics, or cannot scale.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// An object of somebody else has the name that is needed.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// Another Tenant claims the namespace.
    pub const NAMESPACE_CLAIMED: &str = "NamespaceClaimed";
    /// The namespace exists and did not consent to adoption.
    pub const NAMESPACE_EXISTS: &str = "NamespaceExists";
    /// The operator does not serve Platforms in this namespace.
    pub const NAMESPACE_NOT_SERVED: &str = "NamespaceNotServed";
    /// The namespace belongs to no ready Tenant.
    pub const NO_TENANT: &str = "NoTenant";
    /// There is no good backup yet.
    pub const NO_BACKUP: &str = "NoBackup";
    /// The spec asks for no objective.
    pub const NO_OBJECTIVES: &str = "NoObjectives";
    /// The objectives are met.
    pub const OBJECTIVES_MET: &str = "ObjectivesMet";
    /// The API server does not let the objects be listed.
    pub const OBJECTS_FORBIDDEN: &str = "ObjectsForbidden";
    /// The objects could not be read, or not be written down.
    pub const OBJECTS_NOT_COPIED: &str = "ObjectsNotCopied";
    /// The image of PostgreSQL is of a later major version, and nobody consents that the ledger is brought there.
    pub const MAJOR_UPGRADE_NOT_ALLOWED: &str = "MajorUpgradeNotAllowed";
    /// An annotation asks for nothing to be changed.
    pub const PAUSED: &str = "Paused";
    /// No payment of this id in the tenant.
    pub const PAYMENT_NOT_FOUND: &str = "PaymentNotFound";
    /// The payment is not decided yet, or nothing of it was captured yet.
    pub const PAYMENT_NOT_READY: &str = "PaymentNotReady";
    /// The pull request counts as somebody else's approval, as the Tenant says.
    pub const PULL_REQUEST: &str = "PullRequest";
    /// A payment of the order can only go on when a person changes something.
    pub const PAYMENT_STALLED: &str = "PaymentStalled";
    /// Not looked at yet.
    pub const PENDING: &str = "Pending";
    /// The version of the plan was agreed; the status says from when on it holds.
    pub const PLAN_AGREED: &str = "PlanAgreed";
    /// There is no BillingPlan of this name; the version that was agreed last stays.
    pub const PLAN_NOT_FOUND: &str = "PlanNotFound";
    /// The Platform that is referred to is absent or not ready.
    pub const PLATFORM_NOT_READY: &str = "PlatformNotReady";
    /// An external gateway has the payment.
    pub const PROCESSING: &str = "Processing";
    /// Pods are starting or being replaced.
    pub const PROGRESSING: &str = "Progressing";
    /// It still has money, or something is held; the message counts it.
    pub const NOT_EMPTY: &str = "NotEmpty";
    /// The operator that should run it is not installed, or too old; the message says which.
    pub const OPERATOR_NOT_INSTALLED: &str = "OperatorNotInstalled";
    /// Nothing is overdue.
    pub const NOT_OVERDUE: &str = "NotOverdue";
    /// No limit is in force because of a debt.
    pub const NOT_RESTRICTED: &str = "NotRestricted";
    /// Nothing keeps it from working.
    pub const NOT_SUSPENDED: &str = "NotSuspended";
    /// A Job brings the database to the schema of new engines.
    pub const MIGRATING: &str = "Migrating";
    /// The database's schema could not be brought up to date; engines of before go on serving.
    pub const MIGRATION_FAILED: &str = "MigrationFailed";
    /// The ledger was restored and does not know this, which is older than the restore: it is not done again without consent.
    pub const LOST_BY_RESTORE: &str = "LostByRestore";
    /// The object could not be read as its kind.
    pub const MALFORMED: &str = "Malformed";
    /// A copy that should go stays, because one that stays builds on it.
    pub const COPY_NEEDED: &str = "CopyNeeded";
    /// Copies could not be deleted; the message has the last words.
    pub const PRUNE_FAILED: &str = "PruneFailed";
    /// A restore would lose more than the objective allows.
    pub const RECOVERY_POINT_TOO_OLD: &str = "RecoveryPointTooOld";
    /// The last restore took longer than the objective allows.
    pub const RECOVERY_TOO_SLOW: &str = "RecoveryTooSlow";
    /// A Restore replaces the ledger, and nothing runs meanwhile.
    pub const RESTORING: &str = "Restoring";
    /// A step of the restore failed; the message has its last words.
    pub const RESTORE_FAILED: &str = "RestoreFailed";
    /// The amount is more than what was captured and not refunded yet.
    pub const REFUND_EXCEEDS_CAPTURED: &str = "RefundExceedsCaptured";
    /// There is no Refund of this name.
    pub const REFUND_NOT_FOUND: &str = "RefundNotFound";
    /// The Refund does not wait for approval yet.
    pub const REFUND_NOT_READY: &str = "RefundNotReady";
    /// The payee had too little when the refund was approved.
    pub const REFUND_FAILED: &str = "RefundFailed";
    /// The time in which the payment could be refunded is over.
    pub const REFUND_WINDOW_CLOSED: &str = "RefundWindowClosed";
    /// Somebody else said no.
    pub const REJECTED: &str = "Rejected";
    /// The object does not say who asked for it, or the ledger knows somebody else.
    pub const REQUESTER_UNKNOWN: &str = "RequesterUnknown";
    /// Holds are given back late, or nobody sweeps.
    pub const REVERSALS_BEHIND: &str = "ReversalsBehind";
    /// Holds are given back soon after their deadline.
    pub const REVERSALS_ON_TIME: &str = "ReversalsOnTime";
    /// The login of before could not be ended.
    pub const RETIRE_FAILED: &str = "RetireFailed";
    /// New engines failed, and those of before serve.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// Payer and payee are the same wallet.
    pub const SAME_WALLET: &str = "SameWallet";
    /// The schema took away what engines of this image use.
    pub const SCHEMA_TOO_NEW: &str = "SchemaTooNew";
    /// A separate threshold for scaling in has no counterpart.
    pub const SCALE_IN_NOT_MAPPED: &str = "ScaleInNotMapped";
    /// The next payment has its time.
    pub const SCHEDULED: &str = "Scheduled";
    /// Another object sets the same thing for the same scope, and was first.
    pub const SCOPE_TAKEN: &str = "ScopeTaken";
    /// A Secret that is referred to is absent or lacks a key.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// A Secret of the name that API keys have is somebody else's; it is left alone.
    pub const SECRET_TAKEN: &str = "SecretTaken";
    /// There is no ServiceAccount that may list the objects.
    pub const SERVICE_ACCOUNT_NOT_FOUND: &str = "ServiceAccountNotFound";
    /// The settlement account would go beyond its cap.
    pub const SETTLEMENT_CAP_EXCEEDED: &str = "SettlementCapExceeded";
    /// A StorageClass that is referred to is absent.
    pub const STORAGE_CLASS_NOT_FOUND: &str = "StorageClassNotFound";
    /// It took longer than its deadline.
    pub const TIMED_OUT: &str = "TimedOut";
    /// It is paused, as asked.
    pub const SUSPENDED: &str = "Suspended";
    /// What would be filled exists already; it is left alone.
    pub const TARGET_EXISTS: &str = "TargetExists";
    /// No workload is there that is meant.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// Too many payments of the order are not settled yet.
    pub const TOO_MANY_OPEN: &str = "TooManyOpen";
    /// The tenant is suspended.
    pub const TENANT_SUSPENDED: &str = "TenantSuspended";
    /// The open period was cut as often as it can be.
    pub const TOO_MANY_CHANGES: &str = "TooManyChanges";
    /// It would bring money into the tenant without saying so, which needs the treasury role.
    pub const TREASURY_REQUIRED: &str = "TreasuryRequired";
    /// This operator cannot do that for this Platform.
    pub const UNSUPPORTED: &str = "Unsupported";
    /// The ledger was brought to another major version of PostgreSQL.
    pub const UPGRADED: &str = "Upgraded";
    /// The ledger could not be brought to another major version of PostgreSQL, and is as it was.
    pub const UPGRADE_FAILED: &str = "UpgradeFailed";
    /// The ledger is being brought to another major version of PostgreSQL.
    pub const UPGRADING: &str = "Upgrading";
    /// The version had other prices when it was agreed; the version that was agreed last stays.
    pub const VERSION_TAKEN: &str = "VersionTaken";
    /// The whole hold was given back, as asked.
    pub const VOIDED: &str = "Voided";
    /// The wallets that pay and are paid are there, in the plan's currency.
    pub const WALLETS_FIT: &str = "WalletsFit";
    /// The wallet is closed.
    pub const WALLET_CLOSED: &str = "WalletClosed";
    /// The wallet is frozen in the needed direction.
    pub const WALLET_FROZEN: &str = "WalletFrozen";
    /// The wallet has money or something is held, so it cannot be closed.
    pub const WALLET_NOT_EMPTY: &str = "WalletNotEmpty";
    /// No wallet of this name or id in the tenant.
    pub const WALLET_NOT_FOUND: &str = "WalletNotFound";
    /// A wallet of the payment is not Ready yet.
    pub const WALLET_NOT_READY: &str = "WalletNotReady";
    /// No key that was given opens what is stored, or there is none to seal with; the message has the ids of those that do.
    pub const WRONG_KEY: &str = "WrongKey";
    /// The Backup is of another Platform.
    pub const WRONG_PLATFORM: &str = "WrongPlatform";
    /// The payment or refund is not in a state for what the spec asks for.
    pub const WRONG_STATE: &str = "WrongState";
}
