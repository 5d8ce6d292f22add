//! etcd and a kube-apiserver of its own, from the programs that the local cluster keeps in its cache.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{
    process::{Folder, Running, free_port, output},
    wait::{eventually, fetch},
};

/// Issuer of the tokens of every API server here.
pub const ISSUER: &str = "https://kubernetes.default.svc";
/// Token and name of an administrator of every API server here; bea is another one.
pub const ADMIN: &str = "admin";

/// What signs ServiceAccount tokens. API servers with the same keys are believed by the same engine.
pub struct Keys {
    private: String,
    public: String,
}

impl Keys {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        Self { private: key.serialize_pem(), public: key.public_key_pem() }
    }
}

/// By which common name an API server is known to those that it passes requests on to.
pub const FRONT: &str = "front-proxy";

fn sign(issuer: &rcgen::Issuer<'_, &rcgen::KeyPair>, name: &str) -> (rcgen::KeyPair, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).unwrap().pem();
    (key, certificate)
}

/// What the API server shows to those that it passes requests on to; one of another name by the same authority, and one of the
/// same name by another.
fn front(folder: &Folder) {
    for (authority, files) in [
        ("front-ca", [("front", FRONT), ("other", "somebody")].as_slice()),
        ("forged-ca", &[("forged", FRONT)]),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        folder.write(&format!("{authority}.crt"), &params.self_signed(&key).unwrap().pem());
        let issuer = rcgen::Issuer::from_params(&params, &key);
        for (file, name) in files {
            let (key, certificate) = sign(&issuer, name);
            folder.write(&format!("{file}.crt"), &certificate);
            folder.write(&format!("{file}.key"), &key.serialize_pem());
        }
    }
}

/// One API server and what it keeps its objects in.
pub struct ApiServer {
    pub port: u16,
    etcd_port: u16,
    etcd: Option<Running>,
    server: Option<Running>,
    controllers: Option<Running>,
    /// Dropped last: what the processes said is read when they end.
    folder: Folder,
}

