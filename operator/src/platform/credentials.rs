//! Makes what must be made only once (authority, passwords) and what must be made again in time (certificates).
//!
//! Passwords and the authority are created, never applied: of two operators that believe they lead, one wins and the
//! other looks again. A password that exists is kept, because the database knows it: a change of logins makes another login for
//! engines, and lays the owner's next password beside its present one until the database has taken it ([`promote`]). No value of a
//! Secret is ever logged, shown in a status, or put on a command line.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use payplane_crds::Platform;

use super::{
    build::secret::{self, Login},
    certificate::{self, Pair, Subject},
    cluster,
    kafka::{MadeKafka, secrets, validate::ValidKafka},
    names::{Names, POSTGRES_PORT},
    observe::Observed,
    validate::{Database, Valid, optional},
};
use crate::{
    apply,
    context::Context,
    error::Error,
    meta::{RENEW_AT, ROTATION, short_hash},
};

/// The owner of a database that is run for a Platform.
pub const OWNER: &str = "payplane_owner";
const APP: &str = "payplane_app";
/// The second of the two logins that take turns. The engine knows what its name means.
const APP_SECOND: &str = "payplane_app_b";
/// Its name.
pub const DATABASE: &str = "payplane";
const PASSWORD_BYTES: usize = 32;
/// Where the engine's program looks for the password that the owner will have.
const NEXT_PASSWORD: &str = "next-password";

/// What the builders need to know of the credentials: names and hashes, no secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    /// PEM of the authority.
    pub ca_pem: String,
    /// Name of the Secret by which the database's owner connects.
    pub owner_secret: String,
    /// Whether PostgreSQL is run for this Platform alone.
    pub managed: bool,
    /// Changes when engines must restart: with their login, not with their certificate, which they read again.
    pub engine_hash: String,
    /// Changes when PostgreSQL must restart.
    pub postgres_hash: String,
    /// How the engine reaches Kafka, if it does.
    pub kafka: Option<MadeKafka>,
    /// How often the engine's login was changed, as the Platform counts.
    pub rotation: i32,
    /// The login of before that change, to be ended when no engine uses it.
    pub former_login: Option<String>,
    /// Hash of the owner's next password, until the database has it.
    pub owner_password: Option<String>,
}

/// The engine's login: a hash of all of it, and which change of logins it comes from.
struct App {
    hash: String,
    rotation: i32,
    former: Option<String>,
}

/// Makes what is missing or about to end. Gives the authority, too, for what else it has to sign.
///
/// # Errors
/// When the API server does not accept it, or another operator was faster.
pub async fn ensure(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &Observed,
    (valid, kafka): (Valid, ValidKafka),
) -> Result<(Made, Pair), Error> {
    let now = Timestamp::now();
    let authority = authority(platform, context, names, observed, now).await?;
    leaf(
        platform,
        context,
        &authority,
        names.engine_tls(),
        Subject::server(names.dns_names(&names.engine())),
        &observed.engine_tls,
        now,
    )
    .await?;
    let (database, managed, postgres, next) = match valid {
        Valid::External(database) => (database, false, String::new(), None),
        // CloudNativePG makes the servers' certificates, and keeps the owner's password as its Secret has it.
        Valid::Operated { owner_password, ca_pem } => {
            let database = cluster::database(names, ca_pem);
            owner(platform, context, names, &database, (owner_password, None)).await?;
            (database, true, String::new(), None)
        }
        Valid::Managed { owner_password } => {
            let database = own_database(names, Some(authority.certificate.clone()));
            let next = owner(platform, context, names, &database, (owner_password, Some(observed))).await?;
            let dns = Subject::server(names.dns_names(&names.postgres()));
            let certificate =
                leaf(platform, context, &authority, names.postgres_tls(), dns, &observed.postgres_tls, now)
                    .await?;
            (database, true, certificate, next)
        }
    };
    let app = app(platform, context, names, &database, managed, observed).await?;
    let kafka = secrets::ensure(platform, context, names, &observed.kafka, kafka, &authority).await?;
    let made = Made {
        ca_pem: authority.certificate.clone(),
        owner_secret: super::observe::owner_secret(platform)
            .map_or_else(|| names.database_owner(), String::from),
        managed,
        engine_hash: app.hash,
        postgres_hash: short_hash([postgres.as_bytes()]),
        kafka,
        rotation: app.rotation,
        former_login: app.former,
        owner_password: next.as_deref().map(hash_of),
    };
    Ok((made, authority))
}

