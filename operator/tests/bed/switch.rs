//! What a proxy does with each call: counts it, and decides whether it goes wrong.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// One call on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// GET, LIST, WATCH, POST, PUT, PATCH, DELETE; CALL at the engine.
    pub verb: &'static str,
    /// Resource with its subresource, such as payments/status; the method at the engine.
    pub kind: String,
    /// Namespace, if it has one.
    pub namespace: String,
    /// Name, if it has one.
    pub name: String,
}

impl Call {
    /// Whether it changes something at the API server.
    pub fn is_write(&self) -> bool {
        is_write(self.verb)
    }
}

fn is_write(verb: &str) -> bool {
    ["POST", "PUT", "PATCH", "DELETE"].contains(&verb)
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It never arrives, and the connection breaks.
    LoseRequest,
    /// It is done; the answer is lost and the connection breaks.
    LoseAnswer,
    /// It never arrives; the caller waits for ever.
    HoldRequest,
    /// It is done; the caller waits for ever.
    HoldAnswer,
    /// The server says this HTTP status instead of doing it. Of a watch, 410 comes as its first event.
    Answer(u16),
    /// It takes so much longer.
    Delay(Duration),
}

/// Which calls go wrong, and how.
pub struct Rule {
    which: Box<dyn Fn(&Call) -> bool + Send>,
    skip: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// Every one of these calls.
    pub fn every(fault: Fault, which: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        Self { which: Box::new(which), skip: 0, times: u64::MAX, fault }
    }

    /// Only the nth of these calls, counted from one.
    pub fn nth(number: u64, fault: Fault, which: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        Self { skip: number - 1, times: 1, ..Self::every(fault, which) }
    }

    /// The first so many of these calls.
    pub fn first(times: u64, fault: Fault, which: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        Self { times, ..Self::every(fault, which) }
    }
}

#[derive(Default)]
struct State {
    calls: BTreeMap<(&'static str, String), u64>,
    rules: Vec<Rule>,
    is_away: bool,
}

/// Counts calls and holds the rules of one proxy.
pub struct Switch {
    state: Mutex<State>,
    struck: watch::Sender<u64>,
    cuts: watch::Sender<u64>,
}

impl Default for Switch {
    fn default() -> Self {
        Self { state: Mutex::default(), struck: watch::channel(0).0, cuts: watch::channel(0).0 }
    }
}

impl Switch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call and tells what goes wrong with it.
    pub fn judge(&self, call: &Call) -> Option<Fault> {
        let mut state = self.state();
        *state.calls.entry((call.verb, call.kind.clone())).or_default() += 1;
        for rule in &mut state.rules {
            if !(rule.which)(call) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault);
        }
        None
    }

    /// Tells that a fault has happened: after the call was done, if it was.
    pub fn strike(&self) {
        self.struck.send_modify(|count| *count += 1);
    }

    /// From now on these calls go wrong, and no others.
    pub fn set(&self, rules: Vec<Rule>) {
        self.state().rules = rules;
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.is_away = false;
    }

    /// Breaks every connection, and every new one, until [`Switch::heal`].
    pub fn go_away(&self) {
        self.state().is_away = true;
        self.cut();
    }

    pub fn is_away(&self) -> bool {
        self.state().is_away
    }

    /// Breaks every connection that there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Ends when connections that exist now are to break.
    pub fn cutting(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cuts = self.cuts.subscribe();
        async move {
            let _ = cuts.changed().await;
        }
    }

    /// Whether every fault that was asked for has met its calls: it happens then, if it has not yet.
    pub fn is_spent(&self) -> bool {
        self.state().rules.iter().all(|rule| rule.times == 0)
    }

    /// How many faults have happened.
    pub fn strikes(&self) -> u64 {
        *self.struck.borrow()
    }

    /// Ends when so many faults have happened in all.
    pub async fn struck(&self, count: u64) {
        let mut struck = self.struck.subscribe();
        let _ = struck.wait_for(|now| count <= *now).await;
    }

    /// How many calls of this verb and kind there were.
    pub fn calls(&self, verb: &str, kind: &str) -> u64 {
        let state = self.state();
        state.calls.iter().filter(|((v, k), _)| *v == verb && k == kind).map(|(_, count)| count).sum()
    }

    /// How many calls there were in all.
    pub fn all_calls(&self) -> u64 {
        self.state().calls.values().sum()
    }

    /// How many writes there were, without the Lease.
    pub fn writes(&self) -> u64 {
        let state = self.state();
        let counted = state.calls.iter().filter(|((verb, kind), _)| is_write(verb) && kind != "leases");
        counted.map(|(_, count)| count).sum()
    }

    /// Every verb and kind with its count, for people.
    pub fn table(&self) -> String {
        let state = self.state();
        let lines = state.calls.iter().map(|((verb, kind), count)| format!("{verb} {kind}: {count}"));
        lines.collect::<Vec<_>>().join(", ")
    }

    /// Counts from nothing again.
    pub fn reset(&self) {
        self.state().calls.clear();
    }
}
