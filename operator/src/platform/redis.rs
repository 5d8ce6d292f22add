//! Redis of a Platform: its Secrets, its workload, and what became of them.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use payplane_crds::{Platform, platform::RedisSpec};

use super::{
    Names,
    build::{self, redis},
    certificate::{Pair, Subject},
    credentials,
    report::RedisSeen,
    validate::{optional, value},
};
use crate::{api, apply, context::Context, error::Error};

/// The Secret by which engines reach Redis, if the Platform asks for one. Engines start without it, too.
pub fn secret_name(platform: &Platform, names: &Names) -> Option<String> {
    let spec = platform.spec.redis.as_ref()?;
    Some(spec.external.as_ref().map_or_else(|| names.redis(), |external| external.secret_ref.name.clone()))
}

/// Brings Redis to what the Platform asks for. One that is no longer asked for goes.
///
/// # Errors
/// When the API server does not accept something.
pub async fn bring(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
) -> Result<RedisSeen, Error> {
    let Some(RedisSpec { managed, external }) = &platform.spec.redis else {
        remove(platform, context, names).await?;
        return Ok(RedisSeen::None);
    };
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &names.namespace);
    let read = async |name: &str| api::call("read a Secret", secrets.get_opt(name)).await;
    if let Some(external) = external {
        remove(platform, context, names).await?;
        let name = &external.secret_ref.name;
        return Ok(match read(name).await? {
            None => RedisSeen::Incomplete(format!("There is no Secret {name:?} in this namespace.")),
            Some(secret) => match ["host", "port"].iter().find_map(|key| value(&secret, key).err()) {
                Some(refused) => RedisSeen::Incomplete(refused.message),
                None => RedisSeen::External,
            },
        });
    }
    let existing = read(&names.redis_tls()).await?;
    let dns = Subject::server(names.dns_names(&names.redis()));
    let now = jiff::Timestamp::now();
    let certificate =
        credentials::leaf(platform, context, authority, names.redis_tls(), dns, &existing, now).await?;
    login(platform, context, names, authority, read(&names.redis()).await?).await?;
    let spec = managed.clone().unwrap_or_default();
    let parts = redis::parts(platform, &spec, &context.settings, names, &certificate);
    apply::apply(&context.client, &parts.service).await?;
    Ok(RedisSeen::Managed(Box::new(apply::apply(&context.client, &parts.deployment).await?)))
}

/// The password is made once; what else the Secret says follows the Platform.
async fn login(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
    existing: Option<Secret>,
) -> Result<(), Error> {
    let known = existing.as_ref().and_then(|secret| optional(secret, "password"));
    let password = known.clone().map_or_else(credentials::random, Ok)?;
    let wanted = redis::login(platform, names, &password, &authority.certificate);
    match existing {
        None => credentials::create(context, &wanted).await,
        // A password that was lost is made anew: unlike the database, nothing is locked up with the old one.
        Some(_) => apply::apply(&context.client, &wanted).await.map(|_| ()),
    }
}

async fn remove(platform: &Platform, context: &Context, names: &Names) -> Result<(), Error> {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
    let had = crate::condition::find(
        crate::status::Reported::current(platform),
        payplane_crds::condition::REDIS_READY,
    );
    if had.is_none() {
        return Ok(());
    }
    let labels = crate::meta::labels(&names.platform, build::redis::REDIS);
    apply::prune::<Deployment>(&context.client, &names.namespace, &names.redis(), &labels).await?;
    apply::prune::<Service>(&context.client, &names.namespace, &names.redis(), &labels).await
}
