//! Why the server of a bucket did not do what it was asked for, in words that have the way out.

use crate::telemetry::Causes;

/// The most of a server's words that is told.
const WORDS_MAX: usize = 300;

/// Forbidden, and yet no matter of rights.
const WRONG_CLOCK: &str = "RequestTimeTooSkewed";

/// What is the matter with a bucket. Nothing here has a credential in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No bucket of this name.
    #[error("there is no such bucket: create it, or correct its name and endpoint")]
    NoBucket,
    /// The credentials are not those of anybody there.
    #[error(
        "the server does not know these credentials ({0}): correct access-key-id and secret-access-key in their Secret"
    )]
    Credentials(String),
    /// The credentials may not do that.
    #[error(
        "the server refuses it ({0}): allow these credentials to list, read, write and delete below the prefix"
    )]
    NotAllowed(String),
    /// It should be there, and is not.
    #[error("it is not there: somebody deleted it")]
    Missing,
    /// No answer, or only a part of one.
    #[error("no whole answer came ({0}): look at the endpoint, its certificate, and the network in between")]
    Unreachable(String),
    /// Anything else that the server said.
    #[error("the server answered: {0}")]
    Refused(String),
}

impl Fault {
    /// From what the library tells.
    pub(super) fn of(error: &object_store::Error) -> Self {
        let told = Causes(error).to_string();
        let code = between(&told, "<Code>", "</Code>").unwrap_or_default();
        match (error, code) {
            (_, "NoSuchBucket") => Self::NoBucket,
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken")
            | (object_store::Error::Unauthenticated { .. }, _) => Self::Credentials(named(code, "401")),
            (object_store::Error::PermissionDenied { .. }, code) if code != WRONG_CLOCK => {
                Self::NotAllowed(named(code, "403"))
            }
            (object_store::Error::NotFound { .. }, _) => Self::Missing,
            (_, "") => Self::Unreachable(last_cause(error)),
            (_, code) => {
                let words = between(&told, "<Message>", "</Message>").unwrap_or_default();
                Self::Refused(short(&format!("{code}: {words}")))
            }
        }
    }

    /// The exit code of a command that ends with this: 5 without the bucket, 6 without the right, 7 without an answer.
    pub const fn code(&self) -> u8 {
        match self {
            Self::NoBucket => 5,
            Self::Credentials(_) | Self::NotAllowed(_) => 6,
            Self::Unreachable(_) | Self::Refused(_) => 7,
            // Like a file that is not there.
            Self::Missing => 1,
        }
    }
}

fn named(code: &str, status: &str) -> String {
    if code.is_empty() { status.to_owned() } else { code.to_owned() }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

/// The innermost one: those around it repeat it, with addresses.
fn last_cause(error: &object_store::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    short(&last.to_string())
}

fn short(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        error: impl Fn(Box<dyn std::error::Error + Send + Sync>) -> object_store::Error,
        body: &str,
    ) -> Fault {
        Fault::of(&error(body.into()))
    }

    #[test]
    fn what_a_server_says_becomes_what_to_do() {
        let generic = |source| object_store::Error::Generic { store: "S3", source };
        let denied = |source| object_store::Error::PermissionDenied { path: "a".into(), source };
        let absent = |source| object_store::Error::NotFound { path: "a".into(), source };
        let error = |code: &str| format!("<Error><Code>{code}</Code><Message>words\n</Message></Error>");
        assert_eq!(of(absent, &error("NoSuchBucket")), Fault::NoBucket);
        assert_eq!(of(absent, &error("NoSuchKey")), Fault::Missing);
        assert_eq!(of(denied, &error("AccessDenied")), Fault::NotAllowed("AccessDenied".into()));
        assert_eq!(of(denied, ""), Fault::NotAllowed("403".into()));
        let unknown = Fault::Credentials("SignatureDoesNotMatch".into());
        assert_eq!(of(denied, &error("SignatureDoesNotMatch")), unknown);
        let clock = Fault::Refused("RequestTimeTooSkewed: words ".into());
        assert_eq!(of(denied, &error("RequestTimeTooSkewed")), clock);
        assert_eq!(of(generic, &error("SlowDown")), Fault::Refused("SlowDown: words ".into()));
        assert_eq!(of(generic, "connection refused"), Fault::Unreachable("connection refused".into()));
    }
}
