//! An object that is being read. What comes is counted: an end before the end is an error, and a connection that breaks is
//! taken up again where it broke, as often as any request is.

use futures::{StreamExt as _, stream::BoxStream};
use object_store::ObjectStoreExt as _;
use prost::bytes::{Buf as _, Bytes};

use super::{super::CopiesError, bucket::Bucket};

/// One object.
pub struct Download {
    bucket: Bucket,
    name: String,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    waiting: Bytes,
}

impl Download {
    pub(super) fn begin(bucket: Bucket, name: &str) -> Result<Self, CopiesError> {
        let at = bucket.at(name);
        let got = bucket.wait(("read", name), bucket.store().get(&at))?;
        Ok(Self { bucket, name: name.to_owned(), stream: got.into_stream(), waiting: Bytes::new() })
    }

    pub(super) fn read(&mut self, piece: &mut [u8]) -> Result<usize, CopiesError> {
        while self.waiting.is_empty() {
            let next = self.stream.next();
            let next = async { next.await.transpose() };
            match self.bucket.wait(("read", &self.name), next)? {
                Some(more) => self.waiting = more,
                None => return Ok(0),
            }
        }
        let count = piece.len().min(self.waiting.len());
        self.waiting.copy_to_slice(&mut piece[..count]);
        Ok(count)
    }
}
