//! Invoices, and statements of them, as documents.

use payplane_ledger::TenantId;
use payplane_proto::v1::{self as proto, DocumentFormat};
use tonic::Status;

use crate::{
    billing::document::{self, Locale, statement},
    engine::detached,
    grpc::{
        Api,
        decode::{Path, Violations},
        status,
    },
};

/// How many invoices a statement has at most.
const INVOICES_MAX: usize = 1_000;

impl Api {
    pub(super) async fn document(
        &self,
        tenant: TenantId,
        request: proto::GetInvoiceDocumentRequest,
    ) -> Result<proto::GetInvoiceDocumentResponse, Status> {
        let (kind, locale) = kind(request.format(), &request.locale)?;
        let (store, number) = (self.engine.store.clone(), request.number);
        let found = detached(async move { store.invoice(tenant, number).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let invoice = found.ok_or_else(|| status::not_found("invoice"))?;
        let content = match kind {
            Kind::Json => document::json(&invoice),
            Kind::Csv => document::csv(&invoice),
            Kind::Html => document::html(&invoice, locale),
            Kind::Pdf => document::pdf(&invoice, locale),
        };
        Ok(proto::GetInvoiceDocumentResponse { content_type: kind.content_type().to_owned(), content })
    }

    pub(super) async fn statement_document(
        &self,
        tenant: TenantId,
        request: proto::GetStatementDocumentRequest,
    ) -> Result<proto::GetStatementDocumentResponse, Status> {
        let (kind, locale) = kind(request.format(), &request.locale)?;
        let through = Some(request.through_number).filter(|number| *number != 0);
        let store = self.engine.store.clone();
        let found = detached(async move { store.invoices(tenant, through, INVOICES_MAX).await }).await;
        let invoices = found.map_err(|error| status::of_store(&error))?;
        let content = match kind {
            Kind::Json => statement::json(&invoices),
            Kind::Csv => statement::csv(&invoices),
            Kind::Html => statement::html(&invoices, locale),
            Kind::Pdf => statement::pdf(&invoices, locale),
        };
        Ok(proto::GetStatementDocumentResponse { content_type: kind.content_type().to_owned(), content })
    }
}

/// A format that was named.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Csv,
    Html,
    Pdf,
}

impl Kind {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Pdf => "application/pdf",
        }
    }
}

fn kind(format: DocumentFormat, locale: &str) -> Result<(Kind, Locale), Status> {
    let mut violations = Violations::default();
    let root = Path::Root;
    let locale = Locale::parse(locale);
    if locale.is_none() {
        violations.add(root.at("locale"), "is unknown: expected \"en\", \"de\", \"de-CH\" or \"fr\"");
    }
    let kind = match format {
        DocumentFormat::Json => Some(Kind::Json),
        DocumentFormat::Csv => Some(Kind::Csv),
        DocumentFormat::Html => Some(Kind::Html),
        DocumentFormat::Pdf => Some(Kind::Pdf),
        DocumentFormat::Unspecified => {
            violations.add(root.at("format"), "is unknown: expected a value of DocumentFormat");
            None
        }
    };
    violations.finish(kind.zip(locale))
}
