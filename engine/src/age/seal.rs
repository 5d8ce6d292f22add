//! Sealing, a piece at a time. Nothing is read or written here.

use aws_lc_rs::hmac;

use super::{
    CHUNK, NONCE, TAG,
    crypto::{self, Broken, Cipher},
    header::{self, Label},
    key::Recipient,
};

/// Seals one file.
pub struct Sealer {
    cipher: Cipher,
    number: u64,
    /// At most a chunk: whether it is the last one is known when more comes, or nothing.
    waiting: Vec<u8>,
}

impl Sealer {
    /// Begins a file of this name that each of these keys opens. Its header goes to `out`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn begin(name: &str, recipients: &[Recipient], out: &mut Vec<u8>) -> Result<Self, Broken> {
        let file_key: [u8; 16] = crypto::random()?;
        let label = Label { name: name.to_owned(), keys: recipients.iter().map(Recipient::id).collect() };
        let mut stanzas = vec![label.stanza()];
        for recipient in recipients {
            let (share, wrapped) = recipient.wrap(&file_key)?;
            stanzas.push(header::wrapped(&share, wrapped));
        }
        let covered = header::write(&stanzas);
        let mac = hmac::sign(&crypto::header_mac(&file_key)?, &covered);
        let nonce: [u8; NONCE] = crypto::random()?;
        out.extend_from_slice(&covered);
        out.extend_from_slice(&header::write_mac(mac.as_ref()));
        out.extend_from_slice(&nonce);
        Ok(Self {
            cipher: Cipher::of_contents(&file_key, &nonce)?,
            number: 0,
            waiting: Vec::with_capacity(CHUNK),
        })
    }

    /// Seals these bytes. What is ready goes to `out`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if self.waiting.len() == CHUNK {
                self.chunk(false, out)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// The end of the file. Without it nobody can open the rest.
    ///
    /// # Errors
    /// When the library fails.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.chunk(true, out)
    }

    fn chunk(&mut self, is_last: bool, out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK + TAG));
        self.cipher.seal(crypto::place(self.number, is_last), &mut chunk)?;
        self.number += 1;
        out.append(&mut chunk);
        Ok(())
    }
}
