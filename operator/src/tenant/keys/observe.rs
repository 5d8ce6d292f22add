//! Which keys the ledger knows, and what is in the Secrets. Only reads.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use payplane_crds::Tenant;

use super::{SECRET, Token};
use crate::{
    api,
    context::Context,
    engine::{ApiKey, Engine},
    error::Error,
    meta::tenant_labels,
};

/// What there is.
#[derive(Debug, Default)]
pub struct Observed {
    /// Keys that have not ended, the eldest first.
    pub keys: Vec<ApiKey>,
    /// The Secret of each of the tenant's namespaces, and of those that it had.
    pub secrets: BTreeMap<String, Kept>,
}

/// The Secret of one namespace.
#[derive(Debug)]
pub enum Kept {
    /// It is not there.
    Absent,
    /// It is there without our labels: somebody else's.
    Foreign,
    /// It is ours.
    Ours {
        /// Its version when it was read.
        version: Option<String>,
        /// Its entries.
        tokens: BTreeMap<String, Token>,
    },
}

/// None if neither spec, status nor ledger speak of keys: then nothing is read from the API server.
pub async fn observe(
    tenant: &Tenant,
    context: &Context,
    engine: &Engine,
    left: &[String],
) -> Result<Option<Observed>, Error> {
    let told = tenant.status.as_ref().is_some_and(|status| !status.api_keys.is_empty());
    let is_wanted = told || !tenant.spec.api_keys.is_empty();
    let keys = match engine.api_keys(&tenant.name_any()).await {
        Ok(keys) => keys,
        // An engine of before, which is about to be replaced, knows no keys.
        Err(_) if !is_wanted => return Ok(None),
        Err(source) => return Err(Error::Engine { operation: "list API keys", source }),
    };
    if !is_wanted && keys.is_empty() {
        return Ok(None);
    }
    let namespaces = tenant.spec.namespaces.iter().map(|namespace| &namespace.name).chain(left);
    let secrets = try_join_all(namespaces.map(|namespace| secret(tenant, context, namespace))).await?;
    Ok(Some(Observed { keys, secrets: secrets.into_iter().collect() }))
}

async fn secret(tenant: &Tenant, context: &Context, namespace: &str) -> Result<(String, Kept), Error> {
    let secrets = Api::<Secret>::namespaced(context.client.clone(), namespace);
    let found = api::call("read the Secret of API keys", secrets.get_opt(SECRET)).await?;
    Ok((namespace.into(), found.map_or(Kept::Absent, |secret| kept(tenant, secret))))
}

fn kept(tenant: &Tenant, secret: Secret) -> Kept {
    let labels = tenant_labels(&tenant.name_any());
    if !labels.iter().all(|(key, value)| secret.labels().get(key) == Some(value)) {
        return Kept::Foreign;
    }
    let text = |(name, bytes): (String, k8s_openapi::ByteString)| {
        // What is no text is no key, and a new one takes its place.
        (name, Token(String::from_utf8(bytes.0).unwrap_or_default()))
    };
    let version = secret.resource_version();
    Kept::Ours { version, tokens: secret.data.unwrap_or_default().into_iter().map(text).collect() }
}
