//! Asks the ledger: makes the wallet or finds it, and changes what differs. Repeating any of it changes nothing more.

use kube::ResourceExt;
use payplane_crds::{
    Wallet,
    condition::reason::IDEMPOTENCY_CONFLICT,
    wallet::{WalletDeletionPolicy, WalletState},
};

use super::{
    Answer,
    observe::{Ledger, Observed},
    plan,
};
use crate::{
    engine::{self, Engine, EngineError, Refusal, TermsChange},
    meta::is_leaving,
};

/// Terms that may have changed since the wallet was made: another value is a change, and no other wallet.
const CHANGEABLE: [&str; 2] = ["minimum", "maximum"];

/// Brings the ledger's wallet to what the object says.
pub async fn act(wallet: &Wallet, observed: &Observed) -> Answer {
    match &observed.ledger {
        Ledger::NoTenant => Answer::NoTenant,
        Ledger::NoEngine => Answer::NoEngine,
        Ledger::Engine(engine) => ask(wallet, engine).await.unwrap_or_else(Answer::Failed),
    }
}

async fn ask(wallet: &Wallet, engine: &Engine) -> Result<Answer, EngineError> {
    let namespace = wallet.namespace().unwrap_or_default();
    let made = match make(wallet, engine, &namespace).await? {
        Ok(made) => made,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let made = match next_change(wallet, &made) {
        None => made,
        Some(change) => {
            match engine.change_wallet(&namespace, &made, &plan::key(&made, &change), &change).await? {
                Ok(changed) => changed,
                Err(refusal) => return Ok(Answer::Unchanged(made, refusal)),
            }
        }
    };
    Ok(Answer::Made(match plan::labels(&wallet.spec, &made.terms) {
        Some(labels) => engine.label_wallet(&namespace, &made, labels).await?,
        None => made,
    }))
}

/// A wallet that leaves and shall be closed is closed once it is empty, whatever else the spec says.
fn next_change(wallet: &Wallet, made: &engine::Wallet) -> Option<TermsChange> {
    let closes = is_leaving(wallet) && wallet.spec.deletion_policy == WalletDeletionPolicy::Close;
    if closes && made.terms.is_empty && made.terms.state != WalletState::Closed {
        return Some(plan::closing());
    }
    plan::change(&wallet.spec, made)
}

/// Makes the wallet or finds it. The ledger compares with what it was made with, so terms that were changed since look like
/// a conflict: then it is read, and compared by what cannot change.
async fn make(
    wallet: &Wallet,
    engine: &Engine,
    namespace: &str,
) -> Result<Result<engine::Wallet, Refusal>, EngineError> {
    let name = wallet.name_any();
    let refusal = match engine.create_wallet(namespace, &name, &wallet.spec).await? {
        Err(refusal) if is_changed_since(&refusal) => refusal,
        answer => return Ok(answer),
    };
    let class = wallet.spec.class.as_deref().unwrap_or_default();
    match engine.find_wallet(namespace, &name).await? {
        Some(found) if found.terms.class == class => Ok(Ok(found)),
        Some(_) => Ok(Err(Refusal { field: "class".into(), ..refusal })),
        None => Ok(Err(refusal)),
    }
}

fn is_changed_since(refusal: &Refusal) -> bool {
    refusal.reason == IDEMPOTENCY_CONFLICT && CHANGEABLE.contains(&refusal.field.as_str())
}
