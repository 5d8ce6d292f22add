//! An object that is being written. In parts of one size, one after the other, so memory is one part; what is smaller is one
//! request. It is there when the last request has succeeded, and not before. What was sent of one that failed is taken back; where that
//! fails too it stays an incomplete upload, which no list shows and the bucket's own rules delete.

use object_store::{MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions};

use super::{super::CopiesError, bucket::Bucket};

/// The least that a part has: more than a segment of the log, which is one request therefore.
const PART: u64 = 24 * 1024 * 1024;
/// How many parts there may be. Servers take ten thousand; sealing adds less than the rest.
const PARTS: u64 = 9_000;

/// One object.
pub struct Upload {
    bucket: Bucket,
    name: String,
    part: usize,
    waiting: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    bytes: u64,
}

impl Upload {
    pub(super) fn begin(bucket: Bucket, name: &str, about_bytes: u64) -> Self {
        let part = usize::try_from(about_bytes.div_ceil(PARTS).max(PART)).unwrap_or(usize::MAX);
        Self { bucket, name: name.to_owned(), part, waiting: Vec::new(), parts: None, bytes: 0 }
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), CopiesError> {
        self.bytes += piece.len() as u64;
        self.waiting.extend_from_slice(piece);
        while self.part < self.waiting.len() {
            let later = self.waiting.split_off(self.part);
            let part = std::mem::replace(&mut self.waiting, later);
            self.send(part)?;
        }
        Ok(())
    }

    pub(super) fn keep(mut self) -> Result<u64, CopiesError> {
        let last = std::mem::take(&mut self.waiting);
        if self.parts.is_none() {
            let at = self.bucket.at(&self.name);
            self.bucket.wait(("write", &self.name), self.bucket.store().put(&at, last.into()))?;
            return Ok(self.bytes);
        }
        self.send(last)?;
        if let Some(parts) = &mut self.parts {
            self.bucket.wait(("write", &self.name), parts.complete())?;
        }
        // Complete: there is nothing to take back.
        self.parts = None;
        Ok(self.bytes)
    }

    fn send(&mut self, part: Vec<u8>) -> Result<(), CopiesError> {
        let what = ("write", self.name.as_str());
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let at = self.bucket.at(&self.name);
                let begun = self.bucket.store().put_multipart_opts(&at, PutMultipartOptions::default());
                none.insert(self.bucket.wait(what, begun)?)
            }
        };
        self.bucket.wait(what, parts.put_part(part.into()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            let _ = self.bucket.wait(("take back", &self.name), async { parts.abort().await });
        }
    }
}
