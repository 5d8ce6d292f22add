//! Invoices as documents.

use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use tonic::Status;

use crate::{
    billing::document::{self, Locale},
    engine::detached,
    grpc::{
        Api,
        decode::{Path, Violations},
        status,
    },
};

impl Api {
    pub(super) async fn document(
        &self,
        tenant: TenantId,
        request: proto::GetInvoiceDocumentRequest,
    ) -> Result<proto::GetInvoiceDocumentResponse, Status> {
        use proto::DocumentFormat::{Csv, Html, Json, Unspecified};
        let mut violations = Violations::default();
        let root = Path::Root;
        let locale = Locale::parse(&request.locale);
        if locale.is_none() {
            violations.add(root.at("locale"), "is unknown: expected \"en\", \"de\", \"de-CH\" or \"fr\"");
        }
        if request.format() == Unspecified {
            violations.add(root.at("format"), "is unknown: expected a value of DocumentFormat");
        }
        let locale = violations.finish(locale)?;
        let (store, number) = (self.engine.store.clone(), request.number);
        let found = detached(async move { store.invoice(tenant, number).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let invoice = found.ok_or_else(|| status::not_found("invoice"))?;
        let (content_type, content) = match request.format() {
            Json | Unspecified => ("application/json", document::json(&invoice)),
            Csv => ("text/csv; charset=utf-8", document::csv(&invoice)),
            Html => ("text/html; charset=utf-8", document::html(&invoice, locale)),
        };
        Ok(proto::GetInvoiceDocumentResponse { content_type: content_type.to_owned(), content })
    }
}
