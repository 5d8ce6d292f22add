//! Where Redis is: a directory with one file per value, the shape of a mounted Secret.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
    TlsCertificates,
};

use crate::mounted::{self, MountedError};

/// What the files say. Cannot be printed: one of them is a password.
pub struct RedisConfig {
    host: String,
    port: u16,
    username: Option<String>,
    password: Option<String>,
    ca: Option<Vec<u8>>,
}

impl RedisConfig {
    /// Reads `host` and `port` and, where they are there, `username`, `password` and `ca.crt`.
    pub fn read(directory: &Path) -> Result<Self, MountedError> {
        let read = |path: PathBuf| fs::read(&path).map_err(|source| MountedError::Read { path, source });
        let ca = mounted::authority(directory).map(read).transpose()?;
        let value = |name| mounted::optional(directory, name);
        let missing = || {
            let source = io::Error::from(io::ErrorKind::NotFound);
            MountedError::Read { path: directory.join("host"), source }
        };
        Ok(Self {
            port: mounted::port(directory)?,
            host: value("host")?.ok_or_else(missing)?,
            username: value("username")?,
            password: value("password")?,
            ca,
        })
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
