//! API keys: `payplane_<id>_<secret>`, 128 and 256 random bits as hex. PostgreSQL has the hashes; each engine has a copy in
//! memory, of [`API_KEYS_MAX`](crate::store::API_KEYS_MAX) valid ones at most, and looks for news every [`LOOK_EVERY`]. So a
//! made-up key costs no query, and one that was ended is refused everywhere within a second. The engine that is asked to
//! register or end a key answers when its own copy knows.
//!
//! A key that is malformed, unknown, ended or of an archived tenant gets the same answer, after the same comparison in
//! constant time. An engine that never had the list believes no key; one whose database goes away later goes on with what
//! it knows, ends included.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use payplane_ledger::{TenantId, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    AuthError, Identity,
    revocations::{Copied, first_copy, keep_looking, now},
};
use crate::{
    engine::detached,
    store::{ApiKeyChange, NewApiKey, PutApiKey, Store, StoreError},
};

/// How every key begins. No JSON Web Token does.
pub const PREFIX: &str = "payplane_";

const ID_CHARS: usize = 32;
const SECRET_CHARS: usize = 64;

/// How old the copy may be. With the time of the query well below a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Whose a key is, and how it is recognised.
#[derive(Debug)]
struct Known {
    tenant: TenantId,
    name: String,
    hash: [u8; 32],
    expires: Timestamp,
}

/// Keys that have not ended, and the last change that is known.
#[derive(Debug, Default)]
struct Copy {
    keys: HashMap<String, Known>,
    change: i64,
}

/// Follows the list of keys.
#[derive(Debug)]
pub struct ApiKeys {
    store: Arc<Store>,
    database: watch::Receiver<bool>,
    copy: Mutex<Copy>,
    has_copy: watch::Sender<bool>,
}

impl ApiKeys {
    /// Knows nothing yet; see [`ApiKeys::follow`]. `database` says whether asking makes sense.
    pub fn new(store: Arc<Store>, database: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self { store, database, copy: Mutex::default(), has_copy: watch::Sender::new(false) })
    }

    /// Whose key this is, if it is valid. What the key may do is another question.
    pub async fn verify(&self, token: &str) -> Result<(TenantId, Identity), AuthError> {
        first_copy(&self.has_copy, &self.database).await?;
        let id = id(token).unwrap_or_default();
        let given: [u8; 32] = Sha256::digest(token).into();
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        // Also without such a key, so that the time of the answer does not tell whether there is one.
        let known = copy.keys.get(id);
        let expected = known.map_or([0; 32], |known| known.hash);
        let is_equal = verify_slices_are_equal(&given, &expected).is_ok();
        let known = known.filter(|known| is_equal && now() < known.expires).ok_or(AuthError::ApiKey)?;
        let subject = format!("payplane:api-key:{}:{id}", known.name).into();
        Ok((known.tenant, Identity { subject, id: Some(id.into()) }))
    }

    /// Registers a key, here before this returns and elsewhere soon after.
    pub async fn put(
        self: &Arc<Self>,
        tenant: TenantId,
        key: NewApiKey,
        actor: Arc<str>,
    ) -> Result<PutApiKey, StoreError> {
        let this = self.clone();
        detached(async move {
            let outcome = this.store.put_api_key(tenant, &key, &actor).await?;
            this.look().await?;
            Ok(outcome)
        })
        .await
    }

    /// Ends a key, here before this returns and elsewhere soon after. False if the tenant has no such key.
    pub async fn end(
        self: &Arc<Self>,
        tenant: TenantId,
        id: String,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let this = self.clone();
        detached(async move {
            let found = this.store.end_api_key(tenant, &id, at).await?;
            this.look().await?;
            Ok(found)
        })
        .await
    }

    /// Keeps the copy young until the process ends.
    pub async fn follow(self: Arc<Self>) {
        keep_looking(self).await;
    }
}

impl Copied for ApiKeys {
    const WHAT: &'static str = "API keys";
    const LOOK_EVERY: Duration = LOOK_EVERY;

    fn database(&self) -> watch::Receiver<bool> {
        self.database.clone()
    }

    async fn look(&self) -> Result<(), StoreError> {
        let after = self.copy.lock().unwrap_or_else(PoisonError::into_inner).change;
        let news = self.store.api_key_changes(after).await?;
        self.copy.lock().unwrap_or_else(PoisonError::into_inner).take(news);
        self.has_copy.send_if_modified(|has| !std::mem::replace(has, true));
        Ok(())
    }
}

impl Copy {
    /// Two looks may overlap: what is known already changes nothing.
    fn take(&mut self, news: Vec<ApiKeyChange>) {
        for ApiKeyChange { id, tenant, name, hash, expires, change } in news {
            if self.change < change {
                self.change = change;
                self.keys.insert(id, Known { tenant, name, hash, expires });
            }
        }
        let now = now();
        self.keys.retain(|_, known| now < known.expires);
    }
}

/// Whether this claims to be a key. What is none is a token of an issuer.
pub(super) fn is_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// The part of a well-formed key that is no secret.
fn id(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_right = id.len() == ID_CHARS && secret.len() == SECRET_CHARS && is_hex(id) && is_hex(secret);
    is_right.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{fuzz, texts};

    #[test]
    fn only_what_has_the_form_of_a_key_has_an_id() {
        fuzz("API keys", &texts("payplane_[0-9a-f]{32}_[0-9a-f]{64}"), |text| {
            let found = id(&text);
            found
                .inspect(|id| assert!(text.starts_with(&format!("payplane_{id}_")) && text.len() == 106))
                .is_some()
        });
    }

    #[test]
    fn an_ended_key_is_forgotten_and_an_older_change_changes_nothing() {
        let change = |change, expires| ApiKeyChange {
            id: "a".to_owned(),
            tenant: TenantId::from_uuid(uuid::Uuid::nil()),
            name: "partner".to_owned(),
            hash: [1; 32],
            expires: Timestamp(expires),
            change,
        };
        let mut copy = Copy::default();
        copy.take(vec![change(1, i64::MAX)]);
        assert_eq!(copy.keys.len(), 1);
        copy.take(vec![change(2, 1)]);
        assert_eq!((copy.keys.len(), copy.change), (0, 2));
        copy.take(vec![change(1, i64::MAX)]);
        assert!(copy.keys.is_empty());
    }
}
