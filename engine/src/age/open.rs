//! Opening, a piece at a time. Nothing is given out before it was authenticated, and nothing is read or written here.

use aws_lc_rs::hmac;

use super::{
    CHUNK, NONCE, TAG,
    crypto::{self, Broken, Cipher},
    header::{self, Header, X25519},
    key::Identity,
};

/// Why a file cannot be opened. No variant has anything that was in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// No header, or one that does not keep to the format.
    #[error("it is not sealed, or its header is damaged")]
    Malformed,
    /// None of the keys fits.
    #[error("it is sealed for {}, which is not among the keys that are given", named(.wanted))]
    NoKey {
        /// Ids of the keys that would.
        wanted: Vec<String>,
    },
    /// Something in it is not what was sealed.
    #[error("it is damaged: what is stored is not what was sealed")]
    Damaged,
    /// It was sealed under another name, or none.
    #[error("it is not what was sealed under this name, but {}", .found.as_deref().unwrap_or("something without a name"))]
    Misplaced {
        /// The name.
        found: Option<String>,
    },
}

fn named(wanted: &[String]) -> String {
    if wanted.is_empty() { "another key".into() } else { format!("key {}", wanted.join(" or ")) }
}

/// Opens one file.
pub struct Opener<'a> {
    keys: &'a [Identity],
    name: Option<&'a str>,
    cipher: Option<Cipher>,
    number: u64,
    /// At most what was pushed last, and a header or a chunk.
    waiting: Vec<u8>,
}

impl<'a> Opener<'a> {
    /// With these keys, if it was sealed under this name; None takes any.
    pub const fn new(keys: &'a [Identity], name: Option<&'a str>) -> Self {
        Self { keys, name, cipher: None, number: 0, waiting: Vec::new() }
    }

    /// Opens these bytes. What was authenticated goes to `out`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        self.waiting.extend_from_slice(bytes);
        if self.cipher.is_none() && !self.begin()? {
            return Ok(());
        }
        // One that is followed by anything is not the last.
        while CHUNK + TAG < self.waiting.len() {
            let later = self.waiting.split_off(CHUNK + TAG);
            let chunk = std::mem::replace(&mut self.waiting, later);
            self.chunk(chunk, false, out)?;
        }
        Ok(())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// When it ends too early, or is damaged.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), OpenError> {
        if self.cipher.is_none() {
            return Err(OpenError::Malformed);
        }
        let last = std::mem::take(&mut self.waiting);
        // Only an empty file has an empty chunk.
        if last.len() < TAG || (last.len() == TAG && 0 < self.number) {
            return Err(OpenError::Damaged);
        }
        self.chunk(last, true, out)
    }

    /// Reads the header, once it is there.
    fn begin(&mut self) -> Result<bool, OpenError> {
        let end = header::end(&self.waiting).map_err(|()| OpenError::Malformed)?;
        let Some(end) = end.filter(|end| end + NONCE <= self.waiting.len()) else { return Ok(false) };
        let contents = self.waiting.split_off(end + NONCE);
        let begin = std::mem::replace(&mut self.waiting, contents);
        let header = Header::parse(&begin[..end]).ok_or(OpenError::Malformed)?;
        let file_key = file_key(&header, self.keys)?;
        self.judge(&header)?;
        let cipher = Cipher::of_contents(&file_key, &begin[end..]).map_err(|Broken| OpenError::Damaged)?;
        self.cipher = Some(cipher);
        Ok(true)
    }

    fn judge(&self, header: &Header) -> Result<(), OpenError> {
        let found = header.label().map(|label| label.name);
        match self.name {
            Some(name) if found.as_deref() != Some(name) => Err(OpenError::Misplaced { found }),
            _ => Ok(()),
        }
    }

    fn chunk(&mut self, mut chunk: Vec<u8>, is_last: bool, out: &mut Vec<u8>) -> Result<(), OpenError> {
        let Some(cipher) = &self.cipher else { return Err(OpenError::Malformed) };
        let place = crypto::place(self.number, is_last);
        let opened = cipher.open(place, &mut chunk).map_err(|Broken| OpenError::Damaged)?;
        out.extend_from_slice(opened);
        self.number += 1;
        Ok(())
    }
}

/// The file's key, if one of ours unwraps it and the header is authentic.
fn file_key(header: &Header, keys: &[Identity]) -> Result<[u8; 16], OpenError> {
    let mut found = None;
    for stanza in header.stanzas.iter().filter(|stanza| stanza.words[0] == X25519) {
        let [_, share] = stanza.words.as_slice() else { return Err(OpenError::Malformed) };
        let share = header::exactly(share).ok_or(OpenError::Malformed)?;
        if stanza.body.len() != 16 + TAG {
            return Err(OpenError::Malformed);
        }
        for key in keys {
            if found.is_none() {
                found = unwrap(key, &share, &stanza.body)?;
            }
        }
    }
    let file_key = found.ok_or_else(|| without_key(header, keys))?;
    let mac = crypto::header_mac(&file_key).map_err(|Broken| OpenError::Damaged)?;
    hmac::verify(&mac, &header.covered, &header.mac).map_err(|_| OpenError::Damaged)?;
    Ok(file_key)
}

/// A header that speaks of a key which is there, and does not open it, was changed.
fn without_key(header: &Header, keys: &[Identity]) -> OpenError {
    let wanted = header.label().map(|label| label.keys).unwrap_or_default();
    match keys.iter().any(|key| wanted.contains(&key.recipient().id())) {
        true => OpenError::Damaged,
        false => OpenError::NoKey { wanted },
    }
}

/// None if it is wrapped for another key.
fn unwrap(key: &Identity, share: &[u8; 32], body: &[u8]) -> Result<Option<[u8; 16]>, OpenError> {
    let wrapping = crypto::wrapping_key(&key.secret, share, share, &key.recipient.0);
    let cipher = wrapping.and_then(|key| Cipher::new(&key)).map_err(|Broken| OpenError::Malformed)?;
    let mut wrapped = body.to_vec();
    let Ok(opened) = cipher.open([0; 12], &mut wrapped) else { return Ok(None) };
    Ok(opened.try_into().ok())
}
