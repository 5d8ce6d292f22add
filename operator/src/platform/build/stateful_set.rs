//! One PostgreSQL server, for small and demonstration use.
//!
//! Works with any image that has PostgreSQL's programs on its PATH and a user of number 999: programs are started by
//! name, never through an image's own entry point. The volume stays when the object goes.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, ContainerPort, ExecAction, Lifecycle, LifecycleHandler, PodSpec, Probe},
};
use payplane_crds::{Platform, platform::ManagedPostgres};

use super::{
    POSTGRES, claim,
    config_map::{HBA, INITIALISE},
    container::{config_volume, mount, pod_security, resources, scratch, secret_volume, security, variable},
    program, single, tuning,
};
use crate::{
    context::Settings,
    meta::short_hash,
    platform::{
        archive,
        credentials::Made,
        names::{Names, POSTGRES_PORT},
        quantity,
    },
};

/// The user `postgres` of Debian-based images.
const USER: i64 = 999;
const VOLUME_DIR: &str = "/var/lib/postgresql/data";
/// Below the volume's root, which may hold things like `lost+found`.
const PGDATA: &str = "/var/lib/postgresql/data/ledger";
const CONFIG_DIR: &str = "/etc/payplane/postgres";
const OWNER_DIR: &str = "/etc/payplane/database-owner";
const TLS_DIR: &str = "/etc/payplane/tls";
const SOCKET_DIR: &str = "/var/run/postgresql";
const GRACE_SECONDS: i64 = 60;
const MIB: u64 = 1 << 20;
/// What the server is sized for when nobody says how much memory it has.
const MEMORY: u64 = 256 * MIB;

/// PostgreSQL's StatefulSet.
pub fn postgres(
    platform: &Platform,
    spec: &ManagedPostgres,
    settings: &Settings,
    names: &Names,
    made: &Made,
) -> StatefulSet {
    // Settings are read at the start only, and so is the certificate.
    let restart = short_hash([HBA.as_bytes(), INITIALISE.as_bytes(), made.postgres_hash.as_bytes()]);
    let volume = claim::once(&spec.storage.size, spec.storage.storage_class_name.as_ref());
    single::server(
        platform,
        (POSTGRES, names.postgres()),
        restart,
        volume,
        pod(platform, spec, settings, names),
    )
}

fn pod(platform: &Platform, spec: &ManagedPostgres, settings: &Settings, names: &Names) -> PodSpec {
    let copies = spec.archive.as_ref().map(|archive| archive::volumes(archive, &names.platform));
    let engine = program::image(platform, settings);
    let sealer = spec.archive.as_ref().and_then(|one| archive::sealer(one, &names.platform, engine));
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![server(spec, settings, names)],
        // Variables named after Services could pass for settings.
        enable_service_links: Some(false),
        init_containers: Some([initialise(spec, settings)].into_iter().chain(sealer).collect()),
        security_context: Some(pod_security(USER)),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        volumes: Some(
            [
                config_volume("config", names.postgres()),
                secret_volume("database-owner", names.database_owner()),
                scratch("run"),
                secret_volume("tls", names.postgres_tls()),
                scratch("tmp"),
            ]
            .into_iter()
            .chain(copies.into_iter().flatten())
            .collect(),
        ),
        ..PodSpec::default()
    }
}

fn initialise(spec: &ManagedPostgres, settings: &Settings) -> Container {
    let mut container = container(spec, settings);
    container.name = "initialise".into();
    container.command = words(&["sh", &format!("{CONFIG_DIR}/initialise.sh")]);
    let mounts = container.volume_mounts.get_or_insert_default();
    mounts.push(mount("database-owner", OWNER_DIR, true));
    container
}

fn server(spec: &ManagedPostgres, settings: &Settings, names: &Names) -> Container {
    let mut container = container(spec, settings);
    container.name = POSTGRES.into();
    container.command = words(&["postgres", "-D", PGDATA]);
    container.args =
        Some(server_settings(spec).into_iter().flat_map(|line| ["-c".to_owned(), line]).collect());
    if let Some(archive) = &spec.archive {
        container.volume_mounts.get_or_insert_default().push(archive::server_mount(archive));
        container.env.get_or_insert_default().push(variable("PLATFORM", names.platform.clone()));
    }
    container.lifecycle = Some(Lifecycle {
        // The signal that the kubelet sends makes the server wait for its clients to go, who do not.
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction { command: words(&["pg_ctl", "stop", "-D", PGDATA, "-m", "fast"]) }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    });
    container.ports = Some(vec![ContainerPort {
        name: Some("postgres".into()),
        container_port: POSTGRES_PORT,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }]);
    // Recovery after a crash may take minutes, and must not be killed.
    container.startup_probe = Some(probe(2, 300));
    container.readiness_probe = Some(probe(5, 3));
    container.volume_mounts.get_or_insert_default().push(mount("tls", TLS_DIR, true));
    container
}

fn server_settings(spec: &ManagedPostgres) -> Vec<String> {
    let [buffers, cache, maintenance] =
        tuning::of_memory(&spec.resources, MEMORY).map(|(name, value)| format!("{name}={value}"));
    let own = [
        "listen_addresses=*".into(),
        format!("port={POSTGRES_PORT}"),
        format!("unix_socket_directories={SOCKET_DIR}"),
        format!("hba_file={CONFIG_DIR}/pg_hba.conf"),
        "password_encryption=scram-sha-256".into(),
        "ssl=on".into(),
        format!("ssl_cert_file={TLS_DIR}/tls.crt"),
        format!("ssl_key_file={TLS_DIR}/tls.key"),
        // Said aloud, though they are the defaults: a payment that was answered survives a power cut.
        "fsync=on".into(),
        "synchronous_commit=on".into(),
        "full_page_writes=on".into(),
        buffers,
        cache,
        maintenance,
        format!("max_wal_size={}MB", wal(spec) / MIB),
        "max_connections=100".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ];
    own.into_iter().chain(spec.archive.iter().flat_map(archive::settings)).collect()
}

/// An eighth of the volume, so that the log never fills a small one.
fn wal(spec: &ManagedPostgres) -> u64 {
    let size = quantity::bytes(&spec.storage.size).unwrap_or(8 * 1024 * MIB);
    (size / 8).clamp(64 * MIB, 1024 * MIB)
}

fn container(spec: &ManagedPostgres, settings: &Settings) -> Container {
    Container {
        env: Some(vec![variable("PGDATA", PGDATA.into())]),
        image: Some(spec.image.clone().unwrap_or_else(|| settings.postgres_image.clone())),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&spec.resources, "100m", "256Mi")),
        security_context: Some(security()),
        volume_mounts: Some(vec![
            mount("config", CONFIG_DIR, true),
            mount("data", VOLUME_DIR, false),
            mount("run", SOCKET_DIR, false),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    }
}

fn probe(period: i32, failures: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: words(&["pg_isready", "-h", SOCKET_DIR, "-q"]) }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests;
