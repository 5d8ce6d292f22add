//! Why a pod does not start. Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::Deserialize;

/// The container that brings the database's schema up to date.
pub const MIGRATE: &str = "migrate";

/// Fewer crashes may have their cause elsewhere, such as a database that restarts.
const CRASHES: i32 = 3;

/// Of a message as long as a log.
const WORDS_MAX: usize = 500;

/// Why a pod does not start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Whether the migration failed, rather than the engine.
    pub is_migration: bool,
    /// What the migration says is the matter, as a condition's reason; empty if it does not say.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What a migration leaves behind when it fails.
#[derive(Deserialize)]
struct Said {
    reason: String,
    message: String,
}

/// What keeps this pod from working, if something does that will not pass by itself.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let before = status.init_container_statuses.iter().flatten();
    before.chain(status.container_statuses.iter().flatten()).find_map(|container| {
        let is_migration = container.name == MIGRATE;
        let image = &container.image;
        let failed = cannot_start(container)
            .map(|(why, words)| format!("Image {image} does not start ({why}): {words}"))
            .or_else(|| crashes(container, is_migration))?;
        let said: Option<Said> = last_words(container).and_then(|words| serde_json::from_str(words).ok());
        Some(match said.filter(|_| is_migration) {
            Some(Said { reason, message }) => Trouble { is_migration, reason, message },
            // An image that cannot be had failed no migration.
            None => {
                let is_migration = is_migration && cannot_start(container).is_none();
                Trouble { is_migration, reason: String::new(), message: failed }
            }
        })
    })
}

/// The image or its configuration is wrong.
fn cannot_start(container: &ContainerStatus) -> Option<(&str, &str)> {
    const NEVER: [&str; 6] = [
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerError",
        "RunContainerError",
        "ImageInspectError",
    ];
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| NEVER.contains(reason))?;
    Some((reason, waiting.message.as_deref().unwrap_or_default()))
}

/// A migration is tried again and again; its first failure is told already, because nothing goes back for it.
fn crashes(container: &ContainerStatus, is_migration: bool) -> Option<String> {
    let enough = if is_migration { 1 } else { CRASHES };
    let ended = [&container.state, &container.last_state]
        .into_iter()
        .flatten()
        .filter_map(|state| state.terminated.as_ref())
        .find(|ended| ended.exit_code != 0)?;
    (enough <= container.restart_count).then(|| {
        let words: String = last_words(container).unwrap_or_default().chars().take(WORDS_MAX).collect();
        let ContainerStatus { name, image, restart_count, .. } = container;
        let code = ended.exit_code;
        format!("Container {name} of image {image} ended {restart_count} times, the last time with code {code}. {words}")
    })
}

/// What it said when it ended.
fn last_words(container: &ContainerStatus) -> Option<&str> {
    let states = [&container.state, &container.last_state].into_iter().flatten();
    let mut said = states.filter_map(|state| state.terminated.as_ref()?.message.as_deref());
    said.find(|message| !message.is_empty())
}
