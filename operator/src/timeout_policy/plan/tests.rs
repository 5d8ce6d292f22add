use payplane_crds::timeout_policy::OverdueAction;
use serde_json::json;

use super::*;
use crate::engine::fixture::engine;

fn here() -> Place {
    Place::Here { engine: engine(), namespace: "shop".into(), scope: Scope::Tenant }
}

/// A policy that was deleted so many seconds after the epoch, if it was.
fn policy(is_marked: bool, deleted: Option<i64>) -> TimeoutPolicy {
    let mut policy: TimeoutPolicy = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "TimeoutPolicy",
        "metadata": {"name": "minute", "namespace": "shop"},
        "spec": {"scope": {"tenant": true}, "timeoutSeconds": 60},
    }))
    .unwrap();
    if is_marked {
        policy.metadata.finalizers = Some(vec![FINALIZER.into()]);
    }
    let at = deleted.map(|second| Timestamp::from_second(second).unwrap());
    policy.metadata.deletion_timestamp = at.map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
    policy
}

fn word(next: &Next) -> &str {
    match next {
        Next::Wait(waiting) => waiting.reason,
        Next::Yield(_) => "yields",
        Next::Mark => "marks",
        Next::Set { .. } => "sets",
        Next::Clear { .. } => "clears",
        Next::Release => "releases",
    }
}

#[tokio::test]
async fn the_parameter_comes_after_the_finalizer_and_goes_before_it() {
    let now = Timestamp::from_second(10_000).unwrap();
    let recent = Some(9_990);
    let rival = || Some("shop/first".to_owned());
    let cases = [
        (policy(false, None), here(), None, "marks"),
        (policy(true, None), here(), None, "sets"),
        (policy(true, None), Place::NoTenant, None, "NoTenant"),
        (policy(true, None), Place::NoPlatform, None, "PlatformNotReady"),
        (policy(true, None), here(), rival(), "yields"),
        (policy(true, recent), here(), None, "clears"),
        // An older one has set its own value.
        (policy(true, recent), here(), rival(), "releases"),
        (policy(true, recent), Place::NoTenant, None, "EngineUnavailable"),
        (policy(true, recent), Place::NoPlatform, None, "EngineUnavailable"),
        // Nobody answered for long: a namespace must not hang.
        (policy(true, Some(9_300)), Place::NoPlatform, None, "releases"),
        (policy(true, Some(9_300)), here(), None, "releases"),
        (policy(false, recent), here(), None, "releases"),
    ];
    for (n, (policy, place, rival, expected)) in cases.into_iter().enumerate() {
        let observed = Observed { place, rival, is_orphan: false };
        assert_eq!(word(&plan(&policy, &observed, now)), expected, "case {n}");
    }
    let nobody = Observed { place: Place::NoTenant, rival: None, is_orphan: true };
    assert_eq!(word(&plan(&policy(true, recent), &nobody, now)), "releases", "nobody is left to ask");
    assert_eq!(word(&plan(&policy(true, None), &nobody, now)), "NoTenant");
}

#[tokio::test]
async fn what_is_set_is_what_the_spec_says() {
    let observed = Observed { place: here(), rival: None, is_orphan: false };
    let next = plan(&policy(true, None), &observed, Timestamp::UNIX_EPOCH);
    // Also the default is written: it counts more than what a less specific scope says.
    let action = Some(OverdueAction::Reverse);
    let limits = HoldLimits { timeout_seconds: Some(60), maximum_seconds: None, action };
    assert_eq!(next, Next::Set { namespace: "shop".into(), scope: Scope::Tenant, limits });
    let mut bounded = policy(true, None);
    bounded.spec.maximum_seconds = Some(90);
    bounded.spec.action = OverdueAction::Alert;
    let Next::Set { limits, .. } = plan(&bounded, &observed, Timestamp::UNIX_EPOCH) else {
        panic!("sets nothing")
    };
    assert_eq!((limits.maximum_seconds, limits.action), (Some(90), Some(OverdueAction::Alert)));
}
