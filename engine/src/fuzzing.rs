//! What engine/fuzz holds to inputs that cargo-fuzz chooses: the laws of the readers, which the tests hold to random ones.

use crate::{auth, fuzz::feed, grpc};

/// Whole requests, as bytes on the wire.
pub fn requests(bytes: &[u8]) {
    feed(&grpc::ask::parsers::LAWS, bytes);
}

/// The small parts of requests.
pub fn fields(bytes: &[u8]) {
    feed(&grpc::parsers::LAWS, bytes);
}

/// Tokens, subjects, and the issuer's documents.
pub fn tokens(bytes: &[u8]) {
    feed(&auth::parsers::LAWS, bytes);
}
