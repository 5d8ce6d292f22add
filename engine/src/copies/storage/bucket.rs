//! Copies in a bucket at a server that speaks S3, below a prefix.
//!
//! What is sent carries its SHA-256, which the server has to find again in what arrived. A request that is not answered is
//! repeated ([`RETRIES`] times, within [`RETRY_FOR`]), and none takes longer than [`REQUEST_MAX`]. Credentials come from files, are read when
//! the bucket is opened, and are told nowhere.

use std::{fmt, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    path::Path,
};
use tokio::runtime::{Builder, Runtime};

use super::{super::CopiesError, Fault, download::Download, upload::Upload};
use crate::{config::BucketConfig, mounted};

/// How often a request is repeated that nobody answered, or that the server was too busy for.
const RETRIES: usize = 4;
/// For how long.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long a request and its repetitions may take: the largest is a part of an upload.
const REQUEST_MAX: Duration = Duration::from_secs(300);
/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A bucket, by names whose parts are separated by `/`.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    name: String,
    prefix: Path,
    store: AmazonS3,
    runtime: Runtime,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}/{})", self.0.name, self.0.prefix)
    }
}

impl Bucket {
    /// This one.
    ///
    /// # Errors
    /// When there is no such bucket, or its server does not answer: nothing is made here.
    pub fn open(name: &str, config: &BucketConfig) -> Result<Self, CopiesError> {
        let prefix = Path::parse(&config.prefix)
            .map_err(|wrong| CopiesError::Settings(format!("prefix of the bucket: {wrong}")))?;
        let store = store(name, config)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|wrong| CopiesError::Settings(format!("start the client: {wrong}")))?;
        let bucket = Self(Arc::new(Inner { name: name.to_owned(), prefix, store, runtime }));
        // What is found does not matter. That nothing has this name keeps the answer short.
        bucket.list(".open")?;
        Ok(bucket)
    }

    pub(super) fn store(&self) -> &AmazonS3 {
        &self.0.store
    }

    pub(super) fn at(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.0.prefix.clone(), Path::join)
    }

    /// Waits for it, but not for ever.
    pub(super) fn wait<T>(
        &self,
        (operation, name): (&'static str, &str),
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, CopiesError> {
        let bounded = async { tokio::time::timeout(REQUEST_MAX, request).await };
        let fault = match self.0.runtime.block_on(bounded) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => Fault::of(&error),
            Err(_) => Fault::Unreachable(format!("none within {} s", REQUEST_MAX.as_secs())),
        };
        Err(CopiesError::Bucket { operation, name: name.into(), bucket: self.0.name.clone(), fault })
    }

    pub(super) fn has(&self, name: &str) -> Result<bool, CopiesError> {
        found(self.wait(("look for", name), self.store().head(&self.at(name)))).map(|found| found.is_some())
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CopiesError> {
        let at = self.at(name);
        let whole = async { self.store().get(&at).await?.bytes().await };
        Ok(found(self.wait(("read", name), whole))?.map(Vec::from))
    }

    pub(super) fn reader(&self, name: &str) -> Result<Download, CopiesError> {
        Download::begin(self.clone(), name)
    }

    pub(super) fn writer(&self, name: &str, about_bytes: u64) -> Upload {
        Upload::begin(self.clone(), name, about_bytes)
    }

    pub(super) fn write_new(&self, name: &str, contents: &[u8]) -> Result<bool, CopiesError> {
        let at = self.at(name);
        let put = self.store().put_opts(&at, contents.to_vec().into(), PutMode::Create.into());
        let judged = async {
            match put.await {
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                done => done.map(|_| true),
            }
        };
        self.wait(("write", name), judged)
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, CopiesError> {
        let at = self.at(below);
        let found = self.wait(("list", below), self.store().list_with_delimiter(Some(&at)))?;
        let objects = found.objects.iter().map(|object| &object.location);
        let names = found.common_prefixes.iter().chain(objects);
        Ok(names.filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), CopiesError> {
        found(self.wait(("delete", name), self.store().delete(&self.at(name)))).map(drop)
    }

    pub(super) fn remove_below(&self, name: &str) -> Result<(), CopiesError> {
        let at = self.at(name);
        let found: Vec<_> = self.wait(("list", name), self.store().list(Some(&at)).try_collect())?;
        for object in found {
            self.wait(("delete", object.location.as_ref()), self.store().delete(&object.location))?;
        }
        Ok(())
    }
}

/// None if it is not there.
fn found<T>(result: Result<T, CopiesError>) -> Result<Option<T>, CopiesError> {
    match result {
        Err(CopiesError::Bucket { fault: Fault::Missing, .. }) => Ok(None),
        result => result.map(Some),
    }
}

fn store(name: &str, config: &BucketConfig) -> Result<AmazonS3, CopiesError> {
    let settings = CopiesError::Settings;
    let endpoint = config.endpoint.as_deref().ok_or_else(|| settings("endpoint is missing".into()))?;
    let directory = config.credentials_dir.as_deref();
    let directory = directory.ok_or_else(|| settings("the directory of credentials is missing".into()))?;
    let mut options = ClientOptions::new()
        .with_allow_http(endpoint.starts_with("http://"))
        .with_connect_timeout(CONNECT_MAX)
        .with_read_timeout(SILENCE_MAX)
        // The whole of a large object takes its time.
        .with_timeout_disabled();
    if let Some(pem) = mounted::optional(directory, "ca.crt")? {
        let wrong = |wrong| settings(format!("ca.crt of the bucket's Secret: {wrong}"));
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(wrong)?;
        if certificates.is_empty() {
            return Err(settings(
                "ca.crt of the bucket's Secret has no certificate in it: put PEM there".into(),
            ));
        }
        // Then nobody else's is believed.
        options = options.with_no_system_certificates(true);
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(&config.region)
        .with_endpoint(address(endpoint, name, config.path_style))
        .with_virtual_hosted_style_request(!config.path_style)
        .with_access_key_id(mounted::required(directory, "access-key-id")?)
        .with_secret_access_key(mounted::required(directory, "secret-access-key")?)
        .with_checksum_algorithm(Checksum::SHA256)
        // One request per object is understood everywhere.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
        })
        .with_client_options(options);
    if let Some(token) = mounted::optional(directory, "session-token")? {
        builder = builder.with_token(token);
    }
    builder.build().map_err(|wrong| settings(wrong.to_string()))
}

/// The server's address; with the bucket's name before its own, unless that comes in paths.
fn address(endpoint: &str, bucket: &str, path_style: bool) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_hosts_name() {
        for (path_style, expected) in
            [(true, "https://s3.example:9000"), (false, "https://copies.s3.example:9000")]
        {
            assert_eq!(address("https://s3.example:9000/", "copies", path_style), expected);
        }
    }
}
