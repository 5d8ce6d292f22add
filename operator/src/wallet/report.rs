//! From what the ledger answered to a Wallet's status. Pure.
//!
//! A wallet that was Ready keeps its id and its last known balance while the engine is away, and stays Ready: the
//! ledger forgets no wallet, and payments that name it find out by themselves whether the engine answers. A wallet whose
//! terms cannot be changed is Ready, because it can be paid from and to, and Stalled.

use jiff::Timestamp;
use payplane_crds::{
    Wallet, WalletStatus,
    condition::{
        OFFBOARDING, READY, RECONCILING, STALLED,
        reason::{AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, NO_TENANT},
    },
};

use super::{Answer, leave::Stay};
use crate::{
    condition::{Conditions, is_true},
    engine::{self, EngineError, Refusal},
    status::Reported,
};

/// The status that tells this answer, and of a deleted Wallet what it waits for.
pub fn report(wallet: &Wallet, answer: &Answer, stay: Option<&Stay>, now: Timestamp) -> WalletStatus {
    let mut status = answered(wallet, answer, now);
    status.conditions.retain(|condition| condition.type_ != OFFBOARDING);
    if let Some(Stay::For { reason, message }) = stay {
        let offboarding = Conditions::new(wallet.current(), wallet.metadata.generation, now);
        status.conditions.extend(offboarding.set(OFFBOARDING, "True", reason, message).into_vec());
    }
    status
}

fn answered(wallet: &Wallet, answer: &Answer, now: Timestamp) -> WalletStatus {
    let conditions = Conditions::new(wallet.current(), wallet.metadata.generation, now);
    match answer {
        Answer::Made(made) => {
            holds(wallet, made, conditions.ready(AS_SPECIFIED, "The ledger has this wallet."))
        }
        Answer::Unchanged(made, refusal) => holds(wallet, made, unchanged(refusal, conditions)),
        Answer::NoEngine | Answer::Failed(_) if was_ready(wallet) && !is_invalid(answer) => {
            wallet.status.clone().unwrap_or_default()
        }
        Answer::NoTenant => {
            keeps(wallet, conditions.waiting(NO_TENANT, "The namespace belongs to no Tenant that is Ready."))
        }
        Answer::NoEngine => {
            let message = "The Tenant's Platform has no engine yet.";
            keeps(wallet, conditions.waiting(ENGINE_UNAVAILABLE, message))
        }
        Answer::Refused(refusal) => {
            let message = format!("{}: {}", refusal.field, refusal.message);
            keeps(wallet, conditions.stalled(refusal.reason, &message))
        }
        Answer::Failed(error @ EngineError::Invalid { .. }) => {
            keeps(wallet, conditions.stalled(INVALID, &error.advice()))
        }
        Answer::Failed(error) => keeps(wallet, conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
    }
}

fn holds(wallet: &Wallet, made: &engine::Wallet, conditions: Conditions) -> WalletStatus {
    let engine::Wallet { id, name: _, posted, pending, available, version, terms } = made;
    WalletStatus {
        wallet_id: Some(id.clone()),
        posted: Some(posted.clone()),
        pending: Some(pending.clone()),
        available: Some(available.clone()),
        state: Some(terms.state),
        version: Some(*version),
        observed_generation: wallet.metadata.generation,
        conditions: conditions.into_vec(),
    }
}

/// The wallet is there and takes part in payments; only what the spec wants of it cannot be.
fn unchanged<'a>(refusal: &Refusal, conditions: Conditions<'a>) -> Conditions<'a> {
    let message = format!(
        "The ledger keeps the terms that the wallet has, because of {}: {} Change the spec, or the balance: then it is \
         tried again.",
        refusal.field, refusal.message
    );
    let reason = refusal.reason;
    conditions
        .set(READY, "True", reason, &message)
        .set(RECONCILING, "False", reason, &message)
        .set(STALLED, "True", reason, &message)
}

/// What the ledger said last stays true until it says something else.
fn keeps(wallet: &Wallet, conditions: Conditions) -> WalletStatus {
    WalletStatus {
        observed_generation: wallet.metadata.generation,
        conditions: conditions.into_vec(),
        ..wallet.status.clone().unwrap_or_default()
    }
}

fn was_ready(wallet: &Wallet) -> bool {
    is_true(wallet.current(), READY)
}

