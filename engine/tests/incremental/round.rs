//! There and back.

use std::{fs, path::Path};

use super::{BACKUP, KEY, Past, S3, support::sized};

/// Copies of three moments; the later two build on the ones before. Whether the first one was packed.
async fn round(mut past: Past, is_packed: bool) {
    let count = sized(60, 2_000);
    let first = past.pay(count).await;
    let full = match is_packed {
        true => past.copy("one", None).bytes,
        false => {
            past.run(BACKUP, ("one", "copies"));
            size_of(&past.kept("one"))
        }
    };
    let second = past.pay(count).await;
    let two = past.copy("two", Some("one"));
    let third = past.pay(count).await;
    let three = past.copy("three", Some("two"));

    for (copy, parent) in [(&two, "one"), (&three, "two")] {
        assert_eq!(copy.full_because, None);
        assert_eq!(copy.parent.as_ref().map(|parent| parent.name.as_str()), Some(parent));
        assert!(copy.bytes * 2 < full, "{} of {full} bytes were stored again", copy.bytes);
    }
    // Of a directory the list does not have the log.
    assert!(!is_packed || full + two.bytes == two.total, "{two:?}");
    assert_eq!(two.total + three.bytes, three.total);
    assert_eq!(two.keys.len(), usize::from(past.is_sealed));
    if past.is_sealed {
        for file in ["two/base.tar.gz.age", "two/backup_manifest.age", "two/about.json"] {
            let contents = fs::read(past.kept(file)).unwrap();
            let has = |word: &[u8]| contents.windows(word.len()).any(|part| part == word);
            assert!(!has(b"pg_xact") && !has(b"p-1") && !has(KEY.as_bytes()), "{file} can be read");
        }
    }
    past.comes_back("three", third).await;
    past.comes_back("two", second).await;
    if is_packed {
        past.comes_back("one", first).await;
    }
    println!(
        "a full copy of {full} bytes, and of {} and {} after {count} payments each",
        two.bytes, three.bytes
    );
}

fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let size = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => size_of(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_copy_of_a_chain_comes_back_sealed_from_a_directory() {
    round(Past::new(None, true).await, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_copy_of_a_chain_comes_back_as_it_is_from_a_bucket() {
    round(Past::new(Some(S3::start()), false).await, true).await;
}

/// As in a volume whose copies are not sealed: the full one was never packed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_copy_of_a_chain_comes_back_that_begins_with_a_directory() {
    round(Past::new(None, false).await, false).await;
}
