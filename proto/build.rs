//! Compiles `payplane/v1/*.proto` with a pure-Rust front end, so that no `protoc` has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const SERVICES: &[&str] = &[
    "payplane/v1/wallet_service.proto",
    "payplane/v1/payment_service.proto",
    "payplane/v1/tenant_service.proto",
    "payplane/v1/ledger_service.proto",
    "payplane/v1/settings_service.proto",
    "payplane/v1/people_service.proto",
    "payplane/v1/billing.proto",
    "payplane/v1/event_service.proto",
    "payplane/v1/token_service.proto",
    "payplane/v1/api_key_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=payplane");
    let descriptors = protox::compile(SERVICES, ["."])?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("payplane.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
