//! From a question to its answer: understands the path, asks for the figure, chooses the document.
//!
//! Anything that is not one of the three documents is not found, `/apis` and `/openapi` included: the API server then goes by the
//! list of resources alone.

use http::{Method, StatusCode};
use payplane_crds::scaling_policy::EngineFigure;
use serde_json::Value;

use super::{
    FIGURES, GROUP, PLATFORM_LABEL, VERSION,
    documents::{self, Refusal},
    figures::Figures,
    metric_name,
};

/// Limit of Kubernetes for a label's value.
const LABEL_MAX: usize = 63;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Asked {
    Group,
    Resources,
    Figure { namespace: String, platform: String, figure: EngineFigure },
}

/// Answers.
pub async fn answer(method: &Method, path: &str, query: &str, figures: &Figures) -> (StatusCode, Value) {
    let document = match asked(method, path, query) {
        Ok(Asked::Group) => Ok(documents::group()),
        Ok(Asked::Resources) => Ok(documents::resources()),
        Ok(Asked::Figure { namespace, platform, figure }) => {
            figures.measure(&namespace, &platform, figure).await.map(|measured| documents::values(&measured))
        }
        Err(refusal) => Err(refusal),
    };
    match document {
        Ok(document) => (StatusCode::OK, document),
        Err(refusal) => (refusal.code, refusal.document()),
    }
}

/// The answer that comes when there was no time for a better one.
pub fn late() -> (StatusCode, Value) {
    let refusal = Refusal::unavailable("The engines take too long to tell their figures.".into());
    (refusal.code, refusal.document())
}

/// Understands a question.
fn asked(method: &Method, path: &str, query: &str) -> Result<Asked, Refusal> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, &parts[..]) {
        (&Method::GET, ["apis", GROUP]) => Ok(Asked::Group),
        (&Method::GET, ["apis", GROUP, VERSION]) => Ok(Asked::Resources),
        (&Method::GET, ["apis", GROUP, VERSION, "namespaces", namespace, metric]) => {
            let (figure, platform) = (figure(metric)?, platform(query)?);
            Ok(Asked::Figure { namespace: (*namespace).to_owned(), platform, figure })
        }
        _ => Err(Refusal::not_found(format!("{method} {path} is not served here."))),
    }
}

fn figure(name: &str) -> Result<EngineFigure, Refusal> {
    FIGURES.into_iter().find(|figure| metric_name(*figure) == name).ok_or_else(|| {
        let known = FIGURES.map(metric_name).join(" and ");
        Refusal::not_found(format!("There is no external metric {name:?}; there are {known}."))
    })
}

/// The Platform that the label selector names: exactly one, by equality.
fn platform(query: &str) -> Result<String, Refusal> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let selector = pairs.find(|(key, _)| key == "labelSelector").map(|(_, value)| value).unwrap_or_default();
    let named = selector.split_once('=').filter(|(label, _)| label.trim() == PLATFORM_LABEL);
    // Both "=" and "==" mean equality.
    let named = named.map(|(_, value)| value.strip_prefix('=').unwrap_or(value).trim());
    named.filter(|name| is_name(name)).map(String::from).ok_or_else(|| {
        Refusal::bad_request(format!(
            "The label selector {selector:?} names no Platform; give {PLATFORM_LABEL}=NAME and nothing else."
        ))
    })
}

fn is_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.".contains(letter);
    !name.is_empty() && name.len() <= LABEL_MAX && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";

    #[test]
    fn each_path_means_one_thing() {
        let of = |figure| Ok(Asked::Figure { namespace: "pay".into(), platform: "main".into(), figure });
        let queue = format!("{BASE}/namespaces/pay/payplane_engine_queue_depth");
        let rate = format!("{BASE}/namespaces/pay/payplane_engine_requests_per_second");
        for (path, query, expected) in [
            ("/apis/external.metrics.k8s.io".to_owned(), "", Ok(Asked::Group)),
            (BASE.to_owned(), "timeout=32s", Ok(Asked::Resources)),
            (format!("{BASE}/"), "", Ok(Asked::Resources)),
            (queue.clone(), "labelSelector=platform%3Dmain", of(EngineFigure::QueueDepth)),
            (queue.clone(), "labelSelector=platform%3D%3Dmain", of(EngineFigure::QueueDepth)),
            (rate, "a=b&labelSelector=platform=main", of(EngineFigure::RequestsPerSecond)),
            (queue.clone(), "", Err(400)),
            (queue.clone(), "labelSelector=platform", Err(400)),
            (queue.clone(), "labelSelector=platform%3D", Err(400)),
            (queue.clone(), "labelSelector=platform%21%3Dmain", Err(400)),
            (queue.clone(), "labelSelector=platform%3Dmain%2Ca%3Db", Err(400)),
            (queue.clone(), "labelSelector=platform+in+%28main%29", Err(400)),
            (queue.clone(), "labelSelector=other%3Dmain", Err(400)),
            (format!("{BASE}/namespaces/pay/other"), "labelSelector=platform%3Dmain", Err(404)),
            (format!("{BASE}/payplane_engine_queue_depth"), "", Err(404)),
            (format!("{queue}/more"), "", Err(404)),
            ("/apis".to_owned(), "", Err(404)),
            ("/openapi/v3".to_owned(), "", Err(404)),
            ("/".to_owned(), "", Err(404)),
            ("/metrics".to_owned(), "", Err(404)),
        ] {
            let found = asked(&Method::GET, &path, query).map_err(|refusal| refusal.code.as_u16());
            assert_eq!(found, expected, "{path}?{query}");
        }
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            assert!(asked(&method, BASE, "").is_err(), "{method}");
        }
    }

    #[test]
    fn a_refusal_says_the_way_out() {
        let told = |path: &str, query: &str| {
            asked(&Method::GET, &format!("{BASE}/namespaces/pay/{path}"), query).unwrap_err().message
        };
        assert!(told("other", "").contains("payplane_engine_queue_depth"));
        assert!(told("payplane_engine_queue_depth", "labelSelector=a").contains("platform=NAME"));
    }
}
