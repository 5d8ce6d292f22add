//! A tenant's own issuer, between the wire and the store.

use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use tonic::Status;

use super::{
    Api,
    decode::{self, Path, Violations},
    status,
    tenants::role,
};
use crate::{
    auth,
    store::{IssuerRow, PutIssuer},
};

const URL_CHARS_MAX: usize = 255;
const AUDIENCE_CHARS_MAX: usize = 255;
const CLAIM_CHARS_MAX: usize = 128;
const CA_BYTES_MAX: usize = 64 * 1024;
const ROLES_MAX: usize = 32;

impl Api {
    /// Gives the tenant this issuer, or none; says whether that changed anything.
    pub(super) async fn put_issuer(&self, tenant: TenantId, row: Option<IssuerRow>) -> Result<bool, Status> {
        match self.issuers.put(tenant, row).await.map_err(|error| status::of_store(&error))? {
            PutIssuer::Same => Ok(false),
            PutIssuer::Changed => Ok(true),
            PutIssuer::Full => Err(status::too_many_issuers()),
            PutIssuer::Taken => {
                let mut violations = Violations::default();
                violations.add(
                    Path::Root.at("tenant").at("oidc").at("audience"),
                    "is another tenant's with this issuer: expected an audience of the tenant's own",
                );
                violations.check().map(|()| false)
            }
        }
    }

    /// The issuer that is asked for.
    pub(super) fn wanted_issuer(
        &self,
        wanted: Option<&proto::OidcIssuer>,
    ) -> Result<Option<IssuerRow>, Status> {
        let Some(wanted) = wanted else { return Ok(None) };
        let mut violations = Violations::default();
        let (root, mut roles) = (Path::Root, Vec::new());
        let (tenant, text) = (root.at("tenant"), "is malformed: expected printable ASCII characters");
        let field = tenant.at("oidc");
        if !is_https(&wanted.issuer) {
            let expected = "is malformed: expected an https URL without user, query and fragment";
            violations.add(field.at("issuer"), expected);
        }
        if self.issuers.is_own(&wanted.issuer) {
            let expected =
                "is the cluster's own: its tokens are believed by namespace, expected another issuer";
            violations.add(field.at("issuer"), expected);
        }
        let texts = [
            ("audience", &wanted.audience, AUDIENCE_CHARS_MAX),
            ("role_claim", &wanted.role_claim, CLAIM_CHARS_MAX),
        ];
        for (name, value, max) in texts {
            if value.is_empty() || !decode::is_printable_ascii(value, max) {
                violations.add(field.at(name), text);
            }
        }
        if CA_BYTES_MAX < wanted.ca_pem.len() || !auth::is_ca(&wanted.ca_pem) {
            violations.add(field.at("ca_pem"), "is malformed: expected PEM certificates, at most 64 KiB");
        }
        if wanted.roles.is_empty() || ROLES_MAX < wanted.roles.len() {
            violations.add(field.at("roles"), "has a wrong number of entries: expected 1 to 32");
        }
        for (index, line) in wanted.roles.iter().take(ROLES_MAX).enumerate() {
            let entry = field.entry("roles", index);
            if line.value.is_empty() || AUDIENCE_CHARS_MAX < line.value.len() {
                violations.add(entry.at("value"), "is malformed: expected 1 to 255 bytes");
            }
            roles.extend(
                role(entry.at("role"), line.role, &mut violations).map(|role| (line.value.clone(), role)),
            );
        }
        violations.check()?;
        let proto::OidcIssuer { issuer, audience, ca_pem, role_claim, .. } = wanted.clone();
        Ok(Some(IssuerRow { issuer, audience, ca_pem, role_claim, roles }))
    }
}

/// The row as it was asked for.
pub(super) fn issuer(row: &IssuerRow) -> proto::OidcIssuer {
    let line =
        |(value, role): &(String, i16)| proto::OidcRole { value: value.clone(), role: i32::from(*role) };
    proto::OidcIssuer {
        issuer: row.issuer.clone(),
        audience: row.audience.clone(),
        ca_pem: row.ca_pem.clone(),
        role_claim: row.role_claim.clone(),
        roles: row.roles.iter().map(line).collect(),
    }
}

/// What is fetched is fetched from here, so it has to be what it seems to be.
fn is_https(url: &str) -> bool {
    let is_plain =
        decode::is_printable_ascii(url, URL_CHARS_MAX) && !url.contains(['@', '?', '#', '\\', ' ']);
    let parsed = url.parse::<http::Uri>().ok();
    is_plain
        && url.starts_with("https://")
        && parsed.is_some_and(|url| url.host().is_some_and(|host| !host.is_empty()))
}
