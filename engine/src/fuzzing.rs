//! What engine/fuzz holds to inputs that cargo-fuzz chooses: the laws of the readers, which the tests hold to random ones.

pub use crate::fuzz::feed;

use crate::{auth, grpc};

/// Whole requests, as bytes on the wire.
pub const REQUESTS: &[fn()] = &grpc::ask::parsers::LAWS;

/// The small parts of requests.
pub const FIELDS: &[fn()] = &grpc::parsers::LAWS;

/// Tokens, subjects, and the issuer's documents.
pub const TOKENS: &[fn()] = &auth::parsers::LAWS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_law_is_held_to_whatever_bytes_are_chosen() {
        for laws in [REQUESTS, FIELDS, TOKENS] {
            for first in 0..u8::try_from(2 * laws.len()).unwrap_or(u8::MAX) {
                for chosen in [Vec::new(), vec![0; 100], vec![u8::MAX; 100], (0..=u8::MAX).collect()] {
                    feed(laws, &[vec![first], chosen].concat());
                }
            }
        }
    }
}
