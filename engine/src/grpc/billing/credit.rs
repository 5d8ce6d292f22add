//! Credit notes and prepaid credits.

use payplane_billing::Credit;
use payplane_ledger::{Currency, Sequence, Sign, TenantId};
use payplane_proto::v1 as proto;
use tonic::Status;

use crate::{
    engine::detached,
    grpc::{
        Api,
        decode::{self, Path, Violations},
        encode, page, status,
    },
    store::{CreditNoteRow, NewGrant, StoreError},
};

/// Two notes at the same moment meet at their number; the second looks again.
const ATTEMPTS_MAX: u32 = 5;

impl Api {
    pub(super) async fn issue_note(
        &self,
        tenant: TenantId,
        request: proto::IssueCreditNoteRequest,
    ) -> Result<proto::IssueCreditNoteResponse, Status> {
        let proto::IssueCreditNoteRequest { idempotency_key: key, invoice_number, amount, reason } = request;
        let mut violations = Violations::default();
        let root = Path::Root;
        decode::idempotency_key(root.at("idempotency_key"), &key, &mut violations);
        decode::text(root.at("reason"), &reason, &mut violations);
        let money = decode::money(root.at("amount"), amount.as_ref(), Sign::Positive, &mut violations);
        let (minor, currency) = violations.finish(money)?;
        let store = self.engine.store.clone();
        let work = detached(async move {
            let Some(invoice) = store.invoice(tenant, invoice_number).await? else { return Ok(None) };
            if invoice.document.statement.currency != currency {
                return Ok(Some(Err(currency)));
            }
            let mut attempt = 1;
            let number = loop {
                match store.issue_credit_note(tenant, (invoice_number, minor), (&key, &reason)).await {
                    Err(StoreError::Conflict(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                    done => break done?,
                }
            };
            let Some(number) = number else { return Ok(None) };
            let found = store.credit_notes(tenant, Some(number), 1).await?.notes;
            let found = found.into_iter().find(|note| note.number == number);
            Ok(Some(Ok((found, CreditNoteRow { invoice: invoice_number, minor, reason, ..blank() }))))
        });
        match work.await.map_err(|error| status::of_store(&error))? {
            None => Err(status::not_found("invoice")),
            Some(Err(_)) => {
                let mut violations = Violations::default();
                violations.add(root.at("amount").at("currency"), "differs: expected that of the invoice");
                Err(violations.check().err().unwrap_or_else(status::no_outcome))
            }
            Some(Ok((None, _))) => Err(status::credit_exceeds_invoice()),
            // A key that has another note: its amounts are nobody's business who does not know them.
            Some(Ok((Some(found), asked))) => {
                let is_same = (found.invoice, found.minor, &found.reason)
                    == (asked.invoice, asked.minor, &asked.reason);
                if !is_same {
                    return Err(status::key_is_taken());
                }
                Ok(proto::IssueCreditNoteResponse { credit_note: Some(note(&found)?) })
            }
        }
    }

    pub(super) async fn list_notes(
        &self,
        tenant: TenantId,
        request: proto::ListCreditNotesRequest,
    ) -> Result<proto::ListCreditNotesResponse, Status> {
        let mut violations = Violations::default();
        let size = page::size(request.page_size, &mut violations);
        let start = page::token(&request.page_token, page::place, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let found =
            detached(async move { store.credit_notes(tenant, start.map(|start| start.0), size).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let credit_notes = found.notes.iter().map(note).collect::<Result<_, _>>()?;
        let next_page_token = page::next(found.next.map(Sequence));
        Ok(proto::ListCreditNotesResponse { credit_notes, next_page_token })
    }

    pub(super) async fn grant_prepaid(
        &self,
        tenant: TenantId,
        request: proto::GrantPrepaidCreditRequest,
    ) -> Result<proto::GrantPrepaidCreditResponse, Status> {
        let proto::GrantPrepaidCreditRequest { idempotency_key: key, amount, expire_time } = request;
        let mut violations = Violations::default();
        let root = Path::Root;
        decode::idempotency_key(root.at("idempotency_key"), &key, &mut violations);
        let money = decode::money(root.at("amount"), amount.as_ref(), Sign::Positive, &mut violations);
        let expires =
            expire_time.as_ref().and_then(|time| decode::time(root.at("expire_time"), time, &mut violations));
        let (minor, currency) = violations.finish(money)?;
        let grant = NewGrant { key: key.clone(), currency, minor, expires };
        let store = self.engine.store.clone();
        let done = detached(async move { store.grant_prepaid(tenant, &grant).await });
        done.await.map_err(|error| status::of_store(&error))?;
        let found = self.prepaid(tenant, key).await?.into_iter().next();
        let found = found.ok_or_else(status::no_outcome)?;
        let wanted = Some(encode::money(minor, currency));
        if found.amount != wanted || found.expire_time != expires.map(encode::timestamp) {
            return Err(status::key_is_taken());
        }
        Ok(proto::GrantPrepaidCreditResponse { prepaid_credit: Some(found) })
    }

    pub(super) async fn prepaid(
        &self,
        tenant: TenantId,
        key: String,
    ) -> Result<Vec<proto::PrepaidCredit>, Status> {
        let store = self.engine.store.clone();
        let found = detached(async move { store.prepaid_credits(tenant, &key).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        Ok(found.into_iter().map(|(currency, credit)| prepaid_credit(credit, currency)).collect())
    }
}

fn blank() -> CreditNoteRow {
    let issued_at = payplane_ledger::Timestamp(0);
    CreditNoteRow {
        number: 0,
        invoice: 0,
        minor: 0,
        currency: String::new(),
        reason: String::new(),
        issued_at,
    }
}

fn note(row: &CreditNoteRow) -> Result<proto::CreditNote, Status> {
    let currency =
        Currency::parse(&row.currency).map_err(|_| status::of_store(&StoreError::Corrupt("currency")))?;
    Ok(proto::CreditNote {
        number: row.number,
        invoice_number: row.invoice,
        amount: Some(encode::money(row.minor, currency)),
        reason: row.reason.clone(),
        issue_time: Some(encode::timestamp(row.issued_at)),
    })
}

fn prepaid_credit(credit: Credit, currency: Currency) -> proto::PrepaidCredit {
    proto::PrepaidCredit {
        idempotency_key: credit.key,
        amount: Some(encode::money(credit.granted, currency)),
        used: Some(encode::money(credit.used, currency)),
        expire_time: credit.expires.map(encode::timestamp),
        grant_time: Some(encode::timestamp(credit.since)),
    }
}
