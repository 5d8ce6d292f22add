//! Redis that the Redis operator of Opstree runs for a Platform: a primary, which engines use, and replicas of it.
//!
//! That operator makes the servers and the Services, and says who the primary is. Ours are the certificate, the engines' login
//! and its own. Nothing is kept, so unlike other databases it goes with the Platform, and as soon as nobody asks for it.

mod build;

use payplane_crds::{Platform, platform::OperatedRedis};

use super::{certificate, keep, password, secret};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::labels,
    platform::{
        Names,
        build::redis::REDIS,
        certificate::Pair,
        foreign::{self, redis_operator::RedisReplication},
        report::RedisSeen,
        validate::rejected,
    },
};

/// What has to be installed.
const VENDOR: &str = "the Redis operator of Opstree, 0.23 or newer";

/// Brings what is to be run to what the Platform asks for.
///
/// # Errors
/// When the API server gives no answer, or somebody else was faster.
pub async fn bring(
    platform: &Platform,
    context: &Context,
    names: &Names,
    authority: &Pair,
    spec: &OperatedRedis,
) -> Result<RedisSeen, Error> {
    let found = foreign::find::<RedisReplication>(&context.client, platform, &names.redis_set()).await?;
    if let Some(refused) = foreign::refusal::<RedisReplication>(&found, &names.redis_set(), VENDOR) {
        return Ok(RedisSeen::Refused(refused));
    }
    let subject = (names.redis_set_tls(), &*names.redis_primary());
    let certificate = certificate(platform, context, names, authority, subject).await?;
    let existing = secret(context, names, &names.redis()).await?;
    let passwords =
        (&*password(existing.as_ref(), "password")?, password(existing.as_ref(), build::OPERATOR_PASSWORD)?);
    let login = build::login(platform, names, passwords, &authority.certificate);
    keep(context, existing.as_ref(), &login).await?;
    let parts = build::parts(platform, spec, names, &certificate);
    apply::apply(&context.client, &parts.settings).await?;
    match foreign::bring(&context.client, &parts.replication, &found).await {
        Ok(live) => Ok(RedisSeen::Operated(Box::new(live))),
        Err(error) => Ok(RedisSeen::Refused(rejected(&error).ok_or(error)?)),
    }
}

/// Takes the servers away, if there are some. Without the kind there are none.
///
/// # Errors
/// When the API server gives no answer.
pub async fn remove(context: &Context, names: &Names) -> Result<(), Error> {
    if !foreign::serves::<RedisReplication>(&context.client).await? {
        return Ok(());
    }
    let labels = labels(&names.platform, REDIS);
    apply::prune::<RedisReplication>(&context.client, &names.namespace, &names.redis_set(), &labels).await
}
