//! The Job of a major upgrade, and the one that undoes it. Pure.
//!
//! Its steps, each in a container of its own: bring back what an earlier try left behind, and look whether there is room; serve the
//! ledger to this pod alone, with the image of before; verify it; make an empty database in a folder beside, with the new image, and
//! serve that, too; copy; compare both; verify the copy, which has to have the head of before; move the old folder aside and the new one
//! in its place. Only the last step changes what a database would start on. The Job has no second try and a deadline.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, PodSpec},
};
use payplane_crds::{
    Platform,
    platform::{ManagedPostgres, Resources},
};

use super::plan::Copy;
use crate::{
    context::Settings,
    job,
    meta::{labels, owned},
    platform::{
        Names,
        build::{program, tuning},
        container::{claim_volume, mount, resources, scratch, secret_volume, variable},
        credentials::{DATABASE, OWNER},
    },
    restore::build::{BESIDE, LEDGER, RELEASE, USER, folders_of, on_volume, undo::of_volume},
};

/// Component label of the Job.
pub const COMPONENT: &str = "upgrade";
/// Component label of the one that undoes it, and name of its container.
pub const UNDO_COMPONENT: &str = "upgrade-undo";

/// What ends one after the other: the container, and what it does, for people. Servers end with the pod.
pub const STEPS: [(&str, &str); 7] = [
    ("prepare", "room for another ledger is looked for"),
    ("verify-before", "the ledger is verified"),
    ("initialise", "an empty database of the new version is made"),
    (COPY, "the ledger is copied into it"),
    ("compare", "both are compared"),
    ("verify", "the copy is verified, and has to have the head of before"),
    ("release", "the copy takes the ledger's place"),
];
const COPY: &str = "copy";

const OWNER_DIR: &str = "/etc/payplane/database-owner";
const NEW_PORT: u16 = 5433;
/// Where each server has its folder.
const SERVED_DIR: &str = "/served";
/// What the first verification says, for the second.
const BEFORE: &str = "/scratch/before.json";
const MIB: u64 = 1 << 20;

/// What a name of a ledger begins with that an upgrade made.
const PREFIX: &str = "upgrade-";

/// The name of the ledger that the upgrade of this moment makes.
pub fn ledger(began: i64) -> String {
    format!("{PREFIX}{began:x}")
}

