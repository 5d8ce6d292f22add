//! The keys as a Secret has them.

use payplane_engine::{
    age::{Identity, Recipient},
    copies::{self, CopiesError, Keys},
};

use super::{NEW, OLD, OLD_PUBLIC, identity};
use crate::support::TempDir;

fn ids(recipients: &[Recipient]) -> Vec<String> {
    recipients.iter().map(Recipient::id).collect()
}

#[test]
fn a_secret_key_has_the_public_key_that_age_keygen_says() {
    assert_eq!(identity(OLD).recipient(), Recipient::parse(OLD_PUBLIC).unwrap());
    assert_eq!(identity(&OLD.to_lowercase()).recipient(), identity(OLD).recipient());
    for bad in
        ["", "AGE-SECRET-KEY-1QQQQ", &OLD[..OLD.len() - 1], &OLD.replace("33", "34"), OLD_PUBLIC, "hunter2"]
    {
        let refused = Identity::parse(bad).unwrap_err().to_string();
        assert!(
            bad.is_empty() || !refused.contains(bad),
            "what may be most of a key is not repeated: {refused}"
        );
    }
}

#[test]
fn a_new_key_is_one_and_no_two_are_the_same() {
    let new = || copies::command::new_key().unwrap();
    let (one, other) = (new(), new());
    assert_ne!(one, other);
    let lines: Vec<&str> = one.lines().collect();
    let key = identity(lines[2]);
    assert_eq!(lines[0], format!("# public key: {}", key.recipient().text().unwrap()));
    assert_eq!(lines[1], format!("# id in copies: {}", key.recipient().id()));
    assert_eq!(identity(OLD).recipient().text().unwrap(), OLD_PUBLIC);
}

#[test]
fn key_seals_all_others_open_and_recipients_open_as_well() {
    let folder = TempDir::new();
    let read = |folder: &TempDir| Keys::read(&[folder.path().join("keys")]);
    assert!(matches!(read(&folder).unwrap().seal(), Err(CopiesError::NoKey)), "a Secret that is gone");
    folder.write("keys/2025", OLD);
    let keys = read(&folder).unwrap();
    assert!(matches!(keys.seal(), Err(CopiesError::NoKey)) && keys.open().len() == 1);
    folder.write("keys/key", &format!("# created: 2026-11-21T20:00:00Z\n# public key: age1…\n{NEW}\n"));
    folder.write("keys/..data", "not a key: the kubelet's own");
    let keys = read(&folder).unwrap();
    assert_eq!(ids(keys.seal().unwrap().unwrap()), [identity(NEW).recipient().id()]);
    assert_eq!(keys.open().len(), 2);
    folder.write("keys/recipients", &format!("{OLD_PUBLIC}\n"));
    let keys = read(&folder).unwrap();
    let mut sealed_for = ids(keys.seal().unwrap().unwrap());
    sealed_for.sort();
    let mut both = vec![identity(NEW).recipient().id(), identity(OLD).recipient().id()];
    both.sort();
    assert_eq!(sealed_for, both);
    // What is no key is named by its entry, and never shown.
    folder.write("keys/old", "hunter2");
    let refused = read(&folder).unwrap_err();
    assert!(
        refused.to_string().contains("\"old\"") && !format!("{refused:?}").contains("hunter2"),
        "{refused}"
    );
    assert_eq!(refused.code(), 3);
}

#[test]
fn the_second_secret_only_opens() {
    let folder = TempDir::new();
    folder.write("a/key", NEW);
    folder.write("b/key", OLD);
    let keys = Keys::read(&[folder.path().join("a"), folder.path().join("b")]).unwrap();
    assert_eq!(ids(keys.seal().unwrap().unwrap()), [identity(NEW).recipient().id()]);
    assert_eq!(keys.open().len(), 2);
}
