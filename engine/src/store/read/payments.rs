//! Payments as they stand: one, and lists.

use payplane_ledger::{
    AccountId, AccountKind, Decision, Kind, OperationId, PaymentState, Phase, Sequence, TenantId, Verdict,
};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    TimeRange, decisions, in_order,
    scan::{Scan, bounds, last_below, within},
    states, uuids,
};
use crate::store::{
    Store, StoreError,
    wallets::{Labels, labels_text},
};

/// A payment: the request that made it, and its state if it was ever held or refunded.
#[derive(Debug)]
pub struct PaymentRow {
    /// Its id.
    pub id: OperationId,
    /// What was decided about the request.
    pub decision: Decision,
    /// How it stands.
    pub state: Option<PaymentState>,
}

impl PaymentRow {
    /// Whether this is how it will be read for ever: refused, or a state that nothing changes any more.
    pub fn is_final(&self) -> bool {
        match (&self.decision.verdict, &self.state) {
            (Verdict::Refused(_), _) => true,
            (Verdict::Done { .. }, Some(state)) => state.is_final(),
            // Made at once, and never refunded yet.
            (Verdict::Done { .. }, None) => false,
        }
    }
}

/// Which payments are asked for. The default asks for all.
#[derive(Clone, Debug, Default)]
pub struct PaymentFilter {
    /// Debits or credits this account.
    pub account: Option<AccountId>,
    /// Is in this state now.
    pub phase: Option<Phase>,
    /// Was made within these times.
    pub times: TimeRange,
    /// Has this reference.
    pub reference: Option<ReferenceFilter>,
    /// Has all of these labels.
    pub metadata: Labels,
}

/// Which references are asked for.
#[derive(Clone, Debug)]
pub enum ReferenceFilter {
    /// This one.
    Exact(String),
    /// Those that begin so.
    Prefix(String),
}

/// Some payments, newest first.
#[derive(Debug)]
pub struct PaymentPage {
    /// The payments.
    pub payments: Vec<PaymentRow>,
    /// Where the next page starts; nothing on the last page.
    pub next: Option<Sequence>,
}

/// Which of these payments pay into the settlement account; unknown ones are left out.
const PAYEES: &str = "\
    select j.operation_id, a.kind <> $3
    from payplane.journal j
    join payplane.accounts a on a.tenant_id = j.tenant_id and a.account_id = j.credit_account
    where j.tenant_id = $1 and j.operation_id = any ($2) and j.kind in (1, 2) and j.refusal is null";

impl Store {
    /// What was decided about this key, and how the payment stands if it made one.
    pub async fn payment(&self, tenant: TenantId, id: OperationId) -> Result<Option<PaymentRow>, StoreError> {
        let mut view = self.view(tenant).await?;
        let found = decisions(view.connection()?, tenant, &[id]).await?.remove(&id);
        let found = found.filter(|decision| decision.body.kind.makes_payment());
        let mut state = states(view.connection()?, tenant, &[id]).await?;
        view.end().await?;
        Ok(found.map(|decision| PaymentRow { id, decision, state: state.remove(&id) }))
    }

    /// Payments that were not refused, newest first, from `start` on.
    pub async fn payments(
        &self,
        tenant: TenantId,
        filter: &PaymentFilter,
        start: Option<Sequence>,
        limit: usize,
    ) -> Result<PaymentPage, StoreError> {
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        let (lowest, above) = bounds(connection, filter.times).await?;
        let start = match (start, filter.account) {
            (Some(start), _) => start,
            (None, None) => Sequence(above.saturating_sub(1)),
            (None, Some(account)) => last_below(connection, (tenant, account), above).await?,
        };
        let metadata = labels_text(&filter.metadata)?;
        let conditions = |query: &mut QueryBuilder<Postgres>| conditions(filter, &metadata, query);
        let is_dense = filter.phase.is_none() && filter.reference.is_none() && filter.metadata.is_empty();
        let scan = Scan { tenant, account: filter.account, lowest, conditions: &conditions, is_dense };
        let found = scan.page(connection, start, limit).await?;
        let decisions = decisions(connection, tenant, &found.operations).await?;
        let mut states = states(connection, tenant, &found.operations).await?;
        view.end().await?;
        let row = |(id, decision)| PaymentRow { id, decision, state: states.remove(&id) };
        let payments = in_order(found.operations, decisions).into_iter().map(row).collect();
        Ok(PaymentPage { payments, next: found.next })
    }

    /// Which of these ids are payments, and whether each pays into one of the tenant's own accounts.
    pub async fn pays_own_account(
        &self,
        tenant: TenantId,
        payments: &[OperationId],
    ) -> Result<Vec<(OperationId, bool)>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query_as(PAYEES).bind(tenant.uuid()).bind(uuids(payments));
        let query = query.bind(AccountKind::Wallet as i16);
        let found: Vec<(Uuid, bool)> = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        Ok(found.into_iter().map(|(id, is_own)| (OperationId::from_uuid(id), is_own)).collect())
    }
}

fn conditions(filter: &PaymentFilter, metadata: &str, query: &mut QueryBuilder<Postgres>) {
    query.push(" and j.refusal is null and j.kind in (").push_bind(Kind::Pay as i16);
    query.push(", ").push_bind(Kind::Authorize as i16).push(")");
    if let Some(phase) = filter.phase {
        // A payment without a state of its own was made at once.
        query.push(" and coalesce(p.phase, ").push_bind(Phase::Completed as i16);
        query.push(") = ").push_bind(phase as i16);
    }
    match &filter.reference {
        None => {}
        Some(ReferenceFilter::Exact(text)) => {
            query.push(" and j.reference = ").push_bind(text.clone());
        }
        Some(ReferenceFilter::Prefix(text)) => {
            query.push(" and starts_with(j.reference, ").push_bind(text.clone()).push(")");
        }
    }
    if !filter.metadata.is_empty() {
        query.push(" and coalesce(j.terms::jsonb -> 'metadata' @> ");
        query.push_bind(metadata.to_owned()).push("::jsonb, false)");
    }
    within(filter.times, query);
}
