//! How a deleted Wallet goes: when the account is empty, or when nobody can or needs to be asked.

use std::time::Duration;

use kube::{Resource, ResourceExt, runtime::events::EventType};
use payplane_crds::{
    Wallet,
    condition::reason::{ENGINE_UNAVAILABLE, NO_TENANT, NOT_EMPTY, PROGRESSING, WALLET_NOT_EMPTY},
    wallet::{WalletDeletionPolicy, WalletState},
};

use super::{Answer, observe::Observed};
use crate::{
    apply,
    context::Context,
    controllers::Again,
    error::Error,
    meta::{LET_GO, OFFBOARD, is_leaving, may_go},
};

/// How often a deleted Wallet is looked at.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Whether a deleted Wallet stays.
#[derive(Debug, Eq, PartialEq)]
pub enum Stay {
    /// It goes. The note is told where something may stay behind that nobody looked at.
    Go {
        /// For people.
        note: Option<String>,
    },
    /// It stays for now.
    For {
        /// As a condition's reason.
        reason: &'static str,
        /// What it waits for, and the way out.
        message: String,
    },
}

/// What is known before the ledger is asked: None if it has to be. Pure.
pub fn early(wallet: &Wallet, observed: &Observed) -> Option<Stay> {
    if !is_leaving(wallet) {
        return None;
    }
    let go = |note: &str| {
        Some(Stay::Go { note: Some(format!("{note} The ledger keeps the account and its money.")) })
    };
    if wallet.spec.deletion_policy == WalletDeletionPolicy::Retain {
        return Some(Stay::Go { note: None });
    }
    if observed.is_namespace_leaving {
        return go("The namespace is being deleted, so the Wallet goes whatever it holds.");
    }
    if observed.is_orphan {
        return go("The namespace belongs to no Tenant any more, so the Wallet goes whatever it holds.");
    }
    if may_go(wallet) {
        return go("Its annotation lets the Wallet go whatever it holds.");
    }
    None
}

/// What follows from what the ledger said. Pure.
pub fn late(wallet: &Wallet, answer: &Answer) -> Stay {
    let wait = |reason, what: &str| Stay::For {
        reason,
        message: format!(
            "{what} To let the object go at once, and leave the account as it is, annotate it with {LET_GO}=true."
        ),
    };
    match answer {
        // Another wallet has the name: this object never had one.
        Answer::Refused(_) => Stay::Go { note: None },
        Answer::Made(made) if !made.terms.is_empty => wait(
            NOT_EMPTY,
            &format!(
                "It holds {} {}, of which {} is held by pending payments; money may also be held to come. Pay it out, and \
                 end the payments.",
                made.posted, made.terms.currency, made.pending
            ),
        ),
        Answer::Made(made) => {
            let closes = wallet.spec.deletion_policy == WalletDeletionPolicy::Close;
            match closes && made.terms.state != WalletState::Closed {
                true => wait(PROGRESSING, "It is empty and about to be closed."),
                false => Stay::Go { note: None },
            }
        }
        Answer::Unchanged(made, refusal) if made.terms.is_empty && refusal.reason != WALLET_NOT_EMPTY => {
            Stay::Go { note: None }
        }
        Answer::Unchanged(_, refusal) => wait(NOT_EMPTY, &refusal.message),
        Answer::NoTenant => wait(NO_TENANT, "The namespace belongs to no Tenant that is Ready."),
        Answer::NoEngine | Answer::Failed(_) => {
            wait(ENGINE_UNAVAILABLE, "The engine cannot be asked what it holds.")
        }
    }
}

