//! One Redis server that is run here.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use payplane_crds::{Platform, platform::ManagedRedis};

use super::{certificate, keep, password, secret};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::labels,
    platform::{
        Names,
        build::redis::{self, REDIS},
        certificate::Pair,
        report::RedisSeen,
    },
};

/// Brings the server to what the Platform asks for.
///
/// # Errors
/// When the API server does not accept something.
pub async fn bring(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
    spec: &ManagedRedis,
) -> Result<RedisSeen, Error> {
    let subject = (names.redis_tls(), &*names.redis());
    let certificate = certificate(platform, context, names, authority, subject).await?;
    let existing = secret(context, names, &names.redis()).await?;
    let password = password(existing.as_ref(), "password")?;
    let login = redis::login(platform, names, &password, &authority.certificate);
    keep(context, existing.as_ref(), &login).await?;
    let parts = redis::parts(platform, spec, &context.settings, names, &certificate);
    apply::apply(&context.client, &parts.service).await?;
    Ok(RedisSeen::Managed(Box::new(apply::apply(&context.client, &parts.deployment).await?)))
}

/// Takes the server away, if there is one.
///
/// # Errors
/// When the API server gives no answer.
pub async fn remove(context: &Context, names: &Names) -> Result<(), Error> {
    let labels = labels(&names.platform, REDIS);
    apply::prune::<Deployment>(&context.client, &names.namespace, &names.redis(), &labels).await?;
    apply::prune::<Service>(&context.client, &names.namespace, &names.redis(), &labels).await
}
