//! The wire: decode, call, encode. A business refusal is data in an answer; a status is for malformed requests, for
//! callers who may not, and for machinery that is away. Nothing outside this folder knows the wire's types, but for the
//! composition root.

mod api_keys;
pub(crate) mod ask;
mod asked;
mod billing;
mod decode;
mod encode;
mod events;
mod export;
mod guard;
mod holds;
mod issuers;
mod ledger;
mod page;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod payments;
mod people;
mod policy;
mod settings;
mod status;
mod tenants;
mod tokens;
mod wallets;

pub use guard::GuardLayer;
pub use policy::{Access, access, has_many_items, service_names};

use std::{sync::Arc, time::Duration};

use payplane_ledger::TenantId;
use payplane_proto::v1::{
    api_key_service_server::ApiKeyServiceServer, billing_service_server::BillingServiceServer,
    event_service_server::EventServiceServer, ledger_service_server::LedgerServiceServer,
    payment_service_server::PaymentServiceServer, people_service_server::PeopleServiceServer,
    settings_service_server::SettingsServiceServer, tenant_service_server::TenantServiceServer,
    token_service_server::TokenServiceServer, wallet_service_server::WalletServiceServer,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, service::Routes};

use crate::{
    auth::{ApiKeys, Caller, Issuers, Revocations},
    commit::CommitError,
    engine::Engine,
};

/// Larger messages are refused before they are read.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Bulk calls bring thousands of items.
const BULK_BYTES_MAX: usize = 8 * MESSAGE_BYTES_MAX;

/// How long a stream lasts. Its caller's role is checked when it begins, so a role that is taken away works on for as
/// long as this at most.
const STREAM_AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// Implements every service.
#[derive(Clone, Debug)]
struct Api {
    engine: Arc<Engine>,
    follower: Arc<payments::Follower>,
    revocations: Arc<Revocations>,
    api_keys: Arc<ApiKeys>,
    issuers: Arc<Issuers>,
    /// One proof of the ledger at a time.
    verifying: Arc<Semaphore>,
    /// One export at a time: each holds a snapshot.
    exporting: Arc<Semaphore>,
    /// Ends streams, which would never end by themselves.
    draining: CancellationToken,
}

impl Api {
    /// Waits for the end that a stream has which began at this time, and says why.
    async fn stream_end(&self, began: Instant) -> Status {
        tokio::select! {
            () = self.draining.cancelled() => status::of_commit(CommitError::Draining),
            () = tokio::time::sleep_until(began + STREAM_AGE_MAX) => status::stream_expired(),
        }
    }
}

/// All services of the API.
pub fn routes(
    engine: Arc<Engine>,
    revocations: Arc<Revocations>,
    (api_keys, issuers): (Arc<ApiKeys>, Arc<Issuers>),
    draining: CancellationToken,
) -> Routes {
    let follower = payments::Follower::start(&engine);
    let verifying = Arc::new(Semaphore::new(1));
    let exporting = Arc::new(Semaphore::new(1));
    let api = Api { engine, follower, revocations, api_keys, issuers, verifying, exporting, draining };
    Routes::default()
        .add_service(PaymentServiceServer::new(api.clone()).max_decoding_message_size(BULK_BYTES_MAX))
        .add_service(WalletServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(SettingsServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(PeopleServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(TenantServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(BillingServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(EventServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(TokenServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(ApiKeyServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(LedgerServiceServer::new(api).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// What the guard found out about a call.
#[derive(Clone, Debug)]
struct Call {
    caller: Caller,
    /// The person for whom the platform acts. Whoever asks or decides is then that person, not the caller.
    on_behalf_of: Option<Arc<str>>,
    correlation_id: Arc<str>,
    /// Since when what it asks for was asked, in case the ledger was restored.
    asked: asked::Asked,
}

impl Call {
    /// Every handler starts here; without the guard in front there is no caller and no call.
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(status::no_guard)
    }

    /// Whose rows the call is about.
    fn tenant(&self) -> Result<TenantId, Status> {
        self.caller.tenant.ok_or_else(status::namespace_required)
    }
}
