//! The one layer in front of every service: policy, correlation id, identity, role, rate, room, deadline, log line, metrics.
//!
//! A call that the table of methods does not allow reaches no handler. The handler's future may be dropped at the
//! deadline or when the caller goes away; whatever uses the database runs in tasks of its own.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use uuid::Uuid;

use super::{
    Access, Call, access,
    asked::Asked,
    decode::{PERSON_CHARS_MAX, is_person, is_printable_ascii},
    has_many_items, status,
};
use crate::{
    auth::{Authenticator, Caller, Role, TOKEN_BYTES_MAX},
    cache::Limiter,
    calls::Calls,
    commit::{CommitError, Queue},
    metrics::Metrics,
    thread::Apart,
};

const CORRELATION_ID: &str = "payplane-correlation-id";
const CORRELATION_ID_CHARS_MAX: usize = 128;
const NAMESPACE: &str = "payplane-namespace";
const ON_BEHALF_OF: &str = "payplane-on-behalf-of";

/// For callers that name no deadline; also the longest that is granted.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// Answered a moment before the transport's own clock, which knows no better code than "cancelled".
const DEADLINE_MARGIN: Duration = Duration::from_millis(3);

/// Puts the guard in front of a service.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    /// Who is who.
    pub authenticator: Arc<Authenticator>,
    /// How often tenants may call.
    pub limiter: Arc<Limiter>,
    /// Whether their lines have room.
    pub queue: Arc<Queue>,
    /// How often tenants called, for their invoices.
    pub calls: Arc<Calls>,
    /// Counts calls.
    pub metrics: Arc<Metrics>,
    /// Where calls of many items run, so that the others do not wait for them.
    pub apart: Apart,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

/// A guarded service.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Send,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that was polled ready must be the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        Box::pin(async move {
            let started = Instant::now();
            let Some((method, access)) = access(request.uri().path()) else {
                return Ok(status::unknown_method().into_http());
            };
            if access == Access::Open {
                return inner.call(request).await;
            }
            let correlation_id = correlation_id(request.headers());
            let mut subject = None;
            let response = match layer.admit(request.headers(), access, &correlation_id).await {
                Err(status) => status.into_http(),
                Ok(call) => {
                    subject = Some(call.caller.subject.clone());
                    let deadline = deadline(request.headers());
                    request.extensions_mut().insert(call);
                    let answer = inner.call(request);
                    let response = async {
                        if has_many_items(method) { layer.apart.run(answer).await } else { Ok(answer.await) }
                    };
                    match tokio::time::timeout(deadline, response).await {
                        Ok(Ok(response)) => response?,
                        Ok(Err(_)) => status::no_outcome().into_http(),
                        Err(_) => status::deadline_exceeded().into_http(),
                    }
                }
            };
            Ok(layer.leave(method, started, subject.as_deref(), correlation_id, response))
        })
    }
}

impl GuardLayer {
    async fn admit(
        &self,
        headers: &HeaderMap,
        access: Access,
        correlation_id: &Result<Arc<str>, Status>,
    ) -> Result<Call, Status> {
        let caller = self.caller(headers).await?;
        let on_behalf_of = on_behalf_of(headers, caller.role)?;
        if let Access::Needs(needed) | Access::Joins(needed) = access
            && !caller.role.includes(needed)
        {
            return Err(status::role_required(caller.role, needed));
        }
        if let (Some(tenant), Some(rates)) = (caller.tenant, caller.rates)
            && let Err(wait) = self.limiter.admit(tenant, rates).await
        {
            self.metrics.count_rate_refusal();
            return Err(status::rate_exceeded(rates.calls_per_second, wait));
        }
        if let (Access::Joins(_), Some(tenant)) = (access, caller.tenant)
            && self.queue.is_nearly_full(tenant)
        {
            return Err(status::of_commit(CommitError::QueueFull));
        }
        let (asked, correlation_id) = (Asked::read(headers)?, correlation_id.clone()?);
        // What the platform asks about a tenant is not the tenant's.
        if let Some(tenant) = caller.tenant.filter(|_| caller.role != Role::Platform) {
            self.calls.count(tenant);
        }
        Ok(Call { caller, on_behalf_of, correlation_id, asked })
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        let namespace = match headers.get(NAMESPACE) {
            None => None,
            Some(value) => {
                let name = value.to_str().ok().filter(|name| !name.is_empty() && name.len() <= 63);
                Some(name.ok_or_else(|| status::bad_metadata(NAMESPACE, "a namespace"))?)
            }
        };
        let authenticated = self.authenticator.authenticate(bearer(headers), namespace).await;
        authenticated.map_err(|error| status::of_auth(&error))
    }

