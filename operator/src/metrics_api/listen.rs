//! Connections of the API server: one task each, with TLS that asks for its certificate.
//!
//! Bounds: [`CONNECTIONS_MAX`] connections, those in their handshake included; five seconds for a handshake, a minute for
//! the head of a request, which also ends connections that nobody uses; [`ANSWER_MAX`] for an answer. Nothing of a request's body
//! is read.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response, body::Bytes, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Terms, answer, figures::Figures};

const CONNECTIONS_MAX: usize = 64;
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
const HEAD_MAX: Duration = Duration::from_secs(60);
/// An autoscaler asks again a little later anyway.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Out of file descriptors, most likely: gives others time to close some.
const NOT_ACCEPTED_PAUSE: Duration = Duration::from_millis(50);

/// Accepts for ever; hangs up on everybody until there are terms.
pub async fn accept(listener: TcpListener, terms: watch::Receiver<Option<Terms>>, figures: Arc<Figures>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "connection to the metrics API not accepted");
                sleep(NOT_ACCEPTED_PAUSE).await;
                continue;
            }
        };
        let now = terms.borrow().clone();
        let Some(terms) = now else { continue };
        let figures = figures.clone();
        tokio::spawn(async move {
            if let Some(stream) = shake_hands(stream, &terms).await {
                converse(stream, figures).await;
            }
            drop(permit);
        });
    }
}

/// The connection, if it is the API server's.
async fn shake_hands(stream: TcpStream, terms: &Terms) -> Option<TlsStream<TcpStream>> {
    let stream = match timeout(HANDSHAKE_MAX, TlsAcceptor::from(terms.tls.clone()).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake with the metrics API failed");
            return None;
        }
        Err(_) => return None,
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let is_known = terms.front.knows(shown);
    if !is_known {
        tracing::warn!(
            "refused a connection to the metrics API: its certificate has another name than the API server's"
        );
    }
    is_known.then_some(stream)
}

async fn converse(stream: TlsStream<TcpStream>, figures: Arc<Figures>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let figures = figures.clone();
        async move { Ok::<_, Infallible>(respond(&request, &figures).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the metrics API ended");
    }
}

async fn respond(request: &Request<Incoming>, figures: &Figures) -> Response<Full<Bytes>> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let answered = timeout(ANSWER_MAX, answer::answer(request.method(), path, query, figures)).await;
    let (code, document) = answered.unwrap_or_else(|_| answer::late());
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = code;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
