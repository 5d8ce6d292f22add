//! The certificate of the metrics API, and the API server's trust in it. Only the operator that leads writes either.
//!
//! One Secret in the operator's namespace holds an authority of its own, for ten years, and the server's certificate, for one,
//! which is issued again in time under the same authority: so each APIService is written once. Whoever deletes the Secret gets a
//! new one within half a minute. An APIService that leads to somebody else's Service is never touched.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client};
use serde_json::json;

use super::{API_CUSTOM, API_EXTERNAL, ApiVersion, Place};
use crate::{
    api, apply,
    error::Error,
    meta::{MANAGER, RENEW_AT},
    platform::{
        certificate::{self, Pair, Subject},
        secret,
    },
    telemetry,
};

/// How often both are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// The same after a failure.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a server shows its callers.
#[derive(Clone, Eq, PartialEq)]
pub struct Served {
    /// Its certificate, as PEM.
    pub certificate: String,
    /// The key of that, as PEM.
    pub key: String,
}

impl Place {
    /// The Secret with the certificate.
    pub fn secret(&self) -> String {
        format!("{}-tls", self.service)
    }

    /// The name that the API server expects.
    fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }
}

/// The certificate, if it has been made.
///
/// # Errors
/// When the API server gives no answer.
pub async fn read(client: &Client, place: &Place) -> Result<Option<Served>, Error> {
    Ok(find(client, place).await?.as_ref().and_then(served))
}

/// Makes what is missing, for ever.
pub async fn keep(client: Client, place: Place) {
    loop {
        let wait = match ensure(&client, &place, Timestamp::now()).await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), "the metrics API has no certificate that is trusted");
                LOOK_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Makes the certificate, if there is none or it is about to end, and has the API server trust it.
///
/// # Errors
/// When it cannot be made, or the API server does not accept it.
pub async fn ensure(client: &Client, place: &Place, now: Timestamp) -> Result<(), Error> {
    let found = find(client, place).await?;
    let secret = match issue(found.as_ref(), place, now)? {
        Some(made) => apply::apply(client, &made).await?,
        None => found.unwrap_or_default(),
    };
    match text(&secret, "ca.crt") {
        Some(authority) => {
            for served in [API_EXTERNAL, API_CUSTOM] {
                trust(client, place, served, &authority).await?;
            }
            Ok(())
        }
        None => Err(Error::BrokenSecret { name: place.secret() }),
    }
}

async fn find(client: &Client, place: &Place) -> Result<Option<Secret>, Error> {
    let secrets = Api::<Secret>::namespaced(client.clone(), &place.namespace);
    api::call("read the certificate of the metrics API", secrets.get_opt(&place.secret())).await
}

/// The Secret to write, if the one that is there will not do. An authority that is whole is kept.
fn issue(found: Option<&Secret>, place: &Place, now: Timestamp) -> Result<Option<Secret>, Error> {
    let kept = found.and_then(authority);
    if kept.is_some() && found.is_some_and(|secret| served(secret).is_some() && now < renew_at(secret)) {
        return Ok(None);
    }
    let authority = match kept {
        Some(kept) => kept,
        None => certificate::authority(&format!("Payplane metrics API of {}", place.namespace), now)?,
    };
    match certificate::leaf(&authority, Subject::server(vec![place.host()]), now) {
        Ok(leaf) => Ok(Some(write(place, &authority, &leaf, now))),
        // What cannot sign is no authority.
        Err(_) if found.is_some() => issue(None, place, now),
        Err(error) => Err(error),
    }
}

fn write(place: &Place, authority: &Pair, leaf: &Pair, now: Timestamp) -> Secret {
    let metadata = ObjectMeta {
        name: Some(place.secret()),
        namespace: Some(place.namespace.clone()),
        labels: Some(BTreeMap::from([
            ("app.kubernetes.io/managed-by".into(), MANAGER.into()),
            ("app.kubernetes.io/part-of".into(), "payplane".into()),
        ])),
        annotations: Some(BTreeMap::from([(RENEW_AT.into(), certificate::renew_at(now).to_string())])),
        ..ObjectMeta::default()
    };
    let values = [
        ("ca.crt", authority.certificate.clone()),
        ("ca.key", authority.key.clone()),
        ("tls.crt", leaf.certificate.clone()),
        ("tls.key", leaf.key.clone()),
    ];
    secret::opaque(metadata, &values)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

fn authority(secret: &Secret) -> Option<Pair> {
    Some(Pair { certificate: text(secret, "ca.crt")?, key: text(secret, "ca.key")? })
}

fn served(secret: &Secret) -> Option<Served> {
    Some(Served { certificate: text(secret, "tls.crt")?, key: text(secret, "tls.key")? })
}

/// A Secret that does not say it is renewed now.
fn renew_at(secret: &Secret) -> Timestamp {
    let told = secret.metadata.annotations.as_ref().and_then(|all| all.get(RENEW_AT));
    told.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::MIN)
}

/// Puts the authority into the APIService, if that is the chart's. One that the chart was told to leave out is nobody's fault.
async fn trust(client: &Client, place: &Place, served: ApiVersion, authority: &str) -> Result<(), Error> {
    let name = format!("{}.{}", served.version, served.group);
    let services = Api::<APIService>::all(client.clone());
    let Some(found) = api::call("read an APIService of metrics", services.get_opt(&name)).await? else {
        return Ok(());
    };
    let spec = found.spec.unwrap_or_default();
    let leads_here = spec.service.is_some_and(|service| {
        service.name.as_deref() == Some(&place.service)
            && service.namespace.as_deref() == Some(&place.namespace)
    });
    if !leads_here || spec.ca_bundle.is_some_and(|bundle| bundle.0 == authority.as_bytes()) {
        return Ok(());
    }
    let bundle = k8s_openapi::ByteString(authority.as_bytes().to_vec());
    apply::set::<APIService>(client, &name, json!({"spec": {"caBundle": bundle}})).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { namespace: "pay".into(), service: "figures".into() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_is_made_once_and_issued_again_in_time_under_the_same_authority() {
        let now = at("2026-11-22T00:00:00Z");
        let made = issue(None, &place(), now).unwrap().unwrap();
        assert_eq!(made.metadata.name.as_deref(), Some("figures-tls"));
        assert!(issue(Some(&made), &place(), now).unwrap().is_none(), "it is good");
        let later = at("2027-07-24T00:00:00Z");
        let next = issue(Some(&made), &place(), later).unwrap().unwrap();
        assert_eq!(text(&next, "ca.crt"), text(&made, "ca.crt"), "the API server trusts it already");
        assert_ne!(text(&next, "tls.crt"), text(&made, "tls.crt"));
    }

    #[test]
    fn what_is_broken_is_made_anew() {
        let now = at("2026-11-22T00:00:00Z");
        for (key, value) in [("ca.crt", None), ("ca.key", Some("no key")), ("tls.key", None)] {
            let mut broken = issue(None, &place(), now).unwrap().unwrap();
            broken.metadata.annotations = None;
            let data = broken.data.get_or_insert_default();
            match value {
                Some(value) => drop(data.insert(key.into(), k8s_openapi::ByteString(value.into()))),
                None => drop(data.remove(key)),
            }
            let made = issue(Some(&broken), &place(), now).unwrap().unwrap();
            assert!(served(&made).is_some() && authority(&made).is_some(), "{key}");
            assert_eq!(text(&made, "ca.crt") == text(&broken, "ca.crt"), key == "tls.key", "{key}");
        }
    }
}
