//! Wallet: an account in the ledger, and what it holds.
//!
//! Every look asks the ledger for the wallet of this name, which makes it or finds it; the answer brings balance and terms
//! along, and what differs from the spec is changed then. Nothing polls single objects: decided payments wake their
//! wallets, and [`crate::refresh`] finds the rest.
//!
//! A finalizer keeps a deleted Wallet until the account is empty. It never keeps a namespace: when that is being deleted,
//! when the namespace has no Tenant any more, or when somebody says so by an annotation, the object goes at once, with an
//! Event where money stays behind. The ledger keeps the account in every case.

mod act;
mod leave;
mod observe;
mod plan;
mod report;

use payplane_crds::{Wallet, wallet::WalletDeletionPolicy};

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    engine::{self, EngineError, Refusal},
    error::Error,
    meta::{OFFBOARD, is_held, is_leaving},
    status,
};

use leave::Stay;

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The namespace belongs to no Tenant that is Ready.
    NoTenant,
    /// The Tenant's Platform has no engine yet.
    NoEngine,
    /// The ledger has the wallet as the spec wants it.
    Made(engine::Wallet),
    /// The ledger has the wallet, and refuses to change it so.
    Unchanged(engine::Wallet, Refusal),
    /// The ledger has another wallet of this name.
    Refused(Refusal),
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for Wallet {
    const CONCURRENCY: u16 = 8;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        if is_leaving(self) && !is_held(self) {
            return Ok(Again::OnChange);
        }
        if !is_leaving(self) && mark(self, context).await? {
            return Ok(Again::OnChange); // that changed the object, which brings the next look
        }
        let observed = observe::observe(self, context).await?; // reads caches, and the namespace of one that leaves
        let stay = match leave::early(self, &observed) {
            Some(stay) => stay,
            None => {
                let answer = act::act(self, &observed).await; // asks the ledger
                return finish(self, context, answer).await;
            }
        };
        leave::go(self, context, stay).await
    }
}

/// Sets or takes away the finalizer. True if the object changed.
async fn mark(wallet: &Wallet, context: &Context) -> Result<bool, Error> {
    let wanted = wallet.spec.deletion_policy != WalletDeletionPolicy::Retain;
    match (wanted, is_held(wallet)) {
        (true, false) => apply::add_finalizer(&context.client, wallet, OFFBOARD).await?,
        (false, true) => apply::remove_finalizer(&context.client, wallet, OFFBOARD).await?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Says what came of it, and whether to come again.
async fn finish(wallet: &Wallet, context: &Context, answer: Answer) -> Result<Again, Error> {
    let stay = is_leaving(wallet).then(|| leave::late(wallet, &answer));
    if let Some(stay @ Stay::Go { .. }) = stay {
        return leave::go(wallet, context, stay).await;
    }
    let status = report::report(wallet, &answer, stay.as_ref(), jiff::Timestamp::now()); // pure
    status::write(context, wallet, &status).await?;
    match answer {
        Answer::Failed(EngineError::Invalid { .. }) => {}
        Answer::Failed(source) => return Err(Error::Engine { operation: "ask for a wallet", source }),
        // Whatever is missing wakes the wallet when it comes; a conflict stays one until the spec changes; a change that
        // was refused is tried again when the balance is another, which wakes it too.
        Answer::NoTenant
        | Answer::NoEngine
        | Answer::Made(_)
        | Answer::Unchanged(..)
        | Answer::Refused(_) => {}
    }
    Ok(stay.map_or(Again::OnChange, |_| Again::After(leave::PERIOD)))
}
