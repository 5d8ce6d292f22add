//! Agrees on the plan, closes what is over, oldest first, collects what is due, and looks at what is open. The ledger alone says what is over
//! and what is due.

use jiff::Timestamp;
use kube::Client;
use payplane_crds::{TenantBilling, condition::reason::PLAN_NOT_FOUND, tenant_billing::DunningStep};

use super::{
    Agreement, Answer, Billed, Owed, Wallets, build,
    plan::{CLOSES_MAX, COLLECTS_MAX, FoundWallet, Next, fit, measures, next_attempt, stage},
    validate::{Agreeing, Collecting, Wanted},
};
use crate::{
    apply,
    engine::{Agreed, BillingRequest, DebtMeasures, Engine, EngineError, Invoice},
    payment::Waiting,
};

/// Asks the ledger.
pub async fn act(next: Next, engine: Option<&Engine>, now: Timestamp) -> Answer {
    match (next, engine) {
        (Next::Say(answer), _) => answer,
        (Next::Bill(_), None) => Answer::Waiting(Waiting::engine()),
        (Next::Bill(wanted), Some(engine)) => match bill(&wanted, engine, now).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(error),
        },
    }
}

async fn bill(wanted: &Wanted, engine: &Engine, now: Timestamp) -> Result<Answer, EngineError> {
    let request = &wanted.request;
    let agreed = agree(wanted, engine).await?;
    let (preview, has_more) = match (close(request, engine).await, &agreed) {
        (Err(EngineError::NoPlan), Some(Agreement::Kept { reason, message })) => {
            return Ok(Answer::NoPlan { reason, message: message.clone() });
        }
        (closed, _) => closed?,
    };
    let wallets = match &wanted.collecting {
        Some(collecting) => Some(look_at(collecting, engine, &preview.invoice.total.currency).await?),
        None => None,
    };
    let owed = settle(wanted, engine, &preview.invoice.total.currency, now).await?;
    // Not from what was closed here: it may have been another time, or another operator.
    let last = engine.last_invoice(&request.namespace).await?;
    let documents = match (wanted.documents, &last) {
        (Some(locale), Some(last)) => {
            Some(engine.invoice_documents(&request.namespace, last.number, locale).await?)
        }
        _ => None,
    };
    let grace_seconds = request.grace_seconds;
    let billed = Billed { preview, last, grace_seconds, has_more, owed, agreed, documents, wallets };
    Ok(Answer::Billed(Box::new(billed)))
}

/// Asks the ledger for the wallets of the collection, before anything has to be collected.
async fn look_at(collecting: &Collecting, engine: &Engine, currency: &str) -> Result<Wallets, EngineError> {
    let (request, receiver) = (&collecting.request, &collecting.receiver.namespace);
    let named = [
        ("collection.wallet", &request.namespace, &request.wallet),
        ("collection.receiver.wallet", receiver, &request.revenue),
        ("collection.receiver.taxWallet", receiver, &request.tax),
    ];
    // Without a wallet of their own taxes go to that of the revenue.
    let asked = if request.tax == request.revenue { &named[..2] } else { &named[..] };
    let mut found = Vec::with_capacity(asked.len());
    for (field, namespace, name) in asked {
        let currency = engine.currency_of(namespace, name).await?;
        found.push(FoundWallet { field, name: (*name).clone(), currency });
    }
    Ok(fit(currency, &found))
}

/// Agrees on the version of the BillingPlan. Where that cannot be, what was agreed before stays, and billing goes on by it.
async fn agree(wanted: &Wanted, engine: &Engine) -> Result<Option<Agreement>, EngineError> {
    let (plan, is_now) = match &wanted.agreeing {
        None => return Ok(None),
        Some(Agreeing::Missing(name)) => {
            let message = format!("There is no BillingPlan {name:?} in this namespace.");
            return Ok(Some(Agreement::Kept { reason: PLAN_NOT_FOUND, message }));
        }
        Some(Agreeing::On { plan, is_now }) => (plan, *is_now),
    };
    Ok(Some(match engine.agree_plan(&wanted.request, plan, is_now).await? {
        Agreed::From(since) => Agreement::Holds { version: plan.version.clone(), since },
        Agreed::Refused { reason, message } => Agreement::Kept { reason, message },
    }))
}

