//! The small parts of requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| payplane_engine::fuzzing::fields(bytes));
