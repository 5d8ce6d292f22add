//! How a deleted Tenant goes.
//!
//! `WhenEmpty` waits until the engine counts no money, no hold and no waiting refund, and no Payment or Refund object is
//! open; meanwhile all goes on working, so that wallets can be emptied. Then it archives, as `Archive` does at once: the
//! ledger refuses the tokens of the namespaces and everything that would move money, and the groups lose their
//! RoleBindings. What came in between the count and the archiving is found by counting again; then access is given back.
//!
//! It never waits for ever: an annotation lets the object go and leaves everything as it is.

use std::time::Duration;

use kube::{Resource, ResourceExt, runtime::events::EventType};
use payplane_crds::{
    Tenant,
    condition::reason::{ENGINE_UNAVAILABLE, NOT_EMPTY, PLATFORM_NOT_READY},
    tenant::DeletionPolicy,
};

use super::{
    act, keys,
    observe::{Home, Observed, Open},
};
use crate::{
    apply,
    context::Context,
    engine::{Engine, EngineError, Holdings},
    error::Error,
    meta::{LET_GO, OFFBOARD, is_leaving, may_go},
};

/// How often a deleted Tenant is looked at.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Whether a deleted Tenant stays.
#[derive(Debug, Eq, PartialEq)]
pub enum Stay {
    /// The object is gone.
    Gone,
    /// It stays for now.
    For {
        /// As a condition's reason.
        reason: &'static str,
        /// What it waits for, and the way out.
        message: String,
    },
}

