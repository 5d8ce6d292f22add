//! Tokens, subjects, and the issuer's documents.
#![no_main]

use payplane_engine::fuzzing::{TOKENS, feed};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed(TOKENS, bytes));
