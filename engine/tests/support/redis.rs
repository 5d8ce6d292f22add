//! A throwaway Redis from the installed program. A shell that waits for the end of a pipe stops it when this process ends
//! in whatever way.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use sha2::{Digest as _, Sha256};

use super::{PATIENCE, TempDir, postgres::free_port};

const PASSWORD: &str = "only-for-tests";

/// What the operator lets engines do, and a user for the tests themselves.
const USERS: &str = include_str!("../../../operator/src/platform/build/redis/users.acl");

/// A server of its own.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) port: u16,
    files: TempDir,
    tls: bool,
    process: Option<(Child, String)>,
}

impl Redis {
    /// A server that asks for a password.
    pub(crate) fn start() -> Self {
        let mut redis = Self::absent();
        redis.launch();
        redis
    }

    /// The files of a server that does not run yet.
    pub(crate) fn absent() -> Self {
        let (port, files) = (free_port(), TempDir::new());
        files.write("host", "127.0.0.1");
        files.write("port", &port.to_string());
        files.write("username", "payplane");
        files.write("password", PASSWORD);
        let hash: String = Sha256::digest(PASSWORD).iter().map(|byte| format!("{byte:02x}")).collect();
        let admin = "user admin on nopass ~* &* +@all\n";
        files.write("users.acl", &(USERS.replace("{password}", &hash) + admin));
        Self { port, files, tls: false, process: None }
    }

    /// A server that takes encrypted connections only, with a certificate for `localhost` of an authority of its own.
    pub(crate) fn with_tls() -> Self {
        let mut redis = Self::absent();
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&authority).unwrap();
        let issuer = rcgen::Issuer::from_params(&params, &authority);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        redis.files.write("ca.crt", &ca.pem());
        redis.files.write("host", "localhost");
        redis.files.write("tls.crt", &leaf.pem());
        redis.files.write("tls.key", &key.serialize_pem());
        redis.tls = true;
        redis.launch();
        redis
    }

    /// Starts the server, empty, and waits until it answers.
    pub(crate) fn launch(&mut self) {
        let port = self.port.to_string();
        let path = |name: &str| self.files.path().join(name).display().to_string();
        let mut arguments: Vec<String> =
            ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--aclfile", &path("users.acl")]
                .map(str::to_owned)
                .to_vec();
        arguments.extend(["--dir".to_owned(), self.files.path().display().to_string()]);
        if self.tls {
            let files = ["--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"];
            let names = ["tls.crt", "tls.key", "ca.crt"];
            arguments
                .extend(files.into_iter().zip(names).flat_map(|(flag, name)| [flag.to_owned(), path(name)]));
            let flags = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
            arguments.extend(flags.map(str::to_owned));
        } else {
            arguments.extend(["--port".to_owned(), port]);
        }
        let script = "redis-server \"$@\" >/dev/null 2>&1 & echo $!; read end; kill -9 $!";
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut id = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut id).unwrap();
        self.process = Some((shell, id.trim().to_owned()));
        let started = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "redis-server does not listen: is it installed?");
            std::thread::yield_now();
        }
    }

    /// The files by which an engine finds it.
    pub(crate) fn directory(&self) -> PathBuf {
        self.files.path().to_owned()
    }

    /// Sends a signal to the server.
    pub(crate) fn signal(&self, signal: &str) {
        let (_, id) = self.process.as_ref().unwrap();
        assert!(Command::new("kill").args([signal, id]).status().unwrap().success());
    }

    /// Ends the server without a goodbye.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            stop(process);
        }
    }

    /// A connection that sees and writes everything.
    pub(crate) fn admin(&self) -> redis::Connection {
        let url = format!("redis://admin:any@127.0.0.1:{}/", self.port);
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn stop((mut shell, _): (Child, String)) {
    // The end of the pipe is what it waits for.
    drop(shell.stdin.take());
    shell.wait().unwrap();
}
