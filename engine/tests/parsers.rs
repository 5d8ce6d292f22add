//! What the engine is started with: files, flags, heads that were kept elsewhere. Nothing of it makes the engine panic.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

#[path = "support/fuzz.rs"]
#[allow(dead_code)]
mod fuzz;

use clap::Parser as _;
use fuzz::{fuzz, texts};
use payplane_engine::{config::Cli, store::DatabaseConfig, verify::ExpectedHead};
use proptest::{collection::vec, prop_oneof, sample::select, strategy::Strategy as _};

#[test]
fn files_of_the_database() {
    let directory = std::env::temp_dir().join(format!("payplane-files-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for name in ["host", "dbname", "username"] {
        std::fs::write(directory.join(name), "x\n").unwrap();
    }
    let inputs = (texts("[0-9]{1,6}\n?"), texts("[a-z.]{0,20}\r?\n{0,2}"));
    fuzz("files of the database", &inputs, |(port, password)| {
        std::fs::write(directory.join("port"), &port).unwrap();
        std::fs::write(directory.join("password"), &password).unwrap();
        let Ok(config) = DatabaseConfig::read(&directory) else { return false };
        assert_eq!(config.password, password.trim_end_matches(['\r', '\n']));
        let _ = config.options();
        true
    });
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn heads() {
    fuzz("heads", &texts("[+0]?[0-9]{1,19}:[0-9a-f]{64}"), |text| {
        let Ok(ExpectedHead { seal, link }) = text.parse() else { return false };
        let digits: String = link.iter().map(|byte| format!("{byte:02x}")).collect();
        // To the letter what was printed, but for capitals.
        assert_eq!(format!("{seal}:{digits}"), text.to_lowercase());
        true
    });
}

#[test]
fn flags() {
    let commands = [
        vec!["serve", "--insecure-plaintext", "--database-dir=/x"],
        vec!["migrate", "--owner-database-dir=/x", "--app-database-dir=/y"],
        vec!["verify", "--database-dir=/x"],
        vec![],
    ];
    let others = ["--pool-size=4", "--wait-seconds=1", "--reflection", "--expect-head", "serve", "--help"];
    let other = prop_oneof![
        4 => select(others.to_vec()).prop_map(str::to_owned),
        1 => texts("--[a-z-]{0,14}(=[0-9]{0,4})?"),
    ];
    fuzz("flags", &(select(commands.to_vec()), vec(other, 0..3)), |(command, others)| {
        let arguments = std::iter::once("payplane-engine").chain(command).map(str::to_owned);
        Cli::try_parse_from(arguments.chain(others)).is_ok()
    });
}
