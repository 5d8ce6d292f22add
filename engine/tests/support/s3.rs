//! A throwaway server that speaks S3: versitygw, which checks signatures and checksums, knows multipart uploads and conditional
//! writes, and keeps each object as a file that a test can damage. A shell that waits for the end of a pipe stops it when this
//! process ends in whatever way.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use payplane_engine::config::{BucketConfig, StorageConfig};

use super::{PATIENCE, TempDir, kafka::cache, postgres::free_port};

/// The bucket that is there.
pub(crate) const BUCKET: &str = "copies";
const SECRET: &str = "only-for-tests-only-for-tests";

/// A server of its own.
pub(crate) struct S3 {
    pub(crate) port: u16,
    files: TempDir,
    process: Child,
}

impl S3 {
    /// A server with an empty bucket, by TLS, with a certificate for `localhost` of an authority of its own.
    pub(crate) fn start() -> Self {
        let files = TempDir::new();
        fs::create_dir_all(files.path().join("data").join(BUCKET)).unwrap();
        Self::on(files, &[])
    }

    /// The same bucket, of a server that takes nothing any more.
    pub(crate) fn read_only(self) -> Self {
        let files = self.stop();
        Self::on(files, &["--readonly"])
    }

    fn on(files: TempDir, flags: &[&str]) -> Self {
        let port = free_port();
        let (authority, certificate, key) = super::kafka::certificates();
        files.write("secret/ca.crt", &authority);
        files.write("secret/access-key-id", "payplane");
        files.write("secret/secret-access-key", SECRET);
        let (certificate, key) = (files.write("tls.crt", &certificate), files.write("tls.key", &key));
        // Without users of its own the server has words of its own for somebody whom it does not know.
        let users = files.path().join("users");
        fs::create_dir_all(&users).unwrap();
        let script = "\"$@\" >/dev/null 2>&1 & echo $!; read end; kill -9 $!";
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(program())
            .args(["--quiet", "--port", &format!("127.0.0.1:{port}")])
            .args([&"--iam-dir".into(), &users])
            .args([&"--cert".into(), &certificate, &"--key".into(), &key])
            .args(flags)
            .args([&"posix".into(), &files.path().join("data")])
            .env("ROOT_ACCESS_KEY_ID", "payplane")
            .env("ROOT_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the S3 server does not listen");
            std::thread::yield_now();
        }
        Self { port, files, process: shell }
    }

    /// Where copies are below a prefix, as an engine is told.
    pub(crate) fn config(&self, prefix: &str) -> StorageConfig {
        self.config_at(self.port, prefix)
    }

    /// The same by way of another port of this machine.
    pub(crate) fn config_at(&self, port: u16, prefix: &str) -> StorageConfig {
        let bucket = BucketConfig {
            bucket: Some(BUCKET.into()),
            endpoint: Some(format!("https://localhost:{port}")),
            prefix: prefix.into(),
            region: "us-east-1".into(),
            path_style: true,
            credentials_dir: Some(self.files.path().join("secret")),
        };
        StorageConfig { folder: None, bucket }
    }

    /// Says something else in the Secret.
    pub(crate) fn secret(&self, entry: &str, value: &str) {
        self.files.write(&format!("secret/{entry}"), value);
    }

    /// The file that an object is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join("data").join(BUCKET).join(name)
    }

    fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.files, TempDir::new())
    }

    fn end(&mut self) {
        // The end of the pipe is what the shell waits for.
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where tests/lib.sh puts it.
fn program() -> PathBuf {
    let program = cache().join("versitygw/versitygw");
    assert!(program.exists(), "no S3 server; build it: bash -c '. tests/lib.sh; need_s3'");
    program
}
