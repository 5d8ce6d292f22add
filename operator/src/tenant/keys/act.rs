//! Registers keys, writes Secrets, ends keys. Every step can be repeated; see the module's header for the order.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt, runtime::events::EventType};
use payplane_crds::Tenant;

use super::{
    LEASE, SECRET, Token, build,
    plan::{Make, Plan, Write},
};
use crate::{
    apply,
    context::Context,
    engine::{ApiKey, Engine, EngineError},
    error::Error,
    meta::tenant_labels,
    platform::random,
};

const ID_CHARS: usize = 32;

/// A key that was made, by its name.
pub type Made = BTreeMap<String, ApiKey>;

/// Does what was planned, and gives the keys that are new.
pub async fn act(tenant: &Tenant, context: &Context, engine: &Engine, plan: &Plan) -> Result<Made, Error> {
    let name = tenant.name_any();
    let (mut made, mut tokens) = (Made::new(), BTreeMap::new());
    for (key_name, make) in &plan.makes {
        let (key, token) = new_key(make, plan.now)?;
        engine.put_api_key(&name, &key).await.map_err(failed("register an API key"))?;
        made.insert(key_name.clone(), key);
        tokens.insert(key_name.clone(), token);
    }
    for change in &plan.writes {
        write(&name, context, change, &tokens).await?;
    }
    let confirmed = made.values().map(|key| ApiKey { expires: None, ..key.clone() });
    for key in confirmed.chain(plan.puts.iter().cloned()) {
        engine.put_api_key(&name, &key).await.map_err(failed("confirm an API key"))?;
    }
    for end in &plan.ends {
        engine.end_api_key(&name, &end.id, end.at).await.map_err(failed("end an API key"))?;
    }
    tell(tenant, context, plan, &made);
    Ok(made)
}

/// Ends every key of a tenant that goes, and removes the Secrets.
///
/// # Errors
/// When the API server or the engine does not accept something.
pub async fn forget(
    tenant: &Tenant,
    context: &Context,
    engine: &Engine,
    namespaces: &[String],
) -> Result<(), Error> {
    let name = tenant.name_any();
    let keys = engine.api_keys(&name).await.map_err(failed("list API keys"))?;
    // A tenant without keys has no Secrets of them.
    let told = tenant.status.as_ref().is_some_and(|status| !status.api_keys.is_empty());
    if keys.is_empty() && !told && tenant.spec.api_keys.is_empty() {
        return Ok(());
    }
    for namespace in namespaces {
        apply::prune::<Secret>(&context.client, namespace, SECRET, &tenant_labels(&name)).await?;
    }
    for key in keys {
        engine.end_api_key(&name, &key.id, None).await.map_err(failed("end an API key"))?;
    }
    Ok(())
}

fn new_key(make: &Make, now: Timestamp) -> Result<(ApiKey, Token), Error> {
    let mut id = random()?;
    id.truncate(ID_CHARS);
    let token = Token(format!("payplane_{id}_{}", random()?));
    let lease = SignedDuration::try_from(LEASE).unwrap_or_default();
    let key = ApiKey {
        id,
        name: make.wanted.name.clone(),
        role: make.wanted.role,
        hash: token.hash(),
        created: now,
        expires: Some(now.checked_add(lease).unwrap_or(Timestamp::MAX)),
        is_ending: false,
    };
    Ok((key, token))
}

async fn write(
    tenant: &str,
    context: &Context,
    change: &Write,
    made: &BTreeMap<String, Token>,
) -> Result<(), Error> {
    let mut tokens = change.keeps.clone();
    tokens.extend(change.makes.iter().filter_map(|name| Some((name.clone(), made.get(name)?.clone()))));
    let (client, namespace) = (&context.client, &*change.namespace);
    if tokens.is_empty() {
        return apply::prune::<Secret>(client, namespace, SECRET, &tenant_labels(tenant)).await;
    }
    let secret = build::secret(tenant, namespace, change.version.clone(), &tokens);
    // With the version that was read, if there is one: another operator may have written meanwhile. Applied also where it is
    // new, because the right to create by POST cannot be limited to a name.
    apply::apply(client, &secret).await.map(|_| ())
}

fn tell(tenant: &Tenant, context: &Context, plan: &Plan, made: &Made) {
    let say = |reason, note| context.events.tell(&tenant.object_ref(&()), EventType::Normal, reason, note);
    for (name, key) in made {
        let (is_rotation, namespace) =
            plan.makes.get(name).map_or((false, ""), |make| (make.is_rotation, &*make.wanted.namespace));
        let place = format!("is in Secret {SECRET} of namespace {namespace}, entry {name}");
        match is_rotation {
            false => say("ApiKeyCreated", format!("API key {} {place}.", key.id)),
            true => {
                let until =
                    plan.previous.get(name).map(|until| format!("; the one before is valid until {until}"));
                say("ApiKeyRotated", format!("API key {} {place}{}.", key.id, until.unwrap_or_default()));
            }
        }
    }
    for end in plan.ends.iter().filter(|end| end.at.is_none()) {
        let note =
            format!("API key {} ({}) is ended: the spec does not ask for it any more.", end.id, end.name);
        say("ApiKeyEnded", note);
    }
}

fn failed(operation: &'static str) -> impl Fn(EngineError) -> Error {
    move |source| Error::Engine { operation, source }
}
