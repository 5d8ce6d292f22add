//! The end of a login that engines no longer use: one Job per change of logins, made when every engine uses the new one.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Api;
use payplane_crds::Platform;

use super::{
    Names,
    build::container::{mount, resources, secret_volume, security},
    credentials::Made,
};
use crate::{
    api, apply,
    context::{Context, Settings},
    error::Error,
    job,
    meta::{labels, owned},
};

/// Component label of the Job.
const COMPONENT: &str = "retire-login";
/// The engine's user.
const USER: i64 = 65532;
const OWNER_DIR: &str = "/etc/payplane/database-owner";

/// How far a change of logins is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// The first login, which was never changed.
    #[default]
    Never,
    /// Engines of the login before are still there.
    Replacing,
    /// The login before is being ended.
    Retiring,
    /// Ending the login before failed; its Job tells why.
    Failed,
    /// The login before is gone.
    Done,
}

/// Ends the login of before, once `replaced` says that no engine uses it any more.
///
/// # Errors
/// When the API server does not accept the Job.
pub async fn retire(
    platform: &Platform,
    context: &Context,
    names: &Names,
    made: &Made,
    replaced: bool,
) -> Result<Rotation, Error> {
    let Some(login) = &made.former_login else { return Ok(Rotation::Never) };
    if !replaced {
        return Ok(Rotation::Replacing);
    }
    let jobs = Api::<Job>::namespaced(context.client.clone(), &names.namespace);
    let name = names.retire(made.rotation);
    match api::call("read a Job", jobs.get_opt(&name)).await? {
        Some(job) => Ok(how(&job)),
        None => {
            apply::create(&context.client, &job(platform, &context.settings, names, made, login)).await?;
            Ok(Rotation::Retiring)
        }
    }
}

fn how(job: &Job) -> Rotation {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |type_: &str| conditions.iter().any(|one| one.type_ == type_ && one.status == "True");
    match (is("Complete"), is("Failed")) {
        (true, _) => Rotation::Done,
        (false, true) => Rotation::Failed,
        (false, false) => Rotation::Retiring,
    }
}

/// Pure. Kept after its end: it says that this was done.
fn job(platform: &Platform, settings: &Settings, names: &Names, made: &Made, login: &str) -> Job {
    let spec = &platform.spec.engine;
    let args = ["retire-login", "--owner-database-dir", OWNER_DIR, "--login", login];
    let labels = labels(&names.platform, COMPONENT);
    Job {
        metadata: owned(platform, names.retire(made.rotation), COMPONENT),
        spec: Some(JobSpec {
            backoff_limit: Some(6),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(PodSpec {
                    containers: vec![Container {
                        name: COMPONENT.into(),
                        command: Some(vec!["payplane-engine".into()]),
                        args: Some(args.map(String::from).to_vec()),
                        image: Some(spec.image.clone().unwrap_or_else(|| settings.engine_image.clone())),
                        image_pull_policy: Some("IfNotPresent".into()),
                        resources: Some(resources(&spec.resources, "100m", "64Mi")),
                        security_context: Some(security()),
                        volume_mounts: Some(vec![mount("database-owner", OWNER_DIR, true)]),
                        ..Container::default()
                    }],
                    volumes: Some(vec![secret_volume("database-owner", made.owner_secret.clone())]),
                    ..job::pod(USER)
                }),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::build::fixture, *};

    #[test]
    fn the_job_names_the_login_of_before_and_the_change_that_it_is_for() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        let made = Made { rotation: 3, ..fixture::made() };
        let job = job(&platform, &fixture::settings(), &fixture::names(), &made, "payplane_app");
        assert_eq!(job.metadata.name.as_deref(), Some("main-retire-login-3"));
        let pod = job.spec.unwrap().template.spec.unwrap();
        let args = pod.containers[0].args.clone().unwrap();
        assert_eq!(args.last().map(String::as_str), Some("payplane_app"));
        assert_eq!(pod.containers[0].image.as_deref(), Some("engine:1"), "the engine knows how");
    }

    #[test]
    fn a_job_tells_how_far_it_is() {
        let job = |condition: Option<&str>| -> Job {
            let conditions: Vec<_> =
                condition.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
            serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap()
        };
        assert_eq!(how(&job(None)), Rotation::Retiring);
        assert_eq!(how(&job(Some("Complete"))), Rotation::Done);
        assert_eq!(how(&job(Some("Failed"))), Rotation::Failed);
    }
}
