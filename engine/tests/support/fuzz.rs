//! Feeds a parser of foreign input with many inputs: it never panics, and what it takes has the properties that are asked
//! for. The seed is fixed, so the figures are the same on every machine; a failure is shown in its smallest form.
//!
//! Built by cargo-fuzz (see engine/fuzz), the same laws get one input at a time, made from bytes that are chosen by what they
//! reach in the code.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic)]

use std::{
    any::Any,
    cell::{Cell, RefCell},
};

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_oneof,
    sample::{Index, select},
    strategy::{Just, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const CASES: u32 = 1_000;

/// Under `make prove`.
const ALL_CASES: u32 = 50_000;

thread_local! {
    /// What one input is to be, or to be made from, if somebody has chosen.
    static CHOSEN: RefCell<Option<Chosen>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Chosen {
    /// Whether the bytes are the input, where it is bytes or a text.
    is_input: bool,
    bytes: Vec<u8>,
}

/// Holds one of the laws to one input. The first byte says which law, and whether the others are the input or make one that is
/// nearly right.
pub fn feed(laws: &[fn()], bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    CHOSEN.set(Some(Chosen { is_input: first % 2 == 0, bytes: rest.to_vec() }));
    laws[usize::from(first / 2) % laws.len()]();
    CHOSEN.set(None);
}

/// `takes` says whether the parser took the input, and fails if it should not have.
pub(crate) fn fuzz<S: Strategy>(what: &str, inputs: &S, takes: impl Fn(S::Value) -> bool)
where
    S::Value: 'static,
{
    match CHOSEN.with_borrow(Clone::clone) {
        Some(Chosen { is_input, bytes }) => {
            let itself = if is_input { as_it_is(&bytes) } else { None };
            if let Some(input) = itself.or_else(|| made_of(&bytes, inputs)) {
                takes(input);
            }
        }
        None => many(what, inputs, takes),
    }
}

/// The chosen bytes themselves, where bytes or a text are read.
fn as_it_is<T: 'static>(bytes: &[u8]) -> Option<T> {
    let mut input: Option<T> = None;
    let place: &mut dyn Any = &mut input;
    if let Some(place) = place.downcast_mut::<Option<Vec<u8>>>() {
        *place = Some(bytes.to_vec());
    } else if let Some(place) = place.downcast_mut::<Option<String>>() {
        *place = String::from_utf8(bytes.to_vec()).ok();
    }
    input
}

/// An input of which the chosen bytes are the seed. They cannot be what is drawn, because a generator that has run out gives
/// zeros, and whoever draws until a number is in range would do so for ever.
fn made_of<S: Strategy>(bytes: &[u8], inputs: &S) -> Option<S::Value> {
    let mut seed = [0; 32];
    for (at, byte) in bytes.iter().enumerate() {
        seed[at % seed.len()] ^= byte;
    }
    let chosen = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    Some(inputs.new_tree(&mut TestRunner::new_with_rng(Config::default(), chosen)).ok()?.current())
}

/// Some of them must be taken and some not, or nothing was tested.
fn many<S: Strategy>(what: &str, inputs: &S, takes: impl Fn(S::Value) -> bool) {
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
