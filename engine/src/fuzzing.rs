//! What engine/fuzz holds to inputs that cargo-fuzz chooses: the laws of the readers, which the tests hold to random ones.

#[cfg(fuzzing)]
pub use crate::fuzz::feed;

use crate::{auth, grpc};

/// Whole requests, as bytes on the wire.
pub const REQUESTS: &[fn()] = &grpc::ask::parsers::LAWS;

/// The small parts of requests.
pub const FIELDS: &[fn()] = &grpc::parsers::LAWS;

/// Tokens, subjects, and the issuer's documents.
pub const TOKENS: &[fn()] = &auth::parsers::LAWS;
