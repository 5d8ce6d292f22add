//! The batch's own proof: a SHA-256 root over a root per tenant, each over that tenant's rows in order.
//!
//! A tenant's root needs no other tenant's rows, so one tenant can check its part and the batch's root without seeing
//! anybody else's. In the batch's root a label stands for each tenant ([`tenant_label`]), another one in each batch: whoever
//! is shown the labels and roots of a batch knows whether it has rows of a tenant that he knows, and nothing of the others.
//! Batches of earlier releases name the tenants themselves ([`named_batch_root`]); both kinds are told apart by their
//! domains, so readers try both. Every field carries its length and every hash its domain, so no two contents read the same.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Balance, BatchId, Body, Decision, Movement, OperationRow, TenantId, Terms, Verdict};

/// A SHA-256 value.
pub type Root = [u8; 32];

/// The roots of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSeal {
    /// Over all tenants' roots, in the order of their labels.
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
    pub fn of(rows: &[OperationRow]) -> Self {
        let mut hashers: BTreeMap<TenantId, (Sha256, i32)> = BTreeMap::new();
        for row in rows {
            let (hasher, count) = hashers.entry(row.tenant).or_insert_with(|| (tenant_hasher(row.tenant), 0));
            absorb_row(hasher, row);
            *count += 1;
        }
        let finish =
            |(tenant, (hasher, rows)): (_, (Sha256, i32))| TenantRoot { tenant, root: finish(hasher), rows };
        let tenants: Vec<TenantRoot> = hashers.into_iter().map(finish).collect();
        // All rows are of one batch.
        let batch = rows.first().map_or(BatchId(0), |row| row.decision.sequence.batch());
        let mut parts: Vec<(Root, Root)> =
            tenants.iter().map(|part| (tenant_label(part.tenant, batch), part.root)).collect();
        parts.sort_unstable();
        Self { root: batch_root(&parts), tenants }
    }
}

/// What stands for a tenant in the root of a batch. Only who knows the tenant's id can tell whose it is.
pub fn tenant_label(tenant: TenantId, batch: BatchId) -> Root {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.tenant-label.v1");
    absorb(&mut hasher, tenant.uuid().as_bytes());
    absorb_number(&mut hasher, batch.0);
    finish(hasher)
}

/// The root of a batch from its tenants' labels and roots, in the order of the labels.
pub fn batch_root(parts: &[(Root, Root)]) -> Root {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.batch-root.v2");
    for (label, root) in parts {
        absorb(&mut hasher, label);
        absorb(&mut hasher, root);
    }
    finish(hasher)
}

/// The root of a batch of an earlier release, from its tenants' ids and roots, in the order of the ids.
pub fn named_batch_root(parts: &[(TenantId, Root)]) -> Root {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.batch-root.v1");
    for (tenant, root) in parts {
        absorb(&mut hasher, tenant.uuid().as_bytes());
        absorb(&mut hasher, root);
    }
    finish(hasher)
}

fn tenant_hasher(tenant: TenantId) -> Sha256 {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.tenant-root.v1");
    absorb(&mut hasher, tenant.uuid().as_bytes());
    hasher
}

fn absorb_row(hasher: &mut Sha256, row: &OperationRow) {
    let OperationRow { tenant: _, operation, decision } = row;
    let Decision { sequence, body, provenance, decided_at, verdict } = &**decision;
    absorb_number(hasher, sequence.0);
    absorb(hasher, operation.uuid().as_bytes());
    absorb_body(hasher, body);
    for text in [&provenance.key, &provenance.origin_ref, &provenance.actor, &provenance.correlation_id] {
        absorb(hasher, text.as_bytes());
    }
    absorb_number(hasher, provenance.origin as i64);
    absorb_number(hasher, decided_at.0);
    absorb_verdict(hasher, verdict);
}

fn absorb_body(hasher: &mut Sha256, body: &Body) {
    let Body { kind, debit, credit, minor, currency, reference, target, terms } = body;
    absorb_number(hasher, *kind as i64);
    absorb_option(hasher, debit.map(|id| *id.uuid().as_bytes()));
    absorb_option(hasher, credit.map(|id| *id.uuid().as_bytes()));
    absorb_number(hasher, *minor);
    absorb(hasher, currency.code().as_bytes());
    absorb(hasher, reference.as_bytes());
    absorb_option(hasher, target.map(|id| *id.uuid().as_bytes()));
    if *terms == Terms::default() {
        absorb(hasher, b"");
    } else {
        absorb_text_of(hasher, terms);
    }
}

fn absorb_verdict(hasher: &mut Sha256, verdict: &Verdict) {
    match verdict {
        Verdict::Done { movement, after } => {
            absorb(hasher, b"done");
            if let Movement::Transfer(transfer) = movement {
                absorb_number(hasher, transfer.posted);
                absorb_number(hasher, transfer.pending);
            }
            for posting in movement.postings() {
                absorb(hasher, posting.account.uuid().as_bytes());
                absorb_number(hasher, posting.previous.0);
                absorb_balance(hasher, &posting.after);
            }
            if let Some(after) = after {
                absorb_text_of(hasher, after);
            }
        }
        Verdict::Refused(refusal) => {
            absorb(hasher, b"refused");
            absorb_number(hasher, refusal.reason as i64);
            absorb_number(hasher, refusal.field as i64);
            let limit = refusal.limit.map_or((0, 0), |(name, level)| (name as i64, level as i64));
            absorb_number(hasher, limit.0);
            absorb_number(hasher, limit.1);
        }
    }
}

/// The text form of what only some operations have. Its fields are written in a fixed order, and those that are not
/// set are left out, so a field that is added later changes no hash.
fn absorb_text_of(hasher: &mut Sha256, value: &impl Serialize) {
    // Plain structs of numbers, texts and options always have a text form.
    let text = serde_json::to_vec(value).unwrap_or_default();
    absorb(hasher, &text);
}

fn absorb_option(hasher: &mut Sha256, bytes: Option<[u8; 16]>) {
    match bytes {
        Some(bytes) => absorb(hasher, &bytes),
        None => absorb(hasher, b""),
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

/// The chain over sealed batches: each link covers the link before, its own number and a batch's root. Whoever keeps a
/// link outside the database can later prove that nothing before it was changed, dropped or moved.
pub fn chain_link(previous: &Root, seal: i64, batch: BatchId, root: &Root) -> Root {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, b"payplane.chain.v1");
    absorb(&mut hasher, previous);
    absorb_number(&mut hasher, seal);
    absorb_number(&mut hasher, batch.0);
    absorb(&mut hasher, root);
    finish(hasher)
}

/// What the first link covers in place of a link before it.
pub const CHAIN_START: Root = [0; 32];
