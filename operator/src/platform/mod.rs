//! Platform: PostgreSQL, the engine, and the certificates and passwords between them.
//!
//! The order is: credentials, then PostgreSQL, then its schema once it answers, then the engine. What opens the ledger again
//! (the volume, the database's Secrets, the authority) has no owner and so outlives the Platform object; applying the
//! Platform again finds the same ledger. Everything else goes with the object.

mod archive;
mod build;
pub mod certificate;
pub mod cluster;
mod credentials;
pub mod foreign;
mod kafka;
mod migration;
mod names;
mod observe;
mod quantity;
mod redis;
mod report;
pub mod restoring;
mod retire;
mod rollout;
mod scaled;
pub mod upgrade;
mod validate;
mod volume;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::PersistentVolumeClaim,
};
use kube::ResourceExt;
use payplane_crds::{Platform, platform::Archive};

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    engine::{Address, PlatformKey},
    error::Error,
    meta::PAUSED,
    status,
};

pub use archive::{
    TROUBLE_PORT, claim_of_copies, copies_name, is_handed_over as tells_trouble, place as place_of_log,
};
pub use build::{ENGINE, POSTGRES, secret};
pub use cluster::archive::{
    destination as store_destination, environment as store_environment, store, wanted as archived,
};
pub use credentials::{own_database, owner_login, random};
pub use names::{GRPC_PORT, HTTP_PORT};
pub use rollout::analysis::Windows;
pub use validate::Database;

use build::Parts;
#[cfg(test)]
pub use build::fixture;
pub use build::{budget, claim, container, program, single};
use foreign::cloudnative_pg::Cluster;
use kafka::{Nodes, operated::Operated};
use migration::Migration;
pub use names::Names;
use observe::Observed;
use restoring::Mark;
use retire::Rotation;
use rollout::{
    Verdict,
    analysis::{self, Analysis},
};
use scaled::Count;
use validate::Refused;

/// How often pods are looked at while they are not all as they should be.
const LOOK_AT_PODS: Duration = Duration::from_secs(10);

/// How often a major upgrade is looked at.
const LOOK_AT_UPGRADE: Duration = Duration::from_secs(2);

/// How often another operator is looked for that is not installed, where the Platform works without it.
const LOOK_FOR_OPERATORS: Duration = Duration::from_secs(60);

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// A person has to change something first.
    Refused(Refused),
    /// An annotation asks for nothing to be changed.
    Paused,
    /// A Restore or a major upgrade replaces the ledger, so nothing runs.
    Still(Still),
    /// The objects are as wanted; this is how far they got.
    Applied(Box<Applied>),
}

/// A Platform that stands still.
#[derive(Debug)]
pub struct Still {
    /// Who it is.
    pub mark: Mark,
    /// How far a major upgrade is.
    pub upgrade: Option<upgrade::Progress>,
    /// Name of the ledger that it replaces.
    pub ledger: Option<String>,
    /// The volume's claim.
    pub claim: String,
}

/// What the API server says of the workloads.
#[derive(Debug)]
pub struct Applied {
    /// Absent when somebody else runs the database.
    pub postgres: Option<StatefulSet>,
    /// Absent until the database answers for the first time.
    pub engine: Option<Deployment>,
    /// Absent without Kafka, or when somebody else runs it.
    pub kafka: Option<Nodes>,
    /// Where CloudNativePG runs the database.
    pub cluster: Option<Cluster>,
    /// Where Strimzi runs Kafka.
    pub operated_kafka: Option<Operated>,
    /// Where the engine is reached.
    pub endpoint: String,
    /// Name of the ledger on the volume, where there is one.
    pub ledger: Option<String>,
    /// What is known about Redis.
    pub redis: report::RedisSeen,
    /// How far the schema is.
    pub migration: Migration,
    /// Whether the engines' template goes on, waits or went back.
    pub rollout: Verdict,
    /// How new engines answer while they take over.
    pub analysis: Analysis,
    /// How far a change of the engine's login is.
    pub rotation: Rotation,
    /// Why the database has not the image that is asked for.
    pub held: Option<upgrade::Held>,
    /// What is left to do after a major upgrade.
    pub upgraded: Option<String>,
}

