//! Payplane's gRPC API, generated from `proto/payplane/v1/*.proto`. Nothing here is written by hand but the names.

/// Messages, clients and servers of package `payplane.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("payplane.v1");
}

/// The descriptors of every file of the API, for reflection and for tools.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("payplane");
