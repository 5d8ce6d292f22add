//! Files that are sealed here: of every length around a chunk's, whole or not at all.

use payplane_engine::age::{CHUNK, OpenError};
use proptest::prelude::*;

use super::{NEW, OLD, OLD_PUBLIC, identity, open, seal};

fn contents(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn what_was_sealed_comes_back_whatever_its_length_and_the_pieces() {
    let keys = [identity(OLD)];
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
        let contents = contents(length);
        for piece in [1000, CHUNK, 3 * CHUNK] {
            let sealed = seal("a/b", &keys, &contents, piece);
            assert_eq!(
                open(Some("a/b"), &keys, &sealed, 4 * CHUNK - piece).unwrap(),
                contents,
                "{length} in {piece}"
            );
        }
    }
}

#[test]
fn every_changed_byte_and_every_lost_end_is_found() {
    let keys = [identity(OLD)];
    let sealed = seal("a/b", &keys, &contents(500), 500);
    let mut refused = 0;
    for at in 0..sealed.len() {
        for change in [1, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= change;
            assert!(open(Some("a/b"), &keys, &changed, 97).is_err(), "byte {at} changed by {change}");
            refused += 1;
        }
        assert!(open(Some("a/b"), &keys, &sealed[..at], 97).is_err(), "cut at {at}");
        refused += 1;
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert_eq!(open(Some("a/b"), &keys, &longer, 97), Err(OpenError::Damaged));
    println!("{refused} damaged files of {} bytes refused", sealed.len());
    assert_eq!(refused, 3 * sealed.len());
}

#[test]
fn chunks_stay_where_they_were() {
    let keys = [identity(OLD)];
    let sealed = seal("a/b", &keys, &contents(3 * CHUNK), CHUNK);
    let begin = sealed.len() - 3 * (CHUNK + 16);
    let chunk = |at: usize| &sealed[begin + at * (CHUNK + 16)..begin + (at + 1) * (CHUNK + 16)];
    let made = |order: &[usize]| {
        let chunks = order.iter().map(|at| chunk(*at).to_vec());
        [sealed[..begin].to_vec()].into_iter().chain(chunks).collect::<Vec<_>>().concat()
    };
    assert_eq!(open(Some("a/b"), &keys, &made(&[0, 1, 2]), CHUNK).unwrap(), contents(3 * CHUNK));
    for order in [&[1, 0, 2][..], &[0, 2], &[0, 1], &[0, 1, 2, 2], &[0, 0, 1, 2], &[2]] {
        assert_eq!(open(Some("a/b"), &keys, &made(order), CHUNK), Err(OpenError::Damaged), "{order:?}");
    }
}

#[test]
fn only_the_keys_that_it_was_sealed_for_open_it_and_the_others_are_told_which() {
    let (old, new) = (identity(OLD), identity(NEW));
    let (old_id, new_id) = (old.recipient().id(), new.recipient().id());
    let sealed = seal("a/b", &[identity(OLD)], b"money", 5);
    let refused = open(Some("a/b"), &[identity(NEW)], &sealed, 1000).unwrap_err();
    assert_eq!(refused, OpenError::NoKey { wanted: vec![old_id.clone()] });
    assert!(refused.to_string().contains(&old_id));
    assert_eq!(open(Some("a/b"), &[], &sealed, 1000), Err(OpenError::NoKey { wanted: vec![old_id.clone()] }));
    // After a rotation the old key is still there.
    assert_eq!(open(Some("a/b"), &[identity(NEW), identity(OLD)], &sealed, 1000).unwrap(), b"money");
    // For two: each opens it.
    let both = seal("a/b", &[identity(OLD), identity(NEW)], b"money", 5);
    for key in [OLD, NEW] {
        assert_eq!(open(Some("a/b"), &[identity(key)], &both, 1000).unwrap(), b"money");
    }
    let text = String::from_utf8_lossy(&both).into_owned();
    assert!(text.contains(&format!("-> payplane.io/sealed a/b {old_id} {new_id}\n")), "{text}");
    // Whoever only reads files must not learn for whom others could be made.
    assert!(!text.contains("age1") && !text.contains(OLD_PUBLIC));
}

#[test]
fn a_file_is_not_taken_for_another_one() {
    let keys = [identity(OLD)];
    let sealed = seal("wal/1", &keys, b"money", 5);
    let refused = open(Some("wal/2"), &keys, &sealed, 1000).unwrap_err();
    assert_eq!(refused, OpenError::Misplaced { found: Some("wal/1".into()) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any contents, in any pieces.
    #[test]
    fn pieces_mean_nothing(
        contents in prop::collection::vec(any::<u8>(), 0..2000),
        times in 1..80_usize,
        sealing in 1..100_000_usize,
        opening in 1..100_000_usize,
    ) {
        let contents = contents.repeat(times);
        let keys = [identity(OLD)];
        let sealed = seal("a/b", &keys, &contents, sealing);
        prop_assert_eq!(open(Some("a/b"), &keys, &sealed, opening).unwrap(), contents);
    }

    /// No bytes make it panic, and none that it did not seal are opened.
    #[test]
    fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), with_begin in any::<bool>()) {
        let begin: &[u8] = if with_begin { b"age-encryption.org/v1\n-> X25519 " } else { b"" };
        let keys = [identity(OLD)];
        prop_assert!(open(None, &keys, &[begin, &bytes].concat(), 13).is_err());
    }
}