/// Lets the object go. In a namespace that is being deleted no Event can be made, so the Tenant's Events tell it too.
///
/// # Errors
/// When the API server does not accept it.
pub async fn go(wallet: &Wallet, context: &Context, stay: Stay) -> Result<Again, Error> {
    if let Stay::Go { note: Some(note) } = stay {
        let namespace = wallet.namespace().unwrap_or_default();
        let note = format!("Wallet {namespace}/{}: {note}", wallet.name_any());
        let tenant = context.stores.claimants(&namespace).into_iter().next();
        let concerned =
            tenant.map(|tenant| tenant.object_ref(&())).into_iter().chain([wallet.object_ref(&())]);
        for object in concerned {
            context.events.tell(&object, EventType::Warning, "LetGo", note.clone());
        }
    }
    apply::remove_finalizer(&context.client, wallet, OFFBOARD).await?;
    Ok(Again::OnChange)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::observe::Ledger, super::plan::tests::found, *};
    use crate::engine::Refusal;

    fn wallet(policy: &str, annotated: bool) -> Wallet {
        let annotations = if annotated { json!({LET_GO: "true"}) } else { json!({}) };
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Wallet",
            "metadata": {
                "name": "a", "namespace": "shop", "annotations": annotations,
                "deletionTimestamp": "2026-11-21T00:00:00Z", "finalizers": [OFFBOARD],
            },
            "spec": {"currency": "USD", "deletionPolicy": policy},
        }))
        .unwrap()
    }

    fn observed(is_orphan: bool, is_namespace_leaving: bool) -> Observed {
        Observed { ledger: Ledger::NoTenant, is_orphan, is_namespace_leaving }
    }

    #[test]
    fn what_needs_no_ledger_goes_at_once_and_says_what_stays_behind() {
        let told = |wallet: &Wallet, observed: &Observed| match early(wallet, observed) {
            None => "asks",
            Some(Stay::Go { note: Some(_) }) => "goes and tells",
            Some(Stay::Go { note: None }) => "goes",
            Some(Stay::For { .. }) => "stays",
        };
        let cases = [
            ("WhenEmpty", false, (false, false), "asks"),
            ("Close", false, (false, false), "asks"),
            ("Retain", false, (false, false), "goes"),
            ("WhenEmpty", true, (false, false), "goes and tells"),
            ("WhenEmpty", false, (true, false), "goes and tells"),
            ("Close", false, (false, true), "goes and tells"),
        ];
        for (policy, annotated, (is_orphan, is_namespace_leaving), expected) in cases {
            let found = told(&wallet(policy, annotated), &observed(is_orphan, is_namespace_leaving));
            assert_eq!(found, expected, "{policy} {annotated} {is_orphan} {is_namespace_leaving}");
        }
    }

    #[test]
    fn it_stays_until_it_is_empty_and_says_the_way_out() {
        let emptied = || {
            let mut wallet = found();
            wallet.terms.is_empty = true;
            wallet
        };
        let closed = || {
            let mut wallet = emptied();
            wallet.terms.state = WalletState::Closed;
            wallet
        };
        let refusal =
            |reason| Refusal { reason, field: String::new(), message: "no".into(), definitive: true };
        let cases = [
            ("WhenEmpty", Answer::Made(found()), Some(NOT_EMPTY)),
            ("WhenEmpty", Answer::Made(emptied()), None),
            ("Close", Answer::Made(found()), Some(NOT_EMPTY)),
            ("Close", Answer::Made(emptied()), Some(PROGRESSING)),
            ("Close", Answer::Made(closed()), None),
            ("Close", Answer::Unchanged(emptied(), refusal(WALLET_NOT_EMPTY)), Some(NOT_EMPTY)),
            ("WhenEmpty", Answer::Unchanged(emptied(), refusal("MaximumExceeded")), None),
            ("WhenEmpty", Answer::Unchanged(found(), refusal("InsufficientFunds")), Some(NOT_EMPTY)),
            ("WhenEmpty", Answer::Refused(refusal("IdempotencyConflict")), None),
            ("WhenEmpty", Answer::NoTenant, Some(NO_TENANT)),
            ("WhenEmpty", Answer::NoEngine, Some(ENGINE_UNAVAILABLE)),
        ];
        for (policy, answer, expected) in cases {
            match (late(&wallet(policy, false), &answer), expected) {
                (Stay::Go { note: None }, None) => {}
                (Stay::For { reason, message }, Some(expected)) => {
                    assert_eq!(reason, expected, "{policy} {answer:?}");
                    assert!(message.contains("payplane.io/let-go=true"), "{message}");
                }
                (stay, _) => panic!("{policy} {answer:?}: {stay:?}"),
            }
        }
    }
}
