//! A TCP proxy before the server of a bucket that breaks connections off. What goes through is encrypted, so it goes by bytes.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

/// Forwards to one port.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    /// Bytes that a connection may bring, and get.
    up: AtomicU64,
    down: AtomicU64,
    /// Connections that are still to be broken off.
    left: AtomicUsize,
    struck: AtomicUsize,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            up: AtomicU64::new(u64::MAX),
            down: AtomicU64::new(u64::MAX),
            left: AtomicUsize::new(0),
            struck: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        // Ends with the process: nothing is in it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", accepting.target)) else { continue };
                let pair = || (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (shared, (from, to)) = (accepting.clone(), pair());
                thread::spawn(move || shared.pass(from, to, &shared.up));
                let (shared, (to, from)) = (accepting.clone(), pair());
                thread::spawn(move || shared.pass(from, to, &shared.down));
            }
        });
        Self { port, shared }
    }

    /// Breaks so many connections off, each after it brought or got so many bytes.
    pub fn arm(&self, connections: usize, up: u64, down: u64) {
        self.shared.up.store(up, Ordering::SeqCst);
        self.shared.down.store(down, Ordering::SeqCst);
        self.shared.struck.store(0, Ordering::SeqCst);
        self.shared.left.store(connections, Ordering::SeqCst);
    }

    /// How many it broke off.
    pub fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, most: &AtomicU64) {
        let (mut buffer, mut passed) = (vec![0; 16 * 1024], 0);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            passed += count as u64;
            let is_too_much = most.load(Ordering::SeqCst) < passed;
            let take = |left: usize| left.checked_sub(1);
            if is_too_much && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                self.struck.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