async fn authority(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &Observed,
    now: Timestamp,
) -> Result<Pair, Error> {
    if let Some(existing) = &observed.ca {
        return pair(existing).ok_or(Error::BrokenSecret { name: names.ca() });
    }
    let made = certificate::authority(&format!("Payplane platform {}", names.platform), now)?;
    create(context, &secret::authority(platform, names.ca(), &made)).await?;
    Ok(made)
}

/// The certificate in the Secret, issued now if there is none, it is about to end, or another authority signed it.
///
/// # Errors
/// When it cannot be issued, or the API server does not accept it.
pub async fn leaf(
    platform: &Platform,
    context: &Context,
    authority: &Pair,
    name: String,
    subject: Subject,
    existing: &Option<Secret>,
    now: Timestamp,
) -> Result<String, Error> {
    if let Some(current) = existing.as_ref().and_then(|secret| current_leaf(secret, authority, now)) {
        return Ok(current);
    }
    let issued = certificate::leaf(authority, subject, now)?;
    let renew_at = certificate::renew_at(now);
    let wanted = secret::leaf(platform, name, &issued, &authority.certificate, renew_at);
    apply::apply(&context.client, &wanted).await?;
    Ok(issued.certificate)
}

fn current_leaf(secret: &Secret, authority: &Pair, now: Timestamp) -> Option<String> {
    let renew_at: Timestamp = secret.metadata.annotations.as_ref()?.get(RENEW_AT)?.parse().ok()?;
    let same_authority = optional(secret, "ca.crt").as_ref() == Some(&authority.certificate);
    let current = pair(secret)?;
    (renew_at > now && same_authority).then_some(current.certificate)
}

fn pair(secret: &Secret) -> Option<Pair> {
    Some(Pair { certificate: optional(secret, "tls.crt")?, key: optional(secret, "tls.key")? })
}

/// How the database of a Platform is reached that is run here.
pub fn own_database(names: &Names, ca_pem: Option<String>) -> Database {
    Database {
        host: names.host(&names.postgres()),
        port: POSTGRES_PORT.to_string(),
        dbname: DATABASE.into(),
        ca_pem,
    }
}

/// The login of the owner of such a database.
pub fn owner_login(password: String) -> Login {
    Login { username: OWNER.into(), password }
}

/// The owner's login. Gives the next password, if it is being changed; without what was observed it never is.
async fn owner(
    platform: &Platform,
    context: &Context,
    names: &Names,
    database: &Database,
    (password, observed): (Option<String>, Option<&Observed>),
) -> Result<Option<String>, Error> {
    let login = Login { username: OWNER.into(), password: password.clone().map_or_else(random, Ok)? };
    let mut wanted = secret::database(platform, names.database_owner(), database, &login);
    let existing = observed.and_then(|observed| observed.database_owner.as_ref());
    let turn = turn(observed.and_then(|observed| observed.database_app.as_ref()), asked(platform));
    mark(&mut wanted, existing.map_or(0, rotation));
    let next = match next(existing, turn.rotation) {
        Next::None => None,
        Next::Made(next) => Some(next),
        Next::Missing => {
            // Made once: of two operators that believe they lead, the later one is refused.
            wanted.metadata.resource_version = existing.and_then(ResourceExt::resource_version);
            Some(random()?)
        }
    };
    if let Some(next) = &next {
        secret::put(&mut wanted, NEXT_PASSWORD, next);
    }
    match password {
        None => create(context, &wanted).await?,
        Some(_) => drop(apply::apply(&context.client, &wanted).await?),
    }
    Ok(next)
}

/// The owner's next password.
#[derive(Debug, Eq, PartialEq)]
enum Next {
    /// None is needed: the Secret is new, or of this change of logins already.
    None,
    /// It was made before.
    Made(String),
    /// It has to be made.
    Missing,
}

