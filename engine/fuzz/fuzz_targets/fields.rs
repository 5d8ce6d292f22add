//! The small parts of requests.
#![no_main]

use payplane_engine::fuzzing::{FIELDS, feed};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed(FIELDS, bytes));