fn is_invalid(answer: &Answer) -> bool {
    matches!(answer, Answer::Failed(EngineError::Invalid { .. }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::{condition::find, wallet::plan::tests::found};

    fn wallet() -> Wallet {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Wallet",
            "metadata": {"name": "a", "namespace": "shop", "generation": 1},
            "spec": {"currency": "USD"},
        }))
        .unwrap()
    }

    fn made(version: i64) -> Answer {
        Answer::Made(engine::Wallet { version, ..found() })
    }

    fn unavailable() -> Answer {
        Answer::Failed(EngineError::Unavailable { code: Code::Unavailable, message: String::new() })
    }

    fn conflict() -> Answer {
        Answer::Refused(Refusal {
            reason: "IdempotencyConflict",
            field: "currency".into(),
            message: "differs".into(),
            definitive: false,
        })
    }

    fn unchanged() -> Answer {
        let refusal = Refusal {
            reason: "InsufficientFunds",
            field: "minimum".into(),
            message: "Too little.".into(),
            definitive: true,
        };
        Answer::Unchanged(found(), refusal)
    }

    fn invalid() -> Answer {
        Answer::Failed(EngineError::Invalid { field: "currency".into(), message: "is unknown".into() })
    }

    /// Ready, Reconciling and Stalled as T or F, and Ready's reason.
    fn told(status: &WalletStatus) -> (String, String) {
        let letters =
            [READY, RECONCILING, STALLED].map(|type_| &find(&status.conditions, type_).unwrap().status[..1]);
        (letters.concat(), find(&status.conditions, READY).unwrap().reason.clone())
    }

    #[test]
    fn every_answer_has_its_conditions() {
        let cases = [
            (Answer::NoTenant, "FTF", "NoTenant"),
            (Answer::NoEngine, "FTF", "EngineUnavailable"),
            (made(1), "TFF", "AsSpecified"),
            (unchanged(), "TFT", "InsufficientFunds"),
            (conflict(), "FFT", "IdempotencyConflict"),
            (invalid(), "FFT", "Invalid"),
            (unavailable(), "FTF", "EngineUnavailable"),
        ];
        for (answer, letters, reason) in cases {
            let status = report(&wallet(), &answer, None, Timestamp::UNIX_EPOCH);
            assert_eq!(told(&status), (letters.into(), reason.into()), "{answer:?}");
        }
    }

    #[test]
    fn a_conflict_names_the_field() {
        let status = report(&wallet(), &conflict(), None, Timestamp::UNIX_EPOCH);
        assert_eq!(find(&status.conditions, STALLED).unwrap().message, "currency: differs");
    }

    #[test]
    fn an_outage_changes_nothing_about_a_wallet_that_was_ready() {
        let mut object = wallet();
        object.status = Some(report(&object, &made(3), None, Timestamp::UNIX_EPOCH));
        for answer in [unavailable(), Answer::NoEngine] {
            let status = report(&object, &answer, None, Timestamp::from_second(9).unwrap());
            assert_eq!(object.status, Some(status), "{answer:?}");
        }
        let status = report(&object, &Answer::NoTenant, None, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&status).0, "FTF", "without a Tenant nobody may use it");
        assert_eq!(status.available.as_deref(), Some("4.00"));
    }

    #[test]
    fn a_deleted_wallet_says_what_it_waits_for_and_nothing_of_it_when_it_waits_no_more() {
        let stay = Stay::For { reason: "NotEmpty", message: "5.00".into() };
        let mut object = wallet();
        object.status = Some(report(&object, &made(1), Some(&stay), Timestamp::UNIX_EPOCH));
        let offboarding = find(object.current(), OFFBOARDING).unwrap();
        assert_eq!((offboarding.status.as_str(), offboarding.reason.as_str()), ("True", "NotEmpty"));
        assert_eq!(told(object.status.as_ref().unwrap()).0, "TFF", "it works until it goes");
        let kept = report(&object, &Answer::NoEngine, Some(&stay), Timestamp::UNIX_EPOCH);
        assert_eq!(kept.conditions.iter().filter(|one| one.type_ == OFFBOARDING).count(), 1);
        assert!(
            find(&report(&object, &made(1), None, Timestamp::UNIX_EPOCH).conditions, OFFBOARDING).is_none()
        );
    }
}
