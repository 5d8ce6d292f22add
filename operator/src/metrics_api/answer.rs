//! From a question to its answer: asks for the figures, chooses the document.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{
    API_EXTERNAL,
    documents::{self, Refusal},
    figures::Figures,
    question::Question,
};

/// Answers.
pub async fn answer(method: &Method, path: &str, query: &str, figures: &Figures) -> (StatusCode, Value) {
    let document = match Question::of(method, path, query) {
        Ok(question) => document(&question, figures).await,
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

async fn document(question: &Question, figures: &Figures) -> Result<Value, Refusal> {
    match question {
        Question::Group(api) => Ok(documents::group(*api)),
        Question::Resources(api) => Ok(documents::resources(*api)),
        Question::Platform { api, namespace, platform, figure } => {
            let measured = figures.measure(namespace, platform, *figure).await?;
            Ok(match *api {
                API_EXTERNAL => documents::external(&measured),
                _ => documents::of_platform(namespace, &measured),
            })
        }
        Question::Pods { namespace, chosen, figure } => {
            Ok(documents::of_pods(namespace, &figures.measure_pods(namespace, chosen, *figure).await?))
        }
    }
}
