//! Where copies and the stored log are kept, as the engine's containers have it: a volume, or a bucket with the Secret of its
//! credentials as files. Pure.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use payplane_crds::{backup::BackupVolume, bucket::Bucket};

use crate::platform::{
    container::{claim_volume, mount, optional_secret_volume},
    copies_name,
};

/// Where a volume with copies is, in the containers that keep and fetch them. Scripts find what was opened where they find copies
/// that were never packed.
pub const COPIES_DIR: &str = "/copies";
/// Where the credentials of a bucket are.
const CREDENTIALS_DIR: &str = "/etc/payplane/bucket";

/// A place.
#[derive(Clone, Debug, PartialEq)]
pub enum Place<'a> {
    /// A volume, by the name of its claim.
    Volume(String),
    /// A bucket.
    Bucket(&'a Bucket),
}

impl<'a> Place<'a> {
    /// The one that a spec names for this Platform.
    pub fn of(volume: &BackupVolume, bucket: Option<&'a Bucket>, platform: &str) -> Self {
        bucket.map_or_else(|| Self::Volume(copies_name(volume, platform)), Self::Bucket)
    }

    /// Whether both are one.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Volume(one), Self::Volume(other)) => one == other,
            (Self::Bucket(one), Self::Bucket(other)) => one.is_same_place(other),
            _ => false,
        }
    }

    /// Whether a server that stores its log there may have a volume mounted that this needs.
    pub fn shares_volume(&self, log: Option<&Self>) -> bool {
        !self.is_bucket() && log.is_some_and(|log| !log.is_bucket())
    }

    /// Whether it is a bucket, in which everything is packed.
    pub const fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// The Secret that it needs.
    pub fn secret(&self) -> Option<&'a str> {
        match self {
            Self::Volume(_) => None,
            Self::Bucket(bucket) => Some(&bucket.credentials_ref.name),
        }
    }

    /// The pod's volume. A Secret that is not there is an empty one: what lacks credentials says so, and a database starts without.
    pub fn volume(&self) -> Volume {
        match self {
            Self::Volume(claim) => claim_volume("backups", claim.clone()),
            Self::Bucket(bucket) => optional_secret_volume("bucket", bucket.credentials_ref.name.clone()),
        }
    }

    /// Where a container of the engine's image has it.
    pub fn mount(&self, read_only: bool) -> VolumeMount {
        match self {
            Self::Volume(_) => mount("backups", COPIES_DIR, read_only),
            Self::Bucket(_) => mount("bucket", CREDENTIALS_DIR, true),
        }
    }

    /// How it is told.
    pub fn flags(&self) -> Vec<String> {
        let bucket = match self {
            Self::Volume(_) => return vec![format!("--folder={COPIES_DIR}")],
            Self::Bucket(bucket) => bucket,
        };
        let flags = [
            format!("--bucket={}", bucket.name),
            format!("--endpoint={}", bucket.endpoint),
            format!("--prefix={}", bucket.prefix),
            format!("--region={}", bucket.region),
            format!("--credentials-dir={CREDENTIALS_DIR}"),
        ];
        flags.into_iter().chain(bucket.path_style.then(|| "--path-style".into())).collect()
    }

    /// A copy in it, for people.
    pub fn location(&self, name: &str) -> String {
        match self {
            Self::Volume(claim) => format!("{claim}/{name}"),
            Self::Bucket(bucket) => {
                let parts = [bucket.name.as_str(), &bucket.prefix, name];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                format!("s3://{}", parts.join("/"))
            }
        }
    }
}

#[cfg(test)]
pub mod fixture {
    //! A bucket.

    use payplane_crds::bucket::Bucket;
    use serde_json::{Value, json};

    /// As a spec has it.
    pub fn spec() -> Value {
        json!({
            "endpoint": "https://s3.example", "name": "copies", "prefix": "pay/main",
            "credentialsRef": {"name": "s3"},
        })
    }

    /// The same.
    pub fn bucket() -> Bucket {
        serde_json::from_value(spec()).unwrap()
    }

    /// What the engine's containers are told of it.
    pub const FLAGS: [&str; 6] = [
        "--bucket=copies",
        "--endpoint=https://s3.example",
        "--prefix=pay/main",
        "--region=us-east-1",
        "--credentials-dir=/etc/payplane/bucket",
        "--path-style",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_files_and_nothing_else() {
        let bucket = fixture::bucket();
        let place = Place::of(&BackupVolume::default(), Some(&bucket), "main");
        assert_eq!(place.flags(), fixture::FLAGS);
        assert_eq!(place.secret(), Some("s3"));
        let volume = place.volume();
        assert_eq!(volume.name, place.mount(false).name);
        assert_eq!(place.mount(false).read_only, Some(true));
        assert_eq!(volume.secret.unwrap().optional, Some(true), "a server has to start without it");
        assert_eq!(place.location("nightly"), "s3://copies/pay/main/nightly");
    }

    #[test]
    fn places_are_the_same_by_what_is_there_not_by_who_asks() {
        let (one, mut other) = (fixture::bucket(), fixture::bucket());
        other.credentials_ref.name = "another".into();
        other.endpoint += "/";
        assert!(Place::Bucket(&one).is_same(&Place::Bucket(&other)));
        other.prefix = "pay/other".into();
        assert!(!Place::Bucket(&one).is_same(&Place::Bucket(&other)));
        let volume = Place::of(&BackupVolume::default(), None, "main");
        assert!(
            volume.is_same(&Place::Volume("main-backups".into())) && !volume.is_same(&Place::Bucket(&one))
        );
        assert_eq!(volume.flags(), ["--folder=/copies"]);
    }
}
