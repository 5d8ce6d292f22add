//! Whole requests, as bytes on the wire.
#![no_main]

use payplane_engine::fuzzing::{REQUESTS, feed};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed(REQUESTS, bytes));
