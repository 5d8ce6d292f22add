//! Refunds as they stand: one, and those of a payment.

use std::collections::HashMap;

use payplane_ledger::{Decision, OperationId, PaymentState, RefundState, Sequence, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{decisions, in_order, states};
use crate::store::{Store, StoreError, row};

/// A refund: the request that made it, how it stands, and its payment.
#[derive(Debug)]
pub struct RefundRow {
    /// Its id.
    pub id: OperationId,
    /// What was decided about the request.
    pub decision: Decision,
    /// How it and its payment stand; nothing for one that was refused.
    pub state: Option<(RefundState, PaymentState)>,
}

/// Some refunds, newest first.
#[derive(Debug)]
pub struct RefundPage {
    /// The refunds.
    pub refunds: Vec<RefundRow>,
    /// Where the next page starts; nothing on the last page.
    pub next: Option<Sequence>,
}

const REFUNDS: &str =
    "select row_to_json(r)::text from payplane.refunds r where tenant_id = $1 and refund_id = any ($2)";

const REFUNDS_OF_PAYMENT: &str = "\
    select j.sequence, r.refund_id
    from payplane.refunds r
    join payplane.journal j on j.tenant_id = r.tenant_id and j.operation_id = r.refund_id
    where r.tenant_id = $1 and r.payment_id = $2 and 0 < r.amount and j.sequence <= $3
    order by j.sequence desc limit $4";

impl Store {
    /// What was decided about this key, and how the refund stands if it made one.
    pub async fn refund(&self, tenant: TenantId, id: OperationId) -> Result<Option<RefundRow>, StoreError> {
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        let found = decisions(connection, tenant, &[id]).await?;
        let mut rows = rows(connection, tenant, vec![id], found).await?;
        view.end().await?;
        let is_refund =
            |row: &RefundRow| row.state.is_some() || row.decision.body.kind == payplane_ledger::Kind::Refund;
        Ok(rows.pop().filter(is_refund))
    }

    /// The refunds of a payment, newest first, from `start` on.
    pub async fn refunds(
        &self,
        tenant: TenantId,
        payment: OperationId,
        start: Option<Sequence>,
        limit: usize,
    ) -> Result<RefundPage, StoreError> {
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        let query = sqlx::query_as(REFUNDS_OF_PAYMENT)
            .bind(tenant.uuid())
            .bind(payment.uuid())
            .bind(start.map_or(i64::MAX, |start| start.0))
            .bind(limit as i64 + 1);
        let found: Vec<(i64, Uuid)> = query.fetch_all(&mut *connection).await?;
        let next = found.get(limit).map(|(sequence, _)| Sequence(*sequence));
        let ids: Vec<_> = found.iter().take(limit).map(|(_, id)| OperationId::from_uuid(*id)).collect();
        let decided = decisions(connection, tenant, &ids).await?;
        let refunds = rows(connection, tenant, ids, decided).await?;
        view.end().await?;
        Ok(RefundPage { refunds, next })
    }
}

/// The refunds in the order of the ids, with their payments.
async fn rows(
    connection: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<OperationId>,
    decided: HashMap<OperationId, Decision>,
) -> Result<Vec<RefundRow>, StoreError> {
    let query = sqlx::query_scalar(REFUNDS).bind(tenant.uuid()).bind(super::uuids(&ids));
    let texts: Vec<String> = query.fetch_all(&mut *connection).await?;
    let refunds = texts.iter().map(|text| row::refund_of_text(text).map(|(_, id, state)| (id, state)));
    let mut refunds: HashMap<OperationId, RefundState> = refunds.collect::<Result<_, _>>()?;
    let of: Vec<OperationId> = refunds.values().map(|refund| refund.payment).collect();
    let payments = states(connection, tenant, &of).await?;
    let row = |(id, decision)| {
        let state = refunds.remove(&id);
        let state = state.and_then(|refund| payments.get(&refund.payment).cloned().map(|of| (refund, of)));
        RefundRow { id, decision, state }
    };
    Ok(in_order(ids, decided).into_iter().map(row).collect())
}
