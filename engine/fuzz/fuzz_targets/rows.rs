//! Amounts, currencies, and the parts of stored rows that are text.
#![no_main]

#[path = "../../ledger/tests/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::feed(&parsers::LAWS, bytes));