/// Pure.
fn next(existing: Option<&Secret>, wanted: i32) -> Next {
    match existing.filter(|secret| rotation(secret) < wanted) {
        None => Next::None,
        Some(secret) => optional(secret, NEXT_PASSWORD).map_or(Next::Missing, Next::Made),
    }
}

/// Makes the owner's next password its only one: the database has it.
///
/// # Errors
/// When the API server does not accept it, or the Secret has changed since it was read.
pub async fn promote(
    platform: &Platform,
    context: &Context,
    names: &Names,
    (made, existing): (&Made, &Secret),
) -> Result<(), Error> {
    let name = names.database_owner();
    let next = optional(existing, NEXT_PASSWORD).filter(|next| made.owner_password == Some(hash_of(next)));
    let login = owner_login(next.ok_or(Error::Raced { operation: "change the owner's password" })?);
    let database = own_database(names, Some(made.ca_pem.clone()));
    let mut wanted = secret::database(platform, name, &database, &login);
    mark(&mut wanted, made.rotation);
    wanted.metadata.resource_version = existing.resource_version();
    apply::apply(&context.client, &wanted).await.map(|_| ())
}

/// Reveals nothing, because passwords are long and random.
fn hash_of(password: &str) -> String {
    short_hash([password.as_bytes()])
}

/// The engine's login. Its hash reveals nothing because the password is long and random.
///
/// A change of logins takes the other one of two names, so that both work until every engine has the new one.
async fn app(
    platform: &Platform,
    context: &Context,
    names: &Names,
    database: &Database,
    managed: bool,
    observed: &Observed,
) -> Result<App, Error> {
    let name = names.database_app();
    let known = match &observed.database_app {
        Some(existing) => {
            Some(optional(existing, "password").ok_or(Error::BrokenSecret { name: name.clone() })?)
        }
        None => None,
    };
    let turn = turn(observed.database_app.as_ref(), asked(platform));
    let password = known.clone().filter(|_| !turn.is_new).map_or_else(random, Ok)?;
    let username = if managed { turn.username.to_owned() } else { names.external_role() };
    let mut wanted = secret::database(platform, name, database, &Login { username, password });
    mark(&mut wanted, turn.rotation);
    match known {
        None => create(context, &wanted).await?,
        Some(_) => drop(apply::apply(&context.client, &wanted).await?),
    }
    let values = wanted.data.unwrap_or_default();
    let hash = short_hash(values.iter().flat_map(|(key, value)| [key.as_bytes(), &value.0]));
    let former = (turn.rotation != 0).then(|| other(turn.username).to_owned());
    Ok(App { hash, rotation: turn.rotation, former })
}

/// How many changes of the engine's login the Platform asks for.
fn asked(platform: &Platform) -> i32 {
    let postgres = &platform.spec.postgres;
    let operated = postgres.operator.as_ref().map(|operated| operated.rotation);
    postgres.managed.as_ref().map(|managed| managed.rotation).or(operated).unwrap_or(0)
}

/// Whose turn it is of the two logins.
#[derive(Debug, Eq, PartialEq)]
struct Turn {
    username: &'static str,
    rotation: i32,
    is_new: bool,
}

/// Pure. A Secret that is there keeps its login until the Platform asks for another change; a new one starts with the
/// first, whatever the Platform counts by then.
fn turn(existing: Option<&Secret>, asked: i32) -> Turn {
    let Some(secret) = existing else { return Turn { username: APP, rotation: 0, is_new: false } };
    let had = rotation(secret);
    let known = if optional(secret, "username").as_deref() == Some(APP_SECOND) { APP_SECOND } else { APP };
    match had < asked {
        true => Turn { username: other(known), rotation: asked, is_new: true },
        false => Turn { username: known, rotation: had, is_new: false },
    }
}

/// Which change of logins a Secret is of.
fn rotation(secret: &Secret) -> i32 {
    secret.annotations().get(ROTATION).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Notes it, once there was one.
fn mark(secret: &mut Secret, rotation: i32) {
    if rotation != 0 {
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(ROTATION.into(), rotation.to_string());
    }
}

fn other(login: &str) -> &'static str {
    if login == APP { APP_SECOND } else { APP }
}

