//! A TCP proxy before PostgreSQL that misbehaves once, at the moment of a commit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

/// What goes wrong with the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    None,
    /// The database commits; the answer is lost and the connection closed.
    LoseAnswer,
    /// The database commits; the answer never comes and the connection stays open.
    HoldAnswer,
    /// The commit never arrives; the connection is closed.
    LoseCommit,
}

/// Forwards to one port.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    fault: AtomicU8,
    struck: AtomicBool,
    /// New connections are closed at once.
    refuses: AtomicBool,
    refuses_after_fault: AtomicBool,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                let silent = Arc::new(AtomicU8::new(Fault::None as u8));
                let shared = accepting.clone();
                tokio::spawn(upstream(client_read, server_write, shared, silent.clone()));
                tokio::spawn(downstream(server_read, client_write, silent));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn arm(&self, fault: Fault) {
        self.shared.struck.store(false, Ordering::SeqCst);
        self.shared.fault.store(fault as u8, Ordering::SeqCst);
    }

    /// After the fault the database cannot be reached any more, until [`Proxy::heal`].
    pub(crate) fn cut_off_after_fault(&self) {
        self.shared.refuses_after_fault.store(true, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.shared.refuses_after_fault.store(false, Ordering::SeqCst);
        self.shared.refuses.store(false, Ordering::SeqCst);
    }

    /// Whether the fault has happened.
    pub(crate) fn struck(&self) -> bool {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// The fault that happens now, if one is armed.
    fn strike(&self) -> Fault {
        let fault = match self.fault.swap(Fault::None as u8, Ordering::SeqCst) {
            1 => Fault::LoseAnswer,
            2 => Fault::HoldAnswer,
            3 => Fault::LoseCommit,
            _ => return Fault::None,
        };
        self.refuses.store(self.refuses_after_fault.load(Ordering::SeqCst), Ordering::SeqCst);
        self.struck.store(true, Ordering::SeqCst);
        fault
    }
}

/// What one connection has said so far, as far as it tells where a transaction ends.
#[derive(Default)]
struct Conversation {
    /// What the statement that writes a batch is called.
    write: Vec<u8>,
    in_transaction: bool,
}

impl Conversation {
    /// Whether the server commits when it gets these bytes: at a word of its own, or, outside a transaction, when the
    /// statement that writes a batch is bound.
    fn commits(&mut self, bytes: &[u8]) -> bool {
        self.in_transaction |= has(bytes, b"begin isolation");
        if has(bytes, b"commit\0") {
            self.in_transaction = false;
            return true;
        }
        if let Some(at) = find(bytes, b"payplane.commit_batch") {
            let name = find(&bytes[..at], b"sqlx_s_").unwrap();
            let end = name + find(&bytes[name..], b"\0").unwrap();
            // A bind names its portal first: nothing, and a zero.
            self.write = [b"\0", &bytes[name..=end]].concat();
        }
        let bound = find(bytes, b"B").is_some() && has(bytes, &self.write);
        !self.write.is_empty() && bound && !self.in_transaction
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    find(bytes, part).is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    (!part.is_empty()).then(|| bytes.windows(part.len()).position(|window| window == part))?
}

async fn upstream(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: Arc<Shared>,
    silent: Arc<AtomicU8>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut conversation = Conversation::default();
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        let fault = if conversation.commits(&buffer[..count]) { shared.strike() } else { Fault::None };
        match fault {
            Fault::None => {}
            Fault::LoseCommit => break,
            fault => silent.store(fault as u8, Ordering::SeqCst),
        }
        if server.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = server.shutdown().await;
}

async fn downstream(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, silent: Arc<AtomicU8>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        let silence = silent.load(Ordering::SeqCst);
        if silence == Fault::HoldAnswer as u8 {
            // The database has committed and says so; nobody hears it, and the connection looks alive.
            std::future::pending::<()>().await;
        }
        if silence != Fault::None as u8 || client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = client.shutdown().await;
}
