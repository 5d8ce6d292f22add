//! The wire: decode, call, encode. A business refusal is data in an answer; a status is for malformed requests, for
//! callers who may not, and for machinery that is away. Nothing outside this folder knows the wire's types, but for the
//! composition root.

mod decode;
mod encode;
mod guard;
mod ledger;
mod page;
mod payments;
mod policy;
mod status;
mod tenants;
mod wallets;

pub use guard::GuardLayer;
pub use policy::{Access, access, service_names};

use std::sync::Arc;

use payplane_ledger::TenantId;
use payplane_proto::v1::{
    ledger_service_server::LedgerServiceServer, payment_service_server::PaymentServiceServer,
    tenant_service_server::TenantServiceServer, wallet_service_server::WalletServiceServer,
};
use tonic::{Request, Status, service::Routes};

use crate::{auth::Caller, engine::Engine};

/// Larger messages are refused before they are read.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Implements every service.
#[derive(Clone, Debug)]
struct Api {
    engine: Arc<Engine>,
}

/// All services of the API.
pub fn routes(engine: Arc<Engine>) -> Routes {
    let api = Api { engine };
    Routes::default()
        .add_service(PaymentServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(WalletServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(TenantServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(LedgerServiceServer::new(api).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// What the guard found out about a call.
#[derive(Clone, Debug)]
struct Call {
    caller: Caller,
    correlation_id: Arc<str>,
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
