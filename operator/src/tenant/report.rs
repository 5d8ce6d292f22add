//! From what was answered to a Tenant's status. Pure.

use jiff::Timestamp;
use payplane_crds::{
    Tenant, TenantStatus,
    condition::{
        API_KEYS_CURRENT, OFFBOARDING, READY, SUSPENDED,
        reason::{
            AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, NAMESPACE_CLAIMED, NOT_SUSPENDED, PLATFORM_NOT_READY,
            PROGRESSING, TENANT_SUSPENDED,
        },
    },
};

use super::{Answer, keys, leave::Stay};
use crate::{
    condition::{Conditions, find, is_true},
    engine::EngineError,
    status::Reported,
};

/// The status that tells this answer, and of a deleted Tenant what it waits for.
///
/// Without `told` nothing new is known about keys.
pub fn report(
    tenant: &Tenant,
    answer: &Answer,
    told: Option<&keys::Told>,
    stay: Option<&Stay>,
    now: Timestamp,
) -> TenantStatus {
    let mut status = answered(tenant, answer, now);
    if let Some(told) = told {
        status.api_keys.clone_from(&told.keys);
        status.conditions.retain(|condition| condition.type_ != API_KEYS_CURRENT);
        status.conditions.extend(keys::conditions(tenant, told, now));
    }
    status.conditions.retain(|condition| condition.type_ != OFFBOARDING);
    if let Some(Stay::For { reason, message }) = stay {
        let offboarding = Conditions::new(tenant.current(), tenant.metadata.generation, now);
        status.conditions.extend(offboarding.set(OFFBOARDING, "True", reason, message).into_vec());
    }
    status
}

fn answered(tenant: &Tenant, answer: &Answer, now: Timestamp) -> TenantStatus {
    if keeps_working(tenant, answer) {
        return tenant.status.clone().unwrap_or_default();
    }
    let conditions = Conditions::new(tenant.current(), tenant.metadata.generation, now);
    let conditions = match answer {
        Answer::Registered(_) => conditions.ready(AS_SPECIFIED, "The engine knows this tenant."),
        Answer::NoPlatform(message) | Answer::NoEngine(message) => {
            conditions.waiting(PLATFORM_NOT_READY, message)
        }
        Answer::Refused(refused) if refused.reason == PROGRESSING => {
            conditions.waiting(refused.reason, &refused.message)
        }
        Answer::Refused(refused) => conditions.stalled(refused.reason, &refused.message),
        Answer::Failed(error @ EngineError::Invalid { .. }) => conditions.stalled(INVALID, &error.advice()),
        Answer::Failed(error @ EngineError::Taken { .. }) => {
            conditions.stalled(NAMESPACE_CLAIMED, &error.advice())
        }
        Answer::Failed(error) => conditions.waiting(ENGINE_UNAVAILABLE, &error.advice()),
    };
    let mut conditions = match answer {
        Answer::Registered(_) => suspension(tenant, conditions).into_vec(),
        // What the ledger was told last.
        _ => {
            let mut conditions = conditions.into_vec();
            conditions.extend(find(tenant.current(), SUSPENDED).cloned());
            conditions
        }
    };
    conditions.extend(find(tenant.current(), API_KEYS_CURRENT).cloned());
    TenantStatus {
        tenant_id: id(tenant, answer),
        observed_generation: tenant.metadata.generation,
        api_keys: tenant.status.as_ref().map(|status| status.api_keys.clone()).unwrap_or_default(),
        conditions,
    }
}

fn suspension<'a>(tenant: &Tenant, conditions: Conditions<'a>) -> Conditions<'a> {
    if tenant.spec.suspend {
        let message = "Nothing new can be paid from the tenant's wallets. To resume, take spec.suspend away.";
        conditions.set(SUSPENDED, "True", TENANT_SUSPENDED, message)
    } else {
        conditions.set(SUSPENDED, "False", NOT_SUSPENDED, "The tenant's wallets can pay.")
    }
}

/// A registered tenant stays registered while the engine is away: its wallets and payments find out by themselves
/// whether the engine answers, and need not wait for the Tenant to be looked at again.
fn keeps_working(tenant: &Tenant, answer: &Answer) -> bool {
    let transient = match answer {
        Answer::Failed(error) => !matches!(error, EngineError::Invalid { .. } | EngineError::Taken { .. }),
        Answer::NoEngine(_) => true,
        Answer::NoPlatform(_) | Answer::Refused(_) | Answer::Registered(_) => false,
    };
    let current = tenant.status.as_ref().and_then(|status| status.observed_generation);
    transient && is_true(tenant.current(), READY) && current == tenant.metadata.generation
}