/// The workloads, as they were applied.
struct Running {
    postgres: Option<StatefulSet>,
    engine: Option<Deployment>,
    kafka: Option<Nodes>,
    cluster: Option<Cluster>,
    operated_kafka: Option<Operated>,
}

impl Reconciled for Platform {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let mut platform = self.clone();
        let answer = match validate::serves(self, &context.settings) {
            Err(refused) => Answer::Refused(refused), // nothing may be read there
            Ok(_) if is_paused(self) => Answer::Paused,
            Ok(names) => {
                let count;
                (platform, count) = scaled::scaled(self, context, &names).await?; // reads
                // In pieces on the heap: together they would fill the stack of a thread.
                match Box::pin(look(&platform, context, &names, count)).await {
                    Err(error) => Answer::Refused(validate::rejected(&error).ok_or(error)?),
                    Ok(answer) => answer,
                }
            }
        };
        let status = report::report(&platform, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        finish(&answer)
    }
}

async fn look(platform: &Platform, context: &Context, names: &Names, count: Count) -> Result<Answer, Error> {
    let observed = Box::new(Box::pin(observe::observe(platform, context, names)).await?); // reads
    Box::pin(bring(platform, context, names, observed, count)).await
}

/// Does what is left to do after a look.
async fn bring(
    asked: &Platform,
    context: &Context,
    names: &Names,
    mut observed: Box<Observed>,
    count: Count,
) -> Result<Answer, Error> {
    let valid = match validate::validate(asked, &observed) {
        Err(refused) => return Ok(Answer::Refused(refused)),
        Ok(valid) => valid,
    };
    let now = jiff::Timestamp::now();
    Box::pin(upgrade::settle(asked, context, &mut observed, now)).await?; // writes the marks of an upgrade
    let version = upgrade::plan(asked, &context.settings, &observed, now); // pure
    let mark = observed.claim.as_ref().and_then(Mark::on);
    let platform = upgrade::keep_image(asked, &version, observed.claim.as_ref()); // pure
    let (platform, count) = &restoring::still(&platform, count, mark.as_ref()); // pure
    let count = *count;
    let kafka = match kafka::validate::validate(platform, &observed.kafka) {
        Err(refused) => return Ok(Answer::Refused(refused)),
        Ok(kafka) => kafka,
    };
    let (made, authority) =
        Box::pin(credentials::ensure(platform, context, names, &observed, (valid, kafka))).await?; // writes Secrets
    let parts = build::parts(platform, &context.settings, names, &made); // pure
    let redis = Box::pin(redis::bring(platform, context, names, &authority)).await?; // reads and writes its own
    // A Deployment is built with a template.
    let template = rollout::template_of(&parts.engine.deployment).unwrap_or_default();
    let migration = match &mark {
        Some(_) => Migration::Waiting,
        None => Box::pin(migration::bring(platform, context, names, (&observed, &made), &template)).await?, // reads, makes its Job
    };
    let analysis = Box::pin(analyse(context, names, &observed)).await; // reads what engines tell
    let verdict = rollout::judge(&observed.rollout, &template, &migration, &analysis, jiff::Timestamp::now()); // pure
    let mut parts = hold_back(parts, &verdict, &migration, &observed); // pure
    cluster::archive::keep_beginning(parts.cluster.as_mut(), &observed.cluster); // pure
    cluster::archive::add(parts.cluster.as_mut(), platform, names, &observed.cluster); // pure
    let parts = restoring::stop(scaled::leave_out(parts, count), mark.as_ref()); // pure
    scaled::hand_over(context, names, count).await?; // writes who counts the engines
    let grown = volume::grown(platform, names, observed.claim.as_ref()); // pure
    let may_begin = observed.has_engine || verdict == Verdict::Proceed;
    let Running { postgres, engine, kafka, cluster, operated_kafka } =
        Box::pin(act(context, &observed, parts, grown, may_begin)).await?; // writes the rest
    introduce(context, names, &made.ca_pem)?;
    let ledger = observed.claim.as_ref().and_then(restoring::ledger);
    if let Some(mark) = mark {
        let upgrade = Box::pin(replace(asked, context, names, &observed, (&mark, &version))).await?; // makes its Job
        return Ok(Answer::Still(Still { mark, upgrade, ledger, claim: names.postgres_claim() }));
    }
    let mut applied = Applied {
        postgres,
        engine,
        kafka,
        cluster,
        operated_kafka,
        endpoint: names.endpoint(),
        ledger,
        redis,
        migration,
        rollout: verdict,
        analysis,
        rotation: Rotation::Never,
        held: version.held(),
        upgraded: observed.claim.as_ref().and_then(upgrade::upgraded),
    };
    let replaced = report::serves_only(&applied, platform, &made.engine_hash);
    let owner = observed.database_owner.as_ref();
    applied.rotation = Box::pin(retire::retire(platform, context, names, (&made, owner), replaced)).await?;
    Ok(Answer::Applied(Box::new(applied)))
}

