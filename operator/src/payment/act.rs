//! The talk with the ledger: make the payment or find it, see how it stands, do the steps that are left.
//!
//! Every call can be repeated, by this process, another one or another cluster. An answer to a repeated key tells how
//! things were then, so it is followed by a look at how they stand.

use jiff::Timestamp;
use payplane_crds::condition::reason::{
    CONDITION_NOT_MET, IDEMPOTENCY_CONFLICT, INSUFFICIENT_FUNDS, INVALID, LINKED_ITEM_REFUSED,
};

use super::{
    Answer,
    plan::{self, ATTEMPTS_MAX, Next, RETRIES_MAX, Waiting, Wanted},
};
use crate::{
    engine::{Engine, EngineError, Outcome, Payment, PaymentRequest, Refusal, Step, StepRequest, WalletRef},
    lost,
};

/// More steps than a hold can have: capture, the rest back, and as many attempts.
const STEPS_MAX: u32 = ATTEMPTS_MAX + 4;

const OWN_ACCOUNT: &str = "This is one of the tenant's own accounts. To bring money in write {settlement: true}, which \
                           needs the ClusterRole payplane-treasury.";

/// Does what is planned.
pub async fn act(next: &Next, engine: Option<&Engine>) -> Answer {
    match (next, engine) {
        (Next::Wait(waiting), _) => Answer::Waiting(waiting.clone()),
        (Next::Submit(wanted), Some(engine)) => {
            let answer = match settle(wanted, engine).await {
                Ok(answer) => advise(answer, engine).await,
                failed => failed,
            };
            answer.unwrap_or_else(Answer::Failed)
        }
        (Next::Submit(_), None) => Answer::Waiting(Waiting::engine()),
    }
}

/// Makes a payment that somebody has approved, or finds what became of it: the first attempt and no more.
///
/// # Errors
/// When no answer came, or the request can never be valid.
pub async fn approve(wanted: &Wanted, approver: &str, engine: &Engine) -> Result<Outcome, EngineError> {
    refuse_own_account(wanted, engine).await?;
    let request = PaymentRequest { approver: Some(approver.into()), ..wanted.request.clone() };
    engine.make_payment(&request).await
}

async fn settle(wanted: &Wanted, engine: &Engine) -> Result<Answer, EngineError> {
    refuse_own_account(wanted, engine).await?;
    let (made, is_last) = make(wanted, engine, Timestamp::now()).await?;
    let first = match &made.result {
        Ok(first) => first,
        Err(refusal) if !is_last => return Ok(Answer::Short(refusal.clone())),
        Err(_) => return Ok(Answer::Outcome(Box::new(made), None)),
    };
    let stands = if made.replayed { look(wanted, engine, &made.payment_id).await? } else { first.clone() };
    let (stands, refused) = take_steps(wanted, engine, &made.payment_id, stands).await?;
    // What was decided about the payment itself, and how it stands.
    let payment = Payment {
        available: first.available.clone(),
        decided_at: first.decided_at,
        key: first.key.clone(),
        ..stands
    };
    Ok(Answer::Outcome(Box::new(Outcome { result: Ok(payment), ..made }), refused))
}

/// What a restore lost is told with the way out, which names the ledger's epoch.
async fn advise(mut answer: Answer, engine: &Engine) -> Result<Answer, EngineError> {
    let Answer::Outcome(outcome, refused) = &mut answer else { return Ok(answer) };
    let (refusal, what, verb) = match (&mut outcome.result, refused) {
        (Err(refusal), _) => (refusal, "payment", "made"),
        (Ok(_), Some(refusal)) => (refusal, "capture", "taken"),
        (Ok(_), None) => return Ok(answer),
    };
    if plan::is_lost(refusal) {
        refusal.message = lost::message(what, verb, &engine.epoch().await?);
    }
    Ok(answer)
}

/// The engine lets the operator debit any account, because the API server has checked who may debit which. It checks
/// `settlement`; an id must not be a way around that.
async fn refuse_own_account(wanted: &Wanted, engine: &Engine) -> Result<(), EngineError> {
    let WalletRef::Id(id) = &wanted.request.from else { return Ok(()) };
    match engine.is_own_account(&wanted.request.namespace, id).await? {
        Some(true) => Err(EngineError::Invalid { field: "from.id".into(), message: OWN_ACCOUNT.into() }),
        Some(false) | None => Ok(()),
    }
}

/// Makes the payment or finds it. If an earlier look was refused for want of funds, the next attempt follows, each only
/// when the one before it is known to be refused. After the end the next key is spent on what can never be met: then
/// nobody pays later, whatever clock or cluster it has. Also tells whether this is the last word.
async fn make(wanted: &Wanted, engine: &Engine, now: Timestamp) -> Result<(Outcome, bool), EngineError> {
    let mut last = ask(wanted, engine, &wanted.request).await?;
    let Some(until) = wanted.retry_until else { return Ok((last, true)) };
    for number in 2..=RETRIES_MAX {
        if !plan::is_short(&last) || !last.replayed {
            let is_last = !plan::is_short(&last) || until <= now;
            return Ok((last, is_last));
        }
        let request = PaymentRequest { never: until <= now, ..plan::attempt(&wanted.request, number) };
        let next = ask(wanted, engine, &request).await?;
        // What was approved is one attempt: after it nothing more is tried.
        if plan::awaits_approval(&next) {
            return Ok((last, true));
        }
        last = match &next.result {
            // Nobody has used this key, or it was spent: the attempts before it were all.
            Err(refusal) if request.never && is_closed(refusal) => return Ok((last, true)),
            // An attempt was made under it, or it is spent.
            Err(refusal) if refusal.reason == IDEMPOTENCY_CONFLICT => {
                match known(wanted, engine, next).await? {
                    None => return Ok((last, true)),
                    Some(known) => known,
                }
            }
            _ => next,
        };
    }
    Ok((last, true))
}