async fn close(
    request: &BillingRequest,
    engine: &Engine,
) -> Result<(crate::engine::Preview, bool), EngineError> {
    let mut preview = engine.preview_invoice(request).await?;
    let mut closed = 0;
    while preview.is_over && closed < CLOSES_MAX {
        // Its grace may not be over.
        if engine.close_invoice(request, preview.invoice.start).await?.is_none() {
            break;
        }
        closed += 1;
        preview = engine.preview_invoice(request).await?;
    }
    let has_more = closed == CLOSES_MAX && preview.is_over;
    Ok((preview, has_more))
}

/// Collects, and says what is still owed. Where nobody collects and nobody reminds, nothing is asked but that a suspension
/// or a limit of former days ends.
async fn settle(
    wanted: &Wanted,
    engine: &Engine,
    currency: &str,
    now: Timestamp,
) -> Result<Option<Owed>, EngineError> {
    let namespace = &wanted.request.namespace;
    if wanted.collecting.is_none() && wanted.dunning.is_empty() {
        engine.take_measures(namespace, &DebtMeasures::default()).await?;
        return Ok(None);
    }
    let mut hindrance = None;
    if let Some(collecting) = &wanted.collecting {
        hindrance = collect(collecting, engine, now).await?;
    }
    let open = engine.open_invoices(namespace).await?;
    let owed = Owed { hindrance, ..owed(open, wanted.collecting.as_ref(), &wanted.dunning, now) };
    engine.take_measures(namespace, &measures(&owed, currency)).await?;
    Ok(Some(owed))
}

/// One attempt for each open invoice whose time has come, the oldest first. Gives why one was not even tried.
async fn collect(
    collecting: &Collecting,
    engine: &Engine,
    now: Timestamp,
) -> Result<Option<String>, EngineError> {
    let open = engine.open_invoices(&collecting.request.namespace).await?;
    let is_time = |invoice: &&Invoice| next_attempt(invoice, &collecting.retry_after_seconds) <= now;
    let due: Vec<&Invoice> = open.iter().filter(is_time).take(COLLECTS_MAX).collect();
    if due.is_empty() {
        return Ok(None);
    }
    for wallet in &collecting.receiver.grants {
        engine.let_collect(&collecting.receiver.namespace, wallet).await?;
    }
    for invoice in due {
        if let Err(why) = engine.collect_invoice(&collecting.request, invoice).await? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

fn owed(
    open: Vec<Invoice>,
    collecting: Option<&Collecting>,
    dunning: &[DunningStep],
    now: Timestamp,
) -> Owed {
    let is_due = |invoice: &Invoice| invoice.standing.as_ref().is_some_and(|standing| standing.is_due);
    let due: Vec<Invoice> = open.into_iter().filter(is_due).collect();
    let unpaid = due.len();
    let standings = due.iter().filter_map(|invoice| invoice.standing.as_ref());
    let minor = standings.map(|standing| minor(&standing.due)).fold(0, i64::saturating_add);
    let unpaid_minor = due.first().map(|oldest| (oldest.total.currency.clone(), minor));
    let oldest = due.into_iter().next();
    let since = oldest.as_ref().and_then(|invoice| invoice.issued_at);
    let next_attempt_at = oldest
        .as_ref()
        .zip(collecting)
        .map(|(invoice, collecting)| next_attempt(invoice, &collecting.retry_after_seconds))
        // What could not even be tried waits for the next look.
        .filter(|at| now < *at);
    let stage = stage(since, dunning, now);
    Owed { unpaid, unpaid_minor, oldest, next_attempt_at, hindrance: None, stage }
}

/// The ledger writes all decimals of the currency, so without the point they are minor units.
fn minor(amount: &str) -> i64 {
    let digits: String = amount.chars().filter(|character| *character != '.').collect();
    digits.parse().unwrap_or_default()
}

/// Keeps the documents; gives the name of the ConfigMap that has them.
///
/// # Errors
/// When the API server does not accept it.
pub async fn keep(
    client: &Client,
    billing: &TenantBilling,
    answer: &Answer,
) -> Result<Option<String>, crate::error::Error> {
    let Answer::Billed(billed) = answer else { return Ok(None) };
    let Some(documents) = &billed.documents else { return Ok(None) };
    apply::apply(client, &build::config_map(billing, documents)).await?;
    Ok(Some(build::config_map_name(billing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_follow_from_the_text() {
        for (text, units) in [("125.00", 12_500), ("0.05", 5), ("125", 125), ("1.234", 1_234), ("", 0)] {
            assert_eq!(minor(text), units, "{text}");
        }
    }
}
