//! Where Redis is: a directory with one file per value, the shape of a mounted Secret.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
    TlsCertificates,
};

/// What the files say. Cannot be printed: one of them is a password.
pub struct RedisConfig {
    host: String,
    port: u16,
    username: Option<String>,
    password: Option<String>,
    ca: Option<Vec<u8>>,
}

/// A file is missing or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum RedisConfigError {
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The port is no number.
    #[error("{} holds no port number", path.display())]
    Port {
        /// Which file.
        path: PathBuf,
    },
}

impl RedisConfig {
    /// Reads `host` and `port` and, where they are there, `username`, `password` and `ca.crt`.
    pub fn read(directory: &Path) -> Result<Self, RedisConfigError> {
        let needed = |name| {
            let missing = || io::Error::from(io::ErrorKind::NotFound);
            text(directory, name)?
                .ok_or_else(|| RedisConfigError::Read { path: directory.join(name), source: missing() })
        };
        let port = needed("port")?;
        let port = port.parse().map_err(|_| RedisConfigError::Port { path: directory.join("port") })?;
        let ca = optional(directory, "ca.crt")?;
        let (username, password) = (text(directory, "username")?, text(directory, "password")?);
        Ok(Self { host: needed("host")?, port, username, password, ca })
    }

    /// With a CA the connection is encrypted and the server's certificate and name are verified; without one it is in the
    /// clear, for a server on the same machine.
    pub(super) fn client(self) -> Result<Client, RedisError> {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = self.username {
            login = login.set_username(username);
        }
        if let Some(password) = self.password {
            login = login.set_password(password);
        }
        let address = match self.ca {
            None => return Client::open(with(ConnectionAddr::Tcp(self.host, self.port), login)?),
            Some(_) => {
                ConnectionAddr::TcpTls { host: self.host, port: self.port, insecure: false, tls_params: None }
            }
        };
        let certificates = TlsCertificates { client_tls: None::<ClientTlsConfig>, root_cert: self.ca };
        Client::build_with_tls(with(address, login)?, certificates)
    }
}

fn with(address: ConnectionAddr, login: RedisConnectionInfo) -> Result<redis::ConnectionInfo, RedisError> {
    Ok(address.into_connection_info()?.set_redis_settings(login))
}

fn text(directory: &Path, name: &str) -> Result<Option<String>, RedisConfigError> {
    let bytes = optional(directory, name)?;
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

fn optional(directory: &Path, name: &str) -> Result<Option<Vec<u8>>, RedisConfigError> {
    let path = directory.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RedisConfigError::Read { path, source }),
    }
}
