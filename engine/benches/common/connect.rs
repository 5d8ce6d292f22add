//! The driver's connections: what many callers send at the same moment is written at once, as the engine writes its answers,
//! so that less of the machine goes to those who only make load.

use std::{io, net::SocketAddr};

use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use payplane_engine::server::Gathering;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Connects with the first call.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| connect(address)))
}

fn connect(address: SocketAddr) -> BoxFuture<'static, io::Result<TokioIo<Gathering<TcpStream>>>> {
    Box::pin(async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(Gathering::new(stream)))
    })
}
