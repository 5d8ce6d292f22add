//! What a Restore consists of: a volume with the login of its owner, and one Job; and one that undoes it (`undo`). Pure.
//!
//! The Job's steps, each in a container of its own: open the copy and the log, and unpack the copy, where they are packed; check
//! the copy and the stored log and lay the copy out; bring it up to the
//! point; serve it to this pod alone; make it a ledger of its own; verify it; take the mark away that keeps a database from
//! starting on the volume. The Job has no second try and a deadline.
//!
//! In place the ledger is made in a folder beside the one that is there. Only the last step moves that aside and the new one in
//! its place, so until then nothing has to be undone but a folder.

pub mod undo;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{
            Container, EmptyDirVolumeSource, EnvVar, PersistentVolumeClaim, PodSpec, Secret, Volume,
            VolumeMount,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use payplane_crds::{Restore, platform::Resources, restore::NewPlatform};

use super::plan::{Source, in_place::in_place};
use crate::{
    context::Settings,
    job,
    meta::{POSTGRES_IMAGE, RESTORE, labels, owner, selector},
    place::{COPIES_DIR, Place},
    platform::{
        Names, POSTGRES, claim,
        container::{beside, claim_volume, mount, resources, scratch, secret_volume, security, variable},
        own_database, owner_login, place_of_log, secret,
    },
    sealed::{self, UNPACK, UNPACK_SCRIPT},
};

/// Component label of a Restore's objects.
pub const COMPONENT: &str = "restore";
/// Container that lays the copy out.
const PREPARE: &str = "prepare";
/// Container that brings the copy up to the point.
pub const RECOVER: &str = "recover";
/// Container that makes the copy a ledger of its own.
pub const ADOPT: &str = "adopt";
/// Container that verifies.
pub const VERIFY: &str = "verify";

/// The user `postgres` of Debian-based images.
pub const USER: i64 = 999;
const OWNER_DIR: &str = "/etc/payplane/database-owner";
/// Where a database looks for its ledger.
pub const LEDGER: &str = "/target/ledger";
/// Where a ledger is made that is to replace another one.
pub const BESIDE: &str = "/target/ledger.restored";
/// Puts it in the place of the other one.
pub const RELEASE: &str = include_str!("release.sh");
/// Brings back what was.
pub const UNDO: &str = include_str!("undo.sh");
/// How to log in to the copy while it is served to this pod alone.
const LOGIN_DIR: &str = "/scratch/login";

/// Name of the Job that works for a Restore.
pub fn job_name(restore: &Restore) -> String {
    format!("{}-restore", restore.name_any())
}

/// The names of the Platform that will use the volume.
pub fn names(restore: &Restore, platform: &str) -> Names {
    Names { namespace: restore.namespace().unwrap_or_default(), platform: platform.into() }
}

/// Name of the folder on its volume in which the ledger is kept that this Restore replaces.
pub fn kept_folder(restore: &Restore) -> String {
    format!("ledger.replaced-{}", restore.uid().unwrap_or_default())
}

/// Where the ledger is made, and where the one is kept that it replaces.
fn folders(restore: &Restore) -> [EnvVar; 2] {
    let kept = in_place(restore).map(|_| kept_folder(restore));
    folders_of(kept.as_deref())
}

/// The same for one that is kept in this folder, if there is one.
pub fn folders_of(kept: Option<&str>) -> [EnvVar; 2] {
    let (ledger, kept) = match kept {
        Some(folder) => (BESIDE, format!("/target/{folder}")),
        None => (LEDGER, String::new()),
    };
    [variable("LEDGER", ledger.into()), variable("KEPT", kept)]
}

/// Name of the volume that the Platform's StatefulSet will find.
pub fn volume_name(platform: &str) -> String {
    let names = Names { namespace: String::new(), platform: platform.into() };
    format!("data-{}-0", names.postgres())
}

/// The volume. It has no owner: it outlives the Restore, like any ledger.
pub fn volume(
    restore: &Restore,
    into: &NewPlatform,
    source: &Source<'_>,
    settings: &Settings,
) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(volume_name(&into.name)),
            namespace: restore.namespace(),
            annotations: Some(BTreeMap::from([
                (RESTORE.into(), restore.uid().unwrap_or_default()),
                (POSTGRES_IMAGE.into(), postgres_image(source, settings)),
            ])),
            labels: Some(selector(&into.name, POSTGRES)),
            ..ObjectMeta::default()
        },
        spec: Some(claim::once(&into.storage.size, into.storage.storage_class_name.as_ref())),
        ..PersistentVolumeClaim::default()
    }
}

/// The login of the new ledger's owner. Where there is one, as of a Platform that was deleted, it is used as it is.
pub fn owner_secret(restore: &Restore, platform: &str, password: String) -> Secret {
    let database = own_database(&names(restore, platform), None);
    secret::login(owner_metadata(restore, platform), &database, &owner_login(password))
}

