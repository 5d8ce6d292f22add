//! Makes one archive of entries of others. Of files that the manifest lists each is taken once, and held to what it says; a file that
//! is another one ends it. Memory does not grow with contents.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzDecoder, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::{
    super::{CopiesError, local, transfer::hex},
    manifest::{Entry, Manifest},
    tar::{Archive, BLOCK, Header, Look},
};

/// The archive that is made.
pub struct Packer<'a> {
    to: GzEncoder<BufWriter<File>>,
    path: PathBuf,
    manifest: &'a Manifest,
    wanted: BTreeSet<&'a [u8]>,
    /// Whether what the manifest does not list is taken too: directories.
    takes_others: bool,
    /// The archive that entries come from, for messages.
    from: String,
    taking: Option<Taking<'a>>,
}

/// An entry that is being taken.
struct Taking<'a> {
    header: Header,
    expected: Option<&'a Entry>,
    digest: Sha256,
}

impl<'a> Packer<'a> {
    /// A file that was not there. Of those that the manifest lists it shall have these.
    pub fn begin(
        path: &Path,
        manifest: &'a Manifest,
        wanted: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, CopiesError> {
        let file = File::create_new(path).map_err(local("write", path))?;
        Ok(Self {
            to: GzEncoder::new(BufWriter::new(file), Compression::fast()),
            path: path.to_owned(),
            manifest,
            wanted: wanted.collect(),
            takes_others: false,
            from: String::new(),
            taking: None,
        })
    }

    /// Takes what is wanted from a packed archive that `give` gives to the function that it is given, piece by piece.
    pub fn take(
        &mut self,
        (from, takes_others): (&str, bool),
        give: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), CopiesError>) -> Result<(), CopiesError>,
    ) -> Result<(), CopiesError> {
        from.clone_into(&mut self.from);
        self.takes_others = takes_others;
        let mut decoder = GzDecoder::new(Archive::new(self));
        give(&mut |piece| decoder.write_all(piece).map_err(|error| cause(error, from)))?;
        decoder.try_finish().map_err(|error| cause(error, from))?;
        match decoder.get_ref().is_whole() {
            true => Ok(()),
            false => Err(CopiesError::About(from.to_owned())),
        }
    }

    /// Takes a file that is not packed.
    pub fn take_file(&mut self, path: &[u8], from: &Path) -> Result<(), CopiesError> {
        self.from = from.display().to_string();
        self.takes_others = false;
        let mut file = File::open(from).map_err(local("read", from))?;
        let size = file.metadata().map_err(local("read", from))?.len();
        let header = Header::of_file(path, size).ok_or_else(|| CopiesError::About(self.from.clone()))?;
        let name = self.from.clone();
        let pack = || {
            self.begin(header)?;
            io::copy(&mut file, &mut Pieces(self))?;
            self.end()
        };
        pack().map_err(|error| cause(error, &name))
    }

    /// What is wanted and was not found yet.
    pub fn wanted(&self) -> impl Iterator<Item = &'a [u8]> {
        self.wanted.iter().copied()
    }

    /// The end.
    pub fn finish(mut self) -> Result<(), CopiesError> {
        let written = self.to.write_all(&[0; 2 * BLOCK]).and_then(|()| self.to.finish()?.flush());
        written.map_err(local("write", &self.path))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.to.write_all(bytes);
        written.map_err(|source| io::Error::other(local("write", &self.path)(source)))
    }
}

/// What was the matter: an error of ours, or else something that is no archive.
fn cause(error: io::Error, from: &str) -> CopiesError {
    error.downcast::<CopiesError>().unwrap_or_else(|_| CopiesError::About(from.to_owned()))
}

impl Look for Packer<'_> {
    fn begin(&mut self, header: Header) -> io::Result<()> {
        let listed = self.manifest.0.get(&header.path).filter(|_| header.is_file);
        let takes = match listed {
            Some(_) => self.wanted.remove(header.path.as_slice()),
            None => self.takes_others,
        };
        if takes {
            self.write(&header.block)?;
            self.taking = Some(Taking { header, expected: listed, digest: Sha256::new() });
        }
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let Some(taking) = &mut self.taking else { return Ok(()) };
        taking.digest.update(piece);
        self.write(piece)
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(taking) = self.taking.take() else { return Ok(()) };
        self.write(&[0; BLOCK][..taking.header.padding()])?;
        let Some(expected) = taking.expected else { return Ok(()) };
        // Of a file without a sum only the size is known.
        let sha256 = expected.sha256.is_some().then(|| hex(&taking.digest.finalize()));
        let found = Entry { bytes: taking.header.bytes, sha256 };
        if found == *expected {
            return Ok(());
        }
        let name = format!("{} in {}", String::from_utf8_lossy(&taking.header.path), self.from);
        let altered = CopiesError::Altered { name, found: found.to_string(), expected: expected.to_string() };
        Err(io::Error::other(altered))
    }
}

impl Look for &mut Packer<'_> {
    fn begin(&mut self, header: Header) -> io::Result<()> {
        Look::begin(&mut **self, header)
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        Look::piece(&mut **self, piece)
    }

    fn end(&mut self) -> io::Result<()> {
        Look::end(&mut **self)
    }
}

/// What an entry contains, as something to write to.
struct Pieces<'p, 'a>(&'p mut Packer<'a>);

impl io::Write for Pieces<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.piece(piece).map(|()| piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
