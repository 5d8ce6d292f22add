//! What a Platform says of its Redis. Pure. It never keeps a Platform from being Ready: engines work without it.

use k8s_openapi::api::apps::v1::Deployment;
use payplane_crds::condition::{
    REDIS_READY,
    reason::{AS_SPECIFIED, PROGRESSING, SECRET_NOT_FOUND},
};

use crate::{
    condition::Conditions,
    platform::{foreign::redis_operator::RedisReplication, validate::Refused},
};

/// What is known about Redis.
#[derive(Clone, Debug, Default)]
pub enum RedisSeen {
    /// The Platform asks for none.
    #[default]
    None,
    /// The Deployment of the one that we run.
    Managed(Box<Deployment>),
    /// What the other operator says of the one that it runs.
    Operated(Box<RedisReplication>),
    /// Why there is none that another operator runs.
    Refused(Refused),
    /// Somebody else runs it; its Secret is complete.
    External,
    /// Somebody else runs it; this is what its Secret lacks.
    Incomplete(String),
}

/// Adds the condition, if there is something to tell.
pub fn report<'a>(conditions: Conditions<'a>, seen: &RedisSeen) -> Conditions<'a> {
    const WITHOUT: &str = "Engines go on without it: rates hold for each engine, and nothing is remembered.";
    let set = |status, reason, message: &str| (status, reason, message.to_owned());
    let (status, reason, message) = match seen {
        RedisSeen::None => return conditions,
        RedisSeen::Managed(deployment) if answers(deployment) => set("True", AS_SPECIFIED, "Redis answers."),
        RedisSeen::Managed(_) => set("False", PROGRESSING, &format!("Redis does not answer yet. {WITHOUT}")),
        RedisSeen::Operated(live) => match primary(live) {
            Some(primary) => set("True", AS_SPECIFIED, &format!("Redis answers; the primary is {primary}.")),
            None => {
                let message =
                    "The Redis operator says of no server yet that it is the primary and has a replica.";
                set("False", PROGRESSING, &format!("{message} {WITHOUT}"))
            }
        },
        RedisSeen::Refused(refused) => {
            set("False", refused.reason, &format!("{} {WITHOUT}", refused.message))
        }
        RedisSeen::External => {
            let message = "Somebody else runs Redis; engines use it while it answers, and tell by the metric \
                           payplane_engine_redis_up.";
            set("Unknown", AS_SPECIFIED, message)
        }
        RedisSeen::Incomplete(missing) => set("False", SECRET_NOT_FOUND, &format!("{missing} {WITHOUT}")),
    };
    conditions.set(REDIS_READY, status, reason, &message)
}

/// The pod that is written to.
fn primary(live: &RedisReplication) -> Option<&str> {
    let status = live.status.as_ref()?;
    Some(status.master_node.as_str()).filter(|primary| !primary.is_empty())
}

fn answers(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) >= 1
}
