//! An HTTP proxy before the API server. Callers come in plain text over loopback and keep their own token; the way on is
//! TLS. Watches are streamed, so that they can be cut in the middle.

use std::sync::Arc;

use futures::TryStreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::switch::{Call, Fault, Switch};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// Forwards to one API server.
pub struct ApiProxy {
    pub port: u16,
    pub switch: Arc<Switch>,
}

impl ApiProxy {
    /// `upstream` brings no identity of its own.
    pub async fn new(upstream: Client) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let switch = Arc::new(Switch::default());
        tokio::spawn(accept(listener, upstream, switch.clone()));
        Self { port, switch }
    }
}

async fn accept(listener: TcpListener, upstream: Client, switch: Arc<Switch>) {
    while let Ok((caller, _)) = listener.accept().await {
        if !switch.is_away() {
            tokio::spawn(serve(caller, upstream.clone(), switch.clone()));
        }
    }
}

/// Until the caller goes, a fault breaks the connection, or all are cut.
async fn serve(caller: TcpStream, upstream: Client, switch: Arc<Switch>) {
    let cutting = switch.cutting();
    let _ = caller.set_nodelay(true);
    let service = service_fn(move |request| answer(request, upstream.clone(), switch.clone()));
    tokio::select! {
        _ = http1::Builder::new().serve_connection(TokioIo::new(caller), service) => {}
        () = cutting => {}
    }
}

/// An error breaks the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    upstream: Client,
    switch: Arc<Switch>,
) -> Result<Answer, BoxError> {
    let call = read(&request);
    let fault = switch.judge(&call);
    match fault {
        None => return forward(request, upstream).await,
        Some(Fault::Delay(time)) => {
            switch.strike();
            // The fault itself.
            tokio::time::sleep(time).await;
            return forward(request, upstream).await;
        }
        Some(Fault::Answer(code)) => {
            switch.strike();
            return Ok(refusal(code, &call));
        }
        Some(Fault::LoseAnswer | Fault::HoldAnswer) => drop(forward(request, upstream).await?),
        Some(Fault::LoseRequest | Fault::HoldRequest) => {}
    }
    switch.strike();
    match fault {
        Some(Fault::HoldAnswer | Fault::HoldRequest) => std::future::pending().await,
        _ => Err("cut".into()),
    }
}

async fn forward(request: Request<Incoming>, upstream: Client) -> Result<Answer, BoxError> {
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let body = body.collect().await?.to_bytes();
    // Path and query only: the client knows the server.
    head.uri = head.uri.path_and_query().unwrap().as_str().parse()?;
    let answer = upstream.send(Request::from_parts(head, kube::client::Body::from(body.to_vec()))).await?;
    let (mut head, body) = answer.into_parts();
    // The length is told anew, for the caller's own connection.
    head.headers.remove("transfer-encoding");
    let stream = body.into_data_stream().map_ok(Frame::data).map_err(BoxError::from);
    Ok(Response::from_parts(head, StreamBody::new(stream).boxed_unsync()))
}

fn refusal(code: u16, call: &Call) -> Answer {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code,
        "message": "a fault of the test",
    });
    let (code, body) = match (call.verb, code) {
        ("WATCH", 410) => (200, json!({"type": "ERROR", "object": status})),
        _ => (code, status),
    };
    let body = Full::new(Bytes::from(format!("{body}\n"))).map_err(|never| match never {}).boxed_unsync();
    let answer = Response::builder().status(code).header("content-type", "application/json");
    answer.body(body).unwrap()
}

/// What the caller asks for, by the API server's rules of paths.
fn read<B>(request: &Request<B>) -> Call {
    let parts: Vec<&str> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    let rest = rest.unwrap_or_default();
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let part = |number: usize| rest.get(number).copied().unwrap_or_default();
    let kind = [part(0), part(2)].join("/").trim_end_matches('/').to_owned();
    let verb = match request.method().as_str() {
        "GET" if request.uri().query().is_some_and(|query| query.contains("watch=true")) => "WATCH",
        "GET" if part(1).is_empty() => "LIST",
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        _ => "DELETE",
    };
    Call { verb, kind, namespace: namespace.into(), name: part(1).into() }
}
