//! What is deleted, and what never is.

use payplane_engine::copies::{
    Storage,
    prune::{self, Doomed, Pruned},
};

use super::{PREFIX, SYSTEM, World};

fn segment(number: u32) -> String {
    format!("wal/main/{SYSTEM}/0000000100000000{number:08X}.gz.age")
}

fn doomed(text: &str) -> [Doomed; 1] {
    [Doomed::parse(text).unwrap()]
}

#[test]
fn copies_and_their_log_go_and_nothing_that_was_not_ours() {
    let world = World::new();
    let storage = world.storage();
    for (name, begin) in [("old", "0000000000000003"), ("new", "0000000000000006")] {
        world.pack(name, begin);
        world.store(name, true).unwrap();
    }
    for number in 1..=8 {
        storage.write(&segment(number), b"a segment").unwrap();
    }
    storage.write(&format!("wal/main/{SYSTEM}/00000002.history.gz.age"), b"a timeline").unwrap();
    storage.write("wal/other/99/000000010000000000000001.gz", b"of a server without copies").unwrap();
    // Beside the prefix, and below it what nobody told to delete.
    let bucket = Storage::open(&world.s3.config("")).unwrap();
    for foreign in [
        "holiday.jpg",
        "pay/main2/old/about.json",
        "pay/old/base.tar.gz",
        "pay/main/notes.txt",
        "pay/main/older/x",
    ] {
        bucket.write(foreign, b"not ours").unwrap();
    }
    let before = world.kept();

    // Another Backup's UID, and a name that is none of ours.
    for nobody in ["old:another", "older:u-1", "nothing:u-1"] {
        assert_eq!(
            prune::prune(&storage, &doomed(nobody)).unwrap(),
            Pruned { copies: 0, segments: if nobody == "old:another" { 2 } else { 0 }, ..Pruned::default() }
        );
    }
    let gone: Vec<_> = [1, 2].map(|number| format!("{PREFIX}/{}", segment(number))).into();
    let left: Vec<_> = before.into_iter().filter(|name| !gone.contains(name)).collect();
    assert_eq!(world.kept(), left, "only the log from before any copy");

    assert_eq!(
        prune::prune(&storage, &doomed("old:u-1")).unwrap(),
        Pruned { copies: 1, segments: 3, ..Pruned::default() }
    );
    let is_of_old = |name: &String| {
        name.starts_with("pay/main/old/")
            || name == "pay/main/.by/old"
            || (3..6).any(|number| *name == format!("{PREFIX}/{}", segment(number)))
    };
    let left: Vec<_> = left.into_iter().filter(|name| !is_of_old(name)).collect();
    assert_eq!(world.kept(), left);
    assert_eq!(prune::prune(&storage, &doomed("old:u-1")).unwrap(), Pruned::default(), "done already");
    world.fetch("new").unwrap();
    println!("{} objects left alone", left.len());
}

#[test]
fn the_log_stays_while_a_copy_does_not_say_what_it_needs() {
    let world = World::new();
    world.store("new", true).unwrap();
    let storage = world.storage();
    storage.write(&segment(1), b"a segment").unwrap();
    storage.write("broken/about.json", b"{").unwrap();
    assert_eq!(prune::prune(&storage, &[]).unwrap(), Pruned::default());
    storage.remove("broken/about.json").unwrap();
    assert_eq!(prune::prune(&storage, &[]).unwrap(), Pruned { copies: 0, segments: 1, ..Pruned::default() });
}

#[test]
fn what_was_broken_off_is_taken_up_again() {
    let world = World::new();
    world.store("old", true).unwrap();
    let storage = world.storage();
    // As far as a first try came.
    storage.remove("old/about.json").unwrap();
    storage.remove("old/base.tar.gz.age").unwrap();
    assert_eq!(prune::prune(&storage, &doomed("old:u-1")).unwrap().copies, 1);
    assert_eq!(world.kept(), Vec::<String>::new());
}
