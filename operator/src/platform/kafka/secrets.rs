//! The nodes' certificate, and the logins of the engine and of users. Writes Secrets, like the Platform's own `credentials`: no
//! value is ever logged or put on a command line.
//!
//! Unlike a database, Kafka is told every password anew ([`rights`]), so one that was lost is made again.
//!
//! [`rights`]: super::rights

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use payplane_crds::{Platform, kafka::ManagedKafka};

use super::{KAFKA_PORT, MadeKafka, build, observe::ObservedKafka, servers, validate::ValidKafka};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::{kept, labels, owned, short_hash},
    platform::{
        certificate::{Pair, Subject},
        credentials::{create, leaf, random},
        names::Names,
        validate::optional,
    },
};

/// The engine's user.
pub const USER: &str = "payplane-engine";
/// Component label of users' Secrets.
pub const READER: &str = "kafka-user";

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
    let client = kept(platform, names.kafka_client(), build::KAFKA);
    match valid {
        ValidKafka::None => Ok(None),
        ValidKafka::External { secret } => Ok(Some(MadeKafka { secret, ..MadeKafka::default() })),
        ValidKafka::Operated { ca_pem } => {
            let is_known = ca_pem.is_some();
            let who = (names.kafka_bootstrap(), names.kafka_user(), ca_pem);
            login(context, client, who, observed.client.as_ref()).await?;
            // Without the authority the engine could not tell Kafka from somebody else.
            let made = MadeKafka { secret: names.kafka_client(), ..MadeKafka::default() };
            Ok(is_known.then_some(made))
        }
        ValidKafka::Managed(spec) => {
            let hosts = names.kafka_nodes(spec.replicas);
            let dns = names.dns_names(&names.kafka()).into_iter().chain(hosts).collect();
            let (dns, now) = (Subject::peer(dns), Timestamp::now());
            let name = names.kafka_tls();
            let certificate = leaf(platform, context, authority, name, dns, &observed.tls, now).await?;
            let broker_hash = short_hash([certificate.as_bytes()]);
            let logins_hash = logins(platform, context, names, observed, (&spec, authority)).await?;
            Ok(Some(MadeKafka { secret: names.kafka_client(), broker_hash, logins_hash }))
        }
    }
}

/// The engine's and the users' logins. Gives a hash of all that Kafka has to be told; it reveals nothing, because passwords are
/// long and random.
async fn logins(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &ObservedKafka,
    (spec, authority): (&ManagedKafka, &Pair),
) -> Result<String, Error> {
    let brokers = servers(&names.kafka_nodes(spec.replicas), KAFKA_PORT);
    let who = |user: &str| (brokers.clone(), user.to_owned(), Some(authority.certificate.clone()));
    let metadata = kept(platform, names.kafka_client(), build::KAFKA);
    let mut told = vec![login(context, metadata, who(USER), observed.client.as_ref()).await?];
    for user in &spec.users {
        let metadata = owned(platform, names.kafka_reader(&user.name), READER);
        let existing = observed.readers.iter().find(|secret| secret.metadata.name == metadata.name);
        told.push(login(context, metadata, who(&user.name), existing).await?);
    }
    for gone in observed.readers.iter().filter(|secret| !is_named(spec, names, secret)) {
        let marks = labels(&names.platform, READER);
        apply::prune::<Secret>(&context.client, &names.namespace, &gone.name_any(), &marks).await?;
    }
    told.extend(observed.volumes.iter().cloned());
    Ok(short_hash(told.iter().map(String::as_bytes)))
}

fn is_named(spec: &ManagedKafka, names: &Names, secret: &Secret) -> bool {
    spec.users.iter().any(|user| names.kafka_reader(&user.name) == secret.name_any())
}

/// A Secret by which somebody connects: brokers, user and authority follow the Platform, the password is made once. Gives it.
async fn login(
    context: &Context,
    metadata: ObjectMeta,
    (brokers, username, ca_pem): (String, String, Option<String>),
    existing: Option<&Secret>,
) -> Result<String, Error> {
    let known = existing.and_then(|secret| optional(secret, "password"));
    let password = known.map_or_else(random, Ok)?;
    let access = build::Access { brokers, username, password, ca_pem };
    let wanted = build::login(metadata, &access);
    match existing {
        None => create(context, &wanted).await?,
        Some(_) => drop(apply::apply(&context.client, &wanted).await?),
    }
    Ok(access.password)
}
