//! Tokens, subjects, and the issuer's documents.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| payplane_engine::fuzzing::tokens(bytes));
