//! From what the ledger answered to a Wallet's status. Pure.
//!
//! A wallet that was Ready keeps its id and its last known balance while the engine is away, and stays Ready: the
//! ledger forgets no wallet, and payments that name it find out by themselves whether the engine answers.

use jiff::Timestamp;
use payplane_crds::{
    Wallet, WalletStatus,
    condition::{
        READY,
        reason::{AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, NO_TENANT},
    },
};

use super::Answer;
use crate::{
    condition::{Conditions, is_true},
    engine::{self, EngineError},
    status::Reported,
};

/// The status that tells this answer.
pub fn report(wallet: &Wallet, answer: &Answer, now: Timestamp) -> WalletStatus {
    let conditions = Conditions::new(wallet.current(), wallet.metadata.generation, now);
    match answer {
        Answer::Made(made) => holds(wallet, made, conditions),
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
    let engine::Wallet { id, name: _, posted, pending, available, version } = made;
    WalletStatus {
        wallet_id: Some(id.clone()),
        posted: Some(posted.clone()),
        pending: Some(pending.clone()),
        available: Some(available.clone()),
        version: Some(*version),
        observed_generation: wallet.metadata.generation,
        conditions: conditions.ready(AS_SPECIFIED, "The ledger has this wallet.").into_vec(),
    }
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
    use payplane_crds::condition::{RECONCILING, STALLED};
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::{condition::find, engine::Refusal};

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
        Answer::Made(engine::Wallet {
            id: "id".into(),
            name: "shop/a".into(),
            posted: "5.00".into(),
            pending: "1.00".into(),
            available: "4.00".into(),
            version,
        })
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
            (conflict(), "FFT", "IdempotencyConflict"),
            (invalid(), "FFT", "Invalid"),
            (unavailable(), "FTF", "EngineUnavailable"),
        ];
        for (answer, letters, reason) in cases {
            let status = report(&wallet(), &answer, Timestamp::UNIX_EPOCH);
            assert_eq!(told(&status), (letters.into(), reason.into()), "{answer:?}");
        }
    }

    #[test]
    fn a_conflict_names_the_field() {
        let status = report(&wallet(), &conflict(), Timestamp::UNIX_EPOCH);
        assert_eq!(find(&status.conditions, STALLED).unwrap().message, "currency: differs");
    }

    #[test]
    fn an_outage_changes_nothing_about_a_wallet_that_was_ready() {
        let mut object = wallet();
        object.status = Some(report(&object, &made(3), Timestamp::UNIX_EPOCH));
        for answer in [unavailable(), Answer::NoEngine] {
            let status = report(&object, &answer, Timestamp::from_second(9).unwrap());
            assert_eq!(object.status, Some(status), "{answer:?}");
        }
        let status = report(&object, &Answer::NoTenant, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&status).0, "FTF", "without a Tenant nobody may use it");
        assert_eq!(status.available.as_deref(), Some("4.00"));
    }
}
