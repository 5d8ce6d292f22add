//! What a Tenant depends on: its Platform and what is under way from the caches, its namespaces from the API
//! server.

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, api::ListParams, core::PartialObjectMeta};
use payplane_crds::{Tenant, condition::ENGINE_READY};

use crate::{
    api,
    condition::is_true,
    context::{Context, lists, platform_of},
    engine::Engine,
    error::Error,
    meta::{ADOPT_BY, TENANT, is_leaving},
    status::Reported,
};

/// What a Tenant depends on.
pub struct Observed {
    /// Its Platform.
    pub engine: Home,
    /// Its namespaces, in the order of the spec.
    pub places: Vec<Place>,
    /// Namespaces that have its label and that its spec does not list.
    pub left: Vec<String>,
    /// What its namespaces have under way.
    pub open: Open,
}

/// Objects that are not settled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Open {
    /// Payments.
    pub payments: usize,
    /// Refunds.
    pub refunds: usize,
}

/// A Tenant's Platform.
pub enum Home {
    /// It is not there.
    Absent(String),
    /// It is there, its engine is not ready.
    NotReady(String),
    /// Its engine can be asked.
    Ready(Box<Engine>),
}

/// One namespace that the Tenant lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it is being deleted.
    pub ending: bool,
    /// Its version when it was read.
    pub version: Option<String>,
    /// The Tenant that it is labelled for.
    pub label: Option<String>,
    /// The Tenant that it consents to belong to.
    pub consent: Option<String>,
    /// An older Tenant that lists it too.
    pub elder: Option<String>,
}

impl Place {
    /// Whether it is there, stays there, and belongs to this Tenant.
    pub fn is_of(&self, tenant: &str) -> bool {
        self.exists && !self.ending && self.label.as_deref() == Some(tenant)
    }
}

/// Reads caches and namespaces.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(tenant: &Tenant, context: &Context) -> Result<Observed, Error> {
    let listed = tenant.spec.namespaces.iter();
    let places = try_join_all(listed.map(|namespace| place(tenant, context, &namespace.name))).await?;
    let left = left(tenant, context).await?;
    Ok(Observed { engine: engine(tenant, context), places, left, open: open(tenant, context) })
}

/// What was made in these is removed; the label stays, because nobody else said that he wants them.
async fn left(tenant: &Tenant, context: &Context) -> Result<Vec<String>, Error> {
    let namespaces = Api::<Namespace>::all(context.client.clone());
    let labelled = ListParams::default().labels(&format!("{TENANT}={}", tenant.name_any()));
    let found = api::call("list namespaces", namespaces.list_metadata(&labelled)).await?;
    let names = found.items.iter().filter(|namespace| !is_leaving(*namespace)).map(ResourceExt::name_any);
    Ok(names.filter(|name| !lists(tenant, name)).collect())
}

fn open(tenant: &Tenant, context: &Context) -> Open {
    let is_in = |namespace: Option<String>| namespace.is_some_and(|namespace| lists(tenant, &namespace));
    let payments = context.stores.payments.state_filter(|payment| is_in(payment.namespace()));
    let refunds = context.stores.refunds.state_filter(|refund| is_in(refund.namespace()));
    Open { payments: payments.len(), refunds: refunds.len() }
}

fn engine(tenant: &Tenant, context: &Context) -> Home {
    let key = platform_of(tenant);
    let Some(platform) = context.stores.platform(&key) else {
        return Home::Absent(format!(
            "There is no Platform {:?} in namespace {:?}.",
            key.name, key.namespace
        ));
    };
    let engine = context.engines.get(&key).filter(|_| is_true(platform.current(), ENGINE_READY));
    engine.map_or_else(
        || Home::NotReady(format!("The engine of Platform {}/{} is not ready.", key.namespace, key.name)),
        |engine| Home::Ready(Box::new((*engine).clone())),
    )
}

async fn place(tenant: &Tenant, context: &Context, name: &str) -> Result<Place, Error> {
    let namespaces = Api::<Namespace>::all(context.client.clone());
    let found: Option<PartialObjectMeta<Namespace>> =
        api::call("read a namespace", namespaces.get_metadata_opt(name)).await?;
    let elder = elder(tenant, &context.stores.claimants(name));
    Ok(match found {
        None => Place { name: name.into(), elder, ..Place::default() },
        Some(namespace) => Place {
            name: name.into(),
            exists: true,
            ending: namespace.metadata.deletion_timestamp.is_some(),
            version: namespace.resource_version(),
            label: namespace.labels().get(TENANT).cloned(),
            consent: namespace.annotations().get(ADOPT_BY).cloned(),
            elder,
        },
    })
}

/// The eldest of those who claim the same, if it is not this Tenant. By creation, then by name.
fn elder(tenant: &Tenant, claimants: &[Tenant]) -> Option<String> {
    let age = |tenant: &Tenant| (tenant.creation_timestamp(), tenant.name_any());
    let eldest = claimants.iter().map(age).min()?;
    (eldest < age(tenant)).then_some(eldest.1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant(name: &str, created: &str) -> Tenant {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"platformRef": {"namespace": "p", "name": "p"}, "namespaces": [{"name": "shop"}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_older_tenant_has_the_better_claim_and_of_two_the_same_age_the_first_by_name() {
        let (old, new) = (tenant("z", "2026-01-01T00:00:00Z"), tenant("a", "2026-01-02T00:00:00Z"));
        let twin = tenant("b", "2026-01-02T00:00:00Z");
        let all = [old.clone(), new.clone(), twin.clone()];
        assert_eq!(elder(&old, &all), None);
        assert_eq!(elder(&new, &all), Some("z".into()));
        assert_eq!(elder(&twin, &all[1..]), Some("a".into()));
        assert_eq!(elder(&new, &all[1..]), None);
        assert_eq!(elder(&new, &[]), None, "a cache that does not know it yet");
    }
}
