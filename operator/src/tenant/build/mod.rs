//! The objects of a Tenant, one builder each. Pure.

pub mod config_map;
pub mod namespace;
