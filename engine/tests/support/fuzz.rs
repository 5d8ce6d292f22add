//! Feeds a parser of foreign input with many inputs: it never panics, and what it takes has the properties that are asked
//! for. The seed is fixed, so the figures are the same on every machine; a failure is shown in its smallest form.
//!
//! Built by cargo-fuzz (`cfg(fuzzing)`, see engine/fuzz), the same laws get one input at a time, made from bytes that are
//! chosen by what they reach in the code.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic)]

#[cfg(not(fuzzing))]
use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_oneof,
    sample::{Index, select},
    strategy::Just,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

#[cfg(not(fuzzing))]
const CASES: u32 = 1_000;

/// Under `make prove`.
#[cfg(not(fuzzing))]
const ALL_CASES: u32 = 50_000;

#[cfg(fuzzing)]
thread_local! {
    static CHOSEN: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Holds one of the laws, which the first byte chooses, to the input that the others make.
#[cfg(fuzzing)]
pub fn feed(laws: &[fn()], bytes: &[u8]) {
    let Some((law, rest)) = bytes.split_first() else { return };
    CHOSEN.set(rest.to_vec());
    laws[usize::from(*law) % laws.len()]();
}

/// One input from the chosen bytes. Bytes that make none are passed over.
#[cfg(fuzzing)]
pub(crate) fn fuzz<S: Strategy>(_what: &str, inputs: &S, takes: impl Fn(S::Value) -> bool) {
    use proptest::strategy::ValueTree as _;
    let chosen = CHOSEN.with_borrow(|bytes| TestRng::from_seed(RngAlgorithm::PassThrough, bytes));
    if let Ok(input) = inputs.new_tree(&mut TestRunner::new_with_rng(Config::default(), chosen)) {
        takes(input.current());
    }
}

/// `takes` says whether the parser took the input, and fails if it should not have. Some inputs must be taken and some not,
/// or nothing was tested.
#[cfg(not(fuzzing))]
pub(crate) fn fuzz<S: Strategy>(what: &str, inputs: &S, takes: impl Fn(S::Value) -> bool) {
    let cases = if std::env::var_os("PAYPLANE_PROVE").is_some() { ALL_CASES } else { CASES };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 10_000, ..Config::default() };
    let taken = Cell::new(0);
    let fuzzed = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &[7; 16])).run(
        inputs,
        |input| {
            taken.set(taken.get() + u32::from(takes(input)));
            Ok(())
        },
    );
    if let Err(failure) = fuzzed {
        panic!("{what}: {failure}");
    }
    let taken = taken.get();
    assert!(0 < taken && taken < cases, "{what}: {taken} of {cases} were taken");
    println!("parser of {what}: {cases} inputs, {taken} taken, {} refused", cases - taken);
}

/// Texts that are nearly right, and any others.
pub(crate) fn texts(nearly: &'static str) -> impl Strategy<Value = String> {
    let nasty =
        ["", " ", "\0", "+1", "-0", "0x1", "1e3", "NaN", "١", "\u{202e}1", "é", "e\u{301}", "../..", "'; --"];
    let other = prop_oneof![select(vec!['+', '-', '.', ' ', '0', ':']), any::<char>()];
    prop_oneof![
        6 => nearly,
        2 => (nearly, any::<Index>(), other).prop_map(|(text, place, other)| replaced(&text, place, other)),
        1 => any::<String>(),
        1 => select(nasty.to_vec()).prop_map(str::to_owned),
    ]
}

fn replaced(text: &str, place: Index, other: char) -> String {
    if text.is_empty() {
        return other.to_string();
    }
    let place = place.index(text.chars().count());
    text.chars().enumerate().map(|(at, old)| if at == place { other } else { old }).collect()
}

/// Numbers of every size.
pub(crate) fn numbers() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..63_u32).prop_map(|(number, less)| number >> less)
}

/// The bytes with a few of them changed, cut off or made up.
pub(crate) fn spoiled(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![Just(Vec::new()), vec((any::<Index>(), any::<u8>()), 1..4)];
    let end = prop_oneof![8 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (bytes, changes, end).prop_map(|(mut bytes, changes, end)| {
        for (place, other) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = other;
            }
        }
        bytes.truncate(end.map_or(bytes.len(), |end| end.index(bytes.len() + 1)));
        bytes
    })
}
