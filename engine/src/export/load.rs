//! An export into an empty database, so that an engine answers from it what the tenant's balances, statements and payments
//! were at any time. The file was checked before: what is wrong with it is no business of this module.
//!
//! Line by line, in pages of some rows. What is remembered of payments and refunds is how the page left them.

use std::{
    collections::BTreeMap,
    io::{BufRead, Read as _},
};

use payplane_ledger::{
    After, BatchId, BatchSeal, Kind, OperationId, OperationRow, PaymentState, RefundState, Root, Sequence,
    TenantId, Timestamp, Verdict,
};

use super::{
    check::root_of,
    line::{Account, Counts, Head, Header, LINE_BYTES_MAX, Line, operation, parse},
};
use crate::store::{
    DatabaseConfig, ExportedAccount, ExportedTenant, ExportedWallet, LoadError as StoreLoadError,
    LoadedBatch, Loader,
};

/// A page is written when it has as many lines of a kind.
const PAGE: usize = 1_000;

/// Nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read, or is not the one that was checked.
    #[error("read the file")]
    Read(#[from] std::io::Error),
    /// A line is none.
    #[error("line {line} {problem}")]
    Line {
        /// Which.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreLoadError),
}

/// Where it goes, and who may read it.
pub(super) struct Target {
    /// The login that owns the empty database.
    pub(super) owner: DatabaseConfig,
    /// The engine's login, which is made.
    pub(super) app: DatabaseConfig,
    /// Whose ServiceAccounts read as the tenant. Default: the tenant's name.
    pub(super) namespace: Option<String>,
}

/// Reads the file to its end, and writes all of it or nothing.
pub(super) async fn load(mut file: impl BufRead, target: &Target) -> Result<Counts, LoadError> {
    let bound = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let (mut bytes, mut number) = (Vec::new(), 0_u64);
    let mut loading: Option<Loading> = None;
    loop {
        bytes.clear();
        number += 1;
        let wrong = |problem: &str| LoadError::Line { line: number, problem: problem.to_owned() };
        if file.by_ref().take(bound).read_until(b'\n', &mut bytes)? == 0 {
            return Err(wrong("is missing: the file ends before its trailer"));
        }
        let text = bytes.strip_suffix(b"\n").and_then(|text| str::from_utf8(text).ok());
        let line = parse(text.ok_or_else(|| wrong("is no text"))?).map_err(|problem| wrong(&problem))?;
        let Some(mut at_work) = loading.take() else {
            let Line::Header(header) = line else { return Err(wrong("is before the header")) };
            loading = Some(Loading::begin(header, target).await?);
            continue;
        };
        if let Line::Trailer(trailer) = line {
            at_work.end().await?;
            return Ok(trailer.counts);
        }
        at_work.take(line).await?.map_err(|problem| wrong(&problem))?;
        loading = Some(at_work);
    }
}

/// What came since the last page, and the batch whose operations come now.
struct Loading {
    loader: Loader,
    tenant: TenantId,
    head: Head,
    at: Timestamp,
    accounts: Vec<ExportedAccount>,
    seals: Vec<(i64, BatchId, Root)>,
    batches: Vec<LoadedBatch>,
    rows: Vec<OperationRow>,
    part: Vec<OperationRow>,
    /// The root of the batch that comes now; none if it waits to be sealed.
    root: Option<Root>,
}

impl Loading {
    async fn begin(header: Header, target: &Target) -> Result<Self, LoadError> {
        let tenant = ExportedTenant { id: TenantId::from_uuid(header.tenant_id), name: header.tenant };
        let namespace = target.namespace.as_deref().unwrap_or(&tenant.name);
        let loader = Loader::begin(&target.owner, &target.app, &tenant, namespace, header.epoch).await?;
        Ok(Self {
            loader,
            tenant: tenant.id,
            head: header.head,
            at: Timestamp(header.exported_at_us),
            accounts: Vec::new(),
            seals: Vec::new(),
            batches: Vec::new(),
            rows: Vec::new(),
            part: Vec::new(),
            root: None,
        })
    }

    /// One line. The inner error is about the line.
    async fn take(&mut self, line: Line) -> Result<Result<(), String>, LoadError> {
        match line {
            Line::Account(account) => self.accounts.push(stored(account)),
            Line::Seal(seal) => {
                self.close();
                let (root, _) = match root_of(self.tenant, &seal) {
                    Ok(found) => found,
                    Err(problem) => return Ok(Err(problem.to_owned())),
                };
                self.root = Some(root);
                self.seals.push((seal.seal, BatchId(seal.batch), seal.link.0));
            }
            Line::Waiting(_) => {
                self.close();
                self.root = None;
            }
            Line::Operation(line) => match operation::to_row(self.tenant, &line) {
                Ok(row) => self.part.push(row),
                Err(problem) => return Ok(Err(problem)),
            },
            Line::Header(_) | Line::Trailer(_) => return Ok(Err("is in the wrong place".to_owned())),
        }
        if [self.accounts.len(), self.seals.len(), self.rows.len()].iter().any(|length| PAGE <= *length) {
            self.write().await?;
        }
        Ok(Ok(()))
    }

    /// The rows of a batch are all there.
    fn close(&mut self) {
        let Some(first) = self.part.first() else { return };
        let decided_at = first.decision.decided_at;
        let batch = first.decision.sequence.batch();
        let sealed = BatchSeal::of(&self.part);
        let own = sealed.tenants.first().map_or(sealed.root, |own| own.root);
        self.batches.push(LoadedBatch {
            batch,
            root: self.root.unwrap_or(sealed.root),
            decided_at,
            own,
            rows: i32::try_from(self.part.len()).unwrap_or(i32::MAX),
            is_sealed: self.root.is_some(),
        });
        self.rows.append(&mut self.part);
    }

    /// A page. Rows of a batch that is not closed stay for the next one.
    async fn write(&mut self) -> Result<(), LoadError> {
        self.loader.accounts(&std::mem::take(&mut self.accounts)).await?;
        self.loader.seals(&std::mem::take(&mut self.seals), self.at).await?;
        let (batches, rows) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.rows));
        if rows.is_empty() {
            return Ok(());
        }
        let (payments, refunds) = states(&rows);
        self.loader.operations(&batches, &rows).await?;
        Ok(self.loader.states(payments, refunds).await?)
    }

    async fn end(mut self) -> Result<(), LoadError> {
        self.close();
        self.write().await?;
        Ok(self.loader.end(self.head.seal, self.head.link.0).await?)
    }
}

