//! The invariants of ARCHITECTURE.md that the source itself can show. Needs no cluster.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// No source file may be longer: the one that everything is added to is always the worst. Lower it when you can.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below these folders, with its path from the root and its text without inline tests. Tests that stand
/// in a file of their own beside the code are left out.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            found.push((path.strip_prefix(root()).unwrap().display().to_string(), code));
        }
    }
    assert!(!found.is_empty(), "no source in {folders:?}");
    found
}

/// Lines of code that contain one of the words; comments do not count.
fn hits(folders: &[&str], words: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut hits = Vec::new();
    for (path, text) in sources(folders) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if !allowed(&path) && words.iter().any(|word| code.contains(word)) {
                hits.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    hits
}

#[track_caller]
fn assert_none(hits: &[String], rule: &str) {
    assert!(hits.is_empty(), "{rule}:\n{}", hits.join("\n"));
}

/// Names under [dependencies] of a member.
fn dependencies(member: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap();
    section
        .lines()
        .filter_map(|line| Some(line.split(['.', ' ', '=']).next()?.to_owned()))
        .filter(|n| !n.is_empty())
        .collect()
}

#[test]
fn ledger_and_billing_are_pure() {
    let allowed = ["rust_decimal", "serde", "serde_json", "sha2", "thiserror", "uuid"];
    let calendar = ["jiff", "payplane-ledger", "serde", "thiserror"];
    for (member, allowed) in [("engine/ledger", &allowed[..]), ("engine/billing", &calendar[..])] {
        let mut others = dependencies(member);
        others.retain(|name| !allowed.contains(&name.as_str()));
        assert_none(&others, "a pure member depends on more than arithmetic, identities and the calendar");
    }
    let impure = [
        "async ",
        "std::fs",
        "std::net",
        "std::env",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "TimeZone::system",
        "TimeZone::get",
        "new_v4",
        "println!",
        "tracing",
    ];
    assert_none(
        &hits(&["engine/ledger/src", "engine/billing/src"], &impure, |_| false),
        "ledger and billing have no I/O, clock, randomness or logs",
    );
}

#[test]
fn arrows_between_members_point_one_way() {
    let ours = |member: &str| -> Vec<String> {
        dependencies(member).into_iter().filter(|name| name.starts_with("payplane-")).collect()
    };
    assert_eq!(ours("crds"), Vec::<String>::new());
    assert_eq!(ours("proto"), Vec::<String>::new());
    assert_eq!(ours("engine/ledger"), Vec::<String>::new());
    assert_eq!(ours("engine/billing"), ["payplane-ledger"]);
    assert_eq!(ours("engine"), ["payplane-billing", "payplane-ledger", "payplane-proto"]);
    assert_eq!(ours("operator"), ["payplane-crds", "payplane-proto"]);
}

#[test]
fn sql_stands_only_in_the_store() {
    let sql = ["select ", "insert into", "delete from", "SELECT ", "INSERT INTO", "DELETE FROM"];
    let hits = hits(&["engine/src", "operator/src"], &sql, |path| path.starts_with("engine/src/store"));
    // Prose in strings may use the words; only what sqlx runs counts.
    let hits: Vec<_> = hits.into_iter().filter(|hit| hit.contains('"') && hit.contains("sqlx")).collect();
    assert_none(&hits, "SQL outside engine/src/store");
    let calls = ["sqlx::query", "query_as(", "query_scalar("];
    let outside = self::hits(&["engine/src"], &calls, |path| path.starts_with("engine/src/store"));
    assert_none(&outside, "sqlx is called outside engine/src/store");
}

#[test]
fn the_wire_stays_at_the_edges() {
    let wire = ["payplane_proto", "tonic::"];
    let edge = |path: &str| {
        ["engine/src/grpc", "engine/src/server", "engine/src/lib.rs", "engine/src/main.rs"]
            .iter()
            .any(|edge| path.starts_with(edge))
            || ["operator/src/engine", "operator/src/lib.rs", "operator/src/main.rs"]
                .iter()
                .any(|edge| path.starts_with(edge))
    };
    assert_none(&hits(&["engine/src", "operator/src"], &wire, edge), "types of the wire inside the programs");
}

#[test]
fn plans_and_builds_are_synchronous_functions() {
    let pure = |path: &str| {
        path.contains("/build/")
            || ["plan.rs", "validate.rs", "report.rs"].iter().any(|name| path.ends_with(name))
    };
    // Nothing waits outside of what is called async.
    let hits = hits(&["operator/src"], &["async ", "Timestamp::now", "Client"], |path| !pure(path));
    assert_none(&hits, "a pure step reads a clock or waits");
}

#[test]
fn only_one_file_writes_children_and_one_writes_status() {
    let writers =
        |path: &str| path.ends_with("operator/src/apply.rs") || path.ends_with("operator/src/status.rs");
    let lease = |path: &str| path.contains("operator/src/lease");
    let hits = hits(
        &["operator/src"],
        &[".patch(&", ".patch_status(&", ".create(&", ".replace(&", ".delete(&"],
        |path| writers(path) || lease(path),
    );
    assert_none(&hits, "writes outside apply.rs and status.rs");
}

#[test]
fn money_is_never_a_float() {
    let hits = hits(
        &[
            "engine/ledger/src",
            "engine/billing/src",
            "engine/src/grpc",
            "engine/src/store",
            "engine/src/commit",
            "operator/src/engine",
        ],
        &["f64", "f32"],
        |_| false,
    );
    assert_none(&hits, "floating point near money");
}

#[test]
fn files_stay_small() {
    let long: Vec<_> = sources(&[
        "crds/src",
        "engine/src",
        "engine/billing/src",
        "engine/ledger/src",
        "operator/src",
        "tests/e2e/src",
    ])
    .into_iter()
    .filter(|(_, text)| text.lines().count() > LINES_MAX)
    .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
    .collect();
    assert_none(&long, "files that are too long");
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> = sources(&[
        "crds/src",
        "engine/src",
        "engine/billing/src",
        "engine/ledger/src",
        "operator/src",
        "proto/src",
        "tests/e2e/src",
    ])
    .into_iter()
    .filter(|(_, text)| !text.trim_start().starts_with("//!"))
    .map(|(path, _)| path)
    .collect();
    assert_none(&silent, "files without a header");
}

#[test]
fn no_test_is_skipped_and_none_sleeps_without_a_reason() {
    let words = ["#[ignore", "thread::sleep", "time::sleep"];
    let folders = [
        "crds/tests",
        "proto/tests",
        "engine/tests",
        "engine/billing/tests",
        "engine/ledger/tests",
        "operator/tests",
        "tests/e2e",
    ];
    let mut unexplained = Vec::new();
    for (path, text) in sources(&folders).into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let explained = 0 < number && lines[number - 1].trim_start().starts_with("//");
            if words.iter().any(|word| line.contains(word)) && !explained {
                unexplained.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&unexplained, "tests that sleep or are skipped, without a reason in the line above");
}

/// Every Rust file below these folders, as it stands.
fn whole(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn has_tests(text: &str) -> bool {
    text.lines()
        .map(str::trim_start)
        .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

/// The file and all files of its modules. The root of a program looks for them beside itself.
fn with_modules(file: &Path, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    let Ok(text) = fs::read_to_string(file) else { return };
    reached.insert(file.canonicalize().unwrap());
    let folder = file.parent().unwrap();
    let beside = is_root || file.ends_with("mod.rs");
    let below = if beside { folder.to_owned() } else { folder.join(file.file_stem().unwrap()) };
    let mut said = None;
    for line in text.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"") {
            said = path.strip_suffix("\"]").map(|path| folder.join(path));
            continue;
        }
        let name = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod ");
        let Some(name) = name.and_then(|name| name.strip_suffix(';')) else { continue };
        let found = said.take().unwrap_or_else(|| below.join(name).with_extension("rs"));
        with_modules(&found, false, reached);
        with_modules(&below.join(name).join("mod.rs"), false, reached);
    }
}

/// What cargo builds as the roots of tests: what the manifest names, or what lies where cargo looks by itself.
fn test_roots(member: &Path) -> Vec<PathBuf> {
    let manifest = fs::read_to_string(member.join("Cargo.toml")).unwrap();
    if manifest.contains("\nautotests = false\n") {
        let named = manifest.split("[[test]]").skip(1).filter_map(|test| test.split("path = \"").nth(1));
        return named.map(|path| member.join(path.split('"').next().unwrap())).collect();
    }
    let entries = fs::read_dir(member.join("tests")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { path.join("main.rs") } else { path }).collect()
}

/// A test that stands in a file which is nobody's module would never run, and nobody would be told.
#[test]
fn every_test_is_built() {
    let mut lost = Vec::new();
    for member in ["crds", "proto", "engine", "engine/billing", "engine/ledger", "operator", "tests/e2e"] {
        let mut reached = BTreeSet::new();
        for test in test_roots(&root().join(member)) {
            with_modules(&test, true, &mut reached);
        }
        for (path, text) in whole(&[&format!("{member}/tests")]) {
            if has_tests(&text) && !reached.contains(&path.canonicalize().unwrap()) {
                lost.push(path.display().to_string());
            }
        }
    }
    assert_none(&lost, "no program of tests has these as modules");
}

#[test]
fn what_is_not_built_as_a_test_has_none() {
    let without_tests =
        ["crds/src", "proto/src", "tests/e2e/src", "engine/src/main.rs", "operator/src/main.rs"];
    let tests = whole(&without_tests).into_iter().filter(|(_, text)| has_tests(text));
    let tests: Vec<_> = tests.map(|(path, _)| path.display().to_string()).collect();
    assert_none(&tests, "tests where the manifest says that there are none");

    let folders =
        ["crds/src", "proto/src", "engine/src", "engine/billing/src", "engine/ledger/src", "operator/src"];
    let mut examples = Vec::new();
    for (path, text) in whole(&folders) {
        let fences = text.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
        let fences = fences.filter_map(|line| line.trim_start_matches(['/', '!', ' ']).strip_prefix("```"));
        // Every second one ends a block. What is not Rust is named so.
        if fences.step_by(2).any(|language| ["", "rust", "no_run", "should_panic"].contains(&language.trim()))
        {
            examples.push(path.display().to_string());
        }
    }
    assert_none(&examples, "examples in comments, which nobody runs: make tests of them");
}

/// Words that begin so, as far as a metric's name goes.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_part = |one: char| one.is_ascii_lowercase() || one == '_';
    text.match_indices("payplane_")
        .map(|(at, _)| &text[at..])
        .map(|rest| &rest[..rest.find(|one| !is_part(one)).unwrap_or(rest.len())])
        .collect()
}

#[test]
fn alerts_and_dashboards_go_by_metrics_that_exist() {
    let sources: String =
        sources(&["operator/src", "engine/src"]).into_iter().map(|(_, text)| text).collect();
    let mut checked = 0;
    for file in fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with("-alerts.yaml") && !name.ends_with("-dashboard.json") {
            continue;
        }
        for metric in metrics_in(&fs::read_to_string(&file).unwrap()) {
            let own = metric.trim_start_matches("payplane_operator_").trim_start_matches("payplane_engine_");
            let own =
                ["_bucket", "_sum", "_count"].into_iter().fold(own, |own, end| own.trim_end_matches(end));
            assert!(sources.contains(&format!("\"{own}\"")), "{name}: nobody has a metric {metric}");
            checked += 1;
        }
    }
    assert!(10 < checked, "only {checked} names were found");
}
