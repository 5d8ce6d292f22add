//! The batch's own proof: a SHA-256 root over a root per tenant, each over that tenant's rows in order.
//!
//! A tenant's root needs no other tenant's rows, so one tenant can check its part and the batch's root without seeing
//! anybody else's. Every field carries its length and every hash its domain, so no two contents read the same.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{Balance, PaymentRow, TenantId, Verdict};

/// A SHA-256 value.
pub type Root = [u8; 32];

/// The roots of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSeal {
    /// Over all tenants' roots, in the order of their ids.
    pub root: Root,
    /// One per tenant with rows in the batch, in the order of their ids.
    pub tenants: Vec<TenantRoot>,
}

/// The root over one tenant's rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRoot {
    /// Whose rows.
    pub tenant: TenantId,
    /// Over the rows, in order.
    pub root: Root,
    /// How many rows.
    pub rows: i32,
}

impl BatchSeal {
    /// Computes the roots of these rows.
    pub fn of(rows: &[PaymentRow]) -> Self {
        let mut hashers: BTreeMap<TenantId, (Sha256, i32)> = BTreeMap::new();
        for row in rows {
            let (hasher, count) = hashers.entry(row.tenant).or_insert_with(|| (tenant_hasher(row.tenant), 0));
            absorb_row(hasher, row);
            *count += 1;
        }
        let finish =
            |(tenant, (hasher, rows)): (_, (Sha256, i32))| TenantRoot { tenant, root: finish(hasher), rows };
        let tenants: Vec<TenantRoot> = hashers.into_iter().map(finish).collect();
        Self { root: batch_root(&tenants), tenants }
    }
}

fn tenant_hasher(tenant: TenantId) -> Sha256 {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.tenant-root.v1");
    absorb(&mut hasher, tenant.uuid().as_bytes());
    hasher
}

fn batch_root(tenants: &[TenantRoot]) -> Root {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.batch-root.v1");
    for tenant in tenants {
        absorb(&mut hasher, tenant.tenant.uuid().as_bytes());
        absorb(&mut hasher, &tenant.root);
    }
    finish(hasher)
}

fn absorb_row(hasher: &mut Sha256, row: &PaymentRow) {
    let PaymentRow { tenant: _, payment, decision } = row;
    absorb_number(hasher, decision.sequence.0);
    absorb(hasher, payment.uuid().as_bytes());
    absorb(hasher, decision.body.debit.uuid().as_bytes());
    absorb(hasher, decision.body.credit.uuid().as_bytes());
    absorb_number(hasher, decision.body.minor);
    absorb(hasher, decision.body.currency.code().as_bytes());
    absorb(hasher, decision.body.reference.as_bytes());
    let provenance = &decision.provenance;
    for text in [&provenance.key, &provenance.origin_ref, &provenance.actor, &provenance.correlation_id] {
        absorb(hasher, text.as_bytes());
    }
    absorb_number(hasher, provenance.origin as i64);
    absorb_number(hasher, decision.decided_at.0);
    absorb_verdict(hasher, &decision.verdict);
}

fn absorb_verdict(hasher: &mut Sha256, verdict: &Verdict) {
    match verdict {
        Verdict::Completed { debit_after, credit_after } => {
            absorb(hasher, b"completed");
            absorb_balance(hasher, debit_after);
            absorb_balance(hasher, credit_after);
        }
        Verdict::Refused(refusal) => {
            absorb(hasher, b"refused");
            absorb_number(hasher, refusal.reason as i64);
            absorb(hasher, refusal.field.path().as_bytes());
        }
    }
}

fn absorb_balance(hasher: &mut Sha256, balance: &Balance) {
    let Balance { posted_debits, posted_credits, pending_debits, pending_credits, version } = balance;
    for number in [posted_debits, posted_credits, pending_debits, pending_credits, version] {
        absorb_number(hasher, *number);
    }
}

fn absorb_number(hasher: &mut Sha256, number: i64) {
    absorb(hasher, &number.to_be_bytes());
}

fn absorb(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn finish(hasher: Sha256) -> Root {
    hasher.finalize().into()
}
