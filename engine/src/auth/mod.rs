//! Who calls, and what they may do. A token decides the tenant, never the request alone: a ServiceAccount belongs to
//! the tenant of its namespace, an API key to the one that it was registered for, a token of a tenant's own issuer to that
//! tenant. Only the operator, which speaks for everybody, names the namespace that it speaks for.

mod api_keys;
mod directory;
mod issuers;
mod keys;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod revocations;
mod role;
mod token;

pub use api_keys::{ApiKeys, PREFIX};
pub use directory::Directory;
pub use issuers::Issuers;
pub(crate) use keys::is_ca;
pub use revocations::Revocations;
pub use role::Role;
pub use token::{Identity, TOKEN_BYTES_MAX, TokenError, Verifier, VerifierError};

use std::{collections::HashSet, sync::Arc};

use issuers::{Claims, Issuer, Outsider};

use payplane_ledger::{Origin, TenantId};

use crate::{
    cache::Rates,
    config::AuthConfig,
    store::{CallerRow, StoreError},
};

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's subject.
    pub subject: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// Whose rows it works on. Nothing for a platform caller that names no namespace.
    pub tenant: Option<TenantId>,
    /// Which names and keys are its own.
    pub origin: Origin,
    /// How often its tenant may call, if that is bounded. The platform's own calls are not.
    pub rates: Option<Rates>,
}

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The engine was started without an issuer.
    #[error(
        "no issuer is configured, so no token can be believed: set --issuer and --jwks-url or --jwks-file"
    )]
    NoIssuer,
    /// There is no token.
    #[error("a bearer token is required in metadata \"authorization\"")]
    NoToken,
    /// The token is not believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The API key is malformed, unknown or ended: nobody learns which.
    #[error("the API key is not valid")]
    ApiKey,
    /// Somebody took the token or its subject back.
    #[error("the token was revoked")]
    Revoked,
    /// The subject is no service account, or its namespace belongs to no tenant, or it has no role there.
    #[error("{0:?} belongs to no tenant or has no role")]
    Unregistered(Arc<str>),
    /// Only the platform role may choose a namespace.
    #[error("metadata \"payplane-namespace\" is for the platform role only")]
    NamespaceNotAllowed,
    /// The named namespace belongs to no tenant.
    #[error("namespace {0:?} belongs to no tenant")]
    UnknownNamespace(String),
    /// The database is needed and away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Turns tokens into callers.
#[derive(Debug)]
pub struct Authenticator {
    verifier: Option<Verifier>,
    directory: Directory,
    revocations: Arc<Revocations>,
    api_keys: Arc<ApiKeys>,
    issuers: Arc<Issuers>,
    platform_subjects: HashSet<String>,
}

impl Authenticator {
    /// Without an issuer in `config`, nobody is believed.
    pub fn new(
        config: &AuthConfig,
        directory: Directory,
        revocations: Arc<Revocations>,
        (api_keys, issuers): (Arc<ApiKeys>, Arc<Issuers>),
    ) -> Result<Self, VerifierError> {
        let verifier = Verifier::from_config(config)?;
        let platform_subjects = config.platform_subjects.iter().cloned().collect();
        Ok(Self { verifier, directory, revocations, api_keys, issuers, platform_subjects })
    }

    /// Identifies the bearer of `token`, who may name a namespace.
    pub async fn authenticate(
        &self,
        token: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<Caller, AuthError> {
        if let Some(key) = token.filter(|token| api_keys::is_key(token)) {
            return match namespace {
                None => self.key_caller(key).await,
                Some(_) => Err(AuthError::NamespaceNotAllowed),
            };
        }
        // Most calls repeat a token of the cluster: only what is not remembered as one is asked whose it is.
        let remembered = token.and_then(|token| self.verifier.as_ref()?.recall(token));
        if remembered.is_none()
            && let Some(token) = token
            && let Some((issuer, claims)) = self.issuers.of(token).await?
        {
            return match namespace {
                None => self.outside_caller(&issuer, token, &claims).await,
                Some(_) => Err(AuthError::NamespaceNotAllowed),
            };
        }
        let identity = match remembered {
            Some(identity) => identity,
            None => {
                let verifier = self.verifier.as_ref().ok_or(AuthError::NoIssuer)?;
                verifier.verify(token.ok_or(AuthError::NoToken)?).await?
            }
        };
        if self.revocations.covers(&identity).await? {
            return Err(AuthError::Revoked);
        }
        let subject = identity.subject;
        if self.platform_subjects.contains(&*subject) {
            return self.platform_caller(subject, namespace).await;
        }
        if namespace.is_some() {
            return Err(AuthError::NamespaceNotAllowed);
        }
        self.tenant_caller(subject).await
    }

    /// Whoever has a key belongs to its tenant, and never to the platform. A key can be revoked by its id like a token, and
    /// is refused then as if it had ended.
    async fn key_caller(&self, key: &str) -> Result<Caller, AuthError> {
        let (tenant, identity) = self.api_keys.verify(key).await?;
        if self.revocations.covers(&identity).await? {
            return Err(AuthError::ApiKey);
        }
        let found = self.directory.find_key(tenant, identity.id.as_deref().unwrap_or_default()).await?;
        let found = found.and_then(|row| Some((row.rates, Role::from_number(row.role)?)));
        let (rates, role) = found.filter(|(_, role)| role.is_for_keys()).ok_or(AuthError::ApiKey)?;
        Ok(Caller { subject: identity.subject, role, tenant: Some(tenant), origin: Origin::Api, rates })
    }

    /// Whoever has a token of a tenant's own issuer belongs to that tenant, and never to the platform, whatever it is called.
    async fn outside_caller(
        &self,
        issuer: &Issuer,
        token: &str,
        claims: &Claims,
    ) -> Result<Caller, AuthError> {
        let Outsider { tenant, subject, id, role } = issuer.verify(token, claims).await?;
        let identity = Identity { subject: subject.clone(), id };
        if self.revocations.covers(&identity).await? {
            return Err(AuthError::Revoked);
        }
        let found = self.directory.find_outsider(tenant).await?;
        let Some((row, role)) = found.zip(role) else { return Err(AuthError::Unregistered(subject)) };
        Ok(Caller { subject, role, tenant: Some(tenant), origin: Origin::Api, rates: row.rates })
    }

    async fn platform_caller(&self, subject: Arc<str>, namespace: Option<&str>) -> Result<Caller, AuthError> {
        let tenant = match namespace {
            None => None,
            Some(namespace) => {
                let found = self.directory.find(namespace, "").await?;
                let unknown = || AuthError::UnknownNamespace(namespace.to_owned());
                Some(found.ok_or_else(unknown)?.tenant)
            }
        };
        Ok(Caller { subject, role: Role::Platform, tenant, origin: Origin::Resource, rates: None })
    }

    async fn tenant_caller(&self, subject: Arc<str>) -> Result<Caller, AuthError> {
        let found = match service_account(&subject) {
            Some((namespace, name)) => self.directory.find(namespace, name).await?,
            None => None,
        };
        let row = found.and_then(|row| Some((row, Role::from_number(row.role)?)));
        match row {
            Some((CallerRow { tenant, rates, .. }, role)) => {
                Ok(Caller { subject, role, tenant: Some(tenant), origin: Origin::Api, rates })
            }
            None => Err(AuthError::Unregistered(subject)),
        }
    }
}

/// Namespace and name in `system:serviceaccount:NAMESPACE:NAME`.
fn service_account(subject: &str) -> Option<(&str, &str)> {
    let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}