/// Asks for a payment, once more if the ledger wants an approval that the Tenant gives.
async fn ask(wanted: &Wanted, engine: &Engine, request: &PaymentRequest) -> Result<Outcome, EngineError> {
    let made = engine.make_payment(request).await?;
    match plan::reviewed(wanted, request, &made) {
        Some(approved) => engine.make_payment(&approved).await,
        None => Ok(made),
    }
}

/// Whether a request that can never be met was refused for good, for whatever reason.
fn is_closed(refusal: &Refusal) -> bool {
    refusal.definitive && refusal.reason != INSUFFICIENT_FUNDS
}

/// What is stored under a key that is known with another body. None if that is the end of the attempts.
async fn known(wanted: &Wanted, engine: &Engine, met: Outcome) -> Result<Option<Outcome>, EngineError> {
    let mut found = stored(wanted, engine, &met.payment_id).await?;
    for (fee, index) in met.fees.iter().zip(0..) {
        // The refusal stands with the item that it is about.
        if !found.result.as_ref().is_err_and(|refusal| refusal.reason == LINKED_ITEM_REFUSED) {
            break;
        }
        let of_fee: Outcome = stored(wanted, engine, &fee.payment_id).await?;
        found.result = of_fee.result.map_err(|refusal| blamed_fee(index, refusal));
    }
    let is_end = found.result.as_ref().is_err_and(|refusal| refusal.reason == CONDITION_NOT_MET);
    Ok((!is_end).then_some(Outcome { replayed: true, fees: met.fees, ..found }))
}

async fn stored(wanted: &Wanted, engine: &Engine, id: &str) -> Result<Outcome, EngineError> {
    let found = engine.get_payment(&wanted.request.namespace, id).await?;
    found.ok_or(EngineError::Answer("a known key without a payment"))
}

fn blamed_fee(index: u32, refusal: Refusal) -> Refusal {
    Refusal { field: format!("fees[{index}]"), ..refusal }
}

/// How the payment stands now.
async fn look(wanted: &Wanted, engine: &Engine, id: &str) -> Result<Payment, EngineError> {
    let found = engine.get_payment(&wanted.request.namespace, id).await?;
    found.and_then(|found| found.result.ok()).ok_or(EngineError::Answer("a payment that is gone"))
}

/// Does the steps that are left, until none is or one is refused.
async fn take_steps(
    wanted: &Wanted,
    engine: &Engine,
    id: &str,
    mut stands: Payment,
) -> Result<(Payment, Option<Refusal>), EngineError> {
    let mut attempt = 1;
    for _ in 0..STEPS_MAX {
        let Some(step) = plan::step(wanted, id, &stands, attempt) else { return Ok((stands, None)) };
        let (replayed, refusal) = match engine.step_payment(&step).await {
            Ok(Outcome { result: Ok(after), replayed: false, .. }) => {
                (stands, attempt) = (after, 1);
                continue;
            }
            Ok(Outcome { result: Ok(_), .. }) => (true, None),
            Ok(Outcome { result: Err(refusal), replayed, .. }) => (replayed, Some(refusal)),
            Err(EngineError::Invalid { field, message }) => (false, Some(invalid(field, message))),
            Err(error) => return Err(error),
        };
        let before = std::mem::replace(&mut stands, look(wanted, engine, id).await?);
        if before.captured != stands.captured || before.phase != stands.phase {
            // Somebody else, or the deadline, was faster: what is left is judged afresh.
            attempt = 1;
            continue;
        }
        let Some(refusal) = refusal else {
            return Err(EngineError::Answer("a step that was done and left no trace"));
        };
        if attempt == ATTEMPTS_MAX || !is_spent(wanted, engine, &stands, &refusal, replayed).await? {
            return Ok((stands, Some(blamed(&step, refusal))));
        }
        // This attempt moved nothing, as the payment shows, so the next one cannot take twice.
        attempt += 1;
    }
    Err(EngineError::Answer("a payment that changes with every look"))
}

/// Whether the key of this attempt will never do what is wanted now, while another one may: it was used for another body, or
/// was refused for a payee who was frozen then and is not now. As long as the payee is, every key would only be spent.
async fn is_spent(
    wanted: &Wanted,
    engine: &Engine,
    stands: &Payment,
    refusal: &Refusal,
    replayed: bool,
) -> Result<bool, EngineError> {
    if !(replayed && plan::may_pass(refusal)) {
        return Ok(refusal.reason == IDEMPOTENCY_CONFLICT);
    }
    let payee = engine.terms_of(&wanted.request.namespace, &stands.to_wallet_id).await?;
    Ok(payee.is_none_or(|terms| !plan::is_frozen(terms.state)))
}

fn invalid(field: String, message: String) -> Refusal {
    Refusal { reason: INVALID, field, message, definitive: false }
}

/// The refusal with the field of the spec that asked for the step.
fn blamed(step: &StepRequest, refusal: Refusal) -> Refusal {
    let field = match (&step.step, refusal.field.as_str()) {
        (Step::Capture { .. }, "amount" | "currency") => "capture.total".into(),
        (Step::Capture { .. }, "payment" | "idempotencyKey") => "capture".into(),
        (Step::Void, "payment") => "void".into(),
        _ => refusal.field,
    };
    Refusal { field, ..refusal }
}
