//! Tenants. Lists are sorted and freed of duplicates, so the same tenant always reads the same.

use std::collections::BTreeMap;

use payplane_ledger::{Currency, Sign, TenantId, format_minor};
use payplane_proto::v1::{self as proto, tenant_service_server::TenantService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api,
    decode::{self, Path, Violations},
    issuers, status,
};
use crate::{
    auth::Role,
    cache::Rates,
    engine::detached,
    store::{CapRow, GrantRow, HoldingsRow, TenantRow},
};

const NAME_CHARS_MAX: usize = 63;
const ENTRIES_MAX: usize = 1_000;
const RATE_MAX: u32 = 1_000_000;

#[tonic::async_trait]
impl TenantService for Api {
    async fn put_tenant(
        &self,
        request: Request<proto::PutTenantRequest>,
    ) -> Result<Response<proto::PutTenantResponse>, Status> {
        let wanted = request.into_inner().tenant.unwrap_or_default();
        let issuer_row = self.wanted_issuer(wanted.oidc.as_ref())?;
        let mut row = wanted_tenant(wanted)?;
        let platform = self.engine.platform().await.map_err(|error| status::of_store(&error))?;
        row.id = TenantId::named(platform, &row.name).uuid();
        let (store, wanted) = (self.engine.store.clone(), row.clone());
        let changed = detached(async move { store.put_tenant(&wanted).await }).await;
        let changed = changed.map_err(|error| status::of_store(&error))?;
        let oidc = issuer_row.as_ref().map(issuers::issuer);
        let changed = self.put_issuer(TenantId::from_uuid(row.id), issuer_row).await? || changed;
        Ok(Response::new(proto::PutTenantResponse { tenant: Some(tenant(&row, oidc)), changed }))
    }

    async fn get_tenant(
        &self,
        request: Request<proto::GetTenantRequest>,
    ) -> Result<Response<proto::GetTenantResponse>, Status> {
        let row = self.tenant(request.into_inner().name).await?;
        let (store, id) = (self.engine.store.clone(), TenantId::from_uuid(row.id));
        let found = detached(async move { store.issuer(id).await }).await;
        let oidc = found.map_err(|error| status::of_store(&error))?.as_ref().map(issuers::issuer);
        Ok(Response::new(proto::GetTenantResponse { tenant: Some(tenant(&row, oidc)) }))
    }

    async fn get_tenant_holdings(
        &self,
        request: Request<proto::GetTenantHoldingsRequest>,
    ) -> Result<Response<proto::GetTenantHoldingsResponse>, Status> {
        let name = request.into_inner().name;
        let row = self.tenant(name).await?;
        let (store, id) = (self.engine.store.clone(), TenantId::from_uuid(row.id));
        let found = detached(async move { store.tenant_holdings(id).await }).await;
        let HoldingsRow { accounts, holds, refunds } = found.map_err(|error| status::of_store(&error))?;
        Ok(Response::new(proto::GetTenantHoldingsResponse { accounts, holds, refunds }))
    }
}

impl Api {
    /// The tenant that is asked for by name.
    pub(super) async fn tenant(&self, name: String) -> Result<TenantRow, Status> {
        let mut violations = Violations::default();
        dns_name(Path::Root.at("name"), &name, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.tenant(&name).await }).await;
        found.map_err(|error| status::of_store(&error))?.ok_or_else(status::no_such_tenant)
    }
}

fn wanted_tenant(wanted: proto::Tenant) -> Result<TenantRow, Status> {
    let mut violations = Violations::default();
    let root = Path::Root;
    let field = root.at("tenant");
    dns_name(field.at("name"), &wanted.name, &mut violations);
    let too_many =
        [("namespaces", wanted.namespaces.len()), ("service_accounts", wanted.service_accounts.len())];
    for (list, _) in too_many.into_iter().filter(|(_, entries)| ENTRIES_MAX < *entries) {
        violations.add(field.at(list), "has too many entries: expected at most 1000");
    }
    let namespaces = namespaces(field, wanted.namespaces, &mut violations);
    let grants = grants(field, &wanted.service_accounts, &namespaces, &mut violations);
    let caps = caps(field, &wanted.settlement_caps, &mut violations);
    let rates = wanted.rates.and_then(|wanted| rates(field.at("rates"), &wanted, &mut violations));
    let default_role = match wanted.default_role {
        0 => Some(0),
        number => role(field.at("default_role"), number, &mut violations),
    };
    let default_role = violations.finish(default_role)?;
    let (id, name, suspended) = (Uuid::nil(), wanted.name, wanted.suspended);
    Ok(TenantRow { id, name, default_role, suspended, namespaces, caps, grants, rates })
}

