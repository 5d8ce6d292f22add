//! The broker's certificate and the engine's login. Writes Secrets, like the Platform's own `credentials`, and by its
//! rules: a password is created, never applied, and no value is ever logged or put on a command line.

use jiff::Timestamp;
use payplane_crds::Platform;

use super::{KAFKA_PORT, MadeKafka, build, observe::ObservedKafka, validate::ValidKafka};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::short_hash,
    platform::{
        certificate::Pair,
        credentials::{create, leaf, random},
        names::Names,
    },
};

/// The engine's user.
pub const USER: &str = "payplane-engine";

/// Makes what is missing or about to end; nothing where no Kafka is wanted.
///
/// # Errors
/// When the API server does not accept it, or another operator was faster.
pub async fn ensure(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &ObservedKafka,
    valid: ValidKafka,
    authority: &Pair,
) -> Result<Option<MadeKafka>, Error> {
    let password = match valid {
        ValidKafka::None => return Ok(None),
        ValidKafka::External { secret } => return Ok(Some(MadeKafka { secret, broker_hash: String::new() })),
        ValidKafka::Managed { password } => password,
    };
    let dns = names.dns_names(&names.kafka());
    let now = Timestamp::now();
    let certificate = leaf(platform, context, authority, names.kafka_tls(), dns, &observed.tls, now).await?;
    let login = build::Access {
        brokers: format!("{}:{KAFKA_PORT}", names.host(&names.kafka())),
        username: USER.into(),
        password: password.clone().map_or_else(random, Ok)?,
        ca_pem: authority.certificate.clone(),
    };
    let wanted = build::client(platform, names, &login);
    match password {
        None => create(context, &wanted).await?,
        Some(_) => drop(apply::apply(&context.client, &wanted).await?),
    }
    Ok(Some(MadeKafka { secret: names.kafka_client(), broker_hash: short_hash([certificate.as_bytes()]) }))
}