/// How these operations left payments and refunds that have a state of their own.
fn states(
    rows: &[OperationRow],
) -> (BTreeMap<OperationId, PaymentState>, BTreeMap<OperationId, RefundState>) {
    let (mut payments, mut refunds) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let Verdict::Done { after: Some(after), .. } = &row.decision.verdict else { continue };
        let body = &row.decision.body;
        match &**after {
            After::Payment(now) => {
                let id = if body.kind.makes_payment() { Some(row.operation) } else { body.target };
                payments.extend(id.map(|id| (id, now.clone())));
            }
            After::Refund(refund, now) => {
                // Who asks makes it, who decides names it.
                let decides = matches!(body.kind, Kind::ApproveRefund | Kind::RejectRefund);
                let id = if decides { body.target } else { Some(row.operation) };
                payments.insert(refund.payment, now.clone());
                refunds.extend(id.map(|id| (id, refund.clone())));
            }
            After::Wallet(_) => {}
        }
    }
    (payments, refunds)
}

/// What a line of an account was made of.
fn stored(account: Account) -> ExportedAccount {
    ExportedAccount {
        id: account.id,
        kind: account.kind,
        status: account.status,
        currency: account.currency.code().to_owned(),
        class: account.class,
        floor: account.floor.0,
        ceiling: account.ceiling.map(|minor| minor.0),
        balance: account.balance.into(),
        last: Sequence(account.last),
        wallet: account.wallet.map(|wallet| ExportedWallet {
            origin: wallet.origin,
            name: wallet.name,
            owner: wallet.owner,
            metadata: serde_json::Value::Object(wallet.metadata).to_string(),
            created_at: Timestamp(wallet.created_at_us),
            first_floor: wallet.first_floor.0,
            first_ceiling: wallet.first_ceiling.map(|minor| minor.0),
        }),
    }
}
