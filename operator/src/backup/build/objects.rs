//! The two steps of a Backup's Job that copy the custom resources: one lists them, one keeps them. Pure.
//!
//! They come before the ledger is copied, so that the ledger knows whatever the document says was paid. The first one has the
//! operator's image and is alone with a token; the second one has the volume and the keys. A document reaches it through the
//! pod's scratch directory, because a ConfigMap holds some hundred objects and there may be ten thousand.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{
        ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath,
        ObjectFieldSelector, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeProjection,
    },
};
use kube::ResourceExt;
use payplane_crds::{Backup, Platform, platform::Resources};

use crate::{
    context::Settings,
    platform::{
        container::{mount, resources, security},
        program,
    },
    sealed::{self, KEEP, Keys},
};

use super::place;

/// Container that lists the objects.
pub const LIST: &str = "list-objects";

const DOCUMENT: &str = "/scratch/objects.json";
/// Where programs in a pod look for the API server's certificate and for who they are.
const API_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const API: &str = "api-access";
/// Of a Backup's time for this step, so that an API server that is away leaves most of it for the ledger.
const SHARE: i64 = 4;
const SECONDS_MAX: i64 = 300;
/// The shortest life that the API server gives a token.
const TOKEN_SECONDS: i64 = 600;

/// Puts both steps before all others.
pub fn add(job: &mut Job, backup: &Backup, platform: &Platform, settings: &Settings) {
    let pod = job.spec.get_or_insert_default().template.spec.get_or_insert_default();
    // Only what mounts its token is this account.
    pod.service_account_name = Some(settings.backup_account.clone());
    pod.volumes.get_or_insert_default().push(api_access());
    let steps = [list(backup, platform, settings), keep(backup, program::image(platform, settings))];
    pod.init_containers.get_or_insert_default().splice(0..0, steps);
}

fn list(backup: &Backup, platform: &Platform, settings: &Settings) -> Container {
    let seconds = (backup.spec.deadline_seconds / SHARE).min(SECONDS_MAX);
    let args = [
        "copy-objects".into(),
        format!("--platform={}/{}", platform.namespace().unwrap_or_default(), platform.name_any()),
        format!("--to={DOCUMENT}"),
        "--summary-file=/dev/termination-log".into(),
        format!("--within-seconds={seconds}"),
    ];
    Container {
        name: LIST.into(),
        args: Some(args.to_vec()),
        image: Some(settings.operator_image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&Resources::default(), "50m", "64Mi")),
        security_context: Some(security()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![mount("scratch", "/scratch", false), mount(API, API_DIR, true)]),
        ..Container::default()
    }
}

/// Sealed with what the copy is sealed with.
fn keep(backup: &Backup, image: String) -> Container {
    let args = vec![
        format!("--name={}", backup.name_any()),
        format!("--uid={}", backup.uid().unwrap_or_default()),
        format!("--from={DOCUMENT}"),
        "--summary-file=/dev/termination-log".into(),
    ];
    let mounts = vec![mount("scratch", "/scratch", false)];
    let keys = Keys::of([backup.spec.encryption.as_ref()]);
    sealed::container((image, KEEP), "store-objects", (&place(backup), false), &keys, (args, mounts))
}

/// What the kubelet would mount into every container of the pod, for one of them.
fn api_access() -> Volume {
    let token = ServiceAccountTokenProjection {
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".into(),
        ..ServiceAccountTokenProjection::default()
    };
    let certificate = ConfigMapProjection {
        name: "kube-root-ca.crt".into(),
        items: Some(vec![KeyToPath { key: "ca.crt".into(), path: "ca.crt".into(), mode: None }]),
        ..ConfigMapProjection::default()
    };
    let namespace = DownwardAPIVolumeFile {
        field_ref: Some(ObjectFieldSelector { field_path: "metadata.namespace".into(), api_version: None }),
        path: "namespace".into(),
        ..DownwardAPIVolumeFile::default()
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(certificate), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ];
    let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
    Volume { name: API.into(), projected: Some(projected), ..Volume::default() }
}
