//! What was asked and answered. An answer must be what is stored; a failure that is told as definitive must have left
//! nothing, now and for ever; what is unknown must turn out once, one way or the other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use payplane_engine::commit::{Answer, CommitError};
use payplane_ledger::{Decision, Kind, Outcome, Reason, Request, Verdict};

use super::{
    server::Server,
    tables::{OperationKey, Tables},
};

/// What a caller knows after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Decided, and so for ever.
    Decided,
    /// Refused without a trace.
    Declined,
    /// Nothing was done.
    Failed,
    /// Nobody can say yet.
    Unknown,
}

#[derive(Debug)]
struct Asked {
    group: Vec<Request>,
    calls: usize,
    in_flight: usize,
    /// Some call may still have done it.
    is_unknown: bool,
    /// Calls that were told that they were the first.
    firsts: usize,
    decided: Option<Vec<Arc<Decision>>>,
}

/// What was so when a call was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    was_decided: bool,
    may_be_missing: bool,
}

#[derive(Debug)]
pub(crate) struct History {
    server: Arc<Server>,
    asked: Mutex<BTreeMap<OperationKey, Asked>>,
}

pub(crate) fn key(group: &[Request]) -> OperationKey {
    (group[0].tenant, group[0].operation)
}

impl History {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, asked: Mutex::default() }
    }

    pub(crate) fn sent(&self, group: &[Request]) -> Call {
        let mut history = self.asked.lock().unwrap();
        let state = self.server.lock();
        let may_be_missing = is_missing(&state.tables, group);
        let asked = history.entry(key(group)).or_insert_with(|| Asked {
            group: group.to_vec(),
            calls: 0,
            in_flight: 0,
            is_unknown: false,
            firsts: 0,
            decided: None,
        });
        asked.calls += 1;
        asked.in_flight += 1;
        Call { was_decided: asked.decided.is_some(), may_be_missing }
    }

    /// The caller went away before the answer.
    pub(crate) fn cancelled(&self, group: &[Request]) {
        let mut history = self.asked.lock().unwrap();
        let asked = history.get_mut(&key(group)).unwrap();
        asked.in_flight -= 1;
        asked.is_unknown = true;
    }

    pub(crate) fn answered(&self, call: Call, group: &[Request], answer: &Answer) -> Known {
        let mut history = self.asked.lock().unwrap();
        let asked = history.get_mut(&key(group)).unwrap();
        asked.in_flight -= 1;
        let state = self.server.lock();
        match answer {
            Ok(outcomes) => match self.check_outcomes(call, asked, outcomes, &state.tables) {
                Ok(known) => known,
                Err(difference) => {
                    self.server.trace.violation(&format!("{}: {difference}", asked.group[0].operation));
                    Known::Declined
                }
            },
            Err(CommitError::Unknown) => {
                asked.is_unknown = true;
                Known::Unknown
            }
            Err(error) => {
                if *error == CommitError::Internal {
                    self.server.trace.violation("a batch was refused as a defect");
                }
                self.check_absent(asked, &state.tables, &format!("after {error:?}"));
                Known::Failed
            }
        }
    }

    fn check_outcomes(
        &self,
        call: Call,
        asked: &mut Asked,
        outcomes: &[Outcome],
        tables: &Tables,
    ) -> Result<Known, String> {
        if outcomes.len() != asked.group.len() {
            return Err("not one outcome per request".to_owned());
        }
        let mut decisions = Vec::new();
        let mut first = false;
        for (request, outcome) in asked.group.iter().zip(outcomes) {
            match outcome {
                Outcome::Decided { decision, replayed } => {
                    first |= !replayed;
                    if tables.journal.get(&(request.tenant, request.operation)) != Some(decision) {
                        return Err(format!("told {decision:?}, which is not stored"));
                    }
                    decisions.push(Arc::clone(decision));
                }
                Outcome::Declined(refusal) => {
                    let reason = refusal.reason;
                    if !may_decline(call, asked, request, reason) {
                        return Err(format!("{:?} declined with {refusal:?}", request.kind));
                    }
                    self.server.trace.count(&format!("declined: {reason:?}"));
                }
            }
        }
        if decisions.is_empty() {
            if call.was_decided {
                return Err("declined after it was decided".to_owned());
            }
            return Ok(Known::Declined);
        }
        if decisions.len() != outcomes.len() {
            return Err("only a part of a group was decided".to_owned());
        }
        if first {
            asked.firsts += 1;
            if 1 < asked.firsts {
                return Err("two calls were told that they were the first".to_owned());
            }
        }
        if asked.calls == 1 && !first {
            return Err("the only call was told that it repeats another".to_owned());
        }
        if asked.is_unknown && asked.decided.is_none() {
            let way = if first { "absent" } else { "present" };
            self.server.trace.count(&format!("unknown: turned out {way}"));
        }
        match &asked.decided {
            Some(known) if *known != decisions => Err("another answer than before".to_owned()),
            _ => {
                asked.decided = Some(decisions);
                asked.is_unknown = false;
                Ok(Known::Decided)
            }
        }
    }

    /// Every call of the key so far failed for certain, so nothing of it is there.
    fn check_absent(&self, asked: &Asked, tables: &Tables, when: &str) {
        if asked.is_unknown || asked.in_flight != 0 || asked.decided.is_some() {
            return;
        }
        for request in &asked.group {
            if tables.journal.contains_key(&(request.tenant, request.operation)) {
                self.server.trace.violation(&format!("{} is there, {when}", request.operation));
            }
        }
    }

    /// Groups whose fate nobody was told.
    pub(crate) fn unresolved(&self) -> Vec<Vec<Request>> {
        let history = self.asked.lock().unwrap();
        let open = history.values().filter(|asked| asked.decided.is_none() && asked.is_unknown);
        open.map(|asked| asked.group.clone()).collect()
    }

    /// Groups that were decided.
    pub(crate) fn decided(&self) -> Vec<Vec<Request>> {
        let history = self.asked.lock().unwrap();
        history.values().filter(|asked| asked.decided.is_some()).map(|asked| asked.group.clone()).collect()
    }

    /// What nothing can be left of any more is absent, and everything that is stored was asked for.
    pub(crate) fn finish(&self) {
        let mut history = self.asked.lock().unwrap();
        let state = self.server.lock();
        let trace = &self.server.trace;
        for asked in history.values_mut() {
            if asked.in_flight != 0 {
                trace.violation("a call was never answered");
            }
            let done = asked
                .decided
                .as_ref()
                .is_some_and(|decisions| decisions.iter().all(|decision| is_done(decision)));
            trace.count("operations");
            if done {
                trace.count("operations done");
            }
            // Declined after an unknown call, with nothing under way any more: so it stays.
            asked.is_unknown = false;
            self.check_absent(asked, &state.tables, "at the end");
        }
        let keys = history
            .values()
            .flat_map(|asked| &asked.group)
            .map(|request| (request.tenant, request.operation));
        let keys: std::collections::BTreeSet<_> = keys.collect();
        if state.tables.journal.keys().any(|key| !keys.contains(key)) {
            trace.violation("something is stored that nobody asked for");
        }
    }
}

fn is_done(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Done { .. })
}

/// Whether something that the group acts on is not there yet.
fn is_missing(tables: &Tables, group: &[Request]) -> bool {
    let is_there = |request: &Request| {
        let Some(target) = request.target else { return true };
        let made = tables.journal.get(&(request.tenant, target));
        made.is_some_and(|made| is_done(made)) || group.iter().any(|other| other.operation == target)
    };
    !group.iter().all(is_there)
}

fn may_decline(call: Call, asked: &Asked, request: &Request, reason: Reason) -> bool {
    match reason {
        Reason::CurrencyMismatch => &*request.reference == "mismatch",
        Reason::PaymentNotFound | Reason::RefundNotFound => call.may_be_missing,
        // Of a sweep that was late, or of a caller who is early.
        Reason::NotDue => matches!(request.kind, Kind::Expire | Kind::CaptureDue),
        Reason::ApproverIsRequester => request.kind == Kind::ApproveRefund,
        Reason::LinkedItemDeclined => 1 < asked.group.len(),
        _ => false,
    }
}
