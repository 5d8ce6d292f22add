//! Typed identifiers. Names turn into ids by hashing, so the same name gives the same id on every replica and after
//! every restore. Parts of a hashed name carry their length, so no two lists of parts read the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::AccountKind;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that is known to be one of these.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for storage and the wire.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One ledger. Random, made once when the database is first migrated.
    PlatformId
}
id! {
    /// A tenant of the platform.
    TenantId
}
id! {
    /// A wallet or one of a tenant's own accounts.
    AccountId
}
id! {
    /// An operation, and at the same time its idempotency key in compact form. The id of a payment or a refund is that
    /// of the operation that made it.
    OperationId
}

/// Where a name or a key comes from. Those of different origins never meet. The numbers are stored, hashed
/// and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A caller of the gRPC API chose it.
    Api = 1,
    /// It belongs to a custom resource.
    Resource = 2,
}

impl Origin {
    /// The other origin.
    pub const fn other(self) -> Self {
        match self {
            Self::Api => Self::Resource,
            Self::Resource => Self::Api,
        }
    }

    /// The word that is hashed into ids. Never change it.
    const fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Resource => "resource",
        }
    }
}

impl TenantId {
    /// The id of the tenant called `name`.
    pub fn named(platform: PlatformId, name: &str) -> Self {
        Self(hash(platform.uuid(), &[b"tenant", name.as_bytes()]))
    }
}

impl AccountId {
    /// The id of the wallet called `name`.
    pub fn wallet(tenant: TenantId, origin: Origin, name: &str) -> Self {
        Self(hash(tenant.uuid(), &[b"wallet", origin.word().as_bytes(), name.as_bytes()]))
    }

    /// The id of the tenant's own account of this kind in the currency with this code.
    pub fn of_tenant(tenant: TenantId, kind: AccountKind, currency_code: &str) -> Self {
        Self(hash(tenant.uuid(), &[kind.word().as_bytes(), currency_code.as_bytes()]))
    }

    /// The id of the settlement account in the currency with this code.
    pub fn settlement(tenant: TenantId, currency_code: &str) -> Self {
        Self::of_tenant(tenant, AccountKind::Settlement, currency_code)
    }
}

impl OperationId {
    /// The id of the operation that `key` stands for.
    pub fn for_key(
        platform: PlatformId,
        tenant: TenantId,
        origin: Origin,
        space: KeySpace,
        key: &str,
    ) -> Self {
        let parts: [&[u8]; 4] =
            [tenant.0.as_bytes(), origin.word().as_bytes(), space.word().as_bytes(), key.as_bytes()];
        Self(hash(platform.uuid(), &parts))
    }

    /// The id of the fact that the hold `payment` ended at its deadline. Whoever sweeps finds the same id.
    pub fn expiry(payment: Self) -> Self {
        Self(hash(payment.0, &[b"expire"]))
    }

    /// The id of the fact that the hold `payment` took itself at its date.
    pub fn due_capture(payment: Self) -> Self {
        Self(hash(payment.0, &[b"capture-due"]))
    }

    /// The id of a part of a split payment.
    pub fn part(split: Self, number: u32) -> Self {
        Self(hash(split.0, &[b"part", &number.to_be_bytes()]))
    }
}

/// Keys of different spaces never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpace {
    /// Of payments, held or made at once.
    Payment,
    /// Of refunds.
    Refund,
    /// Of what is done to a payment or a refund: capture, void, hand over, approve, reject, reverse.
    Step,
    /// Of a gateway's events.
    GatewayEvent,
    /// Of changes of wallets.
    Wallet,
    /// Of what the engine collects and gives back for invoices. No caller has keys here.
    Billing,
}

impl KeySpace {
    /// The word that is hashed into ids. Never change it.
    const fn word(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Step => "step",
            Self::GatewayEvent => "gateway-event",
            Self::Wallet => "wallet-change",
            Self::Billing => "billing",
        }
    }
}

/// Numbers committed batches. Grows on every account, because it is drawn while the account is locked; gaps are normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId(pub i64);

/// How many sequence numbers belong to one batch.
pub const SEQUENCES_PER_BATCH: i64 = 1024;

/// Numbers decisions: batch number times 1,024 plus the line within the batch. Zero means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub i64);

impl BatchId {
    /// The sequence number of a line of this batch; `line` is less than [`SEQUENCES_PER_BATCH`].
    pub const fn sequence(self, line: usize) -> Sequence {
        Sequence(self.0 * SEQUENCES_PER_BATCH + line as i64)
    }
}

impl Sequence {
    /// The batch that holds this number.
    pub const fn batch(self) -> BatchId {
        BatchId(self.0 / SEQUENCES_PER_BATCH)
    }
}

fn hash(namespace: Uuid, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&namespace, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_run_into_each_other() {
        let space = Uuid::from_u128(7);
        assert_ne!(hash(space, &[b"ab", b"c"]), hash(space, &[b"a", b"bc"]));
        assert_ne!(hash(space, &[b"ab"]), hash(space, &[b"ab", b""]));
    }

    #[test]
    fn ids_are_the_same_for_ever() {
        let platform = PlatformId::from_uuid(Uuid::from_u128(1));
        let tenant = TenantId::named(platform, "acme");
        assert_eq!(tenant.to_string(), "6ab447de-4a86-5ec9-81f6-1d4f30e7e89e");
        let api = OperationId::for_key(platform, tenant, Origin::Api, KeySpace::Payment, "k");
        let resource = OperationId::for_key(platform, tenant, Origin::Resource, KeySpace::Payment, "k");
        assert_ne!(api, resource);
        assert_eq!(api, OperationId::for_key(platform, tenant, Origin::Api, KeySpace::Payment, "k"));
    }

    #[test]
    fn a_sequence_knows_its_batch() {
        assert_eq!(BatchId(3).sequence(999).batch(), BatchId(3));
        assert!(BatchId(3).sequence(999) < BatchId(4).sequence(0));
    }
}
