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
        ValidKafka::Operated { password, ca_pem } => {
            let is_known = ca_pem.is_some();
            let (brokers, username) = (names.kafka_bootstrap(), names.kafka_user());
            login(platform, context, names, (brokers, username, ca_pem), password).await?;
            // Without the authority the engine could not tell Kafka from somebody else.
            let made = MadeKafka { secret: names.kafka_client(), broker_hash: String::new() };
            return Ok(is_known.then_some(made));
        }
        ValidKafka::Managed { password } => password,
    };
    let dns = names.dns_names(&names.kafka());
    let now = Timestamp::now();
    let certificate = leaf(platform, context, authority, names.kafka_tls(), dns, &observed.tls, now).await?;
    let brokers = format!("{}:{KAFKA_PORT}", names.host(&names.kafka()));
    let access = (brokers, USER.to_owned(), Some(authority.certificate.clone()));
    login(platform, context, names, access, password).await?;
    Ok(Some(MadeKafka { secret: names.kafka_client(), broker_hash: short_hash([certificate.as_bytes()]) }))
}

/// The Secret by which the engine connects: brokers, user and authority follow the Platform, the password is made once.
async fn login(
    platform: &Platform,
    context: &Context,
    names: &Names,
    (brokers, username, ca_pem): (String, String, Option<String>),
    password: Option<String>,
) -> Result<(), Error> {
    let made = password.clone().map_or_else(random, Ok)?;
    let access = build::Access { brokers, username, password: made, ca_pem };
    let wanted = build::client(platform, names, &access);
    match password {
        None => create(context, &wanted).await,
        Some(_) => apply::apply(&context.client, &wanted).await.map(|_| ()),
    }
}
