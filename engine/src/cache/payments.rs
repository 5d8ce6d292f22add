//! Payments of which nothing will ever change again, remembered for whoever asks for them next.
//!
//! Nothing has to be taken back: what is remembered is final ([`payplane_ledger::PaymentState::is_final`], or a refusal).
//! It still ends after a while, so that a ledger that was set back to an earlier time is soon read as it is.

use payplane_ledger::{OperationId, TenantId};

use super::Cache;

/// How long a payment is remembered.
const REMEMBER_SECONDS: u64 = 600;

/// Larger answers are not remembered: metadata may be long, and few ask twice.
const BYTES_MAX: usize = 16 * 1024;

impl Cache {
    /// A final payment as it was remembered, if that is proved.
    pub(crate) async fn payment(&self, tenant: TenantId, id: OperationId) -> Option<Vec<u8>> {
        let link = self.link.as_ref()?;
        let (key, place) = (self.key().await?, place(tenant, id));
        if !link.is_up() {
            self.metrics.count_cache("away");
            return None;
        }
        let found: Option<Option<Vec<u8>>> = link.ask(redis::cmd("GET").arg(&place)).await;
        let Some(sealed) = found.flatten() else {
            self.metrics.count_cache("miss");
            return None;
        };
        let body = key.open(&place, &sealed).map(<[u8]>::to_vec);
        self.metrics.count_cache(if body.is_some() { "hit" } else { "forged" });
        body
    }

    /// Remembers a payment that is final.
    pub(crate) async fn remember(&self, tenant: TenantId, id: OperationId, body: &[u8]) {
        let Some(link) = self.link.as_ref().filter(|link| link.is_up()) else { return };
        let Some(key) = self.key().await.filter(|_| body.len() <= BYTES_MAX) else { return };
        let place = place(tenant, id);
        let command = redis::cmd("SET")
            .arg(&place)
            .arg(key.seal(&place, body))
            .arg("EX")
            .arg(REMEMBER_SECONDS)
            .to_owned();
        let _: Option<String> = link.ask(&command).await;
    }
}

/// Ids of payments are unique over all platforms; the tenant is named because what is its own is nobody else's.
fn place(tenant: TenantId, id: OperationId) -> String {
    format!("payplane:payment:{}:{id}", tenant.uuid())
}
