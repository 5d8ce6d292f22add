//! Where the database is: a directory with one file per value, the shape of a mounted Secret. Nothing secret is ever an
//! argument, an environment variable or part of a log line.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What the files say.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// The login's name.
    pub username: String,
    /// The login's password.
    pub password: String,
    /// The database's name.
    pub dbname: String,
    host: String,
    port: u16,
    ca: Option<PathBuf>,
}

/// A file is missing or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseConfigError {
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

impl DatabaseConfig {
    /// Reads `host`, `port`, `dbname`, `username`, `password` and, if it is there, `ca.crt`.
    pub fn read(directory: &Path) -> Result<Self, DatabaseConfigError> {
        let port = read_value(directory, "port")?;
        let port = port.parse().map_err(|_| DatabaseConfigError::Port { path: directory.join("port") })?;
        let ca = directory.join("ca.crt");
        Ok(Self {
            username: read_value(directory, "username")?,
            password: read_value(directory, "password")?,
            dbname: read_value(directory, "dbname")?,
            host: read_value(directory, "host")?,
            port,
            ca: ca.exists().then_some(ca),
        })
    }

    /// For sqlx. With a CA the server's certificate and name are verified; without one the connection is not encrypted
    /// unless the server insists.
    pub fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.dbname)
            .username(&self.username)
            .password(&self.password)
            .application_name("payplane-engine");
        match &self.ca {
            Some(ca) => options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(ca),
            None => options.ssl_mode(PgSslMode::Prefer),
        }
    }
}

fn read_value(directory: &Path, name: &str) -> Result<String, DatabaseConfigError> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(DatabaseConfigError::Read { path, source }),
    }
}
