//! What to change of a wallet so that it is as the spec says. Pure.
//!
//! A change has a key of the ledger's own version of the wallet and of what is wanted: asked again it is the same change,
//! also when the first answer was lost; refused, it is asked again only when the wallet has changed. What the spec does not
//! say (`freeze`, `metadata`) is left as it is.

use std::collections::BTreeMap;

use payplane_crds::{
    WalletSpec,
    wallet::{Freeze, MetadataValue, WalletState},
};
use rust_decimal::Decimal;

use crate::{
    engine::{Terms, TermsChange, Wallet},
    meta::short_hash,
};

/// What to change of the terms, if anything. A closed wallet stays closed: nothing about it can be changed.
pub fn change(spec: &WalletSpec, found: &Wallet) -> Option<TermsChange> {
    let terms = &found.terms;
    if terms.state == WalletState::Closed {
        return None;
    }
    let wanted_maximum = spec.maximum.as_ref().map(|maximum| maximum.0.as_str());
    let change = TermsChange {
        state: spec.freeze.map(state).filter(|wanted| *wanted != terms.state),
        minimum: Some(&spec.minimum.0).filter(|wanted| !is_same(wanted, &terms.minimum)).cloned(),
        maximum: differs(wanted_maximum, terms.maximum.as_deref()).then(|| wanted_maximum.map(String::from)),
    };
    (change != TermsChange::default()).then_some(change)
}

/// The change that ends a wallet.
pub fn closing() -> TermsChange {
    TermsChange { state: Some(WalletState::Closed), ..TermsChange::default() }
}

/// Under which key the change is asked for.
pub fn key(found: &Wallet, change: &TermsChange) -> String {
    let hash = short_hash([format!("{change:?}").as_bytes()]);
    format!("{}@{} {hash}", found.name, found.version)
}

/// The labels that the wallet should have, if it has others.
pub fn labels(spec: &WalletSpec, terms: &Terms) -> Option<BTreeMap<String, String>> {
    let wanted = spec.metadata.as_ref()?.iter();
    let wanted: BTreeMap<String, String> =
        wanted.map(|(key, MetadataValue(value))| (key.clone(), value.clone())).collect();
    (wanted != terms.metadata).then_some(wanted)
}

fn state(freeze: Freeze) -> WalletState {
    match freeze {
        Freeze::None => WalletState::Active,
        Freeze::Debit => WalletState::FrozenDebit,
        Freeze::Credit => WalletState::FrozenCredit,
        Freeze::Both => WalletState::Frozen,
    }
}

fn differs(wanted: Option<&str>, found: Option<&str>) -> bool {
    match (wanted, found) {
        (Some(wanted), Some(found)) => !is_same(wanted, found),
        (wanted, found) => wanted.is_some() != found.is_some(),
    }
}

/// "0" and "0.00" are the same. What is no number is another one, and the ledger says so.
fn is_same(one: &str, other: &str) -> bool {
    matches!((Decimal::from_str_exact(one), Decimal::from_str_exact(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A wallet in dollars as the ledger made it, at its third version.
    pub fn found() -> Wallet {
        Wallet {
            id: "id".into(),
            name: "shop/a".into(),
            posted: "5.00".into(),
            pending: "1.00".into(),
            available: "4.00".into(),
            version: 3,
            terms: Terms {
                currency: "USD".into(),
                owner: String::new(),
                class: String::new(),
                minimum: "0.00".into(),
                maximum: None,
                state: WalletState::Active,
                metadata: BTreeMap::from([("team".into(), "a".into())]),
                is_empty: false,
            },
        }
    }

    fn spec(more: Value) -> WalletSpec {
        let mut spec = json!({"currency": "USD"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn what_differs_is_changed_and_nothing_else() {
        let none = TermsChange::default;
        let is = |text: &str| Some(text.to_owned());
        let cases = [
            (json!({}), None),
            (json!({"minimum": "0"}), None),
            (json!({"minimum": "-5"}), Some(TermsChange { minimum: is("-5"), ..none() })),
            (json!({"maximum": "9.50"}), Some(TermsChange { maximum: Some(is("9.50")), ..none() })),
            (json!({"freeze": "None"}), None),
            (
                json!({"freeze": "Debit"}),
                Some(TermsChange { state: Some(WalletState::FrozenDebit), ..none() }),
            ),
            (
                json!({"freeze": "Credit"}),
                Some(TermsChange { state: Some(WalletState::FrozenCredit), ..none() }),
            ),
            (json!({"freeze": "Both"}), Some(TermsChange { state: Some(WalletState::Frozen), ..none() })),
        ];
        for (more, expected) in cases {
            assert_eq!(change(&spec(more.clone()), &found()), expected, "{more}");
        }
    }

    #[test]
    fn a_maximum_that_is_no_longer_asked_for_goes_and_another_way_to_write_it_is_no_change() {
        let mut bounded = found();
        bounded.terms.maximum = Some("9.50".into());
        let away = TermsChange { maximum: Some(None), ..TermsChange::default() };
        assert_eq!(change(&spec(json!({})), &bounded), Some(away));
        assert_eq!(change(&spec(json!({"maximum": "9.5"})), &bounded), None);
    }

    #[test]
    fn a_freeze_that_the_spec_does_not_speak_of_stays() {
        let mut frozen = found();
        frozen.terms.state = WalletState::Frozen;
        assert_eq!(change(&spec(json!({})), &frozen), None);
        assert!(change(&spec(json!({"freeze": "None"})), &frozen).is_some());
        frozen.terms.state = WalletState::Closed;
        assert_eq!(change(&spec(json!({"freeze": "None", "minimum": "-5"})), &frozen), None);
    }

    #[test]
    fn a_key_stands_for_one_change_of_one_version() {
        let (one, other) = (closing(), change(&spec(json!({"minimum": "-5"})), &found()).unwrap());
        let mut later = found();
        later.version = 4;
        assert_eq!(key(&found(), &one), key(&found(), &one));
        assert_ne!(key(&found(), &one), key(&found(), &other));
        assert_ne!(key(&found(), &one), key(&later, &one));
        assert!(key(&found(), &one).starts_with("shop/a@3 "));
    }

    #[test]
    fn labels_are_left_alone_unless_the_spec_has_some() {
        let terms = found().terms;
        assert_eq!(labels(&spec(json!({})), &terms), None);
        assert_eq!(labels(&spec(json!({"metadata": {"team": "a"}})), &terms), None);
        assert_eq!(labels(&spec(json!({"metadata": {}})), &terms), Some(BTreeMap::new()));
        let other = labels(&spec(json!({"metadata": {"team": "b"}})), &terms);
        assert_eq!(other, Some(BTreeMap::from([("team".into(), "b".into())])));
    }
}