/// Goes on with what replaces the ledger. Tells how far a major upgrade is.
async fn replace(
    platform: &Platform,
    context: &Context,
    names: &Names,
    observed: &Observed,
    (mark, version): (&Mark, &upgrade::Next<'_>),
) -> Result<Option<upgrade::Progress>, Error> {
    match (mark, version) {
        (Mark::Upgrade { began, .. }, upgrade::Next::Still(step)) => {
            upgrade::act(platform, context, names, observed, (step, *began)).await?;
            Ok(Some(upgrade::told(step, observed.upgrade.pod.as_ref())))
        }
        (Mark::Restore { restore, .. }, _) => {
            // It waits for that.
            context.wake.restore(&names.namespace, restore);
            Ok(None)
        }
        (Mark::Upgrade { .. }, _) => Ok(None),
    }
}

/// How new engines answer, while there are such beside those of before.
async fn analyse(context: &Context, names: &Names, observed: &Observed) -> Analysis {
    let platform = format!("{}/{}", names.namespace, names.platform);
    analysis::look(&context.windows, &platform, &observed.rollout).await
}

/// What is applied instead of what was built: a template that failed, or that the schema is not ready for, is not, and a
/// volume's template never changes. Pure.
fn hold_back(mut parts: Parts, verdict: &Verdict, migration: &Migration, observed: &Observed) -> Parts {
    let live = observed.rollout.live.as_ref();
    migration::remember(&mut parts.engine.deployment, live, migration);
    rollout::hold(&mut parts.engine.deployment, verdict, live);
    if let Some(postgres) = &mut parts.postgres {
        volume::keep_template(&mut postgres.stateful_set, observed.postgres.as_ref());
    }
    parts
}

async fn act(
    context: &Context,
    observed: &Observed,
    parts: Parts,
    grown: Option<PersistentVolumeClaim>,
    may_begin: bool,
) -> Result<Running, Error> {
    let client = &context.client;
    if let Some(claim) = &grown {
        apply::apply(client, claim).await?;
    }
    let Parts { ca, postgres, engine, kafka, cluster, operated_kafka } = parts;
    apply::apply(client, &ca).await?;
    let postgres = match postgres {
        None => None,
        Some(parts) => {
            if let Some(claim) = &parts.copies {
                // Kept, and never changed: one that exists is as it is.
                apply::create(client, claim).await?;
            }
            apply::apply(client, &parts.config).await?;
            apply::apply(client, &parts.service).await?;
            Some(apply::apply(client, &parts.stateful_set).await?)
        }
    };
    let cluster = match &cluster {
        None => None,
        Some(wanted) => Some(foreign::bring(client, wanted, &observed.cluster.found).await?),
    };
    let kafka = Box::pin(kafka::act(client, kafka, &observed.kafka)).await?;
    let operated_kafka =
        Box::pin(kafka::operated::act(client, operated_kafka, &observed.kafka.operated)).await?;
    apply::apply(client, &engine.account).await?;
    apply::apply(client, &engine.service).await?;
    match (&engine.budget, &observed.budget) {
        (Some(budget), _) => drop(apply::apply(client, budget).await?),
        (None, Some(budget)) => apply::delete(client, budget).await?,
        (None, None) => {}
    }
    // Engines that start before the database has its schema only fail; engines that run already must follow.
    let engine = match may_begin {
        true => Some(apply::apply(client, &engine.deployment).await?),
        false => None,
    };
    Ok(Running { postgres, engine, kafka, cluster, operated_kafka })
}

/// Makes the engine known to the reconcilers of money.
fn introduce(context: &Context, names: &Names, ca_pem: &str) -> Result<(), Error> {
    let key = PlatformKey { namespace: names.namespace.clone(), name: names.platform.clone() };
    let address = Address { endpoint: names.endpoint(), ca_pem: ca_pem.into() };
    let new = context
        .engines
        .set(key.clone(), address)
        .map_err(|source| Error::Engine { operation: "prepare a connection to the engine", source })?;
    if new {
        context.wake.dependants_of_platform(&context.stores, &key);
    }
    Ok(())
}

fn finish(answer: &Answer) -> Result<Again, Error> {
    match answer {
        // StorageClasses, quotas and policies are not watched.
        Answer::Refused(refused) if refused.look_again => Err(Error::Missing),
        // What keeps pods from starting is seen on the pods, which are not watched.
        Answer::Applied(applied) if !report::is_quiet(applied) => Ok(Again::After(LOOK_AT_PODS)),
        // Nor is which of its steps a Job is at; payments wait for it.
        Answer::Still(Still { mark: Mark::Upgrade { .. }, .. }) => Ok(Again::After(LOOK_AT_UPGRADE)),
        // What is not installed is not watched.
        Answer::Applied(applied) if lacks_operator(applied) => Ok(Again::After(LOOK_FOR_OPERATORS)),
        Answer::Refused(_) | Answer::Paused | Answer::Still(_) | Answer::Applied(_) => Ok(Again::OnChange),
    }
}

/// Whether something is left out until another operator is installed, or a name is free.
fn lacks_operator(applied: &Applied) -> bool {
    matches!(applied.operated_kafka, Some(Operated::Refused(_)))
        || matches!(applied.redis, report::RedisSeen::Refused(_))
}

/// Whether an annotation asks for nothing to be changed.
pub fn is_paused(platform: &Platform) -> bool {
    platform.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// Whether a Platform waits for a Job with these labels.
pub fn awaits(labels: &BTreeMap<String, String>) -> bool {
    let component = labels.get("app.kubernetes.io/component").map(String::as_str);
    component.is_some_and(|component| {
        [
            migration::COMPONENT,
            retire::COMPONENT,
            kafka::rights::COMPONENT,
            upgrade::COMPONENT,
            upgrade::UNDO_COMPONENT,
        ]
        .contains(&component)
    })
}

/// Name of the Cluster that CloudNativePG runs for a Platform.
pub fn cluster_name(platform: &str) -> String {
    Names { namespace: String::new(), platform: platform.into() }.postgres()
}

/// How the log is stored, whoever runs the database.
pub fn stored_log(platform: &Platform) -> Option<&Archive> {
    let postgres = &platform.spec.postgres;
    let managed = postgres.managed.as_ref().and_then(|managed| managed.archive.as_ref());
    managed.or_else(|| postgres.operator.as_ref()?.archive.as_ref())
}

/// Name of the Deployment of a Platform's engines.
pub fn engine_name(platform: &str) -> String {
    Names { namespace: String::new(), platform: platform.into() }.engine()
}

/// Name of the StatefulSet of a Platform's database.
pub fn postgres_name(platform: &str) -> String {
    Names { namespace: String::new(), platform: platform.into() }.postgres()
}

/// The Secrets that other operators make for a Platform and that it reads.
pub fn foreign_secrets(platform: &Platform) -> Vec<String> {
    let names = names(platform);
    let postgres = platform.spec.postgres.operator.as_ref().map(|_| names.cluster_ca());
    let kafka = platform.spec.kafka.as_ref().and_then(|kafka| kafka.operator.as_ref());
    postgres.into_iter().chain(kafka.map(|_| names.kafka_ca())).collect()
}

/// The names of a Platform's objects.
fn names(platform: &Platform) -> Names {
    Names { namespace: platform.namespace().unwrap_or_default(), platform: platform.name_any() }
}
