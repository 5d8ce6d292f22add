use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn file(path: &str, size: u64, sum: &str) -> Value {
    json!({
        "Path": path, "Size": size, "Last-Modified": "2026-11-22 06:00:00 GMT",
        "Checksum-Algorithm": "SHA256", "Checksum": sum,
    })
}

fn manifest(files: &[Value]) -> Option<Manifest> {
    let text = json!({
        "PostgreSQL-Backup-Manifest-Version": 1, "Files": files, "WAL-Ranges": [], "Manifest-Checksum": "0",
    });
    Manifest::parse(text.to_string().as_bytes())
}

fn changed(new: &[Value], old: &[Value]) -> Vec<String> {
    let (new, old) = (manifest(new).unwrap(), manifest(old).unwrap());
    new.changed_since(&old).map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

#[test]
fn a_file_is_stored_unless_the_parent_has_it_with_path_size_and_sum() {
    let before = file("base/5/16384", 8192, "ab");
    for (what, after, is_stored) in [
        ("the same", file("base/5/16384", 8192, "ab"), false),
        ("the same, in other letters", file("base/5/16384", 8192, "AB"), false),
        ("as large, and another", file("base/5/16384", 8192, "cd"), true),
        ("longer", file("base/5/16384", 16384, "ab"), true),
        ("elsewhere", file("base/5/16384.1", 8192, "ab"), true),
    ] {
        assert_eq!(changed(&[after], std::slice::from_ref(&before)).len(), usize::from(is_stored), "{what}");
    }
    // Of what has no sum, or a weak one, nothing is known.
    for weak in [
        json!({"Path": "base/5/16384", "Size": 8192}),
        json!({"Path": "base/5/16384", "Size": 8192, "Checksum-Algorithm": "CRC32C", "Checksum": "ab"}),
    ] {
        assert_eq!(changed(std::slice::from_ref(&weak), std::slice::from_ref(&weak)), ["base/5/16384"]);
    }
    assert_eq!(changed(&[], &[before]), Vec::<String>::new(), "what is gone is not stored");
}

#[test]
fn what_leads_out_of_the_directory_or_is_listed_twice_is_no_manifest() {
    let one = |path: &str| manifest(&[file(path, 1, "ab")]);
    assert!(one("pg_xact/0000").is_some());
    for path in ["", "/etc/passwd", "../secret", "base/../../secret", "base//1", "./base"] {
        assert_eq!(one(path), None, "{path}");
    }
    assert_eq!(manifest(&[file("a", 1, "ab"), file("a", 2, "cd")]), None);
    assert_eq!(manifest(&[json!({"Size": 1})]), None);
    for text in ["", "{}", "[]", r#"{"Files": {}}"#] {
        assert_eq!(Manifest::parse(text.as_bytes()), None, "{text}");
    }
    // A name that is no text comes in hexadecimal digits.
    let encoded = |path: &str| manifest(&[json!({"Encoded-Path": path, "Size": 1})]);
    assert_eq!(encoded("62ff").unwrap().0.into_keys().collect::<Vec<_>>(), [b"b\xff".to_vec()]);
    for path in ["6", "6g", "2e2e", "é"] {
        assert_eq!(encoded(path), None, "{path}");
    }
}

/// What a server's directory holds at one time: for each path a size and contents, or nothing.
fn states() -> impl Strategy<Value = Vec<Vec<Option<(u64, u8)>>>> {
    let file = prop::option::weighted(0.8, (1..3_u64, 0..3_u8));
    prop::collection::vec(prop::collection::vec(file, 6), 1..7)
}

fn listed(state: &[Option<(u64, u8)>]) -> Manifest {
    let files = state.iter().enumerate();
    let entry = |(at, file): (usize, &Option<(u64, u8)>)| {
        file.map(|(bytes, what)| {
            (format!("base/{at}").into_bytes(), Entry { bytes, sha256: Some(format!("{what}")) })
        })
    };
    Manifest(files.filter_map(entry).collect())
}

proptest! {
    /// Whatever happened to the files in between: taking each from the newest copy of the chain that stores it gives the last state,
    /// and nothing is stored that the one before has.
    #[test]
    fn a_chain_gives_the_last_state_and_stores_nothing_twice(states in states()) {
        let manifests: Vec<_> = states.iter().map(|state| listed(state)).collect();
        let stored: Vec<BTreeSet<Vec<u8>>> = manifests.iter().enumerate().map(|(at, manifest)| {
            let empty = Manifest::default();
            let parent = if at == 0 { &empty } else { &manifests[at - 1] };
            manifest.changed_since(parent).map(<[u8]>::to_vec).collect()
        }).collect();
        let last = manifests.last().unwrap();
        for (path, file) in &last.0 {
            let at = (0..manifests.len()).rev().find(|at| stored[*at].contains(path));
            prop_assert_eq!(at.map(|at| &manifests[at].0[path]), Some(file));
        }
        for at in 1..manifests.len() {
            for path in &stored[at] {
                prop_assert_ne!(manifests[at].0.get(path), manifests[at - 1].0.get(path));
            }
        }
    }
}
