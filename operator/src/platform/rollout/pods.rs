//! Why a pod does not start. Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::job::containers;

/// Fewer crashes may have their cause elsewhere, such as a database that restarts.
const CRASHES: i32 = 3;

/// Of a message as long as a log.
const WORDS_MAX: usize = 500;

/// What keeps this pod of an engine from working, if something does that will not pass by itself.
pub fn trouble(pod: &Pod) -> Option<String> {
    containers(pod).find_map(|container| cannot_start(container).or_else(|| crashes(container, CRASHES)))
}

/// The image or its configuration is wrong.
pub fn cannot_start(container: &ContainerStatus) -> Option<String> {
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
    let words = waiting.message.as_deref().unwrap_or_default();
    Some(format!("Image {} does not start ({reason}): {words}", container.image))
}

/// It ended with a failure, and that often.
pub fn crashes(container: &ContainerStatus, enough: i32) -> Option<String> {
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
pub fn last_words(container: &ContainerStatus) -> Option<&str> {
    let states = [&container.state, &container.last_state].into_iter().flatten();
    let mut said = states.filter_map(|state| state.terminated.as_ref()?.message.as_deref());
    said.find(|message| !message.is_empty())
}
