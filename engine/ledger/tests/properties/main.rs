//! Random histories against an independent model (`model/`), which shares no code with the ledger.
//!
//! Each history is decided in batches. After each step the answers, accounts and payments are those of the model and the
//! invariants hold; each commit checks what a batch writes. Every other history is decided again with every call as a
//! batch of its own, which must lead to the same books, and every fourth again in the same batches, which must have the
//! same roots: not all of them, because hashing without optimisation takes most of the time.
//!
//! The seeds are fixed, so the counters printed and asserted at the end are the same on every machine.
//! `PAYPLANE_PROPTEST_CASES` asks for more histories.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod ask;
mod coverage;
mod drive;
mod generate;
mod invariants;
mod model;
mod store;

use std::cell::RefCell;

use payplane_ledger::{Outcome, Request, Snapshot, Timestamp, apply_linked};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{
    ask::{Act, Answer, Id},
    coverage::Coverage,
    generate::{Call, Sequence},
    invariants::View,
    model::Model,
    store::Store,
};

const CASES: u32 = 2_000;
/// Histories are shared out to so many threads, each with a seed of its own.
const SHARDS: u8 = 4;

#[test]
fn the_ledger_agrees_with_the_model() {
    let asked = std::env::var("PAYPLANE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(CASES);
    let mut coverage = Coverage::default();
    std::thread::scope(|scope| {
        let shards: Vec<_> =
            (0..SHARDS).map(|seed| scope.spawn(move || run_shard(seed, cases / u32::from(SHARDS)))).collect();
        for shard in shards {
            coverage.add(shard.join().unwrap());
        }
    });
    coverage.print();
    if CASES <= cases {
        coverage.assert_enough();
    }
}

fn run_shard(seed: u8, cases: u32) -> Coverage {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &[seed + 1; 16]);
    let coverage = RefCell::new(Coverage::default());
    let checked = TestRunner::new_with_rng(config, rng).run(&generate::sequence(), |sequence| {
        check(&sequence, &mut coverage.borrow_mut());
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
    coverage.into_inner()
}

fn check(sequence: &Sequence, coverage: &mut Coverage) {
    let calls = generate::compile(sequence);
    let requests: Vec<Vec<Request>> =
        calls.iter().map(|call| call.asks.iter().map(drive::request).collect()).collect();
    let ids = payments(&calls);
    let mut model = Model::new(sequence.settings.clone());
    let mut finals = std::collections::BTreeMap::new();
    let mut counted = |call: &Call, snapshot: &Snapshot, store: &Store, outcomes: &[Outcome]| {
        model.now = i128::from(call.now);
        let expected = model.ask(&call.asks);
        let answers: Vec<(Answer, bool)> =
            outcomes.iter().map(|outcome| drive::answer(outcome, &ids)).collect();
        assert_eq!(answers, expected, "{call:#?}");
        View { store, snapshot }.check(&model, &ids, &mut finals);
        coverage.count(call, &answers);
    };
    let batched = run(sequence, &calls, &requests, |call| call.batch, &mut counted);
    assert_eq!(batched.usages(), model.usages);
    coverage.histories += 1;
    match coverage.histories % 4 {
        0 => {
            let again = run(sequence, &calls, &requests, |call| call.batch, &mut |_, _, _, _| {});
            assert_eq!(batched.roots, again.roots, "the same history has the same roots");
        }
        1 | 2 => {
            let mut number = 0;
            let one_by_one = |_: &Call| {
                number += 1;
                number
            };
            let single = run(sequence, &calls, &requests, one_by_one, &mut |_, _, _, _| {});
            assert_same(&batched, &single, &ids);
        }
        _ => {}
    }
}

/// The numbers of all payments that were asked for.
fn payments(calls: &[Call]) -> Vec<Id> {
    let asks = calls.iter().flat_map(|call| &call.asks);
    let mut ids: Vec<Id> =
        asks.filter(|ask| matches!(ask.act, Act::Pay | Act::Authorize)).map(|ask| ask.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Decides all calls; those with the same batch number together.
fn run(
    sequence: &Sequence,
    calls: &[Call],
    requests: &[Vec<Request>],
    batch_of: impl FnMut(&Call) -> usize,
    look: &mut impl FnMut(&Call, &Snapshot, &Store, &[Outcome]),
) -> Store {
    let batches: Vec<usize> = calls.iter().map(batch_of).collect();
    let mut store = Store::new(&sequence.settings);
    let mut start = 0;
    while start < calls.len() {
        let end = (start..calls.len()).find(|end| batches[*end] != batches[start]).unwrap_or(calls.len());
        let mut snapshot = store.read(start as i64 + 1, requests[start..end].iter().flatten());
        for (call, requests) in calls[start..end].iter().zip(&requests[start..end]) {
            let outcomes = apply_linked(&mut snapshot, requests, Timestamp(call.now));
            look(call, &snapshot, &store, &outcomes);
        }
        store.commit(&snapshot);
        start = end;
    }
    store
}

/// The same books, apart from the numbers of the operations.
fn assert_same(batched: &Store, single: &Store, ids: &[Id]) {
    for (id, account) in &batched.accounts {
        let other = &single.accounts[id];
        assert_eq!((account.balance, account.status), (other.balance, other.status), "{id}");
        assert_eq!((account.floor, account.ceiling), (other.floor, other.ceiling), "{id}");
    }
    assert_eq!(batched.payments, single.payments);
    assert_eq!(batched.refunds, single.refunds);
    assert_eq!(batched.usages, single.usages);
    assert!(batched.decisions.keys().eq(single.decisions.keys()));
    for (operation, decision) in &batched.decisions {
        let other = &single.decisions[operation];
        assert_eq!(decision.body, other.body);
        let answer = |decision: &std::sync::Arc<payplane_ledger::Decision>| {
            drive::answer(&Outcome::Decided { decision: decision.clone(), replayed: false }, ids)
        };
        assert_eq!(answer(decision), answer(other));
    }
}