fn rates(field: Path<'_>, wanted: &proto::Rates, violations: &mut Violations) -> Option<Rates> {
    let proto::Rates { calls_per_second, burst } = *wanted;
    for (name, number) in [("calls_per_second", calls_per_second), ("burst", burst)] {
        if !(1..=RATE_MAX).contains(&number) {
            violations.add(field.at(name), "is out of range: expected 1 to 1000000");
        }
    }
    Some(Rates { calls_per_second, burst })
}

fn namespaces(tenant: Path<'_>, mut names: Vec<String>, violations: &mut Violations) -> Vec<String> {
    for (index, name) in names.iter().enumerate() {
        dns_name(tenant.entry("namespaces", index), name, violations);
    }
    names.sort();
    names.dedup();
    names
}

fn grants(
    tenant: Path<'_>,
    wanted: &[proto::ServiceAccountGrant],
    namespaces: &[String],
    violations: &mut Violations,
) -> Vec<GrantRow> {
    let mut grants = BTreeMap::new();
    for (index, grant) in wanted.iter().enumerate() {
        let field = tenant.entry("service_accounts", index);
        if !namespaces.contains(&grant.namespace) {
            violations.add(field.at("namespace"), "is foreign: expected one of the tenant's namespaces");
        }
        service_account_name(field.at("name"), &grant.name, violations);
        let Some(role) = role(field.at("role"), grant.role, violations) else { continue };
        let key = (grant.namespace.clone(), grant.name.clone());
        if grants.insert(key, role).is_some() {
            violations.add(field, "is listed twice: expected one entry per service account");
        }
    }
    grants.into_iter().map(|((namespace, name), role)| GrantRow { namespace, name, role }).collect()
}

fn caps(tenant: Path<'_>, wanted: &[proto::Money], violations: &mut Violations) -> Vec<CapRow> {
    let mut caps = BTreeMap::new();
    for (index, cap) in wanted.iter().enumerate() {
        let field = tenant.entry("settlement_caps", index);
        let Some((minor, currency)) = decode::money(field, Some(cap), Sign::NotNegative, violations) else {
            continue;
        };
        if caps.insert(currency.code().to_owned(), minor).is_some() {
            violations.add(field, "is listed twice: expected one entry per currency");
        }
    }
    caps.into_iter().map(|(currency, minor)| CapRow { currency, minor }).collect()
}

/// Tenants grant every role but that of the platform, which is configured where the engine is started.
pub(super) fn role(field: Path<'_>, number: i32, violations: &mut Violations) -> Option<i16> {
    let role = i16::try_from(number).ok().and_then(Role::from_number).filter(|role| *role != Role::Platform);
    if role.is_none() {
        violations.add(field, "is unknown: expected viewer, operator, approver, treasury or admin");
    }
    role.map(|role| role as i16)
}

pub(super) fn dns_name(field: Path<'_>, name: &str, violations: &mut Violations) {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_right = !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_right {
        violations.add(field, "is malformed: expected a DNS label of 1 to 63 characters of [a-z0-9-]");
    }
}

fn service_account_name(field: Path<'_>, name: &str, violations: &mut Violations) {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    if name.is_empty() || 253 < name.len() || !name.bytes().all(inner) {
        violations.add(field, "is malformed: expected 1 to 253 characters of [a-z0-9.-]");
    }
}

fn tenant(row: &TenantRow, oidc: Option<proto::OidcIssuer>) -> proto::Tenant {
    let cap = |cap: &CapRow| {
        // Only known currencies are stored.
        let amount = Currency::parse(&cap.currency).map(|currency| format_minor(cap.minor, currency));
        proto::Money { amount: amount.unwrap_or_default(), currency: cap.currency.clone() }
    };
    let grant = |grant: &GrantRow| proto::ServiceAccountGrant {
        namespace: grant.namespace.clone(),
        name: grant.name.clone(),
        role: i32::from(grant.role),
    };
    proto::Tenant {
        id: row.id.to_string(),
        name: row.name.clone(),
        namespaces: row.namespaces.clone(),
        settlement_caps: row.caps.iter().map(cap).collect(),
        service_accounts: row.grants.iter().map(grant).collect(),
        default_role: i32::from(row.default_role),
        suspended: row.suspended,
        rates: row.rates.map(|Rates { calls_per_second, burst }| proto::Rates { calls_per_second, burst }),
        oidc,
    }
}
