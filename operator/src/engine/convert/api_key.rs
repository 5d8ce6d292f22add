//! API keys.

use payplane_crds::tenant::ApiKeyRole;
use payplane_proto::v1 as proto;

use super::{
    super::{EngineError, api_key::ApiKey},
    billing::moment,
};

pub(in crate::engine) fn api_key_request(tenant: &str, key: &ApiKey) -> proto::PutApiKeyRequest {
    let role = match key.role {
        ApiKeyRole::Viewer => proto::Role::Viewer,
        ApiKeyRole::Operator => proto::Role::Operator,
        ApiKeyRole::Treasury => proto::Role::Treasury,
    };
    let wanted = proto::ApiKey {
        id: key.id.clone(),
        name: key.name.clone(),
        role: role.into(),
        hash: key.hash.clone(),
        expire_time: key.expires.map(moment),
        ..Default::default()
    };
    proto::PutApiKeyRequest { tenant: tenant.into(), key: Some(wanted) }
}

pub(in crate::engine) fn end_key_request(
    tenant: &str,
    id: &str,
    at: Option<jiff::Timestamp>,
) -> proto::EndApiKeyRequest {
    proto::EndApiKeyRequest { tenant: tenant.into(), id: id.into(), at: at.map(moment) }
}

pub(in crate::engine) fn api_keys(answer: proto::ListApiKeysResponse) -> Result<Vec<ApiKey>, EngineError> {
    answer.keys.into_iter().map(api_key).collect()
}

fn api_key(key: proto::ApiKey) -> Result<ApiKey, EngineError> {
    let role = match key.role() {
        proto::Role::Viewer => ApiKeyRole::Viewer,
        proto::Role::Operator => ApiKeyRole::Operator,
        proto::Role::Treasury => ApiKeyRole::Treasury,
        _ => return Err(EngineError::Answer("an API key with an unknown role")),
    };
    let created = super::time(key.create_time).ok_or(EngineError::Answer("an API key without a time"))?;
    let proto::ApiKey { id, name, hash, expire_time, is_ending, .. } = key;
    Ok(ApiKey { id, name, role, hash, created, expires: super::time(expire_time), is_ending })
}
