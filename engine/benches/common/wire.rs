//! Unary calls straight over HTTP/2, as load generators make them: what makes load runs on the same processors as what is
//! measured, and a client library takes more of them than these calls need.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use prost::Message;

use super::connect;

/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A connection and whose it is. Clones share it.
#[derive(Clone)]
pub(crate) struct Wire {
    requests: SendRequest<Bytes>,
    authority: String,
    headers: HeaderMap,
}

/// A method that is called over a connection.
pub(crate) struct Route {
    wire: Wire,
    uri: Uri,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        let stream = connect::open(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let fixed = HeaderValue::from_static;
        let headers = [
            (header::AUTHORIZATION, token.parse().unwrap()),
            (header::CONTENT_TYPE, fixed("application/grpc")),
            (header::TE, fixed("trailers")),
        ];
        Self { requests, authority: address.to_string(), headers: headers.into_iter().collect() }
    }

    /// A method by its path, such as `payplane.v1.PaymentService/CreatePayment`.
    pub(crate) fn route(&self, path: &str) -> Route {
        Route { wire: self.clone(), uri: format!("http://{}/{path}", self.authority).parse().unwrap() }
    }
}

impl Route {
    /// Asks, and gives the answer. Whatever else comes ends the measurement.
    pub(crate) async fn call<A: Message + Default>(&self, question: &impl Message) -> A {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.wire.headers);
        let mut requests = self.wire.requests.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(framed(question), true).unwrap();
        let (head, body) = response.await.unwrap().into_parts();
        let (message, trailers) = read(body).await;
        let status = trailers.as_ref().unwrap_or(&head.headers).get("grpc-status");
        assert_eq!(status.map(HeaderValue::as_bytes), Some(&b"0"[..]), "{head:?} {trailers:?}");
        A::decode(&message[PREFIX..]).unwrap()
    }
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(length.try_into().unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

async fn read(mut body: RecvStream) -> (Bytes, Option<HeaderMap>) {
    let mut message = Bytes::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        message = if message.is_empty() { part } else { [message, part].concat().into() };
    }
    (message, body.trailers().await.unwrap())
}