/// The ledger never forgets a tenant, so neither does the status.
fn id(tenant: &Tenant, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Registered(id) => Some(id.clone()),
        _ => tenant.status.as_ref().and_then(|status| status.tenant_id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use payplane_crds::condition::{RECONCILING, STALLED};
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::tenant::Refused;

    fn tenant() -> Tenant {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": "me", "generation": 1},
            "spec": {"platformRef": {"namespace": "p", "name": "p"}, "namespaces": [{"name": "shop"}]},
        }))
        .unwrap()
    }

    fn refused(reason: &'static str) -> Answer {
        Answer::Refused(Refused { reason, message: "no".into() })
    }

    fn unavailable() -> Answer {
        Answer::Failed(EngineError::Unavailable { code: Code::Unavailable, message: String::new() })
    }

    /// Ready, Reconciling and Stalled as T or F, and Ready's reason.
    fn told(status: &TenantStatus) -> (String, String) {
        let letters =
            [READY, RECONCILING, STALLED].map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
        (letters.concat(), find(&status.conditions, READY).unwrap().reason.clone())
    }

    #[test]
    fn every_answer_has_its_conditions() {
        let invalid = EngineError::Invalid { field: "settlement[0]".into(), message: "bad".into() };
        let cases = [
            (Answer::Registered("id".into()), "TFF", "AsSpecified"),
            (Answer::NoPlatform("none".into()), "FTF", "PlatformNotReady"),
            (Answer::NoEngine("none".into()), "FTF", "PlatformNotReady"),
            (refused("NamespaceExists"), "FFT", "NamespaceExists"),
            (refused("NamespaceClaimed"), "FFT", "NamespaceClaimed"),
            (refused("Progressing"), "FTF", "Progressing"),
            (Answer::Failed(invalid), "FFT", "Invalid"),
            (Answer::Failed(EngineError::Taken { message: "x".into() }), "FFT", "NamespaceClaimed"),
            (unavailable(), "FTF", "EngineUnavailable"),
        ];
        for (answer, letters, reason) in cases {
            let status = report(&tenant(), &answer, None, None, Timestamp::UNIX_EPOCH);
            assert_eq!(told(&status), (letters.into(), reason.into()), "{answer:?}");
        }
    }

    #[test]
    fn an_outage_changes_nothing_about_a_registered_tenant_until_its_spec_changes() {
        let mut object = tenant();
        object.status =
            Some(report(&object, &Answer::Registered("id".into()), None, None, Timestamp::UNIX_EPOCH));
        for answer in [unavailable(), Answer::NoEngine("starting".into())] {
            assert_eq!(object.status, Some(report(&object, &answer, None, None, Timestamp::UNIX_EPOCH)));
        }
        let gone = report(&object, &Answer::NoPlatform("gone".into()), None, None, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&gone).1, "PlatformNotReady");
        object.metadata.generation = Some(2);
        let status = report(&object, &unavailable(), None, None, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&status).1, "EngineUnavailable");
        assert_eq!(status.tenant_id.as_deref(), Some("id"));
    }

    #[test]
    fn suspension_is_what_the_ledger_was_told_last() {
        let mut object = tenant();
        let registered = || Answer::Registered("id".into());
        let status =
            |object: &Tenant, answer: &Answer| report(object, answer, None, None, Timestamp::UNIX_EPOCH);
        let suspended =
            |status: &TenantStatus| find(&status.conditions, SUSPENDED).map(|one| one.status.clone());
        assert_eq!(suspended(&status(&object, &Answer::NoPlatform("gone".into()))), None);
        object.status = Some(status(&object, &registered()));
        assert_eq!(suspended(object.status.as_ref().unwrap()).as_deref(), Some("False"));
        object.spec.suspend = true;
        object.metadata.generation = Some(2);
        assert_eq!(suspended(&status(&object, &unavailable())).as_deref(), Some("False"), "not told yet");
        let told = status(&object, &registered());
        assert_eq!(suspended(&told).as_deref(), Some("True"));
        assert_eq!(super::tests::told(&told).0, "TFF", "it is as the spec wants it");
    }

    #[test]
    fn a_deleted_tenant_says_what_it_waits_for() {
        let stay = Stay::For { reason: "NotEmpty", message: "1 account".into() };
        let mut object = tenant();
        object.status =
            Some(report(&object, &Answer::Registered("id".into()), None, Some(&stay), Timestamp::UNIX_EPOCH));
        let kept = report(&object, &unavailable(), None, Some(&stay), Timestamp::UNIX_EPOCH);
        assert_eq!(kept.conditions.iter().filter(|one| one.type_ == OFFBOARDING).count(), 1);
        assert_eq!(find(&kept.conditions, OFFBOARDING).unwrap().reason, "NotEmpty");
        assert_eq!(told(&kept).0, "TFF", "it works until it goes");
    }
}
