//! Tenants' own issuers of tokens: one per tenant, whose tokens are believed for that tenant and nothing else.
//!
//! PostgreSQL has the list; each engine has a copy in memory, of [`ISSUERS_MAX`](crate::store::ISSUERS_MAX) at most, and looks
//! for news every [`LOOK_EVERY`]. So a made-up issuer costs no query and no connection. Whose a token is follows from its
//! issuer and its audience, which together belong to one tenant; then it is verified like a token of the cluster, with that
//! issuer's keys. The cluster's own issuer is never a tenant's, whatever the list says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::dangerous::insecure_decode_claims;
use payplane_ledger::TenantId;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{
    AuthError, Role, TOKEN_BYTES_MAX, TokenError, Verifier,
    revocations::{Copied, first_copy, keep_looking},
};
use crate::{
    engine::detached,
    store::{IssuerRow, PutIssuer, Store, StoreError},
    telemetry::Causes,
};

/// How old the copy may be.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longer subjects are not believed: they are part of the journal.
const SUBJECT_CHARS_MAX: usize = 200;

/// What a token says.
pub type Claims = Map<String, Value>;

/// One tenant's issuer.
#[derive(Debug)]
pub struct Issuer {
    tenant: TenantId,
    row: IssuerRow,
    verifier: Verifier,
}

/// Who a token of such an issuer is of.
#[derive(Debug)]
pub struct Outsider {
    /// The issuer's tenant.
    pub tenant: TenantId,
    /// Who, as the journal says it.
    pub subject: Arc<str>,
    /// The token's own id.
    pub id: Option<Arc<str>>,
    /// What the token's claim stands for. None if for nothing.
    pub role: Option<Role>,
}

#[derive(Debug, Default)]
struct Copy {
    issuers: HashMap<TenantId, Arc<Issuer>>,
    change: i64,
}

/// Follows the list of issuers.
#[derive(Debug)]
pub struct Issuers {
    store: Arc<Store>,
    database: watch::Receiver<bool>,
    own: Option<String>,
    copy: Mutex<Copy>,
    has_copy: watch::Sender<bool>,
}

impl Issuers {
    /// Knows nothing yet; see [`Issuers::follow`]. `own` is the cluster's issuer, `database` says whether asking makes sense.
    pub fn new(store: Arc<Store>, database: watch::Receiver<bool>, own: Option<String>) -> Arc<Self> {
        Arc::new(Self { store, database, own, copy: Mutex::default(), has_copy: watch::Sender::new(false) })
    }

    /// Whether this is the cluster's issuer, which no tenant can have.
    pub fn is_own(&self, issuer: &str) -> bool {
        self.own.as_deref().is_some_and(|own| own.trim_end_matches('/') == issuer.trim_end_matches('/'))
    }

    /// The tenant's issuer that a token claims to be of, and all that it claims. Nothing has been verified then.
    pub async fn of(&self, token: &str) -> Result<Option<(Arc<Issuer>, Claims)>, AuthError> {
        let Some(claims) = claims(token) else { return Ok(None) };
        let Some(issuer) = claims.get("iss").and_then(Value::as_str) else { return Ok(None) };
        if self.is_own(issuer) {
            return Ok(None);
        }
        first_copy(&self.has_copy, &self.database).await?;
        let audiences = texts(claims.get("aud"));
        let fits = |known: &&Arc<Issuer>| {
            known.row.issuer == issuer && audiences.iter().any(|audience| known.row.audience == *audience)
        };
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let found = copy.issuers.values().find(fits).cloned();
        drop(copy);
        Ok(found.map(|issuer| (issuer, claims)))
    }

    /// Gives a tenant this issuer, or none, here before this returns and elsewhere soon after.
    pub async fn put(
        self: &Arc<Self>,
        tenant: TenantId,
        row: Option<IssuerRow>,
    ) -> Result<PutIssuer, StoreError> {
        let this = self.clone();
        detached(async move {
            let outcome = this.store.put_issuer(tenant, row.as_ref()).await?;
            this.look().await?;
            Ok(outcome)
        })
        .await
    }

    /// Keeps the copy young until the process ends.
    pub async fn follow(self: Arc<Self>) {
        keep_looking(self).await;
    }
}

impl Copied for Issuers {
    const WHAT: &'static str = "issuers of tenants";
    const LOOK_EVERY: Duration = LOOK_EVERY;

    fn database(&self) -> watch::Receiver<bool> {
        self.database.clone()
    }

    async fn look(&self) -> Result<(), StoreError> {
        let after = self.copy.lock().unwrap_or_else(PoisonError::into_inner).change;
        let news = self.store.issuer_changes(after).await?;
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        // Two looks may overlap: what is known already changes nothing.
        for (tenant, row, change) in news {
            if copy.change < change {
                copy.change = change;
                copy.issuers.remove(&tenant);
                copy.issuers.extend(row.and_then(|row| Some((tenant, Issuer::new(tenant, row)?))));
            }
        }
        drop(copy);
        self.has_copy.send_if_modified(|has| !std::mem::replace(has, true));
        Ok(())
    }
}

impl Issuer {
    fn new(tenant: TenantId, row: IssuerRow) -> Option<Arc<Self>> {
        match Verifier::of_issuer(&row) {
            Ok(verifier) => Some(Arc::new(Self { tenant, row, verifier })),
            Err(error) => {
                tracing::error!(issuer = row.issuer, reason = %Causes(&error), "tokens of an issuer are not believed");
                None
            }
        }
    }

    /// Who this token with these claims is of, if it is one of this issuer for the tenant's audience.
    pub async fn verify(&self, token: &str, claims: &Claims) -> Result<Outsider, TokenError> {
        let identity = self.verifier.verify(token).await?;
        let is_printable = identity.subject.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if identity.subject.is_empty() || SUBJECT_CHARS_MAX < identity.subject.len() || !is_printable {
            return Err(TokenError::Invalid("its subject is not 1 to 200 printable ASCII characters"));
        }
        let subject = format!("oidc:{}", identity.subject).into();
        let role = self.role(claims);
        Ok(Outsider { tenant: self.tenant, subject, id: identity.id, role })
    }

    /// The first line whose value the claim has. Roles do not all include each other, so there is no "highest".
    fn role(&self, claims: &Claims) -> Option<Role> {
        let values = texts(claims.get(&self.row.role_claim));
        let (_, role) = self.row.roles.iter().find(|(value, _)| values.contains(&value.as_str()))?;
        Role::from_number(*role).filter(|role| *role != Role::Platform)
    }
}

/// What a token claims, which nobody has verified.
fn claims(token: &str) -> Option<Claims> {
    if TOKEN_BYTES_MAX < token.len() {
        return None;
    }
    insecure_decode_claims(token).ok()
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
