//! What waits and what does not, and that nothing is lost.

use futures::{join, poll};
use std::{pin::pin, task::Poll};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{Gathering, LARGE};

fn pipe() -> (Gathering<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(16 * LARGE);
    (Gathering::new(near), far)
}

#[tokio::test]
async fn a_small_write_lets_others_run_once_and_the_next_one_after_the_flush_again() {
    let (mut near, _far) = pipe();
    for _ in 0..2 {
        let mut write = pin!(near.write(b"first"));
        assert!(poll!(write.as_mut()).is_pending(), "others first");
        assert!(matches!(poll!(write.as_mut()), Poll::Ready(Ok(5))), "then at once");
        assert!(matches!(poll!(pin!(near.write(b"second"))), Poll::Ready(Ok(6))), "the same flush");
        near.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_large_write_waits_for_nobody() {
    let (mut near, _far) = pipe();
    assert!(poll!(pin!(near.write(&[0; LARGE]))).is_ready());
}

#[tokio::test]
async fn who_waits_is_called_again() {
    let (mut near, mut far) = pipe();
    let (mut read, numbers) = (Vec::new(), 0..200_u8);
    let write = async {
        for number in numbers.clone() {
            // Would never end if nobody woke it.
            near.write_all(&vec![number; usize::from(number) * 40]).await.unwrap();
            near.flush().await.unwrap();
        }
        near.shutdown().await.unwrap();
    };
    join!(write, async { far.read_to_end(&mut read).await.unwrap() });
    assert_eq!(read, numbers.flat_map(|number| vec![number; usize::from(number) * 40]).collect::<Vec<_>>());
}

#[tokio::test]
async fn messages_are_to_be_copied() {
    let (near, _far) = pipe();
    assert!(!near.is_write_vectored(), "else HTTP/2 would write each message by itself");
}