    /// Everything that is said about a finished call.
    fn leave(
        &self,
        method: &'static str,
        started: Instant,
        subject: Option<&str>,
        correlation_id: Result<Arc<str>, Status>,
        mut response: Response<Body>,
    ) -> Response<Body> {
        let took = started.elapsed();
        // A handler that answers writes its status at the end of the body, which means "ok" here.
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        self.metrics.observe_request(method, code_label(code), took);
        let correlation_id = correlation_id.unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(&correlation_id) {
            response.headers_mut().insert(CORRELATION_ID, value);
        }
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (is_ok, code) = (code == Code::Ok, code_label(code));
        // A line per successful call costs more than the call; whoever wants them sets RUST_LOG to debug.
        if is_ok {
            tracing::debug!(method, code, duration_ms, subject, correlation_id = &*correlation_id, "call");
        } else {
            tracing::info!(
                method,
                code,
                duration_ms,
                subject,
                correlation_id = &*correlation_id,
                "call failed"
            );
        }
        response
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?;
    // Not looked at any further if it is too long for a token.
    let text = value.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES_MAX + 16)?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The caller's, or a fresh one.
fn correlation_id(headers: &HeaderMap) -> Result<Arc<str>, Status> {
    let Some(value) = headers.get(CORRELATION_ID) else {
        return Ok(Arc::from(Uuid::now_v7().to_string()));
    };
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    let text = text.filter(|text| is_printable_ascii(text, CORRELATION_ID_CHARS_MAX));
    text.map(Arc::from)
        .ok_or_else(|| status::bad_metadata(CORRELATION_ID, "1 to 128 printable ASCII characters"))
}

/// Who the platform acts for. It is taken for the one who acts, so nobody else may say it: a tenant's caller could
/// approve what it asked for itself.
fn on_behalf_of(headers: &HeaderMap, role: Role) -> Result<Option<Arc<str>>, Status> {
    let Some(value) = headers.get(ON_BEHALF_OF) else { return Ok(None) };
    if !role.includes(Role::Platform) {
        return Err(status::on_behalf_of_not_allowed());
    }
    let text = value.to_str().ok().filter(|text| is_person(text));
    let expected =
        format!("1 to {PERSON_CHARS_MAX} printable ASCII characters that do not begin with \"payplane:\"");
    text.map(|text| Some(Arc::from(text))).ok_or_else(|| status::bad_metadata(ON_BEHALF_OF, &expected))
}

/// `grpc-timeout`: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.to_str().ok()?));
    asked.unwrap_or(DEADLINE_DEFAULT).min(DEADLINE_DEFAULT).saturating_sub(DEADLINE_MARGIN)
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // A number alone may have a sign.
    let is_right = digits.len() <= 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_right)?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

const fn code_label(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{fuzz, texts};

    fn with(name: &'static str, value: &str) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        Some(headers)
    }

    #[test]
    fn timeouts() {
        fuzz("grpc-timeout", &texts("[+]?[0-9]{0,9}[HMSmunx]?"), |text| {
            let headers = with("grpc-timeout", &text);
            assert!(headers.is_none_or(|headers| deadline(&headers) < DEADLINE_DEFAULT));
            let is_right = text.len().checked_sub(1).and_then(|end| text.split_at_checked(end));
            let is_right = is_right.is_some_and(|(digits, unit)| {
                let is_number =
                    digits.bytes().all(|byte| byte.is_ascii_digit()) && matches!(digits.len(), 1..=8);
                is_number && "HMSmun".contains(unit)
            });
            assert_eq!(parse_timeout(&text).is_some(), is_right, "{text:?}");
            is_right
        });
    }

    #[test]
    fn on_behalf_of_is_short_plain_and_nobody_of_the_engine() {
        fuzz("on behalf of", &texts("(payplane:)?[ -~]{0,300}"), |text| {
            let Some(headers) = with(ON_BEHALF_OF, &text) else { return false };
            let refused = on_behalf_of(&headers, Role::Admin).unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "only the platform speaks for others");
            let found = on_behalf_of(&headers, Role::Platform).ok().flatten();
            let is_right = (1..=256).contains(&text.len()) && !text.starts_with("payplane:");
            let is_right = is_right && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            assert_eq!(found.as_deref(), is_right.then_some(&*text), "{text:?}");
            is_right
        });
    }

    #[test]
    fn bearers_and_correlation_ids() {
        fuzz("authorization", &texts("([Bb]earer|BEARER|Basic)? [a-z.]{0,9}"), |text| {
            let Some(headers) = with("authorization", &text) else { return false };
            bearer(&headers)
                .inspect(|token| assert!(text.contains(token) && token.trim() == *token))
                .is_some()
        });
        fuzz("correlation ids", &texts("[a-z-]{0,200}"), |text| {
            let Some(headers) = with(CORRELATION_ID, &text) else { return false };
            correlation_id(&headers).is_ok_and(|id| {
                assert!(*id == *text && HeaderValue::from_str(&id).is_ok());
                true
            })
        });
    }
}
