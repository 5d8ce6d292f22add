//! Waiting for what must come, with an end.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long anything may take: statuses are right within a minute of healing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One document of a server on this machine that speaks plain HTTP, if it gives it.
pub async fn fetch(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bed\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// Polls until `condition` gives a value. Fails with `what` when patience ends.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "still waiting after {PATIENCE:?}: {what}");
        // Between two looks, not instead of one.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
