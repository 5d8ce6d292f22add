//! What a document is known by: how many objects it lists, its size and its digest.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use sha2::{Digest as _, Sha256};

use super::super::{CopiesError, PIECE, local};

/// A document, without its contents.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Document {
    /// Objects that it lists.
    pub objects: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of all of it, in lower-case hex.
    pub sha256: String,
}

impl Document {
    /// Reads it to its end, in pieces.
    ///
    /// # Errors
    /// When it cannot be read, or is not one whole list.
    pub fn weigh(path: &Path) -> Result<Self, CopiesError> {
        let file = File::open(path).map_err(local("read", path))?;
        let mut weighed = Weighed { file, hash: Sha256::new(), bytes: 0 };
        let wrong = |source| CopiesError::NoList { path: path.to_owned(), source };
        let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(PIECE, &mut weighed));
        let list = List::deserialize(&mut reader).map_err(wrong)?;
        reader.end().map_err(wrong)?;
        drop(reader);
        let sha256 = weighed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { objects: list.items.0, bytes: weighed.bytes, sha256 })
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::json!({"objects": self.objects, "bytes": self.bytes, "sha256": self.sha256}).to_string()
    }

    /// Reads what was kept.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// As kubectl writes and applies several objects.
#[derive(Deserialize)]
struct List {
    #[serde(rename = "kind")]
    _kind: Kind,
    items: Count,
}

#[derive(Deserialize)]
enum Kind {
    List,
}

/// How many there are; what they are is the operator's business.
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counter).map(Self)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = u64;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// A file that is weighed while it is read.
struct Weighed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Read for &mut Weighed {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(piece)?;
        self.hash.update(&piece[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
