//! Connections to engines: TLS to the Service's name, deadlines, and a quick end for dead connections.

use std::time::Duration;

use tonic::{
    Request,
    service::interceptor::InterceptedService,
    transport::{Certificate, ClientTlsConfig, Endpoint, Error},
};

use super::{Address, Asked, Engine, EngineError, Token};

const CONNECT: Duration = Duration::from_secs(2);
/// For the engine, which then stops working on a request that nobody waits for.
const DEADLINE: Duration = Duration::from_secs(5);
/// For this side, in case the engine's host is gone. A little longer, so that the engine's own answer wins.
const PATIENCE: Duration = Duration::from_secs(6);
const PING: Duration = Duration::from_secs(2);

/// Prepares a connection; it is made by the first call and made again after it broke.
pub(super) fn connect(address: Address, reach: &str, token: Token) -> Result<Engine, Error> {
    let server_name = address.endpoint.split(':').next().unwrap_or_default();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&address.ca_pem))
        .domain_name(server_name);
    let channel = Endpoint::from_shared(format!("https://{reach}"))?
        .tls_config(tls)?
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .connect_lazy();
    Ok(Engine { channel: InterceptedService::new(channel, token), address })
}

/// The same message on behalf of a person, whom the engine then takes for the one who acts.
pub(super) fn on_behalf_of<T>(mut request: Request<T>, person: &str) -> Result<Request<T>, EngineError> {
    let value = person.parse().map_err(|_| EngineError::Answer("a user's name is not ASCII"))?;
    request.metadata_mut().insert("payplane-on-behalf-of", value);
    Ok(request)
}

/// A message that says since when it is asked for, speaking for a namespace.
pub(super) fn asked<T>(body: T, namespace: Option<&str>, asked: &Asked) -> Result<Request<T>, EngineError> {
    let mut request = request(body, namespace)?;
    if let Some(at) = asked.at {
        request.metadata_mut().insert("payplane-asked-at", at.as_second().max(0).into());
    }
    // What is no epoch's name is no consent.
    if let Some(Ok(epoch)) = asked.replay.as_ref().map(|epoch| epoch.parse()) {
        request.metadata_mut().insert("payplane-replay-epoch", epoch);
    }
    Ok(request)
}

/// A message with its deadline, speaking for a namespace.
pub(super) fn request<T>(body: T, namespace: Option<&str>) -> Result<Request<T>, EngineError> {
    let mut request = Request::new(body);
    request.set_timeout(DEADLINE);
    if let Some(namespace) = namespace {
        let value = namespace.parse().map_err(|_| EngineError::Answer("a namespace's name is not ASCII"))?;
        request.metadata_mut().insert("payplane-namespace", value);
    }
    Ok(request)
}
