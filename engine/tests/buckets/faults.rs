//! What can go wrong with a bucket: each ends with a code of its own and words that say what to do, and nothing counts as a copy
//! that is not one.

use std::fs;

use payplane_engine::{
    config::StorageConfig,
    copies::{
        CopiesError, Storage,
        prune::{self, Doomed},
        spool::{self, Spool},
    },
};

use super::{FILES, PREFIX, SYSTEM, World, proxy::Proxy};
use crate::support::{kafka, postgres::free_port};

/// More than a connection says before it has sent a part.
const MEGABYTE: u64 = 1024 * 1024;
/// More connections than any command makes.
const ALL: usize = 1_000;

/// What storing, fetching and deleting say, which has to be the same.
fn refusals(world: &World, config: &StorageConfig) -> Vec<CopiesError> {
    world.pack("second", "0000000000000003");
    let doomed = [Doomed::parse("nightly:u-1").unwrap()];
    let pruned = Storage::open(config).and_then(|storage| prune::prune(&storage, &doomed));
    vec![
        world.store_by(config, "second", true).unwrap_err(),
        world.fetch_by(config, "nightly", true).unwrap_err(),
        pruned.unwrap_err(),
    ]
}

#[test]
fn what_is_wrong_with_a_bucket_is_told_with_the_way_out() {
    let world = World::new();
    world.store("nightly", true).unwrap();
    let before = world.kept();
    let good = || world.s3.config(PREFIX);
    let mut other_bucket = good();
    other_bucket.bucket.bucket = Some("somewhere-else".into());
    let nobody_there = world.s3.config_at(free_port(), PREFIX);
    let (stranger, ..) = kafka::certificates();
    let authority = fs::read_to_string(good().bucket.credentials_dir.unwrap().join("ca.crt")).unwrap();
    let secret = "only-for-tests-only-for-tests";
    let mut fired = 0;
    for (what, config, (entry, value, back), code, way_out) in [
        ("gone", other_bucket, ("access-key-id", "payplane", "payplane"), 5, "create it"),
        ("wrong id", good(), ("access-key-id", "nobody", "payplane"), 6, "correct access-key-id"),
        ("wrong key", good(), ("secret-access-key", "wrong", secret), 6, "correct access-key-id"),
        ("unreachable", nobody_there, ("access-key-id", "payplane", "payplane"), 7, "look at the endpoint"),
        ("another's certificate", good(), ("ca.crt", &*stranger, &*authority), 7, "its certificate"),
        ("no certificate", good(), ("ca.crt", "nonsense", &*authority), 1, "ca.crt"),
    ] {
        world.s3.secret(entry, value);
        for refused in refusals(&world, &config) {
            let told = refused.to_string();
            assert_eq!(refused.code(), code, "{what}: {told}");
            assert!(told.contains(way_out), "{what}: {told}");
            assert!(!told.contains(secret), "{what}: {told}");
            fired += 1;
        }
        world.s3.secret(entry, back);
        assert_eq!(world.kept(), before, "{what}");
    }
    println!("{fired} commands refused");
    world.fetch("nightly").unwrap();
}

#[test]
fn a_bucket_that_takes_nothing_is_told_and_still_read() {
    let mut world = World::new();
    world.store("nightly", true).unwrap();
    world.s3 = world.s3.read_only();
    let before = world.kept();
    world.pack("second", "0000000000000003");
    let doomed = [Doomed::parse("nightly:u-1").unwrap()];
    let written = world.store("second", true).unwrap_err();
    let deleted = prune::prune(&world.storage(), &doomed).unwrap_err();
    for refused in [written, deleted] {
        assert!(refused.code() == 6 && refused.to_string().contains("allow these credentials"), "{refused}");
    }
    assert_eq!(world.kept(), before);
    world.fetch("nightly").unwrap();

    // The server's log waits, and is told why.
    fs::create_dir_all(world.path("spool")).unwrap();
    let stem = format!("spool/{SYSTEM}.000000010000000000000003");
    world.files.write(&format!("{stem}.gz"), "three");
    let (storage, keys) = (world.s3.config(PREFIX), vec![world.path("keys")]);
    let spool = Spool { storage, keys, platform: "main".into(), directory: world.path("spool") };
    assert_eq!(spool.look().unwrap(), 1);
    let why = fs::read_to_string(world.path(&format!("{stem}.failed"))).unwrap();
    assert!(
        why.contains("allow these credentials") && !world.path(&format!("{stem}.done")).exists(),
        "{why}"
    );
    // So is whoever looks after the log.
    assert_eq!(spool::trouble(&spool.directory).unwrap(), Some(format!("6 {why}")));
}

