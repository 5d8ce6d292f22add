//! What happened, line by line: its hash says whether two runs were the same, its counts whether a run proves anything,
//! and its last lines what went wrong.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Mutex,
};

use tokio::time::Instant;

/// How much of a trace a failed run shows.
const TAIL: usize = 200;

#[derive(Debug)]
pub(crate) struct Trace {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    counts: BTreeMap<String, u64>,
    /// What must never happen, and how many lines there were when it did.
    violations: Vec<(String, usize)>,
}

/// What is left of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) hash: u64,
    pub(crate) lines: usize,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Nothing if all went well.
    pub(crate) failure: Option<String>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), inner: Mutex::default() }
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        let at = self.started.elapsed();
        self.inner.lock().unwrap().lines.push(format!("{:>9}us {what}", at.as_micros()));
    }

    pub(crate) fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: &str, number: u64) {
        let mut inner = self.inner.lock().unwrap();
        match inner.counts.get_mut(what) {
            Some(count) => *count += number,
            None => {
                inner.counts.insert(what.to_owned(), number);
            }
        }
    }

    /// Something that must never happen did.
    pub(crate) fn violation(&self, what: &str) {
        self.note(format_args!("VIOLATION {what}"));
        let mut inner = self.inner.lock().unwrap();
        let line = inner.lines.len();
        inner.violations.push((what.to_owned(), line));
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.inner.lock().unwrap().violations.is_empty()
    }

    pub(crate) fn report(&self) -> Report {
        let inner = self.inner.lock().unwrap();
        // With fixed keys, unlike that of a hash map.
        let mut hasher = DefaultHasher::new();
        inner.lines.hash(&mut hasher);
        let failure = inner.violations.first().map(|(first, line)| {
            let mut text = format!("{first} ({} violations)\n", inner.violations.len());
            for shown in &inner.lines[line.saturating_sub(TAIL)..*line] {
                let _ = writeln!(text, "{shown}");
            }
            text
        });
        Report { hash: hasher.finish(), lines: inner.lines.len(), counts: inner.counts.clone(), failure }
    }
}
