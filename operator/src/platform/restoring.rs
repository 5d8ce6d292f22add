//! A Platform whose ledger is being replaced stands still: its engines and its database are stopped, and stay so.
//!
//! The claim of the ledger's volume says so, with a mark that a Restore or a major upgrade wrote there and takes away at its end.
//! There is one mark, so that they never meet. It is read afresh in every look, so no cache can hide it. The StatefulSet gets the
//! same mark in the write that stops it: looks at one Platform never overlap, so whoever sees it there knows that no look of before
//! starts the database again. Pure.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim};
use kube::{Resource, ResourceExt};
use payplane_crds::Platform;

use super::{build::Parts, scaled::Count};
use crate::meta::{RESTORE, RESTORING};

/// What replaces a ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mark {
    /// A Restore.
    Restore {
        /// Its name.
        restore: String,
        /// Its UID.
        uid: String,
    },
    /// A major upgrade of its server.
    Upgrade {
        /// When it began, in milliseconds since 1970: its name.
        began: i64,
        /// Hash of what was asked for.
        asked: String,
    },
}

/// What sets the mark of an upgrade apart: no name of an object has a slash.
const UPGRADE: &str = "upgrade/";

impl Mark {
    /// That of this Restore.
    pub fn of(restore: &payplane_crds::Restore) -> Self {
        Self::Restore { restore: restore.name_any(), uid: restore.uid().unwrap_or_default() }
    }

    /// The one that an object carries.
    pub fn on(object: &impl Resource) -> Option<Self> {
        let (name, of) = object.annotations().get(RESTORING)?.split_once(':')?;
        let began = name.strip_prefix(UPGRADE).and_then(|began| i64::from_str_radix(began, 16).ok());
        Some(match began {
            Some(began) => Self::Upgrade { began, asked: of.into() },
            None => Self::Restore { restore: name.into(), uid: of.into() },
        })
    }

    /// As an annotation has it. Names have no colon.
    pub fn text(&self) -> String {
        match self {
            Self::Restore { restore, uid } => format!("{restore}:{uid}"),
            Self::Upgrade { began, asked } => format!("{UPGRADE}{began:x}:{asked}"),
        }
    }

    /// Who it is, for people.
    pub fn who(&self) -> String {
        match self {
            Self::Restore { restore, .. } => format!("Restore {restore}"),
            Self::Upgrade { .. } => "A major upgrade of PostgreSQL".into(),
        }
    }
}

/// The name of the ledger on a volume, by which somebody consents to replace it: of what filled the volume last.
pub fn ledger(claim: &PersistentVolumeClaim) -> Option<String> {
    claim.annotations().get(RESTORE).cloned().or_else(|| claim.uid())
}

/// The Platform as it is built while it stands still: without engines, whoever counts them otherwise.
pub fn still(platform: &Platform, count: Count, mark: Option<&Mark>) -> (Platform, Count) {
    let mut platform = platform.clone();
    match mark {
        None => (platform, count),
        Some(_) => {
            platform.spec.engine.replicas = 0;
            (platform, Count::Ours)
        }
    }
}

/// What is applied meanwhile: no database either, and the mark.
pub fn stop(mut parts: Parts, mark: Option<&Mark>) -> Parts {
    if let (Some(mark), Some(postgres)) = (mark, &mut parts.postgres) {
        let set = &mut postgres.stateful_set;
        set.metadata.annotations.get_or_insert_default().insert(RESTORING.into(), mark.text());
        if let Some(spec) = &mut set.spec {
            spec.replicas = Some(0);
        }
    }
    parts
}

/// Whether the database was stopped for this Restore, as far as its StatefulSet tells. Its pod may still be there.
pub fn is_stopped(set: &StatefulSet, mark: &Mark) -> bool {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
    let Some(status) = &set.status else { return false };
    Mark::on(set).as_ref() == Some(mark)
        && replicas == Some(0)
        && status.replicas == 0
        && status.observed_generation >= set.metadata.generation
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::platform::build::{self, fixture};

    fn mark() -> Mark {
        Mark::Restore { restore: "back.1".into(), uid: "r-1".into() }
    }

    fn claim(annotations: Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({"metadata": {"uid": "c-1", "annotations": annotations}})).unwrap()
    }

    #[test]
    fn a_ledger_is_named_by_what_filled_its_volume_last() {
        assert_eq!(ledger(&claim(json!({}))).as_deref(), Some("c-1"));
        assert_eq!(ledger(&claim(json!({"payplane.io/restore": "r-9"}))).as_deref(), Some("r-9"));
        assert_eq!(Mark::on(&claim(json!({RESTORING: mark().text()}))), Some(mark()));
        let upgrade = Mark::Upgrade { began: 1_795_351_234_567, asked: "h".into() };
        assert_eq!(Mark::on(&claim(json!({RESTORING: upgrade.text()}))), Some(upgrade));
        assert_eq!(Mark::on(&claim(json!({}))), None);
    }

    #[test]
    fn what_stands_still_has_neither_engines_nor_a_database() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "engine": {"replicas": 3}}));
        let theirs = Count::Theirs { replicas: 3, is_held: true };
        assert_eq!(still(&platform, theirs, None), (platform.clone(), theirs));
        let built = |mark: Option<&Mark>| {
            let (platform, count) = still(&platform, theirs, mark);
            let parts = build::parts(&platform, &fixture::settings(), &fixture::names(), &fixture::made());
            let parts = crate::platform::scaled::leave_out(stop(parts, mark), count);
            let set = parts.postgres.unwrap().stateful_set;
            let engines = parts.engine.deployment.spec.unwrap().replicas;
            ((engines, set.spec.clone().unwrap().replicas), Mark::on(&set))
        };
        assert_eq!(built(None), ((None, Some(1)), None));
        assert_eq!(built(Some(&mark())), ((Some(0), Some(0)), Some(mark())));
    }

    #[test]
    fn it_is_stopped_when_its_controller_has_seen_that_and_no_pod_is_left() {
        let set = |text: &str, wanted: i32, seen: i64, pods: i32| -> StatefulSet {
            serde_json::from_value(json!({
                "metadata": {"generation": 7, "annotations": {RESTORING: text}},
                "spec": {"replicas": wanted, "selector": {}, "serviceName": "s", "template": {}},
                "status": {"observedGeneration": seen, "replicas": pods},
            }))
            .unwrap()
        };
        for (set, expected) in [
            (set("back.1:r-1", 0, 7, 0), true),
            (set("back.1:r-1", 0, 6, 0), false),
            (set("back.1:r-1", 0, 7, 1), false),
            (set("back.1:r-1", 1, 7, 0), false),
            (set("back.1:r-2", 0, 7, 0), false),
            (set("", 0, 7, 0), false),
        ] {
            assert_eq!(is_stopped(&set, &mark()), expected, "{set:?}");
        }
    }
}
