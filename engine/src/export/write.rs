//! Writes the file, in its order: header, accounts, seals with the tenant's operations after each, batches that wait to be
//! sealed, trailer.

use aws_lc_rs::digest::{Context, SHA256};
use payplane_ledger::{CHAIN_START, Root, TenantId, batch_root, tenant_label};
use tokio::sync::mpsc::Sender;

use super::{
    ExportError, accounts,
    line::{Counts, FORMAT, Head, Header, Hex, Line, Seal, Trailer, Waiting, operation},
};
use crate::store::{ExportedSeal, ExportedTenant, LedgerView, StoreError, StoredRow};

/// A chunk is sent when it has this many bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Batches are read together until they have this many rows.
const ROWS: usize = 4_000;

/// See the module.
pub(super) struct Writing {
    view: LedgerView,
    tenant: ExportedTenant,
    out: Out,
}

impl Writing {
    pub(super) fn new(view: LedgerView, tenant: ExportedTenant, chunks: Sender<Vec<u8>>) -> Self {
        let digest = Context::new(&SHA256);
        Self { view, tenant, out: Out { chunks, chunk: Vec::new(), digest, counts: Counts::default() } }
    }

    pub(super) async fn run(mut self) -> Result<Counts, ExportError> {
        self.header().await?;
        self.accounts().await?;
        self.seals().await?;
        self.waiting().await?;
        self.out.end().await
    }

    async fn header(&mut self) -> Result<(), ExportError> {
        let (seal, link) = self.view.head().await?.ok_or(StoreError::Corrupt("head"))?;
        let link = if seal == 0 { CHAIN_START } else { root(&link)? };
        let (epoch, now) = self.view.epoch().await?;
        let header = Header {
            format: FORMAT.to_owned(),
            tenant_id: self.tenant.id.uuid(),
            tenant: self.tenant.name.clone(),
            epoch,
            exported_at_us: now.0,
            head: Head { seal, link: Hex(link) },
        };
        self.out.line(&Line::Header(header)).await
    }

    async fn accounts(&mut self) -> Result<(), ExportError> {
        let mut after = None;
        loop {
            let page = self.view.accounts(self.tenant.id, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for account in &page {
                self.out.counts.accounts += 1;
                self.out.line(&Line::Account(accounts::to_line(account)?)).await?;
            }
        }
    }

    async fn seals(&mut self) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let page = self.view.chain(self.tenant.id, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seal;
            let mut rest = &page[..];
            while !rest.is_empty() {
                let (together, others) = rest.split_at(together(rest.iter().map(|seal| seal.rows)));
                let own = together.iter().filter(|seal| 0 < seal.rows).map(|seal| seal.batch.0);
                let mut rows = self.rows(own.collect()).await?.into_iter().peekable();
                for seal in together {
                    self.out.counts.seals += 1;
                    self.out.line(&Line::Seal(seal_line(seal, self.tenant.id))).await?;
                    while let Some(row) = rows.next_if(|row| row.sequence.batch() == seal.batch) {
                        self.operation(row).await?;
                    }
                }
                rest = others;
            }
        }
    }

    async fn waiting(&mut self) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let page = self.view.waiting(self.tenant.id, after).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (batch, _) in page {
                self.out.line(&Line::Waiting(Waiting { batch })).await?;
                for row in self.rows(vec![batch]).await? {
                    self.out.counts.waiting += 1;
                    self.operation(row).await?;
                }
            }
        }
    }

    async fn rows(&mut self, batches: Vec<i64>) -> Result<Vec<StoredRow>, ExportError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.view.operations(self.tenant.id, &batches).await?)
    }

    async fn operation(&mut self, row: StoredRow) -> Result<(), ExportError> {
        let operation = row.operation.to_string();
        let content = row.content.map_err(|problem| ExportError::Unreadable { operation, problem })?;
        self.out.counts.operations += 1;
        self.out.line(&Line::Operation(Box::new(operation::to_line(&content)?))).await
    }
}

/// How many of these batches are read together: some rows, and at least one batch.
fn together(rows: impl Iterator<Item = i32>) -> usize {
    let mut sum = 0;
    let fits = |rows: &i32| {
        let fits = sum < ROWS;
        sum += usize::try_from(*rows).unwrap_or_default();
        fits
    };
    rows.take_while(fits).count().max(1)
}

