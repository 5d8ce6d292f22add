//! What a question asks for, by its path and its parameters. Pure.
//!
//! Anything that is not one of the documents is not found, `/apis` and `/openapi` included: the API server then goes by the
//! lists of resources alone.

use http::Method;
use payplane_crds::scaling_policy::EngineFigure;

use super::{
    API_CUSTOM, API_EXTERNAL, ApiVersion, FIGURES, PLATFORM_LABEL, PLATFORMS, PODS, documents::Refusal,
    metric_name,
};

/// Limit of Kubernetes for a label's value.
const LABEL_MAX: usize = 63;
/// Limit of Kubernetes for a pod's name.
const NAME_MAX: usize = 253;
/// In the place of a name: every object with the labels. The API server writes it in the second way when it passes it on.
const ALL: [&str; 2] = ["*", "%2A"];

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// What a group has.
    Group(ApiVersion),
    /// What a version of it has.
    Resources(ApiVersion),
    /// The sum of a Platform's engines, of this API.
    Platform {
        /// Which API is asked.
        api: ApiVersion,
        /// Where the Platform is.
        namespace: String,
        /// Its name.
        platform: String,
        /// Of what.
        figure: EngineFigure,
    },
    /// A figure of each of these engines.
    Pods {
        /// Where they are.
        namespace: String,
        /// Which.
        chosen: Chosen,
        /// Of what.
        figure: EngineFigure,
    },
}

/// Which engines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Chosen {
    /// With these labels, as a selector of Kubernetes; empty chooses all.
    pub labels: String,
    /// Of this name, if of one.
    pub name: Option<String>,
    /// Of this Platform, if of one.
    pub platform: Option<String>,
}

impl Question {
    /// Understands a question.
    ///
    /// # Errors
    /// When there is nothing of that name, or the selector says too much or too little.
    pub fn of(method: &Method, path: &str, query: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::not_found(format!("{method} {path} is not served here."));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (&Method::GET, ["apis", group, rest @ ..]) = (method, &parts[..]) else { return Err(unknown()) };
        let api =
            [API_EXTERNAL, API_CUSTOM].into_iter().find(|api| api.group == *group).ok_or_else(unknown)?;
        match rest {
            [] => Ok(Self::Group(api)),
            [version] if *version == api.version => Ok(Self::Resources(api)),
            [version, "namespaces", namespace, asked @ ..] if *version == api.version => {
                Self::figure(api, namespace, asked, query).unwrap_or_else(|| Err(unknown()))
            }
            _ => Err(unknown()),
        }
    }

    /// A question for figures, if it is one.
    fn figure(
        api: ApiVersion,
        namespace: &str,
        asked: &[&str],
        query: &str,
    ) -> Option<Result<Self, Refusal>> {
        match (api, asked) {
            (API_EXTERNAL, [metric]) => Some(external(namespace, metric, query)),
            (API_CUSTOM, [PLATFORMS, name, metric]) => Some(of_platform(namespace, name, metric, query)),
            (API_CUSTOM, [PODS, name, metric]) => Some(of_pods(namespace, name, metric, query)),
            _ => None,
        }
    }
}

fn external(namespace: &str, metric: &str, query: &str) -> Result<Question, Refusal> {
    let figure = figure("external", metric)?;
    let selector = parameter(query, "labelSelector");
    let platform = named(&selector).ok_or_else(|| no_platform("label selector", &selector))?;
    Ok(Question::Platform { api: API_EXTERNAL, namespace: namespace.to_owned(), platform, figure })
}

fn of_platform(namespace: &str, name: &str, metric: &str, query: &str) -> Result<Question, Refusal> {
    let figure = figure("custom", metric)?;
    if !is_name(name, LABEL_MAX) {
        return Err(Refusal::bad_request(format!("{name:?} names no Platform; ask for one by its name.")));
    }
    if chosen_platform(query)?.is_some_and(|platform| platform != name) {
        return Err(Refusal::bad_request(format!(
            "The metric's label selector names another Platform than {name:?}."
        )));
    }
    let (namespace, platform) = (namespace.to_owned(), name.to_owned());
    Ok(Question::Platform { api: API_CUSTOM, namespace, platform, figure })
}

fn of_pods(namespace: &str, name: &str, metric: &str, query: &str) -> Result<Question, Refusal> {
    let figure = figure("custom", metric)?;
    let name = Some(name).filter(|name| !ALL.contains(name));
    if let Some(name) = name.filter(|name| !is_name(name, NAME_MAX)) {
        return Err(Refusal::bad_request(format!(
            "{name:?} is no name of a pod; give one, or * and a label selector."
        )));
    }
    let chosen = Chosen {
        labels: parameter(query, "labelSelector"),
        name: name.map(String::from),
        platform: chosen_platform(query)?,
    };
    Ok(Question::Pods { namespace: namespace.to_owned(), chosen, figure })
}

fn figure(api: &str, name: &str) -> Result<EngineFigure, Refusal> {
    FIGURES.into_iter().find(|figure| metric_name(*figure) == name).ok_or_else(|| {
        let known = FIGURES.map(metric_name).join(" and ");
        Refusal::not_found(format!("There is no {api} metric {name:?}; there are {known}."))
    })
}

/// A parameter's text; empty, if it is not given.
fn parameter(query: &str, name: &str) -> String {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// The Platform that the selector of a metric names, if one is given.
fn chosen_platform(query: &str) -> Result<Option<String>, Refusal> {
    let selector = parameter(query, "metricLabelSelector");
    if selector.is_empty() {
        return Ok(None);
    }
    named(&selector).map(Some).ok_or_else(|| no_platform("metric's label selector", &selector))
}

fn no_platform(what: &str, selector: &str) -> Refusal {
    Refusal::bad_request(format!(
        "The {what} {selector:?} names no Platform; give {PLATFORM_LABEL}=NAME and nothing else."
    ))
}

/// The Platform that a selector names: exactly one, by equality.
fn named(selector: &str) -> Option<String> {
    let (_, value) = selector.split_once('=').filter(|(label, _)| label.trim() == PLATFORM_LABEL)?;
    // Both "=" and "==" mean equality.
    let name = value.strip_prefix('=').unwrap_or(value).trim();
    is_name(name, LABEL_MAX).then(|| name.to_owned())
}

fn is_name(name: &str, most: usize) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.".contains(letter);
    !name.is_empty() && name.len() <= most && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