#[test]
fn a_connection_that_breaks_in_an_upload_is_made_good_or_told() {
    let world = World::new();
    let proxy = Proxy::to(world.s3.port);
    let by_proxy = world.s3.config_at(proxy.port, PREFIX);
    let large = vec![7; 40 * MEGABYTE as usize];
    let pack = || {
        world.pack("large", "0000000000000003");
        fs::write(world.path("packed/base.tar.gz"), &large).unwrap();
    };
    // Again and again: there is no copy.
    pack();
    proxy.arm(ALL, MEGABYTE, u64::MAX);
    let refused = world.store_by(&by_proxy, "broken", false).unwrap_err();
    assert!(refused.code() == 7 && refused.to_string().contains("no whole answer"), "{refused}");
    let often = proxy.struck();
    assert!(1 < often, "it was tried once");
    assert!(matches!(world.fetch("broken"), Err(CopiesError::Missing(_))));
    assert!(!world.kept().iter().any(|name| name.contains("base.tar.gz")), "{:?}", world.kept());
    // Once: it goes on, with every byte. The next try of a name finds nothing in its way.
    pack();
    proxy.arm(1, MEGABYTE, u64::MAX);
    world.store_by(&by_proxy, "broken", false).unwrap();
    assert_eq!(proxy.struck(), 1);
    let opened = fs::read(world.fetch("broken").unwrap().join("base.tar.gz")).unwrap();
    assert!(opened == large);
    println!("broken off {often} times in vain, and once made good");

    // On the way back.
    proxy.arm(1, u64::MAX, 30 * MEGABYTE);
    let opened = world.fetch_by(&by_proxy, "broken", false).unwrap();
    assert_eq!(proxy.struck(), 1);
    assert!(fs::read(opened.join("base.tar.gz")).unwrap() == large);
    proxy.arm(ALL, u64::MAX, MEGABYTE);
    let refused = world.fetch_by(&by_proxy, "broken", false).unwrap_err();
    assert!(refused.code() == 7 && 0 < proxy.struck(), "{refused}");
    assert!(!world.path("opened/broken/base.tar.gz").exists(), "a part passes for the whole");
}

/// At each moment a crash can have: what makes it a copy is written last.
#[test]
fn a_copy_without_its_last_word_is_none() {
    let world = World::new();
    for sealed in [true, false] {
        world.pack("first", "0000000000000003");
        world.store("nightly", sealed).unwrap();
        fs::remove_file(world.s3.path(&format!("{PREFIX}/nightly/about.json"))).unwrap();
        assert!(matches!(world.fetch("nightly"), Err(CopiesError::Missing(_))));
        world.pack("first", "0000000000000003");
        fs::remove_file(world.path("packed/pg_wal.tar.gz")).unwrap();
        assert!(matches!(world.store("half", sealed), Err(CopiesError::Local { .. })));
        assert!(matches!(world.fetch("half"), Err(CopiesError::Missing(_))));
    }
}

#[test]
fn what_was_cut_or_changed_is_never_restored() {
    let world = World::new();
    let mut fired = 0;
    for (name, sealed, ending) in [("sealed", true, ".age"), ("plain", false, "")] {
        world.pack(name, "0000000000000003");
        world.store(name, sealed).unwrap();
        for file in FILES {
            let path = world.s3.path(&format!("{PREFIX}/{name}/{file}{ending}"));
            let good = fs::read(&path).unwrap();
            let mut changed = good.clone();
            changed[good.len() / 2] ^= 1;
            let longer = [good.as_slice(), b"x"].concat();
            for bad in [&changed, &good[..good.len() - 1], &longer, &[]] {
                fs::write(&path, bad).unwrap();
                let refused = world.fetch(name).unwrap_err();
                assert_eq!(refused.code(), 4, "{name} {file}: {refused}");
                assert!(!world.path(&format!("opened/{name}/{file}")).exists(), "{file} was left");
                fired += 1;
            }
            fs::write(&path, &good).unwrap();
        }
        world.fetch(name).unwrap();
        fs::remove_file(world.s3.path(&format!("{PREFIX}/{name}/base.tar.gz{ending}"))).unwrap();
        assert_eq!(world.fetch(name).unwrap_err().code(), 1, "{name}: gone");
    }
    println!("{fired} changed objects refused");
}
