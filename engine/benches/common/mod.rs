//! What benchmarks share: the engine as a process, its callers, the world that they pay in, and what can be said of figures.

pub(crate) mod connect;
pub(crate) mod drawing;
pub(crate) mod engine;
pub(crate) mod grpc;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod requests;
pub(crate) mod statistics;
pub(crate) mod wire;
pub(crate) mod world;
