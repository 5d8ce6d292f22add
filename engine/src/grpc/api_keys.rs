//! API keys: registered, listed and ended by the platform. No secret comes through here, only hashes.

use payplane_ledger::{TenantId, Timestamp};
use payplane_proto::v1::{self as proto, api_key_service_server::ApiKeyService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    encode, status,
    tenants::dns_name,
};
use crate::{
    auth::Role,
    engine::detached,
    store::{ApiKeyRow, NewApiKey, PutApiKey},
};

const ID_CHARS: usize = 32;

/// What a key has as its end that has none.
const NEVER: Timestamp = Timestamp(i64::MAX);

#[tonic::async_trait]
impl ApiKeyService for Api {
    async fn put_api_key(
        &self,
        request: Request<proto::PutApiKeyRequest>,
    ) -> Result<Response<proto::PutApiKeyResponse>, Status> {
        let call = Call::of(&request)?;
        let actor = call.on_behalf_of.unwrap_or(call.caller.subject);
        let proto::PutApiKeyRequest { tenant, key } = request.into_inner();
        let key = wanted(key.unwrap_or_default())?;
        let tenant = TenantId::from_uuid(self.tenant(tenant).await?.id);
        let outcome = self.api_keys.put(tenant, key, actor).await;
        match outcome.map_err(|error| status::of_store(&error))? {
            PutApiKey::Done => Ok(Response::new(proto::PutApiKeyResponse {})),
            PutApiKey::TenantFull => Err(status::too_many_api_keys(true)),
            PutApiKey::Full => Err(status::too_many_api_keys(false)),
            PutApiKey::Taken => Err(status::api_key_taken()),
        }
    }

    async fn list_api_keys(
        &self,
        request: Request<proto::ListApiKeysRequest>,
    ) -> Result<Response<proto::ListApiKeysResponse>, Status> {
        let tenant = TenantId::from_uuid(self.tenant(request.into_inner().tenant).await?.id);
        let store = self.engine.store.clone();
        let rows = detached(async move { store.api_keys(tenant).await }).await;
        let keys = rows.map_err(|error| status::of_store(&error))?.into_iter().map(told).collect();
        Ok(Response::new(proto::ListApiKeysResponse { keys }))
    }

    async fn end_api_key(
        &self,
        request: Request<proto::EndApiKeyRequest>,
    ) -> Result<Response<proto::EndApiKeyResponse>, Status> {
        let proto::EndApiKeyRequest { tenant, id, at } = request.into_inner();
        let mut violations = Violations::default();
        key_id(Path::Root.at("id"), &id, &mut violations);
        let at = match &at {
            // Long ago, which means now.
            None => Some(Timestamp(0)),
            Some(at) => decode::time(Path::Root.at("at"), at, &mut violations),
        };
        let at = violations.finish(at)?;
        let tenant = TenantId::from_uuid(self.tenant(tenant).await?.id);
        match self.api_keys.end(tenant, id, at).await.map_err(|error| status::of_store(&error))? {
            true => Ok(Response::new(proto::EndApiKeyResponse {})),
            false => Err(status::no_such_api_key()),
        }
    }
}

fn wanted(key: proto::ApiKey) -> Result<NewApiKey, Status> {
    let mut violations = Violations::default();
    let (root, proto::ApiKey { id, name, role, hash, expire_time, .. }) = (Path::Root, key);
    let field = root.at("key");
    key_id(field.at("id"), &id, &mut violations);
    dns_name(field.at("name"), &name, &mut violations);
    let role = i16::try_from(role).ok().and_then(Role::from_number).filter(|role| role.is_for_keys());
    if role.is_none() {
        violations.add(field.at("role"), "is not for API keys: expected viewer, operator or treasury");
    }
    let hash = hash.try_into().ok();
    if hash.is_none() {
        violations.add(field.at("hash"), "is malformed: expected the 32 bytes of a SHA-256");
    }
    let expires = match &expire_time {
        None => Some(NEVER),
        Some(time) => decode::time(field.at("expire_time"), time, &mut violations),
    };
    let key = role.zip(hash).zip(expires);
    let ((role, hash), expires) = violations.finish(key)?;
    Ok(NewApiKey { id, name, role: role as i16, hash, expires })
}

fn key_id(field: Path<'_>, id: &str, violations: &mut Violations) {
    let is_right = id.len() == ID_CHARS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_right {
        violations.add(field, "is malformed: expected 32 characters of [0-9a-f]");
    }
}

fn told(ApiKeyRow { key, created, is_ending }: ApiKeyRow) -> proto::ApiKey {
    proto::ApiKey {
        id: key.id,
        name: key.name,
        role: i32::from(key.role),
        hash: key.hash.to_vec(),
        create_time: Some(encode::timestamp(created)),
        is_ending,
        expire_time: (key.expires != NEVER).then(|| encode::timestamp(key.expires)),
    }
}
