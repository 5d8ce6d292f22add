//! How often everything happened. A run that did too little of anything proves nothing and does not pass.

use std::collections::BTreeMap;

/// The least of each in a normal run.
const LEAST: [(&str, u64); 56] = [
    ("told: Decided", 30_000),
    ("told: replayed", 15_000),
    ("told: Unavailable", 800),
    ("told: Busy", 1_000),
    ("told: Draining", 800),
    ("told: Unknown", 100),
    ("unknown: turned out absent", 400),
    ("unknown: turned out present", 150),
    ("server: waited for the batch before", 60),
    ("memory: right", 800),
    ("memory: refused", 500),
    ("memory: not answered", 20),
    ("client: went away", 300),
    ("client: delivered twice", 800),
    ("client: repeated", 1_000),
    ("client: another body", 300),
    ("done: Pay", 5_000),
    ("done: Authorize", 2_000),
    ("done: Capture", 500),
    ("done: Void", 100),
    ("done: Expire", 200),
    ("done: CaptureDue", 200),
    ("done: HandOver", 200),
    ("done: Settle", 100),
    ("done: Fail", 80),
    ("done: Refund", 300),
    ("done: ApproveRefund", 40),
    ("done: RejectRefund", 40),
    ("done: Reverse", 100),
    ("done: ChangeWallet", 300),
    ("audit: linked done", 1_000),
    ("audit: linked refused", 300),
    ("refused: LimitExceeded", 30),
    ("refused: SettlementCapExceeded", 200),
    ("fault: write alone LostBefore", 10),
    ("fault: write alone LostAfter", 10),
    ("fault: write LostBefore", 50),
    ("fault: write LostAfter", 50),
    ("fault: write Silence", 5),
    ("fault: commit LostBefore", 50),
    ("fault: commit LostAfter", 50),
    ("fault: commit Silence", 5),
    ("fault: lock_and_read LostBefore", 60),
    ("fault: lock_and_read LostAfter", 60),
    ("fault: lock_and_read Silence", 10),
    ("fault: rollback LostAfter", 20),
    ("fault: statement timeout before the statement", 50),
    ("fault: statement timeout after the statement", 50),
    ("fault: backend ended before the statement", 50),
    ("fault: backend ended after the statement", 50),
    ("fault: a session vanished in a transaction", 50),
    ("fault: server restarted", 40),
    ("fault: replica killed", 80),
    ("fault: replica drained", 40),
    ("fault: settings changed", 100),
    ("fault: cap changed", 1_000),
];

/// The same of the comparison with PostgreSQL: every refusal has to come up.
const LEAST_ALIKE: [(&str, u64); 11] = [
    ("rows", 300),
    ("commit: ok", 100),
    ("rollback: ok", 50),
    ("lock_and_read: busy", 50),
    ("read_settings: ok", 20),
    ("write Nothing: ok", 100),
    ("PP001", 20),
    ("PP002", 3),
    ("PP004", 10),
    ("23514", 8),
    ("write alone", 20),
];

#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(crate) fn add(&mut self, others: BTreeMap<String, u64>) {
        for (what, count) in others {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(crate) fn print(&self) {
        for (what, count) in &self.0 {
            println!("{count:>8}  {what}");
        }
    }

    fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn assert_not_vacuous(&self) {
        let few = LEAST.iter().map(|(what, least)| (what, self.of(what), least));
        let few: Vec<_> = few.filter(|(_, count, least)| count < least).collect();
        assert!(few.is_empty(), "too few, so the run proves nothing: {few:#?}");
        let (all, done) = (self.of("operations"), self.of("operations done"));
        assert!(all * 60 <= done * 100, "only {done} of {all} operations were done");
    }

    /// Of refusals, whatever the step.
    pub(crate) fn assert_alike_not_vacuous(&self) {
        let like = |word: &str| -> u64 {
            let found = self.0.iter().filter(|(what, _)| {
                **what == *word
                    || what.ends_with(&format!(": {word}"))
                    || what.starts_with(&format!("{word} "))
            });
            found.map(|(_, count)| count).sum()
        };
        let few = LEAST_ALIKE.iter().map(|(what, least)| (what, like(what), least));
        let few: Vec<_> = few.filter(|(_, count, least)| count < least).collect();
        assert!(few.is_empty(), "too few, so the comparison proves nothing: {few:#?}");
    }
}
