//! Whether a namespace is a Tenant's to take. Pure.

use kube::ResourceExt;
use payplane_crds::{
    Tenant,
    condition::reason::{NAMESPACE_CLAIMED, NAMESPACE_EXISTS, PROGRESSING},
};

use super::observe::Place;
use crate::meta::{ADOPT_BY, TENANT};

/// What to do with a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// It is not there: make it.
    Create,
    /// It consents: label it.
    Adopt,
    /// It is this Tenant's already.
    Own,
}

/// Why a namespace is not there to take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// As a condition's reason.
    pub reason: &'static str,
    /// What is the matter, and the way out.
    pub message: String,
}

/// What to do with the namespace.
///
/// # Errors
/// When it is somebody else's, or nobody gave it away.
pub fn claim(tenant: &Tenant, place: &Place) -> Result<Claim, Refused> {
    let (owner, name) = (tenant.name_any(), &place.name);
    if let Some(elder) = &place.elder {
        return refuse(NAMESPACE_CLAIMED, format!("Namespace {name} is listed by the older Tenant {elder}."));
    }
    match &place.label {
        Some(other) if *other != owner => refuse(
            NAMESPACE_CLAIMED,
            format!("Namespace {name} belongs to Tenant {other}. To move it, remove its label {TENANT}."),
        ),
        _ if place.ending => refuse(PROGRESSING, format!("Namespace {name} is being deleted.")),
        Some(_) => Ok(Claim::Own),
        None if !place.exists => Ok(Claim::Create),
        None if place.consent.as_ref() == Some(&owner) => Ok(Claim::Adopt),
        None => refuse(
            NAMESPACE_EXISTS,
            format!(
                "Namespace {name} exists. To give it to this Tenant, annotate it with {ADOPT_BY}: {owner}."
            ),
        ),
    }
}

fn refuse(reason: &'static str, message: String) -> Result<Claim, Refused> {
    Err(Refused { reason, message })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant() -> Tenant {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": "me"},
            "spec": {"platformRef": {"namespace": "p", "name": "p"}, "namespaces": [{"name": "shop"}]},
        }))
        .unwrap()
    }

    #[test]
    fn every_state_of_a_namespace_has_its_answer() {
        let absent = || Place { name: "shop".into(), ..Place::default() };
        let there = || Place { exists: true, ..absent() };
        let is = |name: &str| Some(name.to_owned());
        let cases = [
            (absent(), Ok(Claim::Create)),
            (Place { elder: is("old"), ..absent() }, Err(NAMESPACE_CLAIMED)),
            (there(), Err(NAMESPACE_EXISTS)),
            (Place { consent: is("me"), ..there() }, Ok(Claim::Adopt)),
            (Place { consent: is("other"), ..there() }, Err(NAMESPACE_EXISTS)),
            (Place { label: is("me"), ..there() }, Ok(Claim::Own)),
            (Place { label: is("other"), consent: is("me"), ..there() }, Err(NAMESPACE_CLAIMED)),
            (Place { label: is("me"), elder: is("old"), ..there() }, Err(NAMESPACE_CLAIMED)),
            (Place { label: is("me"), ending: true, ..there() }, Err(PROGRESSING)),
            (Place { ending: true, ..there() }, Err(PROGRESSING)),
        ];
        for (place, expected) in cases {
            let answer = claim(&tenant(), &place).map_err(|refused| refused.reason);
            assert_eq!(answer, expected, "{place:?}");
        }
    }

    #[test]
    fn the_message_tells_the_way_out() {
        let place = Place { name: "shop".into(), exists: true, ..Place::default() };
        let message = claim(&tenant(), &place).unwrap_err().message;
        assert!(message.contains("payplane.io/adopt-by: me"), "{message}");
    }
}
