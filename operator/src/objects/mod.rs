//! `payplane-operator copy-objects`: the custom resources of a Platform as one document that can be applied again.
//!
//! Every Backup's Job runs it as its first step, with a ServiceAccount that may list these kinds and nothing else, and people
//! run it by hand. It reads kind after kind in pages (`list`), takes what belongs to the Platform (`scope`), leaves out what the
//! API server and the operator wrote (`reapply`), and writes each object as it comes (`document`), so memory holds a page,
//! however many objects there are. What may pass is tried again, from the beginning, until the time is over. A document is
//! whole or not there. Why it is not there is told in a file where somebody else goes on without it, as the Job does: the
//! ledger's copy must not fail for the objects.

mod document;
mod list;
mod reapply;
mod scope;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use kube::Client;
use payplane_crds::condition::reason::{OBJECTS_FORBIDDEN, OBJECTS_NOT_COPIED};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{api, args::CopyObjects, engine::PlatformKey, error::Error, telemetry};
use document::Document;
use scope::Scope;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);
/// As much of a reason as a status can hold.
const WORDS_MAX: usize = 600;

/// What is said at the end: how many objects there are, or why there are none.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Said {
    /// Objects in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// As a condition's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is the matter, and the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// There is no document.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Nobody says where the API server is, or who asks.
    #[error("cannot find the API server: {}", telemetry::chain(.0))]
    Config(#[source] Box<kube::Error>),
    /// The API server refused or failed.
    #[error(transparent)]
    Api(#[from] Error),
    /// There is no such Platform.
    #[error("there is no Platform {0}")]
    NoPlatform(String),
    /// It took too long.
    #[error("it took longer than {0} s")]
    Late(u64),
    /// It could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl CopyError {
    /// As a condition's reason and message.
    fn told(&self) -> (&'static str, String) {
        if self.is_forbidden() {
            let advice = "The chart makes the ServiceAccount and gives it the right to list these kinds: upgrade the chart.";
            return (OBJECTS_FORBIDDEN, format!("{self}. {advice}"));
        }
        (OBJECTS_NOT_COPIED, format!("{self}."))
    }

    fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api(error) if api::is_status(error, 401) || api::is_status(error, 403))
    }

    /// Whether another try may do better.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Api(_)) && !self.is_forbidden()
    }
}

/// Writes the document, and says how it ended.
///
/// # Errors
/// Why there is no document, unless a file was named to say that in.
pub async fn run(config: &CopyObjects) -> Result<(), CopyError> {
    let ended = patiently(config).await;
    let Some(file) = &config.summary_file else { return ended.map(drop) };
    let said = match &ended {
        Ok(count) => Said { objects: Some(*count), ..Said::default() },
        Err(error) => {
            let (reason, message) = error.told();
            let message = message.chars().take(WORDS_MAX).collect();
            Said { objects: None, reason: Some(reason.into()), message: Some(message) }
        }
    };
    let text = serde_json::to_vec(&said).map_err(Error::from)?;
    fs::write(file, text).map_err(|source| CopyError::Write { path: file.clone(), source })
}

/// How many objects were written.
async fn patiently(config: &CopyObjects) -> Result<u64, CopyError> {
    let deadline = Instant::now() + Duration::from_secs(config.within_seconds);
    let client = Client::try_default().await.map_err(|error| CopyError::Config(Box::new(error)))?;
    loop {
        let once = timeout_at(deadline, once(&client, config)).await;
        match once.unwrap_or(Err(CopyError::Late(config.within_seconds))) {
            // What went to the standard output cannot be taken back.
            Err(error) if config.to.is_some() && error.may_pass() && Instant::now() + PAUSE < deadline => {
                eprintln!("copy-objects: {error}; it is tried again");
                sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn once(client: &Client, config: &CopyObjects) -> Result<u64, CopyError> {
    let Some(path) = &config.to else {
        return write(client, config, io::stdout().lock(), Path::new("the standard output")).await;
    };
    let failed = |source| CopyError::Write { path: path.clone(), source };
    let beside = path.with_extension("partial");
    let count = write(client, config, File::create(&beside).map_err(failed)?, &beside).await?;
    fs::rename(&beside, path).map_err(failed)?;
    Ok(count)
}

async fn write(client: &Client, config: &CopyObjects, to: impl Write, path: &Path) -> Result<u64, CopyError> {
    let failed = |source| CopyError::Write { path: path.to_owned(), source };
    let mut scope = Scope::of(&config.platform.namespace, &config.platform.name);
    let mut document = Document::begin(to).map_err(failed)?;
    for kind in list::kinds() {
        let mut pages = list::Pages::of(client, &kind, scope.namespace_of(&kind));
        while let Some(page) = pages.next().await? {
            for object in page.iter().filter(|object| scope.takes(&kind.kind, object)) {
                document.add(&reapply::document(&kind, object)).map_err(failed)?;
            }
            scope.learn(&kind.kind, &page);
        }
        if !scope.has_platform() {
            let PlatformKey { namespace, name } = &config.platform;
            return Err(CopyError::NoPlatform(format!("{namespace}/{name}")));
        }
    }
    document.finish().map_err(failed)
}
