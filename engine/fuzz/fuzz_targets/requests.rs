//! Whole requests, as bytes on the wire.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| payplane_engine::fuzzing::requests(bytes));
