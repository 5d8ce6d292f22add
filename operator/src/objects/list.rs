//! The kinds of a document, in the order in which they are best applied, and their objects in pages. Only lists.

use kube::{
    Api, Client,
    api::ListParams,
    core::{ApiResource, DynamicObject},
};
use payplane_crds::{
    BackupSchedule, BillingPlan, Payment, Platform, Refund, ScalingPolicy, StandingOrder, Tenant,
    TenantBilling, TimeoutPolicy, Wallet,
};

use crate::{api, error::Error};

/// Objects that are asked for at a time: some megabytes.
const PAGE: u32 = 500;

/// What an object needs comes before it. Backups and Restores are not among them, because one that is applied again would be
/// done again; nor are Approvals, because what they decided is in the ledger.
pub fn kinds() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<Platform>(&()),
        ApiResource::erase::<Tenant>(&()),
        ApiResource::erase::<BillingPlan>(&()),
        ApiResource::erase::<TenantBilling>(&()),
        ApiResource::erase::<TimeoutPolicy>(&()),
        ApiResource::erase::<ScalingPolicy>(&()),
        ApiResource::erase::<BackupSchedule>(&()),
        ApiResource::erase::<Wallet>(&()),
        ApiResource::erase::<StandingOrder>(&()),
        ApiResource::erase::<Payment>(&()),
        ApiResource::erase::<Refund>(&()),
    ]
}

/// The objects of a kind as they were when the first page was read, as the API server has it.
pub struct Pages {
    objects: Api<DynamicObject>,
    /// Where the next page begins; None after the last one.
    next: Option<String>,
}

impl Pages {
    /// Those of a namespace, or of all.
    pub fn of(client: &Client, kind: &ApiResource, namespace: Option<&str>) -> Self {
        let objects = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
            None => Api::all_with(client.clone(), kind),
        };
        Self { objects, next: Some(String::new()) }
    }

    /// The next page. None when there is no more.
    ///
    /// # Errors
    /// When the API server does not give it. A list that took it too long has to be begun anew.
    pub async fn next(&mut self) -> Result<Option<Vec<DynamicObject>>, Error> {
        let Some(token) = self.next.take() else { return Ok(None) };
        let first = ListParams::default().limit(PAGE);
        let params = if token.is_empty() { first } else { first.continue_token(&token) };
        let page = api::call("list the objects of a Platform", self.objects.list(&params)).await?;
        self.next = page.metadata.continue_.filter(|token| !token.is_empty());
        Ok(Some(page.items))
    }
}
