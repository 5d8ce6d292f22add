//! There and back.

use std::fs;

use payplane_engine::copies::{CopiesError, Storage, copy, log, spool::Spool};

use super::{FILES, PREFIX, SYSTEM, World};

#[test]
fn a_copy_comes_back_as_it_was_and_a_sealed_one_is_read_by_nobody_meanwhile() {
    let world = World::new();
    for (name, sealed, ending) in [("sealed", true, ".age"), ("plain", false, "")] {
        world.pack(name, "0000000000000003");
        let stored = world.store(name, sealed).unwrap();
        assert_eq!(stored.keys.len(), usize::from(sealed));
        let mut size = 0;
        for file in FILES {
            let contents = fs::read(world.s3.path(&format!("{PREFIX}/{name}/{file}{ending}"))).unwrap();
            let can_be_read = contents.windows(6).any(|part| part == b"of the");
            assert_eq!(can_be_read, !sealed, "{file} can be read");
            size += contents.len() as u64;
        }
        assert_eq!(stored.bytes, size);
        let opened = world.fetch(name).unwrap();
        for file in FILES {
            let opened = fs::read_to_string(opened.join(file)).unwrap();
            assert_eq!(opened, format!("{file} of the {name} copy"));
        }
    }
    let refused = world.fetch_by(&world.s3.config(PREFIX), "plain", true).unwrap_err();
    assert!(matches!(refused, CopiesError::Plain(_)) && refused.code() == 4, "{refused}");
}

#[test]
fn another_copy_of_the_name_is_left_alone() {
    let world = World::new();
    world.store("nightly", true).unwrap();
    let before = world.kept();
    world.pack("second", "0000000000000003");
    for name in ["nightly", "wal"] {
        let refused = world.store(name, true).unwrap_err();
        assert!(matches!(refused, CopiesError::Taken(_)), "{refused}");
    }
    assert_eq!(world.kept(), before);
    let opened = fs::read_to_string(world.fetch("nightly").unwrap().join("base.tar.gz")).unwrap();
    assert_eq!(opened, "base.tar.gz of the first copy");
    // Two that begin at once: what makes it a copy is written under the condition that nothing is there.
    let storage = world.storage();
    assert!(storage.write_new("once", b"one").unwrap());
    assert!(storage.write_new("once", b"one").unwrap(), "its own, after an answer that was lost");
    assert!(!storage.write_new("once", b"another").unwrap());
    assert_eq!(storage.read("once").unwrap().as_deref(), Some(b"one".as_slice()));
}

/// Three parts, the last one short.
#[test]
fn what_is_larger_than_a_part_comes_back_whole() {
    let world = World::new();
    let size = 2 * 24 * 1024 * 1024 + 12_345;
    // Neither compressible nor periodic by the size of a part.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let large: Vec<u8> = (0..size).map(|_| next()).collect();
    for sealed in [false, true] {
        world.pack("large", "0000000000000003");
        fs::write(world.path("packed/base.tar.gz"), &large).unwrap();
        let name = if sealed { "sealed" } else { "plain" };
        assert!(size as u64 <= world.store(name, sealed).unwrap().bytes);
        let opened = fs::read(world.fetch(name).unwrap().join("base.tar.gz")).unwrap();
        assert!(opened == large, "{name}: {} of {} bytes, or others", opened.len(), large.len());
    }
}

#[test]
fn the_log_is_stored_once_and_comes_back_from_the_copy_on() {
    let world = World::new();
    for sealed in [false, true] {
        let platform = if sealed { "sealed" } else { "plain" };
        world.pack("first", "0000000000000003");
        world.store(platform, sealed).unwrap();
        fs::create_dir_all(world.path(&format!("spool-{platform}"))).unwrap();
        let spool = Spool {
            storage: world.s3.config(PREFIX),
            keys: Vec::from_iter(sealed.then(|| world.path("keys"))),
            platform: platform.into(),
            directory: world.path(&format!("spool-{platform}")),
        };
        let hand_over = |number: u32, contents: &str| {
            let stem = format!("spool-{platform}/{SYSTEM}.0000000100000000{number:08X}");
            let handed = world.files.write(&format!("{stem}.gz"), contents);
            assert_eq!(spool.look().unwrap(), 1);
            fs::remove_file(handed).unwrap();
            let failed = world.path(&format!("{stem}.failed"));
            match fs::read_to_string(&failed) {
                Ok(why) => fs::remove_file(failed).map(|()| Err(why)).unwrap(),
                Err(_) => fs::remove_file(world.path(&format!("{stem}.done"))).map(Ok).unwrap(),
            }
        };
        for number in 2..=5 {
            hand_over(number, &format!("segment {number}")).unwrap();
        }
        hand_over(4, "segment 4").unwrap();
        let refused = hand_over(4, "another").unwrap_err();
        assert!(refused.contains("another segment"), "{refused}");

        let to = world.path(&format!("log-{platform}"));
        fs::create_dir_all(&to).unwrap();
        let (storage, keys) = (world.storage(), world.keys(true));
        let about = copy::fetch(&storage, &keys, platform, &to, sealed).unwrap();
        let laid = log::fetch(&storage, &keys, (platform, &about), &to).unwrap();
        assert_eq!((laid.good, laid.damaged.len()), (3, 0), "{platform}");
        let four = to.join(format!("wal/{platform}/{SYSTEM}/000000010000000000000004.gz"));
        assert_eq!(fs::read_to_string(four).unwrap(), "segment 4");
    }
}

#[test]
fn without_a_prefix_all_of_the_bucket_is_the_place() {
    let world = World::new();
    let storage = Storage::open(&world.s3.config("")).unwrap();
    storage.write("nightly/about.json", b"{}").unwrap();
    assert_eq!(storage.list("").unwrap(), ["nightly"]);
    assert!(world.s3.path("nightly/about.json").exists());
}
