//! What became of the custom resources, from the two steps that copy them. Pure.
//!
//! They count as copied when the step that keeps them says so; whatever else there is, or is not, means that they are not.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use payplane_crds::{
    backup::CopiedObjects,
    condition::reason::{COMPLETED, OBJECTS_NOT_COPIED, SERVICE_ACCOUNT_NOT_FOUND},
};
use serde::Deserialize;

use crate::{backup::build::objects::LIST, job, objects::Said, sealed::KEEP};

/// How it is told.
pub struct Copied {
    /// What is there.
    pub objects: Option<CopiedObjects>,
    /// Of the condition.
    pub status: &'static str,
    /// Of the condition.
    pub reason: String,
    /// Of the condition.
    pub message: String,
}

/// What the step says at its end that keeps them.
#[derive(Deserialize)]
struct Kept {
    objects: i64,
    bytes: i64,
    sha256: String,
}

/// What became of them.
pub fn of(job: &Job, pod: Option<&Pod>) -> Copied {
    if let Some(Kept { objects: count, bytes, sha256 }) = job::said(pod, KEEP) {
        let message = format!("{count} objects are kept with it.");
        let objects = Some(CopiedObjects { count, bytes, sha256 });
        return Copied { objects, status: "True", reason: COMPLETED.into(), message };
    }
    let (reason, why) = why_not(job, pod);
    let message = format!("The objects are not kept with it: {why}");
    Copied { objects: None, status: "False", reason, message }
}

fn why_not(job: &Job, pod: Option<&Pod>) -> (String, String) {
    if !lists(job) {
        let why = "there was no ServiceAccount that may list them. The chart makes one in each namespace of Platforms: upgrade \
                   the chart.";
        return (SERVICE_ACCOUNT_NOT_FOUND.into(), why.into());
    }
    match job::said::<Said>(pod, LIST) {
        Some(Said { reason: Some(reason), message: Some(message), .. }) => (reason, message),
        _ => (OBJECTS_NOT_COPIED.into(), "no step says that they are.".into()),
    }
}

/// Whether the Job was made with the steps that copy them.
fn lists(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let steps = pod.and_then(|pod| pod.init_containers.as_ref()).into_iter().flatten();
    steps.into_iter().any(|step| step.name == LIST)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(has_steps: bool, list: Value, keep: Value) -> (Option<i64>, &'static str, String, String) {
        let steps = if has_steps { json!([{"name": "list-objects"}]) } else { json!([{"name": "copy"}]) };
        let job = json!({"spec": {"template": {"spec": {"containers": [], "initContainers": steps}}}});
        let ended = |name: &str, said: &Value| {
            json!({
                "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "message": said.to_string()}},
            })
        };
        let states = [ended("list-objects", &list), ended("keep-objects", &keep)];
        let pod = json!({"status": {"initContainerStatuses": states}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let copied = of(&serde_json::from_value(job).unwrap(), Some(&pod));
        (copied.objects.map(|objects| objects.count), copied.status, copied.reason, copied.message)
    }

    #[test]
    fn they_are_there_when_they_were_kept_and_otherwise_somebody_says_why_not() {
        let kept = json!({"objects": 7, "bytes": 900, "sha256": "ab"});
        let forbidden = json!({"reason": "ObjectsForbidden", "message": "payments is forbidden"});
        let cases = [
            (true, json!({"objects": 7}), kept, Some(7), "True", "Completed", "7 objects"),
            (true, forbidden, json!(""), None, "False", "ObjectsForbidden", "payments is forbidden"),
            // Written, and not kept: it is not said that they are there.
            (true, json!({"objects": 7}), json!(""), None, "False", "ObjectsNotCopied", "no step says"),
            (true, json!(""), json!({}), None, "False", "ObjectsNotCopied", "no step says"),
            (false, json!(""), json!(""), None, "False", "ServiceAccountNotFound", "upgrade the chart"),
        ];
        for (has_steps, list, keep, count, status, reason, words) in cases {
            let what = format!("{has_steps} {list} {keep}");
            let told = told(has_steps, list, keep);
            assert_eq!((told.0, told.1, &*told.2), (count, status, reason), "{what}");
            assert!(told.3.contains(words), "{what}: {}", told.3);
        }
        assert_eq!(of(&Job::default(), None).status, "False");
    }
}