/// The batch's parts under their labels. A batch that names its tenants is shown with them only where the tenant is one.
fn seal_line(sealed: &ExportedSeal, tenant: TenantId) -> Seal {
    let mut parts: Vec<(Root, Root)> =
        sealed.parts.iter().map(|(tenant, root)| (tenant_label(*tenant, sealed.batch), *root)).collect();
    parts.sort_unstable();
    let empty = Seal {
        seal: sealed.seal,
        batch: sealed.batch.0,
        parts: None,
        named: None,
        root: None,
        link: Hex(sealed.link),
    };
    if batch_root(&parts) == sealed.root {
        let parts = parts.into_iter().map(|(label, root)| (Hex(label), Hex(root)));
        return Seal { parts: Some(parts.collect()), ..empty };
    }
    if sealed.parts.iter().any(|(other, _)| *other == tenant) {
        let named = sealed.parts.iter().map(|(tenant, root)| (tenant.uuid(), Hex(*root)));
        return Seal { named: Some(named.collect()), ..empty };
    }
    Seal { root: Some(Hex(sealed.root)), ..empty }
}

fn root(bytes: &[u8]) -> Result<Root, StoreError> {
    Root::try_from(bytes).map_err(|_| StoreError::Corrupt("root"))
}

/// Lines on their way to the channel, with what the trailer says of them.
struct Out {
    chunks: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    digest: Context,
    counts: Counts,
}

impl Out {
    async fn line(&mut self, line: &Line) -> Result<(), ExportError> {
        let start = self.chunk.len();
        serde_json::to_writer(&mut self.chunk, line)?;
        self.chunk.push(b'\n');
        self.digest.update(&self.chunk[start..]);
        self.counts.lines += 1;
        if CHUNK_BYTES <= self.chunk.len() { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), ExportError> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunks.send(chunk).await.map_err(|_| ExportError::Gone)
    }

    async fn end(mut self) -> Result<Counts, ExportError> {
        let counts = self.counts;
        let sha256 = Hex(root(self.digest.clone().finish().as_ref())?);
        self.line(&Line::Trailer(Trailer { counts, sha256 })).await?;
        self.send().await?;
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use payplane_ledger::BatchId;

    use super::*;

    #[test]
    fn batches_are_read_together_up_to_a_bound() {
        for (rows, expected) in [
            (vec![1], 1),
            (vec![0; 500], 500),
            (vec![1024; 9], 4),
            (vec![5000, 1], 1),
            (vec![0, 0, 4000, 1], 3),
        ] {
            assert_eq!(together(rows.iter().copied()), expected, "{rows:?}");
        }
    }

    #[test]
    fn who_is_in_a_batch_shows_only_where_its_root_names_them() {
        let [own, other] = [1, 2].map(|id| TenantId::from_uuid(uuid::Uuid::from_u128(id)));
        let parts = vec![(own, [1; 32]), (other, [2; 32])];
        let sealed = |root: Root| ExportedSeal {
            seal: 1,
            batch: BatchId(7),
            link: [0; 32],
            root,
            parts: parts.clone(),
            rows: 1,
        };
        let mut labels: Vec<(Root, Root)> =
            parts.iter().map(|(tenant, root)| (tenant_label(*tenant, BatchId(7)), *root)).collect();
        labels.sort_unstable();
        let shown = |root: Root, tenant: TenantId| {
            let line = seal_line(&sealed(root), tenant);
            (line.parts.is_some(), line.named.is_some(), line.root.is_some())
        };
        let nobody = TenantId::from_uuid(uuid::Uuid::from_u128(3));
        for (root, tenant, expected) in [
            (batch_root(&labels), own, (true, false, false)),
            (batch_root(&labels), nobody, (true, false, false)),
            (payplane_ledger::named_batch_root(&parts), own, (false, true, false)),
            (payplane_ledger::named_batch_root(&parts), nobody, (false, false, true)),
        ] {
            assert_eq!(shown(root, tenant), expected);
        }
    }
}