/// Metadata of the Secret with that login. It has no owner: it opens a ledger.
pub fn owner_metadata(restore: &Restore, platform: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(names(restore, platform).database_owner()),
        namespace: restore.namespace(),
        labels: Some(labels(platform, POSTGRES)),
        ..ObjectMeta::default()
    }
}

/// The Job.
pub fn job(restore: &Restore, source: &Source<'_>, settings: &Settings) -> Job {
    let platform = &restore.spec.platform_ref.name;
    let mut labels = labels(platform, COMPONENT);
    labels.insert(RESTORE.into(), restore.name_any());
    let archive = source.postgres.and_then(|postgres| postgres.archive.as_ref());
    let log = archive.map(|archive| place_of_log(archive, platform));
    let mut steps = opening(restore, source, settings);
    steps.extend([
        step(restore, source, settings, PREPARE, include_str!("prepare.sh")),
        step(restore, source, settings, RECOVER, include_str!("recover.sh")),
        serve(restore, source, settings),
        adopt(restore, source, settings),
        verify(restore, source, settings),
    ]);
    let last = match &restore.spec.into.platform {
        Some(_) => step(restore, source, settings, "release", RELEASE),
        None => steps.remove(steps.len() - 1),
    };
    let metadata = ObjectMeta {
        name: Some(job_name(restore)),
        namespace: restore.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![owner(restore)]),
        ..ObjectMeta::default()
    };
    let pod = PodSpec {
        // A server that stores its log holds the volume of the copies, which one node can mount at a time. In place it is stopped.
        affinity: (in_place(restore).is_none() && place(source).shares_volume(log.as_ref()))
            .then(|| beside(platform, POSTGRES)),
        containers: vec![last],
        init_containers: Some(steps),
        volumes: Some(volumes(restore, source)),
        ..job::pod(USER)
    };
    job::once(metadata, restore.spec.deadline_seconds, pod)
}

/// Where the copy is, and the log after it.
pub fn place<'a>(source: &Source<'a>) -> Place<'a> {
    let spec = &source.backup.spec;
    Place::of(&spec.volume, spec.bucket.as_ref(), &spec.platform_ref.name)
}

