//! Wallet: an account in the ledger, and what it holds.
//!
//! Every look asks the ledger for the wallet of this name, which makes it or finds it; the answer brings the balance
//! along. Nothing polls single objects: decided payments wake their wallets, and [`crate::refresh`] finds the rest.

mod observe;
mod report;

use kube::ResourceExt;
use payplane_crds::Wallet;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    engine::{self, EngineError, Refusal},
    error::Error,
    status,
};

use observe::Observed;

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The namespace belongs to no Tenant that is Ready.
    NoTenant,
    /// The Tenant's Platform has no engine yet.
    NoEngine,
    /// The ledger has the wallet.
    Made(engine::Wallet),
    /// The ledger has another wallet of this name.
    Refused(Refusal),
    /// No answer, or the request can never be valid.
    Failed(EngineError),
}

impl Reconciled for Wallet {
    const CONCURRENCY: u16 = 8;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let observed = observe::observe(self, context); // reads caches only
        let answer = act(self, observed).await; // asks the ledger
        let status = report::report(self, &answer, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        finish(answer)?;
        Ok(Again::OnChange)
    }
}

async fn act(wallet: &Wallet, observed: Observed) -> Answer {
    let engine = match observed {
        Observed::NoTenant => return Answer::NoTenant,
        Observed::NoEngine => return Answer::NoEngine,
        Observed::Engine(engine) => engine,
    };
    let namespace = wallet.namespace().unwrap_or_default();
    match engine.create_wallet(&namespace, &wallet.name_any(), &wallet.spec).await {
        Ok(Ok(made)) => Answer::Made(made),
        Ok(Err(refusal)) => Answer::Refused(refusal),
        Err(error) => Answer::Failed(error),
    }
}

fn finish(answer: Answer) -> Result<(), Error> {
    match answer {
        Answer::Failed(EngineError::Invalid { .. }) => Ok(()),
        Answer::Failed(source) => Err(Error::Engine { operation: "ask for a wallet", source }),
        // Whatever is missing wakes the wallet when it comes; a conflict stays one, as the spec cannot change.
        Answer::NoTenant | Answer::NoEngine | Answer::Made(_) | Answer::Refused(_) => Ok(()),
    }
}
