//! What a Backup depends on and what was done for it already. The only reads.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret, ServiceAccount},
};
use kube::{Api, Client, Resource, ResourceExt};
use payplane_crds::{Backup, Platform};

use super::build;
use crate::{
    api,
    context::{Context, Guarded},
    engine::{Engine, PlatformKey},
    error::Error,
    job,
    meta::BACKUP,
    platform::{
        self, cluster_name,
        foreign::{
            self,
            cloudnative_pg::{Cluster, backup::OperatedBackup},
        },
        upgrade,
    },
};

/// What a Backup depends on.
#[derive(Default)]
pub struct Observed {
    /// Its Platform.
    pub platform: Option<Platform>,
    /// Connection to the Platform's engines.
    pub engine: Option<Arc<Engine>>,
    /// Whether the claim is there that copies are kept in.
    pub has_claim: bool,
    /// Whether the Secret is there that the copy is sealed with; true if it names none.
    pub has_keys: bool,
    /// Whether the ServiceAccount is there that may list the objects.
    pub has_account: bool,
    /// Whether the Secret is there with the credentials of the bucket; true if it names none.
    pub has_credentials: bool,
    /// The Backup that it names to build on.
    pub parent: Option<Backup>,
    /// Where CloudNativePG runs the database: the Cluster.
    pub cluster: Option<Cluster>,
    /// And its Backup of this one's name.
    pub copy: Option<OperatedBackup>,
    /// Whether that is somebody else's.
    pub is_copy_taken: bool,
    /// The Job that works for it.
    pub job: Option<Job>,
    /// The Job's pod.
    pub pod: Option<Pod>,
}

/// Reads caches, and the Job with its pod.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(backup: &Backup, context: &Context) -> Result<Observed, Error> {
    let namespace = backup.namespace().unwrap_or_default();
    if !context.settings.platform_namespaces.contains(&namespace) {
        // Nothing may be read there, and no Platform is served.
        return Ok(Observed::default());
    }
    let client = &context.client;
    let jobs = Api::<Job>::namespaced(client.clone(), &namespace);
    let job = api::call("read a Job", jobs.get_opt(&build::job_name(backup))).await?;
    let job = job.filter(|job| is_ours(job, backup));
    let pod = match &job {
        None => None,
        Some(_) => job::newest_pod(client, &namespace, &format!("{BACKUP}={}", backup.name_any())).await?,
    };
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &namespace);
    let claim = api::call("read a claim", claims.get_metadata_opt(&build::claim_name(backup))).await?;
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let has = async |name: Option<&str>| match name {
        None => Ok(true),
        Some(name) => {
            api::call("read a Secret", secrets.get_metadata_opt(name)).await.map(|secret| secret.is_some())
        }
    };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &namespace);
    let account = accounts.get_metadata_opt(&context.settings.backup_account);
    let has_account = api::call("read a ServiceAccount", account).await?.is_some();
    let keys = backup.spec.encryption.as_ref().map(|encryption| encryption.secret_ref.name.as_str());
    let (has_keys, has_credentials) = (has(keys).await?, has(build::place(backup).secret()).await?);
    let parent = match backup.spec.parent_ref.as_ref().filter(|_| job.is_none()) {
        None => None,
        Some(parent) => {
            let backups = Api::<Guarded<Backup>>::namespaced(client.clone(), &namespace);
            api::call("read a Backup", backups.get_opt(&parent.name)).await?
        }
    };
    let key = PlatformKey { namespace, name: backup.spec.platform_ref.name.clone() };
    let platform = as_it_serves(&key, context, job.is_some()).await?;
    let is_operated = platform.as_ref().is_some_and(|platform| platform.spec.postgres.operator.is_some());
    let (cluster, copy) = if is_operated { operated(backup, client, &key).await? } else { (None, None) };
    let is_copy_taken = copy.as_ref().is_some_and(|copy| !is_ours(copy, backup));
    Ok(Observed {
        cluster,
        copy: copy.filter(|_| !is_copy_taken),
        is_copy_taken,
        platform,
        engine: context.engines.get(&key),
        has_claim: claim.is_some(),
        has_keys,
        has_account,
        has_credentials,
        parent: parent.and_then(|guarded| guarded.0.ok()),
        job,
        pod,
    })
}

/// The Platform, before the Job is made with the image that its server has: the programs that copy are those of the server.
async fn as_it_serves(
    key: &PlatformKey,
    context: &Context,
    has_job: bool,
) -> Result<Option<Platform>, Error> {
    let Some(platform) = context.stores.platform(key) else { return Ok(None) };
    if has_job || platform.spec.postgres.managed.is_none() {
        return Ok(Some(platform));
    }
    let sets = Api::<StatefulSet>::namespaced(context.client.clone(), &key.namespace);
    let name = platform::postgres_name(&key.name);
    let set = api::call("read PostgreSQL", sets.get_opt(&name)).await?;
    Ok(Some(upgrade::as_it_serves(platform, set.as_ref())))
}

/// The Cluster and CloudNativePG's Backup of this one's name. None if it is not installed, which the Platform says.
async fn operated(
    backup: &Backup,
    client: &Client,
    key: &PlatformKey,
) -> Result<(Option<Cluster>, Option<OperatedBackup>), Error> {
    if !foreign::serves::<OperatedBackup>(client).await? {
        return Ok((None, None));
    }
    let clusters = Api::<Cluster>::namespaced(client.clone(), &key.namespace);
    let copies = Api::<OperatedBackup>::namespaced(client.clone(), &key.namespace);
    Ok((
        api::call("read a Cluster", clusters.get_opt(&cluster_name(&key.name))).await?,
        api::call("read CloudNativePG's Backup", copies.get_opt(&backup.name_any())).await?,
    ))
}

/// One of the same name that works for an object of before is going away.
fn is_ours(made: &impl Resource, backup: &Backup) -> bool {
    made.owner_references().iter().any(|owner| Some(&owner.uid) == backup.metadata.uid.as_ref())
}
