//! A stream on which messages that become ready together leave together.
//!
//! A batch answers many calls at once. Without care each answer is written by itself, and its trailers once more: the
//! scheduler runs a connection as soon as the first of its calls has an answer, and HTTP/2 writes a message of 256 bytes or
//! more apart from what follows it, to save copying it. So
//!
//! 1. what is about to be written waits until everybody else who is ready has run once, unless it is large, and
//! 2. messages below a kilobyte are copied behind each other, as for any stream that cannot write several slices at once.
//!
//! Nothing waits for a clock, and whatever was written is on its way when a flush ends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A write of so many bytes waits for no company: a quarter of what HTTP/2 gathers at most.
const LARGE: usize = 4 * 1024;

/// Gathers what is written to another stream.
#[derive(Debug)]
pub struct Gathering<S> {
    stream: S,
    /// Whether others have run since the last flush.
    has_waited: bool,
}

impl<S> Gathering<S> {
    /// Of a stream that nothing was written to yet.
    pub const fn new(stream: S) -> Self {
        Self { stream, has_waited: false }
    }

    /// Pending once between two flushes, and then behind everybody who is ready.
    fn wait_for_company(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.has_waited {
            return Poll::Ready(());
        }
        self.has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

// Not vectored, whatever the stream below is: that makes HTTP/2 copy small messages.
impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.len() < LARGE {
            ready!(this.wait_for_company(context));
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.has_waited = false;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: Connected> Connected for Gathering<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests;
