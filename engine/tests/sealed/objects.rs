//! The custom resources beside a copy: what comes back is what was kept, whole, or nothing does.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use payplane_engine::{
    age::OpenError,
    config::StorageConfig,
    copies::{
        CopiesError, Keys, Storage,
        objects::{self, Document},
        prune::{Doomed, prune},
    },
};

use super::{NEW, OLD};
use crate::support::TempDir;

const UID: &str = "6f1c";
const OBJECTS: usize = 3_000;

struct World {
    files: TempDir,
    storage: Storage,
}

impl World {
    fn new() -> Self {
        let files = TempDir::new();
        files.write("keys/key", OLD);
        files.write("other/key", NEW);
        files.write("copies/.by/nightly", UID);
        let folder = Some(files.path().join("copies"));
        let storage = Storage::open(&StorageConfig { folder, ..StorageConfig::default() }).unwrap();
        Self { files, storage }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn keys(&self, folder: &str) -> Keys {
        Keys::read(&[self.path(folder)]).unwrap()
    }

    fn store(&self, text: &str, is_sealed: bool) -> Result<Option<Document>, CopiesError> {
        self.files.write("objects.json", text);
        let keys = if is_sealed { self.keys("keys") } else { Keys::read(&[]).unwrap() };
        objects::store(&self.storage, &keys, ("nightly", UID), &self.path("objects.json"))
    }

    fn fetch(&self, keys: &str, must_be_sealed: bool) -> Result<Document, CopiesError> {
        let _ = fs::remove_file(self.path("fetched.json"));
        objects::fetch(&self.storage, &self.keys(keys), "nightly", must_be_sealed, &self.path("fetched.json"))
    }

    fn fetched(&self) -> Option<String> {
        fs::read_to_string(self.path("fetched.json")).ok()
    }

    fn kept(&self, ending: &str) -> PathBuf {
        self.path(&format!("copies/.objects/nightly/{UID}.{ending}"))
    }
}

fn list(objects: usize) -> String {
    let items: Vec<_> =
        (0..objects).map(|number| serde_json::json!({"kind": "Payment", "at": number})).collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn they_come_back_as_they_were_and_sealed_ones_can_be_read_by_nobody() {
    for is_sealed in [false, true] {
        let world = World::new();
        let text = list(OBJECTS);
        let stored = world.store(&text, is_sealed).unwrap().unwrap();
        assert_eq!((stored.objects, stored.bytes), (OBJECTS as u64, text.len() as u64));
        assert!(!world.path("objects.json").exists(), "it takes room twice");
        assert_eq!(world.fetch("keys", is_sealed).unwrap(), stored);
        assert_eq!(world.fetched().unwrap(), text);
        for entry in fs::read_dir(world.path("copies/.objects/nightly")).unwrap() {
            let contents = fs::read(entry.unwrap().path()).unwrap();
            let can_be_read = [&b"Payment"[..], b"sha256"]
                .iter()
                .any(|word| contents.windows(word.len()).any(|one| one == *word));
            assert_eq!(can_be_read, !is_sealed);
        }
        for ending in ["json", "about.json"] {
            let sealed = if is_sealed { ".age" } else { "" };
            let mode = fs::metadata(world.kept(&format!("{ending}{sealed}"))).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "others than the owner may read {ending}");
        }
        let again = world.store(&list(1), is_sealed).unwrap_err();
        assert!(matches!(again, CopiesError::Taken(_)), "{again}");
        assert_eq!(world.fetch("keys", is_sealed).unwrap(), stored, "what was there is left alone");
    }
}

#[test]
fn a_changed_byte_a_cut_and_a_wrong_key_end_without_a_file() {
    let mut refused = 0;
    for (is_sealed, endings) in [(false, ["json", "about.json"]), (true, ["json.age", "about.json.age"])] {
        let world = World::new();
        world.store(&list(OBJECTS), is_sealed).unwrap().unwrap();
        for ending in endings {
            let path = world.kept(ending);
            let good = fs::read(&path).unwrap();
            for at in [1, good.len() / 2, good.len() - 2] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&path, bad).unwrap();
                let error = world.fetch("keys", is_sealed).unwrap_err();
                assert_eq!((error.code(), world.fetched()), (4, None), "{ending} at {at}: {error}");
                refused += 1;
            }
            fs::write(&path, &good[..good.len() / 2]).unwrap();
            assert_eq!(world.fetch("keys", is_sealed).unwrap_err().code(), 4, "{ending} cut");
            assert_eq!(world.fetched(), None);
            fs::write(&path, good).unwrap();
        }
        world.fetch("keys", is_sealed).unwrap();
        // A shorter list that is whole by itself, as somebody would put it there who wants a payment forgotten.
        if !is_sealed {
            fs::write(world.kept("json"), list(OBJECTS - 1)).unwrap();
            assert!(matches!(world.fetch("keys", false), Err(CopiesError::Objects(_))));
            assert_eq!(world.fetched(), None);
        }
    }
    println!("{refused} changed bytes refused");
    let world = World::new();
    world.store(&list(2), true).unwrap().unwrap();
    let wrong = world.fetch("other", true).unwrap_err();
    assert!(matches!(wrong, CopiesError::Open { source: OpenError::NoKey { .. }, .. }) && wrong.code() == 3);
}

#[test]
fn a_copy_without_them_says_so_and_what_is_no_list_is_never_kept() {
    let world = World::new();
    let keys = Keys::read(&[]).unwrap();
    let nothing = objects::store(&world.storage, &keys, ("nightly", UID), &world.path("objects.json"));
    assert_eq!(nothing.unwrap(), None, "whoever did not write them says why");
    assert!(matches!(world.fetch("keys", false), Err(CopiesError::NoObjects(_))));
    let whole = list(3);
    for bad in
        ["", "{}", r#"{"kind":"Payment","items":[]}"#, &whole[..whole.len() - 1], &format!("{whole}{whole}")]
    {
        let error = world.store(bad, false).unwrap_err();
        assert!(matches!(error, CopiesError::NoList { .. }) && error.code() == 1, "{bad}: {error}");
        assert!(matches!(world.fetch("keys", false), Err(CopiesError::NoObjects(_))));
    }
    world.store(&list(0), false).unwrap().unwrap();
    let plain = world.fetch("keys", true).unwrap_err();
    assert!(matches!(plain, CopiesError::Plain(_)), "a sealed one is not replaced by a plain one: {plain}");
    // Whoever can write there leads nobody out of the folder.
    fs::write(world.path("copies/.by/nightly"), "../../other/6f1c").unwrap();
    assert!(matches!(world.fetch("keys", false), Err(CopiesError::Objects(_))));
}

#[test]
fn they_go_with_their_backup_and_no_other() {
    let world = World::new();
    world.store(&list(3), false).unwrap().unwrap();
    let other = world.path("copies/.objects/nightly/6f1c0.json");
    fs::write(&other, list(1)).unwrap();
    let prune = || prune(&world.storage, &[Doomed::parse(&format!("nightly:{UID}")).unwrap()]).unwrap();
    prune();
    assert!(!world.kept("json").exists() && !world.kept("about.json").exists());
    assert!(other.exists(), "another Backup's went too");
    fs::remove_file(other).unwrap();
    prune();
    assert!(!world.path("copies/.objects/nightly").exists());
}
