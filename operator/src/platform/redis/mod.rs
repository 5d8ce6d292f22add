//! Redis of a Platform: its Secrets, its servers, and what became of them. Nothing here ever stops a Platform: engines work
//! without it, so what is missing is told in `RedisReady` and nowhere else.

mod managed;
mod operated;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use payplane_crds::{Platform, condition::REDIS_READY, platform::RedisSpec};

use super::{
    Names,
    certificate::{Pair, Subject},
    credentials,
    report::RedisSeen,
    validate::{optional, value},
};
use crate::{api, apply, condition, context::Context, error::Error, status::Reported};

/// The Secret by which engines reach Redis, if the Platform asks for one. Engines start without it, too.
pub fn secret_name(platform: &Platform, names: &Names) -> Option<String> {
    let spec = platform.spec.redis.as_ref()?;
    Some(spec.external.as_ref().map_or_else(|| names.redis(), |external| external.secret_ref.name.clone()))
}

/// Brings Redis to what the Platform asks for. Servers that are no longer asked for go.
///
/// # Errors
/// When the API server does not accept something.
pub async fn bring(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
) -> Result<RedisSeen, Error> {
    let spec = platform.spec.redis.as_ref();
    let managed = spec.and_then(|spec| spec.managed.as_ref());
    let operated = spec.and_then(|spec| spec.operator.as_ref());
    // Without a condition there was none that could go.
    let had = condition::find(Reported::current(platform), REDIS_READY).is_some();
    if had && managed.is_none() {
        managed::remove(context, names).await?;
    }
    if had && operated.is_none() {
        operated::remove(context, names).await?;
    }
    match spec {
        None => Ok(RedisSeen::None),
        Some(RedisSpec { external: Some(external), .. }) => {
            look_at(context, names, &external.secret_ref.name).await
        }
        Some(RedisSpec { operator: Some(operated), .. }) => {
            operated::bring(platform, context, names, authority, operated).await
        }
        Some(RedisSpec { managed, .. }) => {
            let managed = managed.clone().unwrap_or_default();
            managed::bring(platform, context, names, authority, &managed).await
        }
    }
}

/// Somebody else's: whether its Secret is complete.
async fn look_at(context: &Context, names: &Names, name: &str) -> Result<RedisSeen, Error> {
    Ok(match secret(context, names, name).await? {
        None => RedisSeen::Incomplete(format!("There is no Secret {name:?} in this namespace.")),
        Some(secret) => match ["host", "port"].iter().find_map(|key| value(&secret, key).err()) {
            Some(refused) => RedisSeen::Incomplete(refused.message),
            None => RedisSeen::External,
        },
    })
}

async fn secret(context: &Context, names: &Names, name: &str) -> Result<Option<Secret>, Error> {
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &names.namespace);
    api::call("read a Secret", secrets.get_opt(name)).await
}

/// The servers' certificate in a Secret, for the Service that engines use.
async fn certificate(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
    (name, service): (String, &str),
) -> Result<String, Error> {
    let existing = secret(context, names, &name).await?;
    let dns = Subject::server(names.dns_names(service));
    let now = jiff::Timestamp::now();
    credentials::leaf(platform, context, authority, name, dns, &existing, now).await
}

/// A password is made once. One that was lost is made anew: unlike the database, nothing is locked up with the old one.
fn password(existing: Option<&Secret>, key: &str) -> Result<String, Error> {
    existing.and_then(|secret| optional(secret, key)).map_or_else(credentials::random, Ok)
}

/// What a Secret says beside its passwords follows the Platform.
async fn keep(context: &Context, existing: Option<&Secret>, wanted: &Secret) -> Result<(), Error> {
    match existing {
        None => credentials::create(context, wanted).await,
        Some(_) => apply::apply(&context.client, wanted).await.map(|_| ()),
    }
}
