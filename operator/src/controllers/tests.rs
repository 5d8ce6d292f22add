use serde_json::{Value, json};

use super::*;

fn guarded(generation: i64, version: &str, spec: Value) -> Guarded<Wallet> {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Wallet",
        "metadata": {"name": "a", "uid": "u", "generation": generation, "resourceVersion": version},
        "spec": spec,
    }))
    .unwrap()
}

#[test]
fn an_object_that_cannot_be_read_is_looked_at_once_per_generation_or_saying_so_would_never_end() {
    let broken = json!({"currency": 7});
    let mark = |guarded: &Guarded<Wallet>| super::mark(guarded, |_| None);
    let first = guarded(1, "10", broken.clone());
    assert!(first.0.is_err(), "a malformed object does not end the watch");
    assert!(mark(&first).is_some());
    assert_eq!(mark(&first), mark(&guarded(1, "11", broken.clone())));
    assert_ne!(mark(&first), mark(&guarded(2, "12", broken)));
    assert_eq!(mark(&guarded(1, "10", json!({"currency": "USD"}))), None, "every change passes");
}

#[test]
fn a_thaw_is_news_to_those_who_name_a_wallet_and_a_balance_is_none() {
    let news = |status: Value| {
        let mut wallet = guarded(1, "10", json!({"currency": "USD"})).0.unwrap();
        wallet.status = serde_json::from_value(status).unwrap();
        use_of(&wallet)
    };
    let frozen = json!({"walletId": "w", "state": "FrozenCredit", "available": "1.00", "version": 1});
    let richer = json!({"walletId": "w", "state": "FrozenCredit", "available": "2.00", "version": 2});
    let thawed = json!({"walletId": "w", "state": "Active", "available": "1.00", "version": 2});
    assert_eq!(news(frozen.clone()), news(richer));
    assert_ne!(news(frozen), news(thawed));
}
