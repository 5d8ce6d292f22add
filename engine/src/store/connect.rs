//! Where the database is: a directory with one file per value, the shape of a mounted Secret. Nothing secret is ever an
//! argument, an environment variable or part of a log line.

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::mounted::{self, MountedError};

/// What the files say.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// The login's name.
    pub username: String,
    /// The login's password.
    pub password: String,
    /// The database's name.
    pub dbname: String,
    /// The password that the login will have, while it is being changed.
    pub next_password: Option<String>,
    host: String,
    port: u16,
    ca: Option<PathBuf>,
}

impl DatabaseConfig {
    /// Reads `host`, `port`, `dbname`, `username`, `password` and, if they are there, `next-password` and `ca.crt`.
    pub fn read(directory: &Path) -> Result<Self, MountedError> {
        let value = |name| mounted::required(directory, name);
        Ok(Self {
            port: mounted::port(directory)?,
            username: value("username")?,
            password: value("password")?,
            dbname: value("dbname")?,
            next_password: mounted::optional(directory, "next-password")?,
            host: value("host")?,
            ca: mounted::authority(directory),
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
