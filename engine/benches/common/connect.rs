//! The driver's connections: what many callers send at the same moment is written at once, as the engine writes its answers,
//! so that less of the machine goes to those who only make load.

use std::{io, net::SocketAddr};

use futures::TryFutureExt as _;
use hyper_util::rt::TokioIo;
use payplane_engine::server::Gathering;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Connects with the first call.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| open(address).map_ok(TokioIo::new)))
}

pub(crate) async fn open(address: SocketAddr) -> io::Result<Gathering<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Gathering::new(stream))
}