/// What to do about a deletion.
#[derive(Debug)]
enum Next<'a> {
    /// Nothing is to be done; the note is told where access stays behind.
    LetGo(Option<&'static str>),
    /// Somebody has to be asked who is not there.
    Wait(&'a str),
    /// Count first.
    Ask(&'a Engine),
    /// Whatever is left.
    Archive(&'a Engine),
}

/// None of a Tenant that was not deleted.
///
/// # Errors
/// When the API server does not accept something.
pub async fn leave(tenant: &Tenant, context: &Context, observed: &Observed) -> Result<Option<Stay>, Error> {
    if !is_leaving(tenant) {
        return Ok(None);
    }
    let (engine, asks) = match next(tenant, observed) {
        Next::Wait(message) => return Ok(Some(wait(PLATFORM_NOT_READY, message))),
        Next::LetGo(note) => return let_go(tenant, context, note).await.map(Some),
        Next::Ask(engine) => (engine, true),
        Next::Archive(engine) => (engine, false),
    };
    match archive(tenant, engine, asks, observed.open).await {
        Err(error) => Ok(Some(wait(ENGINE_UNAVAILABLE, &error.advice()))),
        Ok(Some(left)) => Ok(Some(left)),
        Ok(None) => {
            for place in observed.places.iter().filter(|place| place.is_of(&tenant.name_any())) {
                act::unbind(tenant, context, &place.name).await?;
            }
            let own = observed.places.iter().filter(|place| place.is_of(&tenant.name_any()));
            let namespaces: Vec<String> = own.map(|place| place.name.clone()).collect();
            keys::forget(tenant, context, engine, &namespaces).await?;
            let note =
                "The tenant is archived: nobody can act for it, and the ledger keeps its money and history.";
            context.events.tell(&tenant.object_ref(&()), EventType::Normal, "Archived", note.into());
            let_go(tenant, context, None).await.map(Some)
        }
    }
}

fn next<'a>(tenant: &Tenant, observed: &'a Observed) -> Next<'a> {
    if tenant.spec.deletion_policy == DeletionPolicy::Retain {
        return Next::LetGo(None);
    }
    if may_go(tenant) {
        return Next::LetGo(Some(
            "An annotation lets the Tenant go. Its access to the engine is not taken away.",
        ));
    }
    let was_registered = tenant.status.as_ref().is_some_and(|status| status.tenant_id.is_some());
    match (&observed.engine, tenant.spec.deletion_policy) {
        (Home::Absent(_) | Home::NotReady(_), _) if !was_registered => Next::LetGo(None),
        (Home::Absent(message) | Home::NotReady(message), _) => Next::Wait(message),
        (Home::Ready(engine), DeletionPolicy::Archive) => Next::Archive(engine),
        (Home::Ready(engine), _) => Next::Ask(engine),
    }
}

/// What is left, or nothing: then it is archived.
async fn archive(
    tenant: &Tenant,
    engine: &Engine,
    asks: bool,
    open: Open,
) -> Result<Option<Stay>, EngineError> {
    let name = tenant.name_any();
    // A tenant that the ledger does not know has nothing there and no access.
    let Some(holdings) = engine.tenant_holdings(&name).await? else { return Ok(None) };
    if asks && let Some(left) = left(holdings, open) {
        return Ok(Some(left));
    }
    engine.archive_tenant(&name).await?;
    let holdings = engine.tenant_holdings(&name).await?.unwrap_or_default();
    match left(holdings, Open::default()).filter(|_| asks) {
        None => Ok(None),
        Some(left) => {
            engine.put_tenant(tenant).await?;
            Ok(Some(left))
        }
    }
}

fn left(holdings: Holdings, open: Open) -> Option<Stay> {
    let Holdings { accounts, holds, refunds } = holdings;
    if holdings == Holdings::default() && open == Open::default() {
        return None;
    }
    let message = format!(
        "Left in the ledger: {accounts} accounts with money or something held, {holds} held payments, {refunds} waiting \
         refunds. Open objects: {} Payments, {} Refunds. Pay the money out (a suspended tenant has to be resumed for that) and \
         end what is open, or set spec.deletionPolicy to Archive.",
        open.payments, open.refunds
    );
    Some(wait(NOT_EMPTY, &message))
}

fn wait(reason: &'static str, what: &str) -> Stay {
    let message = format!(
        "{what} To let the object go at once, and leave everything as it is, annotate it with {LET_GO}=true."
    );
    Stay::For { reason, message }
}

async fn let_go(tenant: &Tenant, context: &Context, note: Option<&str>) -> Result<Stay, Error> {
    if let Some(note) = note {
        context.events.tell(&tenant.object_ref(&()), EventType::Warning, "LetGo", note.into());
    }
    apply::remove_finalizer(&context.client, tenant, OFFBOARD).await?;
    Ok(Stay::Gone)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::build::tests::tenant, *};

    fn leaving(policy: &str, annotations: Value, id: Value) -> Tenant {
        let mut tenant = tenant(json!({"deletionPolicy": policy}));
        tenant.metadata.annotations = serde_json::from_value(annotations).unwrap();
        tenant.status = serde_json::from_value(json!({"tenantId": id})).unwrap();
        tenant
    }

    fn observed(engine: Home) -> Observed {
        Observed { engine, places: Vec::new(), left: Vec::new(), open: Open::default() }
    }

    #[test]
    fn who_cannot_be_asked_is_waited_for_unless_there_is_nothing_to_ask() {
        let away = observed(Home::Absent("no Platform".into()));
        let cases = [
            ("WhenEmpty", json!({}), json!("id"), "waits"),
            ("Archive", json!({}), json!("id"), "waits"),
            ("Retain", json!({}), json!("id"), "goes"),
            ("WhenEmpty", json!({}), json!(null), "goes"),
            ("WhenEmpty", json!({LET_GO: "true"}), json!("id"), "goes and tells"),
            ("WhenEmpty", json!({LET_GO: "no"}), json!("id"), "waits"),
        ];
        for (policy, annotations, id, expected) in cases {
            let found = match next(&leaving(policy, annotations.clone(), id.clone()), &away) {
                Next::LetGo(None) => "goes",
                Next::LetGo(Some(_)) => "goes and tells",
                Next::Wait(_) => "waits",
                Next::Ask(_) | Next::Archive(_) => "asks",
            };
            assert_eq!(found, expected, "{policy} {annotations} {id}");
        }
    }

    #[test]
    fn what_is_left_is_counted_with_the_ways_out() {
        let none = (Holdings::default(), Open::default());
        assert_eq!(left(none.0, none.1), None);
        let some = [
            (Holdings { accounts: 1, ..none.0 }, none.1),
            (Holdings { holds: 1, ..none.0 }, none.1),
            (Holdings { refunds: 1, ..none.0 }, none.1),
            (none.0, Open { payments: 1, ..none.1 }),
            (none.0, Open { refunds: 1, ..none.1 }),
        ];
        for (holdings, open) in some {
            let Some(Stay::For { reason, message }) = left(holdings, open) else {
                panic!("{holdings:?} {open:?}")
            };
            assert_eq!(reason, "NotEmpty");
            assert!(message.contains("deletionPolicy to Archive"), "{message}");
            assert!(message.contains("payplane.io/let-go=true"), "{message}");
        }
    }
}