fn volumes(restore: &Restore, source: &Source<'_>) -> Vec<Volume> {
    let target = match &restore.spec.into.platform {
        Some(into) => claim_volume("target", volume_name(&into.name)),
        None => Volume {
            name: "target".into(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    };
    let login = restore
        .spec
        .into
        .platform
        .as_ref()
        .map(|into| secret_volume("database-owner", names(restore, &into.name).database_owner()));
    let opened = opens(source).then(|| scratch("opened"));
    [place(source).volume(), target, scratch("scratch"), scratch("tmp")]
        .into_iter()
        .chain(login)
        .chain(opened)
        .chain(source.keys.volumes())
        .collect()
}

/// Whether anything may be packed.
const fn opens(source: &Source<'_>) -> bool {
    let spec = &source.backup.spec;
    !source.keys.0.is_empty() || spec.bucket.is_some() || spec.parent_ref.is_some()
}

/// Lays out, where scripts look for copies, what they would find had nothing been packed.
fn opening(restore: &Restore, source: &Source<'_>, settings: &Settings) -> Vec<Container> {
    if !opens(source) {
        return Vec::new();
    }
    let log_of = restore.spec.point.copy.is_none().then_some(restore.spec.platform_ref.name.as_str());
    let was_sealed = source.backup.spec.encryption.is_some();
    let (place, name) = (place(source), source.backup.name_any());
    let mut unpack = step(restore, source, settings, UNPACK, UNPACK_SCRIPT);
    // The one script that writes there.
    for mount in unpack.volume_mounts.iter_mut().flatten().filter(|mount| mount.name == "opened") {
        mount.read_only = None;
    }
    vec![sealed::open(image(source, settings), (&place, &source.keys), &name, log_of, was_sealed), unpack]
}

fn step(restore: &Restore, source: &Source<'_>, settings: &Settings, name: &str, script: &str) -> Container {
    let mut container = container(restore, source, settings, name);
    container.command = Some(["sh", "-c", script].map(String::from).to_vec());
    let mounts = container.volume_mounts.get_or_insert_default();
    if opens(source) {
        mounts.push(mount("opened", "/backups", true));
        if !place(source).is_bucket() {
            // What was never packed is linked there from where it is kept.
            mounts.push(mount("backups", COPIES_DIR, true));
        }
    } else {
        mounts.push(mount("backups", "/backups", true));
    }
    container
}

/// The server, for as long as the ledger is made and verified.
fn serve(restore: &Restore, source: &Source<'_>, settings: &Settings) -> Container {
    let folder = if in_place(restore).is_some() { BESIDE } else { LEDGER };
    job::serve(container(restore, source, settings, "serve"), folder, &["archive_mode=off"])
}

fn container(restore: &Restore, source: &Source<'_>, settings: &Settings, name: &str) -> Container {
    let asked = source.postgres.map(|postgres| postgres.resources.clone()).unwrap_or_default();
    let point = &restore.spec.point;
    let until = point.time.as_ref().map_or_else(String::new, |time| time.0.to_string());
    let sequence = point.sequence.map_or_else(String::new, |seal| seal.to_string());
    let log = if point.copy.is_some() { "ignore" } else { "replay" };
    let env = [
        variable("BACKUP", source.backup.name_any()),
        variable("PLATFORM", restore.spec.platform_ref.name.clone()),
        variable("POINT", until),
        variable("SEQUENCE", sequence),
        variable("LOG", log.into()),
        variable("DEADLINE", restore.spec.deadline_seconds.to_string()),
    ];
    let env = env.into_iter().chain(folders(restore)).collect();
    on_volume((name, &postgres_image(source, settings)), &asked, env)
}

/// A container of PostgreSQL's programs that works on a ledger's volume.
pub fn on_volume((name, image): (&str, &str), asked: &Resources, env: Vec<EnvVar>) -> Container {
    Container {
        name: name.into(),
        env: Some(env),
        image: Some(image.into()),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(asked, "100m", "256Mi")),
        security_context: Some(security()),
        // Why a step failed is what it said last.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![
            mount("target", "/target", false),
            mount("scratch", "/scratch", false),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    }
}

fn adopt(restore: &Restore, source: &Source<'_>, settings: &Settings) -> Container {
    let (owner, mounts) = match &restore.spec.into.platform {
        Some(_) => (OWNER_DIR, vec![mount("database-owner", OWNER_DIR, true)]),
        None => (LOGIN_DIR, Vec::new()),
    };
    engine(source, settings, ADOPT, adopt_args(restore, LOGIN_DIR, owner), mounts)
}

/// What makes the ledger one of its own that a login reaches. `owner` has the login that it gets.
pub fn adopt_args(restore: &Restore, login: &str, owner: &str) -> Vec<String> {
    let args = [
        "adopt".into(),
        format!("--database-dir={login}"),
        format!("--owner-database-dir={owner}"),
        format!("--restore-id={}", restore.uid().unwrap_or_default()),
        "--summary-file=/dev/termination-log".into(),
    ];
    args.into_iter().chain(becomes(restore)).collect()
}

/// Whose ledger it becomes, if another Platform's than it was.
pub fn becomes(restore: &Restore) -> Option<String> {
    let into = restore.spec.into.platform.as_ref()?;
    let is_other = into.name != restore.spec.platform_ref.name;
    is_other.then(|| format!("--platform={}/{}", restore.namespace().unwrap_or_default(), into.name))
}

fn verify(restore: &Restore, source: &Source<'_>, settings: &Settings) -> Container {
    let head = source.backup.status.as_ref().and_then(|status| status.head.as_ref());
    let args = [
        "verify".into(),
        format!("--database-dir={LOGIN_DIR}"),
        "--summary-file=/dev/termination-log".into(),
        format!("--wait-seconds={}", restore.spec.deadline_seconds),
    ];
    let expected = head.map(|head| format!("--expect-head={head}"));
    engine(source, settings, VERIFY, args.into_iter().chain(expected).collect(), Vec::new())
}

fn engine(
    source: &Source<'_>,
    settings: &Settings,
    name: &str,
    args: Vec<String>,
    more: Vec<VolumeMount>,
) -> Container {
    let mounts = [mount("scratch", "/scratch", true)].into_iter().chain(more);
    engine_step(image(source, settings), name, args, mounts.collect())
}

/// A step that runs one of the engine's commands.
pub fn engine_step(image: String, name: &str, args: Vec<String>, mounts: Vec<VolumeMount>) -> Container {
    Container {
        name: name.into(),
        args: Some(args),
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&Resources::default(), "100m", "64Mi")),
        security_context: Some(security()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The image whose server makes the ledger, and has to be of the copy's version.
fn postgres_image(source: &Source<'_>, settings: &Settings) -> String {
    let image = source.postgres.and_then(|postgres| postgres.image.clone());
    image.unwrap_or_else(|| settings.postgres_image.clone())
}

/// The image of the server that a Job restored with.
pub fn image_of(job: &Job) -> Option<&str> {
    let steps = job.spec.as_ref()?.template.spec.as_ref()?.init_containers.as_ref()?;
    steps.iter().find(|step| step.name == PREPARE)?.image.as_deref()
}

fn image(source: &Source<'_>, settings: &Settings) -> String {
    source.engine_image.map_or_else(|| settings.engine_image.clone(), String::from)
}

#[cfg(test)]
mod tests;