impl ApiServer {
    pub async fn new(keys: &Keys) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = Folder::new();
        folder.write("sa.key", &keys.private);
        folder.write("sa.pub", &keys.public);
        let users = [ADMIN, "bea"].map(|name| format!("{name},{name},{name},\"system:masters\"\n"));
        folder.write("tokens.csv", &users.concat());
        front(&folder);
        let (port, etcd_port) = (free_port(), free_port());
        let mut server = Self { port, folder, etcd_port, etcd: None, server: None, controllers: None };
        server.start().await;
        server
    }

    /// Starts both, on the ports that they had.
    pub async fn start(&mut self) {
        self.etcd = Some(self.start_etcd());
        self.server = Some(self.start_server());
        let client = self.client();
        eventually("an API server that is ready", async || {
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            client.request_text(request).await.ok()
        })
        .await;
    }

    fn start_etcd(&self) -> Running {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let mut command = Command::new(tool("etcd", "etcd"));
        command
            .args(["--unsafe-no-fsync", "--log-level", "error", "--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client, "--listen-peer-urls"])
            .arg(format!("http://127.0.0.1:{}", free_port()))
            .arg("--data-dir")
            .arg(self.data());
        Running::start(&mut command, self.folder.path().join("etcd.log"))
    }

    fn start_server(&self) -> Running {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(tool("kube", "kube"));
        command
            .arg("kube-apiserver")
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port))
            .arg(format!("--secure-port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"])
            .arg(format!("--cert-dir={}", file("certificates")))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg("--authorization-mode=RBAC")
            .arg(format!("--service-account-issuer={ISSUER}"))
            .arg(format!("--api-audiences={ISSUER}"))
            .arg(format!("--service-account-key-file={}", file("sa.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("sa.key")))
            .arg(format!("--requestheader-client-ca-file={}", file("front-ca.crt")))
            .arg(format!("--requestheader-allowed-names={FRONT}"))
            .args([
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
            ])
            .arg("--requestheader-extra-headers-prefix=X-Remote-Extra-")
            .arg(format!("--proxy-client-cert-file={}", file("front.crt")))
            .arg(format!("--proxy-client-key-file={}", file("front.key")))
            .arg("--delete-collection-workers=8")
            // No controller makes default ServiceAccounts here.
            .arg("--disable-admission-plugins=ServiceAccount");
        Running::start(&mut command, self.folder.path().join("kube-apiserver.log"))
    }

    /// The controller that ends namespaces.
    pub fn end_namespaces(&mut self) {
        self.control(&["--controllers=namespace-controller"]);
    }

    /// Autoscalers: they look every second.
    pub fn autoscale(&mut self) {
        self.control(&[
            "--controllers=horizontal-pod-autoscaler-controller",
            "--horizontal-pod-autoscaler-sync-period=1s",
        ]);
    }

    fn control(&mut self, flags: &[&str]) {
        let config = self.folder.write("admin.conf", &self.kubeconfig(ADMIN));
        let mut command = Command::new(tool("kube", "kube"));
        command
            .args(["kube-controller-manager", "--leader-elect=false"])
            .args(flags)
            .arg(format!("--secure-port={}", free_port()))
            .args(["--bind-address=127.0.0.1", "--kube-api-qps=100", "--kube-api-burst=200"])
            .arg(format!("--kubeconfig={}", config.display()));
        let log = self.folder.path().join("kube-controller-manager.log");
        self.controllers = Some(Running::start(&mut command, log));
    }

    /// A certificate of this name in its folder, and the key of that, as PEM.
    pub fn identity(&self, name: &str) -> [Vec<u8>; 2] {
        ["crt", "key"].map(|kind| std::fs::read(self.folder.path().join(format!("{name}.{kind}"))).unwrap())
    }

    /// Ends both without a word.
    pub fn stop(&mut self) {
        self.server = None;
        self.etcd = None;
    }

    /// SIGSTOP and SIGCONT of etcd: a disk that does not answer.
    pub fn etcd(&self) -> &Running {
        self.etcd.as_ref().unwrap()
    }

    pub fn server(&self) -> &Running {
        self.server.as_ref().unwrap()
    }

    /// What etcd tells about itself.
    pub async fn etcd_metrics(&self) -> String {
        fetch(self.etcd_port, "/metrics").await.unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("etcd")
    }

    /// A copy of everything that etcd has. Nothing runs meanwhile.
    pub async fn snapshot(&mut self) -> PathBuf {
        let copy = self.folder.path().join("snapshot");
        self.stop();
        output(Command::new("cp").arg("-a").arg(self.data()).arg(&copy));
        self.start().await;
        copy
    }

    /// Everything is as it was then.
    pub async fn restore(&mut self, copy: &Path) {
        self.stop();
        std::fs::remove_dir_all(self.data()).unwrap();
        output(Command::new("cp").arg("-a").arg(copy).arg(self.data()));
        self.start().await;
    }

    /// An administrator.
    pub fn client(&self) -> Client {
        client(&self.kubeconfig(ADMIN))
    }

    /// Nobody yet: whoever sends a request through it brings a token.
    pub fn anonymous(&self) -> Client {
        client(&self.kubeconfig("").replace("user: {token: \"\"}", "user: {}"))
    }

    /// Somebody with this token.
    pub fn client_of(&self, token: &str) -> Client {
        client(&self.kubeconfig(token))
    }

    /// Somebody with this token, who hears every refusal at once: the usual one asks again for minutes after a 503.
    pub fn client_that_hears_refusals(&self, token: &str) -> Client {
        let mut config = config(&self.kubeconfig(token));
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// A kubeconfig that leads straight here.
    pub fn kubeconfig(&self, token: &str) -> String {
        let server =
            format!("{{server: \"https://127.0.0.1:{}\", insecure-skip-tls-verify: true}}", self.port);
        kubeconfig(&server, token)
    }
}

/// A kubeconfig with one cluster and one user.
pub fn kubeconfig(cluster: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: bed\nclusters: [{{name: bed, cluster: {cluster}}}]\n\
         contexts: [{{name: bed, context: {{cluster: bed, user: bed}}}}]\n\
         users: [{{name: bed, user: {{token: \"{token}\"}}}}]\n"
    )
}

/// Only reads what it is given; the environment of whoever runs the tests does not matter.
pub fn client(kubeconfig: &str) -> Client {
    Client::try_from(config(kubeconfig)).unwrap()
}

fn config(kubeconfig: &str) -> Config {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    futures::executor::block_on(Config::from_custom_kubeconfig(kubeconfig, &options)).unwrap()
}

/// A program of the local cluster. Of several versions the one that was built last.
pub fn tool(kind: &str, name: &str) -> PathBuf {
    let cache = cache().join(kind);
    let versions = std::fs::read_dir(&cache).into_iter().flatten().flatten();
    let built = versions.map(|version| version.path().join(name)).filter(|path| path.exists());
    let age = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).unwrap();
    built
        .max_by_key(age)
        .unwrap_or_else(|| panic!("no {name} in {}: run make cluster-up once", cache.display()))
}

/// Where `tests/lib.sh` keeps what was built.
pub fn cache() -> PathBuf {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    var("PAYPLANE_CACHE").unwrap_or_else(|| {
        let home = || var("HOME").expect("HOME is not set").join(".cache");
        var("XDG_CACHE_HOME").unwrap_or_else(home).join("payplane")
    })
}
