//! Why the log of a managed database is not stored, where a container of its pod stores it: in a bucket, or sealed. That one
//! tells it over the network of pods, as engines tell their metrics; one that gives no answer leaves the reason open. Where the
//! server's own script stores the log, plain and in a volume, the reason stands in the server's log alone.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use payplane_crds::{
    Platform,
    condition::reason::{ARCHIVE_BEHIND, WRONG_KEY},
};

use crate::{
    api,
    context::Context,
    error::Error,
    meta,
    platform::{
        POSTGRES, TROUBLE_PORT,
        foreign::{self, cloudnative_pg::Cluster},
        tells_trouble,
    },
    scrape, sealed,
};

/// Words that are passed on, at most.
const WORDS_MAX: usize = 600;

/// Why the last segment was not stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// As a condition says it.
    pub reason: &'static str,
    /// In the words of whoever tried, with the way out.
    pub words: String,
}

/// Asks the container that stores the log.
///
/// # Errors
/// When the API server gives no answer.
pub async fn read(context: &Context, platform: &Platform) -> Result<Option<Trouble>, Error> {
    let postgres = platform.spec.postgres.managed.as_ref();
    if !postgres.and_then(|postgres| postgres.archive.as_ref()).is_some_and(tells_trouble) {
        return Ok(None);
    }
    let namespace = platform.namespace().unwrap_or_default();
    let ours = meta::selector(&platform.name_any(), POSTGRES).into_iter().collect();
    let list = ListParams::default().labels_from(&ours).limit(1);
    let pods = Api::<Pod>::namespaced(context.client.clone(), &namespace);
    let found = api::call("list the database's pods", pods.list(&list)).await?;
    let address = found.items.first().and_then(|pod| scrape::at(pod, TROUBLE_PORT));
    let Some(address) = address else { return Ok(None) };
    Ok(scrape::get(address, "/trouble").await.as_deref().and_then(parse))
}

/// What CloudNativePG says of it, where it runs the database. Pure.
pub fn told(cluster: &Cluster) -> Option<Trouble> {
    let conditions = &cluster.status.as_ref()?.conditions;
    let archiving = foreign::told(conditions, "ContinuousArchiving").filter(|one| one.status == "False")?;
    let words = archiving.message.as_deref().unwrap_or_default().chars().take(WORDS_MAX).collect();
    Some(Trouble { reason: ARCHIVE_BEHIND, words })
}

/// `CODE WORDS`; nothing where nothing is the matter.
fn parse(text: &str) -> Option<Trouble> {
    let (code, words) = text.trim().split_once(' ')?;
    let mut words: String = words.chars().take(WORDS_MAX).collect();
    let reason = sealed::reason(code.parse().ok()?).unwrap_or(ARCHIVE_BEHIND);
    if reason == WRONG_KEY {
        words.push_str("; put the key into the Secret that archive.encryption of the Platform names");
    }
    Some(Trouble { reason, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudnative_pg_tells_of_the_log_is_passed_on() {
        let cluster = |status: &str| -> Cluster {
            let told = serde_json::json!({"conditions": [
                {"type": "Ready", "status": "True", "message": "Cluster is Ready"},
                {"type": "ContinuousArchiving", "status": status, "message": "unexpected failure: exit status 4"},
            ]});
            serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {}, "status": told})).unwrap()
        };
        assert_eq!(told(&cluster("True")), None);
        let words = "unexpected failure: exit status 4".to_owned();
        assert_eq!(told(&cluster("False")), Some(Trouble { reason: ARCHIVE_BEHIND, words }));
    }

    #[test]
    fn what_the_container_tells_is_a_reason_and_its_words() {
        let full = "write \"/copies/wal\": No space left on device (os error 28)";
        for (told, expected) in [
            (String::new(), None),
            ("\n".into(), None),
            ("nonsense".into(), None),
            ("no code".into(), None),
            ("3 no key".into(), Some(("WrongKey", "no key; put the key into"))),
            (
                "5 there is no such bucket: create it".into(),
                Some(("BucketNotFound", "there is no such bucket: create it")),
            ),
            ("6 the server refuses it".into(), Some(("BucketRefused", "the server refuses it"))),
            ("7 no whole answer came\n".into(), Some(("BucketUnreachable", "no whole answer came"))),
            (format!("1 {full}"), Some(("ArchiveBehind", full))),
        ] {
            let found = parse(&told);
            assert_eq!(
                found.as_ref().map(|found| found.reason),
                expected.map(|(reason, _)| reason),
                "{told}"
            );
            if let (Some(found), Some((_, words))) = (found, expected) {
                assert!(found.words.starts_with(words), "{found:?}");
            }
        }
        assert_eq!(parse(&format!("1 {}", "x".repeat(9000))).unwrap().words.len(), WORDS_MAX);
    }
}