/// Creates a Secret that is made only once.
///
/// # Errors
/// When another operator was faster.
pub async fn create(context: &Context, wanted: &Secret) -> Result<(), Error> {
    match apply::create(&context.client, wanted).await? {
        true => Ok(()),
        false => Err(Error::Raced { operation: "create a Secret" }),
    }
}

/// 256 random bits as hex, so that no quoting is ever needed.
///
/// # Errors
/// When the system gives none.
pub fn random() -> Result<String, Error> {
    let mut bytes = [0; PASSWORD_BYTES];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn secret(ca: &str, renew_at: &str) -> Secret {
        use base64_of_tests as base64;
        serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "x", "annotations": {"payplane.io/renew-at": renew_at}},
            "data": {"tls.crt": base64("leaf"), "tls.key": base64("key"), "ca.crt": base64(ca)},
        }))
        .unwrap()
    }

    /// What the API server would send for a text.
    fn base64_of_tests(text: &str) -> serde_json::Value {
        serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn two_logins_take_turns_and_a_change_is_made_once() {
        let secret = |username: &str, rotation: Option<&str>| -> Secret {
            let annotations = rotation.map(|number| json!({"payplane.io/rotation": number}));
            serde_json::from_value(json!({
                "metadata": {"annotations": annotations}, "data": {"username": base64_of_tests(username)},
            }))
            .unwrap()
        };
        let cases = [
            (None, 0, ("payplane_app", 0, false)),
            (None, 7, ("payplane_app", 0, false)),
            (Some(secret("payplane_app", None)), 0, ("payplane_app", 0, false)),
            (Some(secret("payplane_app", None)), 1, ("payplane_app_b", 1, true)),
            (Some(secret("payplane_app_b", Some("1"))), 1, ("payplane_app_b", 1, false)),
            (Some(secret("payplane_app_b", Some("1"))), 5, ("payplane_app", 5, true)),
            (Some(secret("payplane_app", Some("5"))), 5, ("payplane_app", 5, false)),
            (Some(secret("somebody", Some("x"))), 0, ("payplane_app", 0, false)),
        ];
        for (existing, asked, (username, rotation, is_new)) in cases {
            assert_eq!(turn(existing.as_ref(), asked), Turn { username, rotation, is_new }, "{asked}");
            assert_ne!(other(username), username);
        }
    }

    #[test]
    fn the_owners_next_password_is_made_once_and_only_for_a_change_of_logins() {
        let secret = |rotation: &str, next: Option<&str>| -> Secret {
            let mut data = json!({"password": base64_of_tests("p")});
            if let Some(next) = next {
                data["next-password"] = base64_of_tests(next);
            }
            let annotations = json!({"payplane.io/rotation": rotation});
            serde_json::from_value(json!({"metadata": {"annotations": annotations}, "data": data})).unwrap()
        };
        let cases = [
            (None, 0, Next::None),
            (None, 3, Next::None),
            (Some(Secret::default()), 0, Next::None),
            (Some(Secret::default()), 1, Next::Missing),
            (Some(secret("1", None)), 1, Next::None),
            (Some(secret("1", Some("n"))), 1, Next::None),
            (Some(secret("1", None)), 2, Next::Missing),
            (Some(secret("1", Some("n"))), 2, Next::Made("n".into())),
            (Some(secret("1", Some("n"))), 3, Next::Made("n".into())),
            (Some(secret("5", None)), 3, Next::None),
            (Some(secret("x", None)), 1, Next::Missing),
        ];
        for (existing, wanted, expected) in cases {
            assert_eq!(next(existing.as_ref(), wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn a_leaf_is_kept_until_two_thirds_of_its_life_or_another_authority() {
        let authority = Pair { certificate: "ca".into(), key: "key".into() };
        let now = at("2026-06-01T00:00:00Z");
        let cases = [
            (secret("ca", "2026-06-01T00:00:01Z"), true),
            (secret("ca", "2026-06-01T00:00:00Z"), false),
            (secret("other", "2027-01-01T00:00:00Z"), false),
            (secret("ca", "soon"), false),
            (Secret::default(), false),
        ];
        for (secret, kept) in cases {
            assert_eq!(
                current_leaf(&secret, &authority, now).is_some(),
                kept,
                "{:?}",
                secret.metadata.annotations
            );
        }
    }

    #[test]
    fn passwords_are_long_and_never_repeat() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
