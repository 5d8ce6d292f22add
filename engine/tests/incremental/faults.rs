//! What goes wrong with what a copy builds on.

use std::fs;

use payplane_engine::copies::prune::Pruned;
use serde_json::{Value, json};

use super::{ExpectedHead, Past, S3, UID};

/// A chain of three, sealed or not, and the head that the third one has.
async fn chain(s3: Option<S3>, is_sealed: bool) -> (Past, ExpectedHead) {
    let mut past = Past::new(s3, is_sealed).await;
    past.pay(10).await;
    past.copy("one", None);
    past.pay(10).await;
    past.copy("two", Some("one"));
    let head = past.pay(10).await;
    past.copy("three", Some("two"));
    (past, head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_and_a_lost_copy_are_found_sealed() {
    is_found(chain(None, true).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_and_a_lost_copy_are_found_in_a_bucket() {
    is_found(chain(Some(S3::start()), false).await).await;
}

/// When it is wanted back it is an error; when the next one is made that is a full copy, which says why and comes back.
async fn is_found((mut past, third): (Past, ExpectedHead)) {
    let ending = if past.is_sealed { ".age" } else { "" };
    let head = past.pay(1).await;
    let (mut found, mut made) = (0, 0);
    for (name, file) in
        [("one", "base.tar.gz"), ("two", "base.tar.gz"), ("one", "about.json"), ("two", "about.json")]
    {
        let is_about = file == "about.json";
        let path =
            past.kept(&if is_about { format!("{name}/{file}") } else { format!("{name}/{file}{ending}") });
        let good = fs::read(&path).unwrap();
        if is_about {
            fs::remove_file(&path).unwrap();
        } else {
            let mut bad = good.clone();
            bad[good.len() / 2] ^= 1;
            fs::write(&path, bad).unwrap();
        }
        let (code, words) = past.refused("three");
        assert_eq!(code, 4, "{name}/{file}: {words}");
        assert!(
            !is_about || words.contains(&format!("builds on copy {name}, which is not there")),
            "{words}"
        );
        found += 1;

        let next = format!("four-{made}");
        let stored = past.copy(&next, Some("three"));
        let why = stored.full_because.clone().unwrap_or_default();
        assert!(stored.parent.is_none() && why.contains(name), "{name}/{file}: {why}");
        assert_eq!(stored.total, stored.bytes);
        made += 1;
        fs::write(&path, good).unwrap();
    }
    println!("{found} times nothing came back, {made} full copies were made instead");
    past.comes_back("four-0", head).await;
    past.comes_back("three", third).await;
}

/// What nothing can build on for another reason than damage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_full_without_the_parents_key_and_after_one_of_another_server() {
    let (past, _) = chain(None, true).await;
    let stored = past.copy_with("other", "other-key", Some("three"));
    let why = stored.full_because.unwrap_or_default();
    assert!(stored.parent.is_none() && why.contains("cannot be opened"), "{why}");
    let change = |name: &str, field: &str, value: Value| {
        let path = past.kept(&format!("{name}/about.json"));
        let mut about: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        about[field] = value;
        fs::write(&path, about.to_string()).unwrap();
    };
    change("three", "system", json!("7412345678901234567"));
    let why = past.copy("another-server", Some("three")).full_because.unwrap_or_default();
    assert!(why.contains("of another server"), "{why}");
    // Somebody else's copy of the same name, and a ring of them, which only a forger makes.
    change("two", "uid", json!("another"));
    assert!(past.refused("three").1.contains("builds on copy two, which is not there"));
    change("two", "uid", json!(UID));
    change("one", "parent", json!({"name": "three", "uid": UID}));
    let (code, words) = past.refused("three");
    assert!(code == 1 && words.contains("as many others as a copy may"), "{code} {words}");
    let why = past.copy("no-ring", Some("three")).full_because.unwrap_or_default();
    assert!(why.contains("as many others as a copy may"), "{why}");
}

/// Whoever asks for it: a copy goes only with all that builds on it, or after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_copy_needs_is_not_deleted() {
    let (past, third) = chain(None, false).await;
    for doomed in [&["one"][..], &["two"], &["two", "one"]] {
        let pruned = past.prune(doomed);
        let needed: Vec<_> = doomed.iter().map(|name| format!("{name}:{UID}")).collect();
        let expected = Pruned { needed, needed_by: pruned.needed_by.clone(), ..Pruned::default() };
        assert_eq!(pruned, expected, "{doomed:?}");
        let builds = format!("three:{UID}");
        assert!(*doomed == ["one"] || pruned.needed_by == [builds], "{:?}", pruned.needed_by);
        assert!(!pruned.needed_by.is_empty());
    }
    past.comes_back("three", third).await;
    // One that no Backup's UID belongs to is nobody's to delete, and needs what it builds on all the same.
    fs::write(past.path("copies/.by/three"), "another").unwrap();
    assert_eq!(past.prune(&["one", "two", "three"]).copies, 0);
    fs::write(past.path("copies/.by/three"), UID).unwrap();
    assert_eq!(past.prune(&["three"]), Pruned { copies: 1, ..Pruned::default() });
    assert_eq!(past.prune(&["one", "two"]), Pruned { copies: 2, ..Pruned::default() });
    assert!(!past.kept("one").exists() && !past.kept("two").exists());
}
