//! What Jobs and servers have in common that keep copies and the log packed, sealed or not, or open them. Pure.
//!
//! Only containers of the engine's image have the keys, and the credentials of a bucket, as files of mounted Secrets: the image has no
//! shell, and nothing else runs in it. A server and the scripts around it see what is to be sealed and what was opened, in a directory of the pod.

use k8s_openapi::api::core::v1::{Container, Volume, VolumeMount};
use payplane_crds::{
    condition::reason::{BUCKET_NOT_FOUND, BUCKET_REFUSED, BUCKET_UNREACHABLE, COPY_DAMAGED, WRONG_KEY},
    encryption::Encryption,
    platform::Resources,
};

use crate::{
    place::Place,
    platform::container::{mount, optional_secret_volume, resources, security},
};

/// Container that seals a copy, where it is sealed, and keeps it.
pub const SEAL: &str = "seal";
/// Container that keeps the custom resources with a copy.
pub const KEEP: &str = "keep-objects";
/// Container that opens copy and log.
pub const OPEN: &str = "open";
/// Container that unpacks what was opened.
pub const UNPACK: &str = "unpack";
/// How it does.
pub const UNPACK_SCRIPT: &str = include_str!("sealed/unpack.sh");
/// Container that deletes copies.
pub const PRUNE: &str = "prune";

const KEYS_DIR: &str = "/etc/payplane/backup-keys";
/// The engine's commands end so when a key is missing.
const NO_KEY: i32 = 3;
/// And so when what is stored is not what was stored.
const DAMAGED: i32 = 4;
/// And so when a bucket is not there, its server refuses, or does not answer.
const NO_BUCKET: i32 = 5;
const REFUSED: i32 = 6;
const UNREACHABLE: i32 = 7;

/// Secrets with keys, as the containers have them. The first one's key seals.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keys<'a>(pub Vec<&'a str>);

impl<'a> Keys<'a> {
    /// Those that are named, each once.
    pub fn of(named: impl IntoIterator<Item = Option<&'a Encryption>>) -> Self {
        let mut secrets: Vec<&str> = Vec::new();
        for encryption in named.into_iter().flatten() {
            let name = encryption.secret_ref.name.as_str();
            if !secrets.contains(&name) {
                secrets.push(name);
            }
        }
        Self(secrets)
    }

    /// The pod's volumes. One whose Secret is not there is empty: what has no key says so, and a database starts without.
    pub fn volumes(&self) -> impl Iterator<Item = Volume> + '_ {
        self.0
            .iter()
            .enumerate()
            .map(|(at, secret)| optional_secret_volume(&volume(at), (*secret).to_owned()))
    }

    /// Where a container has them.
    pub fn mounts(&self) -> impl Iterator<Item = VolumeMount> + '_ {
        (0..self.0.len()).map(|at| mount(&volume(at), &directory(at), true))
    }

    /// How it is told.
    pub fn flags(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.0.len()).map(|at| format!("--keys-dir={}", directory(at)))
    }
}

fn volume(at: usize) -> String {
    format!("backup-keys-{at}")
}

fn directory(at: usize) -> String {
    format!("{KEYS_DIR}/{at}")
}

/// A container that runs one of the engine's commands on a place, with the keys.
pub fn container(
    (image, name): (String, &str),
    command: &str,
    (place, read_only): (&Place<'_>, bool),
    keys: &Keys<'_>,
    (args, mounts): (Vec<String>, Vec<VolumeMount>),
) -> Container {
    let args = [command.to_owned()].into_iter().chain(place.flags()).chain(args).chain(keys.flags());
    let mounts = [place.mount(read_only)].into_iter().chain(mounts).chain(keys.mounts());
    Container {
        name: name.into(),
        args: Some(args.collect()),
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&Resources::default(), "100m", "128Mi")),
        security_context: Some(security()),
        // Why it failed is what it said last.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts.collect()),
        ..Container::default()
    }
}

/// The container that opens a copy, and the log after it if `log_of` names its Platform, into the volume `opened`.
pub fn open(
    image: String,
    (place, keys): (&Place<'_>, &Keys<'_>),
    name: &str,
    log_of: Option<&str>,
    must_be_sealed: bool,
) -> Container {
    let args = [format!("--name={name}"), "--to=/backups".into()];
    let log = log_of.map(|platform| format!("--log-of={platform}"));
    let sealed = must_be_sealed.then(|| "--must-be-sealed".to_owned());
    let args = args.into_iter().chain(log).chain(sealed).collect();
    let mounts = vec![mount("opened", "/backups", false)];
    container((image, OPEN), "fetch-copy", (place, true), keys, (args, mounts))
}

/// What a condition says where one of the engine's commands ends with this code; nothing where the words say all there is.
pub const fn reason(code: i32) -> Option<&'static str> {
    match code {
        NO_KEY => Some(WRONG_KEY),
        DAMAGED => Some(COPY_DAMAGED),
        NO_BUCKET => Some(BUCKET_NOT_FOUND),
        REFUSED => Some(BUCKET_REFUSED),
        UNREACHABLE => Some(BUCKET_UNREACHABLE),
        _ => None,
    }
}

/// Why a step with keys failed, as a condition's reason and message. None if it is about neither keys nor damage nor a bucket.
pub fn failure(step: &str, code: i32, words: &str) -> Option<(&'static str, String)> {
    if ![SEAL, KEEP, OPEN].contains(&step) {
        return None;
    }
    let message = match code {
        NO_KEY => format!(
            "Step {step} has not the right key: {words}. Put the key into the Secret that spec.encryption names, and try again with another object."
        ),
        DAMAGED => format!(
            "Step {step} found that what is stored was changed: {words}. Nothing was restored from it; use another Backup."
        ),
        // The words have the way out.
        _ => format!("Step {step} failed: {words}"),
    };
    reason(code).map(|reason| (reason, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_mounted_once_and_the_first_one_seals() {
        let named =
            |name: &str| serde_json::from_value(serde_json::json!({"secretRef": {"name": name}})).unwrap();
        let (old, new): (Encryption, Encryption) = (named("old"), named("new"));
        let keys = Keys::of([Some(&new), None, Some(&old), Some(&new)]);
        assert_eq!(keys, Keys(vec!["new", "old"]));
        let flags: Vec<String> = keys.flags().collect();
        assert_eq!(
            flags,
            ["--keys-dir=/etc/payplane/backup-keys/0", "--keys-dir=/etc/payplane/backup-keys/1"]
        );
        for (volume, mount) in keys.volumes().zip(keys.mounts()) {
            assert_eq!(volume.name, mount.name);
            assert_eq!(volume.secret.unwrap().optional, Some(true), "a server has to start without it");
            assert_eq!(mount.read_only, Some(true));
        }
    }

    #[test]
    fn a_key_that_is_missing_is_told_from_damage_and_from_a_bucket() {
        let reason = |step, code| failure(step, code, "words").map(|(reason, _)| reason);
        assert_eq!(reason(SEAL, 3), Some("WrongKey"));
        assert_eq!(reason(OPEN, 3), Some("WrongKey"));
        assert_eq!(reason(OPEN, 4), Some("CopyDamaged"));
        assert_eq!(reason(SEAL, 5), Some("BucketNotFound"));
        assert_eq!(reason(OPEN, 6), Some("BucketRefused"));
        assert_eq!(reason(SEAL, 7), Some("BucketUnreachable"));
        assert_eq!(reason(OPEN, 1), None);
        assert_eq!(reason("copy", 3), None, "a script may end with any code");
    }
}