/// Whether an upgrade made it.
pub fn is_ledger(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Name of the folder on the volume in which the ledger is kept that this one replaced.
pub fn kept_folder(ledger: &str) -> String {
    format!("ledger.replaced-{ledger}")
}

/// What finds the pods of such Jobs of a Platform.
pub fn selector(names: &Names) -> String {
    let pairs = crate::meta::selector(&names.platform, COMPONENT);
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The image that a Job brings a ledger to.
pub fn image_of(job: &Job) -> Option<&str> {
    let steps = job.spec.as_ref()?.template.spec.as_ref()?.init_containers.as_ref()?;
    steps.iter().find(|step| step.name == COPY)?.image.as_deref()
}

/// The Job. Its engine is one of the schema that the ledger has.
pub fn job(
    platform: &Platform,
    settings: &Settings,
    names: &Names,
    copy: &Copy<'_>,
    engine: Option<String>,
) -> Job {
    let mut metadata = owned(platform, names.upgrade(copy.began), COMPONENT);
    metadata.labels = Some(labels(&names.platform, COMPONENT));
    let engine = engine.unwrap_or_else(|| program::image(platform, settings));
    let pod = PodSpec {
        containers: vec![step(copy, "release", &copy.image, RELEASE)],
        init_containers: Some(steps(copy, &engine)),
        volumes: Some(vec![
            claim_volume("target", names.postgres_claim()),
            secret_volume("database-owner", names.database_owner()),
            scratch("scratch"),
            scratch("tmp"),
        ]),
        ..job::pod(USER)
    };
    job::once(metadata, copy.deadline_seconds, pod)
}

/// The Job that brings back what was.
pub fn undo(platform: &Platform, names: &Names, began: i64, image: String) -> Job {
    let metadata = owned(platform, names.undo_upgrade(began), UNDO_COMPONENT);
    let resources =
        platform.spec.postgres.managed.as_ref().map(|spec| spec.resources.clone()).unwrap_or_default();
    let kept = kept_folder(&ledger(began));
    of_volume(metadata, UNDO_COMPONENT, names.postgres_claim(), &kept, (image, &resources))
}

fn steps(copy: &Copy<'_>, engine: &str) -> Vec<Container> {
    let new = &copy.image;
    let mut initialise = step(copy, "initialise", new, include_str!("../../build/initialise.sh"));
    initialise.env.get_or_insert_default().push(variable("PGDATA", BESIDE.into()));
    initialise.volume_mounts.get_or_insert_default().push(mount("database-owner", OWNER_DIR, true));
    let summary = format!("--summary-file={BEFORE}");
    let same = format!("--same-as={BEFORE}");
    vec![
        step(
            copy,
            "prepare",
            &copy.from,
            concat!(include_str!("../../../restore/build/undo.sh"), include_str!("prepare.sh")),
        ),
        serve_old(copy),
        verify(copy, engine, "verify-before", "old", &[&summary]),
        initialise,
        serve_new(copy),
        step(copy, COPY, new, concat!(include_str!("servers.sh"), include_str!("copy.sh"))),
        step(copy, "compare", new, concat!(include_str!("servers.sh"), include_str!("compare.sh"))),
        verify(copy, engine, "verify", "new", &[&same, "--summary-file=/dev/termination-log"]),
    ]
}

fn step(copy: &Copy<'_>, name: &str, image: &str, script: &str) -> Container {
    let mut container = container(copy, name, image);
    container.command = Some(["sh", "-c", script].map(String::from).to_vec());
    container
}

/// The ledger. Nobody may write to it, and the log that it has not stored yet stays until it serves again.
fn serve_old(copy: &Copy<'_>) -> Container {
    let mut settings = vec!["default_transaction_read_only=on", "autovacuum=off"];
    if copy.spec.archive.is_some() {
        settings.extend(["archive_mode=on", "archive_command="]);
    }
    serve(container(copy, "serve-old", &copy.from), LEDGER, &settings)
}

/// The copy, which is thrown away unless it is whole; so its log can be as short as it gets.
fn serve_new(copy: &Copy<'_>) -> Container {
    let memory =
        tuning::of_memory(&copy.spec.resources, 256 * MIB).map(|(name, value)| format!("{name}={value}"));
    let own = [
        "wal_level=minimal",
        "max_wal_senders=0",
        "archive_mode=off",
        "max_wal_size=256MB",
        "autovacuum=off",
        // A container's shared memory is too small to build indexes with several processes.
        "dynamic_shared_memory_type=mmap",
    ];
    let settings: Vec<&str> = own.into_iter().chain(memory.iter().map(String::as_str)).collect();
    let mut container = container(copy, "serve-new", &copy.image);
    container.env.get_or_insert_default().push(variable("PGPORT", NEW_PORT.to_string()));
    serve(container, BESIDE, &settings)
}

/// The container as a server of one folder of the volume, which it has as a volume of its own. At its end a server writes to its folder's
/// path, and by then another folder has that name: so there would be the control file of one version in the files of the other.
fn serve(mut container: Container, folder: &str, settings: &[&str]) -> Container {
    for mount in container.volume_mounts.iter_mut().flatten().filter(|mount| mount.name == "target") {
        mount.sub_path = folder.strip_prefix("/target/").map(String::from);
        mount.mount_path = SERVED_DIR.into();
    }
    job::serve(container, SERVED_DIR, settings)
}

fn verify(copy: &Copy<'_>, engine: &str, name: &str, server: &str, more: &[&str]) -> Container {
    let own = ["verify".into(), format!("--database-dir=/scratch/{server}")];
    let wait = format!("--wait-seconds={}", copy.deadline_seconds);
    let args = own.into_iter().chain([wait]).chain(more.iter().map(|flag| (*flag).to_owned()));
    Container {
        args: Some(args.collect()),
        resources: Some(resources(&Resources::default(), "100m", "64Mi")),
        volume_mounts: Some(vec![mount("scratch", "/scratch", false)]),
        env: None,
        ..container(copy, name, engine)
    }
}

fn container(copy: &Copy<'_>, name: &str, image: &str) -> Container {
    let server = |port: u16| format!("host=127.0.0.1 port={port} user={OWNER}");
    let env = [
        variable("OLD", server(5432)),
        variable("NEW", server(NEW_PORT)),
        variable("DATABASE", DATABASE.into()),
        variable("TO", copy.to.to_string()),
    ];
    let ManagedPostgres { resources: asked, .. } = copy.spec;
    let folders = folders_of(Some(&kept_folder(&ledger(copy.began))));
    on_volume((name, image), asked, env.into_iter().chain(folders).collect())
}

#[cfg(test)]
mod tests;
