//! Sweeping: ends holds whose deadline has passed, and takes those whose date has come. The ledger refuses a capture after
//! the deadline whether or not anybody swept, so a sweep that is late costs nobody money; it gives the rest back.
//!
//! Each fact has an id that follows from its payment. Replicas that sweep at the same time decide the same facts, and
//! every one of them is stored once, and counted by the replica whose request it was.

use std::{sync::Arc, time::Duration};

use payplane_ledger::{Kind, OperationId, Origin, Outcome, Provenance, Request, TenantId, Terms, Verdict};
use tokio::time::Instant;

use crate::{
    engine::{Engine, detached},
    store::{DuePayment, StoreError},
    telemetry::Causes,
};

/// How many holds one page brings, and thus how many requests a sweep has under way.
const PAGE: i32 = 500;

/// How many pages one sweep takes; what is left comes with the next.
const PAGES_MAX: usize = 20;

/// How often sweeps that found nothing are noted. Whoever asks for the last one learns it this late at most.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Holds whose rest was given back.
    pub expired: u64,
    /// Holds that were taken at their date.
    pub captured: u64,
    /// Holds that could not be ended, for instance because the payee is frozen; they end at their deadline.
    pub refused: u64,
    /// How long the oldest of them was due, in microseconds.
    pub lag_us: i64,
}

/// Sweeps until the process ends.
pub async fn keep_sweeping(engine: Arc<Engine>) {
    let mut database = engine.database();
    let mut noted: Option<Instant> = None;
    loop {
        tokio::time::sleep(engine.sweep_every).await;
        if database.wait_for(|up| *up).await.is_err() {
            return;
        }
        if engine.store.is_read_only() {
            continue;
        }
        match sweep(&engine).await {
            Ok(swept) => {
                engine.metrics.observe_sweep(&swept);
                if swept.expired != 0 {
                    noted = Some(Instant::now());
                } else if noted.is_none_or(|noted| NOTE_EVERY <= noted.elapsed()) {
                    noted = Some(Instant::now());
                    note(&engine, Vec::new()).await;
                }
                if swept.expired + swept.captured != 0 {
                    let Swept { expired, captured, refused, lag_us } = swept;
                    tracing::info!(expired, captured, refused, lag_ms = lag_us / 1_000, "swept holds");
                }
            }
            Err(error) => tracing::warn!(reason = %Causes(&error), "holds not swept"),
        }
    }
}

/// Ends every hold that is due, up to a bound.
pub async fn sweep(engine: &Arc<Engine>) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let mut given_back = Vec::new();
    let mut after = (0, OperationId::from_uuid(uuid::Uuid::nil()));
    for _ in 0..PAGES_MAX {
        let store = engine.store.clone();
        let due = detached(async move { store.due_payments(after.0, after.1, PAGE).await }).await?;
        let Some(last) = due.last() else { break };
        after = (last.due_us, last.payment);
        end_all(engine, &due, &mut swept, &mut given_back).await;
        if due.len() < PAGE as usize {
            break;
        }
    }
    if !given_back.is_empty() {
        note(engine, given_back).await;
    }
    Ok(swept)
}

/// Counts what a sweep gave back. The facts are committed: without the count only a number is too small.
async fn note(engine: &Engine, given_back: Vec<(TenantId, OperationId)>) {
    let store = engine.store.clone();
    if let Err(error) = detached(async move { store.record_sweep(&given_back).await }).await {
        tracing::warn!(reason = %Causes(&error), "a sweep was not counted");
    }
}

async fn end_all(
    engine: &Engine,
    due: &[DuePayment],
    swept: &mut Swept,
    given_back: &mut Vec<(TenantId, OperationId)>,
) {
    let mut answers = Vec::with_capacity(due.len());
    for payment in due {
        swept.lag_us = swept.lag_us.max(payment.now_us - payment.due_us);
        // A full queue means that others have more urgent work; the next sweep comes soon.
        let Ok(answer) = engine.submit(vec![request(payment)]) else { break };
        answers.push((payment, answer));
    }
    for (payment, answer) in answers {
        let Ok(Ok(outcomes)) = answer.await else { continue };
        match outcomes.first() {
            Some(Outcome::Decided { decision, replayed: false }) => {
                match (&decision.verdict, payment.is_expired) {
                    (Verdict::Done { .. }, true) => {
                        swept.expired += 1;
                        given_back.push((payment.tenant, payment.payment));
                    }
                    (Verdict::Done { .. }, false) => swept.captured += 1,
                    (Verdict::Refused(_), _) => swept.refused += 1,
                }
            }
            Some(Outcome::Decided { replayed: true, .. } | Outcome::Declined(_)) | None => {}
        }
    }
}

fn request(due: &DuePayment) -> Request {
    let (kind, operation) = if due.is_expired {
        (Kind::Expire, OperationId::expiry(due.payment))
    } else {
        (Kind::CaptureDue, OperationId::due_capture(due.payment))
    };
    let empty: Arc<str> = Arc::from("");
    Request {
        tenant: due.tenant,
        operation,
        kind,
        from: None,
        to: None,
        minor: 0,
        currency: None,
        reference: empty.clone(),
        target: Some(due.payment),
        terms: Terms::default(),
        provenance: Provenance {
            origin: Origin::Api,
            key: Arc::from(due.payment.to_string()),
            origin_ref: empty.clone(),
            actor: Arc::from("payplane:sweep"),
            correlation_id: empty,
        },
        only_known: false,
    }
}
