//! The end of a login that engines no longer use: one Job per change of logins, made when every engine uses the new one. The same
//! Job gives the database's owner its next password, which is its only one as soon as the Job has succeeded. Until then both
//! are in the owner's Secret, and the engine's program tries the second where the first is refused; so a crash anywhere in
//! between shuts nobody out.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, ResourceExt};
use payplane_crds::Platform;

use super::{
    Names,
    build::{
        container::{mount, secret_volume},
        program::{self, OWNER_DIR, USER},
    },
    credentials::{self, Made},
};
use crate::{
    api, apply,
    context::{Context, Settings},
    error::Error,
    job::{self, End},
    meta::{OWNER_PASSWORD, labels, owned},
};

/// Component label of the Job.
pub const COMPONENT: &str = "retire-login";

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
    (made, owner): (&Made, Option<&Secret>),
    replaced: bool,
) -> Result<Rotation, Error> {
    let Some(login) = &made.former_login else { return Ok(Rotation::Never) };
    if !replaced {
        return Ok(Rotation::Replacing);
    }
    let jobs = Api::<Job>::namespaced(context.client.clone(), &names.namespace);
    let name = names.retire(made.rotation);
    match api::call("read a Job", jobs.get_opt(&name)).await? {
        Some(job) => match (how(&job), &made.owner_password, owner) {
            (Rotation::Done, Some(next), Some(owner)) => match sets(&job, next) {
                true => credentials::promote(platform, context, names, (made, owner))
                    .await
                    .map(|()| Rotation::Done),
                // It began before there was one. Another Job does all of it again.
                false => Ok(Rotation::Failed),
            },
            (how, _, _) => Ok(how),
        },
        None => {
            apply::create(&context.client, &job(platform, &context.settings, names, made, login)).await?;
            Ok(Rotation::Retiring)
        }
    }
}

/// Whether the Job gave the owner this next password.
fn sets(job: &Job, next: &str) -> bool {
    job.annotations().get(OWNER_PASSWORD).is_some_and(|hash| hash == next)
}

fn how(job: &Job) -> Rotation {
    match job::end(job, None) {
        End::Open => Rotation::Retiring,
        End::Succeeded => Rotation::Done,
        End::Failed(_) => Rotation::Failed,
    }
}

/// Pure. Kept after its end: it says that this was done.
fn job(platform: &Platform, settings: &Settings, names: &Names, made: &Made, login: &str) -> Job {
    let args = ["retire-login", "--owner-database-dir", OWNER_DIR, "--login", login];
    let labels = labels(&names.platform, COMPONENT);
    let owner = made.owner_password.iter().map(|hash| (OWNER_PASSWORD.to_owned(), hash.clone()));
    Job {
        metadata: ObjectMeta {
            annotations: Some(owner.collect()),
            ..owned(platform, names.retire(made.rotation), COMPONENT)
        },
        spec: Some(JobSpec {
            backoff_limit: Some(6),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(PodSpec {
                    containers: vec![Container {
                        name: COMPONENT.into(),
                        args: Some(args.map(String::from).to_vec()),
                        volume_mounts: Some(vec![mount("database-owner", OWNER_DIR, true)]),
                        ..program::container(platform, settings)
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
        let made = Made { rotation: 3, owner_password: Some("h1".into()), ..fixture::made() };
        let job = job(&platform, &fixture::settings(), &fixture::names(), &made, "payplane_app");
        assert_eq!(job.metadata.name.as_deref(), Some("main-retire-login-3"));
        assert!(sets(&job, "h1") && !sets(&job, "h2"), "only what a Job has set becomes the password");
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
