//! Sealed batches: the journal in its final, gapless order.

use payplane_ledger::{CHAIN_START, Decision, OperationId, Origin, Root, TenantId, Timestamp};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::decisions;
use crate::store::{Store, StoreError};

/// How far the chain has come.
#[derive(Clone, Copy, Debug)]
pub struct HeadRow {
    /// The last seal; 0 before the first.
    pub seal: i64,
    /// The chain's last link.
    pub link: Root,
    /// When the last sealed batch was decided.
    pub decided_at: Option<Timestamp>,
    /// When it was sealed.
    pub sealed_at: Option<Timestamp>,
}

/// A tenant's operations under consecutive seals.
#[derive(Debug)]
pub struct SealedOperations {
    /// Each seal that holds any, with its operations in their order.
    pub batches: Vec<(i64, Vec<(OperationId, Decision)>)>,
    /// Everything up to this seal is in there.
    pub through: i64,
}

/// How many operations one read brings at most. More than two batches hold, so at least one is always whole.
const OPERATIONS_MAX: usize = 2_048;

/// How many seals one read looks at.
const SEALS_MAX: i64 = 1_000;

const HEAD: &str = "\
    select h.seal, h.link, b.decided_us, s.sealed_us
    from payplane.seal_head h
    left join payplane.seals s on s.seal = h.seal
    left join payplane.batches b on b.batch_id = s.batch_id";

const SEALED: &str = "\
    select s.seal, j.operation_id
    from payplane.seals s
    join payplane.batch_tenants t on t.tenant_id = $1 and t.batch_id = s.batch_id
    join payplane.journal j
      on j.tenant_id = $1 and s.batch_id * 1024 <= j.sequence and j.sequence < (s.batch_id + 1) * 1024
     and 0 < j.sequence
    where s.seal between $2 and $3
      and ($5 = 0 or $5 = coalesce(
          (select t.origin from payplane.journal t where t.tenant_id = $1 and t.operation_id = j.target), j.origin))
    order by s.seal, j.sequence limit $4";

impl Store {
    /// How far the chain has come.
    pub async fn head(&self) -> Result<HeadRow, StoreError> {
        let mut connection = self.connection().await?;
        head(&mut connection).await
    }

    /// A tenant's operations from one seal on, at most through another, which has to exist. With an origin only those that
    /// make or act on what came from there, whoever asked for them.
    pub async fn sealed_operations(
        &self,
        tenant: TenantId,
        (start, end): (i64, i64),
        origin: Option<Origin>,
    ) -> Result<SealedOperations, StoreError> {
        let end = end.min(start.saturating_add(SEALS_MAX - 1));
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        let query = sqlx::query_as(SEALED).bind(tenant.uuid()).bind(start).bind(end);
        let query = query.bind(OPERATIONS_MAX as i64).bind(origin.map_or(0, |origin| origin as i16));
        let found: Vec<(i64, Uuid)> = query.fetch_all(&mut *connection).await?;
        let (found, through) = whole(found, end);
        let ids: Vec<_> = found.iter().map(|(_, id)| OperationId::from_uuid(*id)).collect();
        let mut decided = decisions(connection, tenant, &ids).await?;
        view.end().await?;
        let of_one_seal =
            found.chunk_by(|a, b| a.0 == b.0).filter_map(|lines| Some((lines.first()?.0, lines)));
        let mut batches = Vec::new();
        for (seal, lines) in of_one_seal {
            let ids = lines.iter().map(|(_, id)| OperationId::from_uuid(*id));
            let own = ids.filter_map(|id| decided.remove_entry(&id)).collect();
            batches.push((seal, own));
        }
        Ok(SealedOperations { batches, through })
    }
}

/// The end of a read that was cut off may be half a batch: it comes with the next read.
fn whole(mut found: Vec<(i64, Uuid)>, end: i64) -> (Vec<(i64, Uuid)>, i64) {
    if found.len() < OPERATIONS_MAX {
        return (found, end);
    }
    let last = found.last().map_or(end, |(seal, _)| *seal);
    found.retain(|(seal, _)| *seal < last);
    (found, last - 1)
}

pub(super) async fn head(connection: &mut PgConnection) -> Result<HeadRow, StoreError> {
    let found = sqlx::query(HEAD).fetch_one(connection).await?;
    let link: Option<&[u8]> = found.try_get("link")?;
    Ok(HeadRow {
        seal: found.try_get("seal")?,
        link: link.and_then(|link| link.try_into().ok()).unwrap_or(CHAIN_START),
        decided_at: found.try_get::<Option<i64>, _>("decided_us")?.map(Timestamp),
        sealed_at: found.try_get::<Option<i64>, _>("sealed_us")?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_cut_off_comes_with_the_next_read() {
        let lines = |seal: i64, count: usize| vec![(seal, Uuid::nil()); count];
        let few = lines(7, 3);
        assert_eq!(whole(few.clone(), 9), (few, 9));
        let cut = [lines(7, 1_000), lines(8, OPERATIONS_MAX - 1_000)].concat();
        assert_eq!(whole(cut, 9), (lines(7, 1_000), 7));
    }
}
