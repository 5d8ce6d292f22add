//! What a Restore depends on and what was done for it already. The only reads.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{Api, Client, ResourceExt};
use payplane_crds::{Backup, Platform, Restore, restore::NewPlatform};

use super::{
    build, operated,
    plan::{in_place::in_place, keys},
};
use crate::{
    api,
    context::{Context, Guarded},
    engine::PlatformKey,
    error::Error,
    job,
    platform::foreign::{self, cloudnative_pg::Cluster},
};

/// What a Restore depends on.
#[derive(Debug, Default)]
pub struct Observed {
    /// Whether Platforms are served in its namespace.
    pub is_served: bool,
    /// The Backup to begin with.
    pub backup: Option<Backup>,
    /// The Platform whose ledger it was, if it is still there.
    pub source: Option<Platform>,
    /// The Platform whose volume is to be filled, which must not be there.
    pub target: Option<Platform>,
    /// The volume to be filled, which must not be there unless this Restore made it.
    pub volume: Option<PersistentVolumeClaim>,
    /// Whether the API server knows Clusters, where the copy is CloudNativePG's.
    pub has_clusters: bool,
    /// There: the Cluster of that Platform.
    pub cluster: Option<Cluster>,
    /// There: whether the authority of its servers is known.
    pub has_authority: bool,
    /// There: the Secret with the credentials of the bucket.
    pub credentials: Option<Secret>,
    /// Whether the Secret is there by which the new Platform's owner will log in.
    pub has_owner_secret: bool,
    /// The first Secret with keys that is not there.
    pub missing_keys: Option<String>,
    /// The Secret with the credentials of the bucket, if that is not there.
    pub missing_credentials: Option<String>,
    /// The Job that works for it.
    pub job: Option<Job>,
    /// The Job's pod.
    pub pod: Option<Pod>,
    /// In place: the Job that brings back what was.
    pub undo: Option<Job>,
    /// In place: the target's database.
    pub postgres: Option<StatefulSet>,
    /// In place: whether its pod is there.
    pub has_server: bool,
}

/// Reads them.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(restore: &Restore, context: &Context) -> Result<Observed, Error> {
    let namespace = restore.namespace().unwrap_or_default();
    if !context.settings.platform_namespaces.contains(&namespace) {
        // Nothing may be read there.
        return Ok(Observed::default());
    }
    let client = &context.client;
    let jobs = Api::<Job>::namespaced(client.clone(), &namespace);
    let job = api::call("read a Job", jobs.get_opt(&build::job_name(restore))).await?;
    let job = job.filter(|job| is_ours(job, restore));
    let pod = match &job {
        None => None,
        Some(job) => job::newest_pod(client, &namespace, &job::selector(job)).await?,
    };
    let backups = Api::<Guarded<Backup>>::namespaced(client.clone(), &namespace);
    let backup = api::call("read a Backup", backups.get_opt(&restore.spec.backup_ref.name)).await?;
    let platform = |name: &str| {
        context.stores.platform(&PlatformKey { namespace: namespace.clone(), name: name.to_owned() })
    };
    let (mut volume, mut has_owner_secret) = (None, false);
    if let Some(into) = &restore.spec.into.platform {
        let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &namespace);
        volume = api::call("read a claim", claims.get_opt(&build::volume_name(&into.name))).await?;
        let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
        let owner = build::names(restore, &into.name).database_owner();
        let secret = secrets.get_metadata_opt(&owner);
        has_owner_secret = api::call("read a Secret", secret).await?.is_some();
    }
    let backup = backup.and_then(|guarded| guarded.0.ok());
    let source = platform(&restore.spec.platform_ref.name);
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let missing = async |names: Vec<&str>| -> Result<Option<String>, Error> {
        for name in names {
            if api::call("read a Secret", secrets.get_metadata_opt(name)).await?.is_none() {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    };
    let missing_keys = missing(keys(restore, backup.as_ref(), source.as_ref()).0).await?;
    let bucket = backup.as_ref().and_then(|backup| backup.spec.bucket.as_ref());
    let credentials = bucket.map(|bucket| bucket.credentials_ref.name.as_str());
    let missing_credentials = missing(Vec::from_iter(credentials)).await?;
    let mut observed = Observed {
        is_served: true,
        backup,
        source,
        target: restore.spec.into.platform.as_ref().and_then(|into| platform(&into.name)),
        volume,
        has_owner_secret,
        missing_keys,
        missing_credentials,
        job,
        pod,
        ..Observed::default()
    };
    if let Some(into) = &restore.spec.into.platform {
        operated(restore, &mut observed, client, into).await?;
    }
    if let Some((into, _)) = in_place(restore) {
        let names = build::names(restore, &into.name);
        let undo = api::call("read a Job", jobs.get_opt(&build::undo::name(restore))).await?;
        observed.undo = undo.filter(|job| is_ours(job, restore));
        let sets = Api::<StatefulSet>::namespaced(client.clone(), &namespace);
        observed.postgres = api::call("read PostgreSQL", sets.get_opt(&names.postgres())).await?;
        let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
        let server = names.postgres_pod();
        let server = api::call("read PostgreSQL's pod", pods.get_metadata_opt(&server)).await?;
        observed.has_server = server.is_some();
    }
    Ok(observed)
}

/// The Cluster, where CloudNativePG took the copy, or nobody knows who took it.
async fn operated(
    restore: &Restore,
    observed: &mut Observed,
    client: &Client,
    into: &NewPlatform,
) -> Result<(), Error> {
    let bucket = operated::copy(observed).map(|copy| copy.bucket.credentials_ref.name.clone());
    if (observed.backup.is_some() && bucket.is_none()) || !foreign::serves::<Cluster>(client).await? {
        return Ok(());
    }
    let names = build::names(restore, &into.name);
    let clusters = Api::<Cluster>::namespaced(client.clone(), &names.namespace);
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    observed.has_clusters = true;
    observed.cluster = api::call("read a Cluster", clusters.get_opt(&names.postgres())).await?;
    let authority = names.cluster_ca();
    let authority = api::call("read a Secret", secrets.get_metadata_opt(&authority)).await?;
    observed.has_authority = authority.is_some();
    if let Some(bucket) = bucket {
        observed.credentials = api::call("read a Secret", secrets.get_opt(&bucket)).await?;
    }
    Ok(())
}

/// A Job of the same name that works for an object of before is going away.
fn is_ours(job: &Job, restore: &Restore) -> bool {
    job.owner_references().iter().any(|owner| Some(&owner.uid) == restore.metadata.uid.as_ref())
}
