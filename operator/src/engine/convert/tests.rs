use super::*;

fn balance(credits: &str, debits: &str, held: &str, available: &str) -> proto::Balance {
    proto::Balance {
        posted_debits: debits.into(),
        posted_credits: credits.into(),
        pending_debits: held.into(),
        pending_credits: "0.00".into(),
        available: available.into(),
        currency: "USD".into(),
        version: 7,
    }
}

#[test]
fn posted_is_credits_less_debits_with_every_digit_kept() {
    let cases = [
        ("100.00", "25.50", "74.50"),
        ("0.00", "0.00", "0.00"),
        ("1.00", "3.00", "-2.00"),
        ("92233720368547758.07", "0.01", "92233720368547758.06"),
        ("12", "5", "7"),
    ];
    for (credits, debits, posted) in cases {
        let made = known(balance(credits, debits, "1.00", "0.00"));
        assert_eq!(wallet(made).unwrap().posted, posted, "{credits} - {debits}");
    }
}

fn known(balance: proto::Balance) -> proto::Wallet {
    let status = proto::WalletStatus::Active.into();
    proto::Wallet {
        id: "w".into(),
        currency: "USD".into(),
        status,
        balance: Some(balance),
        ..Default::default()
    }
}

#[test]
fn a_wallet_is_empty_when_nothing_is_in_it_and_nothing_is_held_either_way() {
    let nothing = || balance("5.00", "5.00", "0.00", "0.00");
    let coming = || proto::Balance { pending_credits: "1.00".into(), ..nothing() };
    let cases = [(nothing(), true), (balance("5.00", "4.99", "0.00", "0.01"), false), (coming(), false)];
    for (balance, expected) in cases {
        assert_eq!(wallet(known(balance.clone())).unwrap().terms.is_empty, expected, "{balance:?}");
    }
    assert!(
        wallet(proto::Wallet { status: 0, ..known(nothing()) }).is_err(),
        "whether it is frozen is not known"
    );
}

#[test]
fn a_change_says_what_changes_and_nothing_else() {
    use crate::engine::TermsChange;
    use payplane_crds::wallet::WalletState;
    use proto::update_wallet_request::MaximumChange;

    let found = wallet(known(balance("5.00", "0.00", "0.00", "5.00"))).unwrap();
    let usd = |amount: &str| proto::Money { amount: amount.into(), currency: "USD".into() };
    let frozen = TermsChange { state: Some(WalletState::FrozenDebit), ..TermsChange::default() };
    let request = change_request(&found, "key", &frozen);
    assert_eq!(request.status(), proto::WalletStatus::FrozenDebit);
    assert_eq!((request.minimum, request.maximum_change), (None, None));
    let bounds = TermsChange { minimum: Some("-5".into()), maximum: Some(None), ..TermsChange::default() };
    let request = change_request(&found, "key", &bounds);
    assert_eq!(request.status(), proto::WalletStatus::Unspecified);
    assert_eq!(request.minimum, Some(usd("-5")));
    assert_eq!(request.maximum_change, Some(MaximumChange::NoMaximum(true)));
    let bounds = TermsChange { maximum: Some(Some("9".into())), ..TermsChange::default() };
    let request = change_request(&found, "key", &bounds);
    assert_eq!(request.maximum_change, Some(MaximumChange::Maximum(usd("9"))));
}

#[test]
fn nobody_may_act_for_an_archived_tenant() {
    let archived = archive_request("acme").tenant.unwrap();
    let expected = proto::Tenant { name: "acme".into(), suspended: true, ..Default::default() };
    assert_eq!(archived, expected);
}

#[test]
fn a_wallet_has_the_bounds_and_the_class_of_its_spec() {
    let spec = serde_json::from_value(serde_json::json!({
        "currency": "USD", "minimum": "-5.00", "maximum": "100.00", "class": "gold",
    }));
    let request = wallet_request("shop", "a", &spec.unwrap());
    let usd = |amount: &str| Some(proto::Money { amount: amount.into(), currency: "USD".into() });
    assert_eq!((request.name.as_str(), request.wallet_class.as_str()), ("shop/a", "gold"));
    assert_eq!((request.minimum, request.maximum), (usd("-5.00"), usd("100.00")));

    let plain = serde_json::from_value(serde_json::json!({"currency": "USD"}));
    let request = wallet_request("shop", "a", &plain.unwrap());
    assert_eq!((request.minimum, request.maximum, request.wallet_class), (usd("0"), None, String::new()));
}

#[test]
fn fields_of_requests_have_their_names_in_the_spec() {
    let cases = [
        ("amount.amount", "amount"),
        ("amount.currency", "currency"),
        ("amount", "amount"),
        ("from", "from"),
        ("from.name", "from"),
        ("idempotency_key", "idempotencyKey"),
        ("kind", "hold"),
        ("timeout", "hold.timeoutSeconds"),
        ("capture_time", "hold.captureAt"),
        ("minimum.amount", "minimum"),
        ("maximum.amount", "maximum"),
        ("wallet_class", "class"),
        ("tenant.settlement_caps[0].amount", "settlement[0].amount"),
        ("tenant.service_accounts[1].namespace", "access.serviceAccounts[1].namespace"),
    ];
    for (request, spec) in cases {
        assert_eq!(spec_field(request), spec);
    }
}

#[test]
fn every_refusal_of_a_payment_has_a_reason_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for n in [1, 2, 3, 5, 6, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33] {
        let refused = refusal(proto::Refusal { reason: n, ..Default::default() });
        assert!(seen.insert(refused.reason), "{} twice", refused.reason);
        assert_ne!(refused.reason, reason::INVALID);
    }
}

#[test]
fn an_answer_that_is_neither_yes_nor_no_is_an_error_and_never_a_result() {
    assert_eq!(made(None, false).unwrap_err().category(), "engine_answer");
    assert_eq!(made(Some(proto::PaymentOutcome::default()), false).unwrap_err().category(), "engine_answer");
}

/// The answer to a request, with or without a hold.
fn answered(state: proto::PaymentState, is_hold: bool) -> Result<crate::engine::Outcome, EngineError> {
    let usd = |amount: &str| proto::Money { amount: amount.into(), currency: "USD".into() };
    let payment = proto::Payment {
        state: state.into(),
        amount: Some(usd("1.00")),
        from_balance: Some(balance("9.00", "0.00", "0.00", "9.00")),
        to_balance: Some(balance("1.00", "0.00", "0.00", "1.00")),
        ..Default::default()
    };
    let result = Some(proto::payment_outcome::Result::Payment(payment));
    made(Some(proto::PaymentOutcome { result, ..Default::default() }), is_hold)
}

#[test]
fn a_payment_that_shall_move_money_at_once_is_completed_or_not_understood() {
    use proto::PaymentState::{Completed, Pending, Unspecified};
    let cases = [
        (Completed, false, true),
        (Pending, false, false),
        (Pending, true, true),
        (Completed, true, true),
        (Unspecified, true, false),
    ];
    for (state, is_hold, is_understood) in cases {
        assert_eq!(answered(state, is_hold).is_ok(), is_understood, "{state:?} {is_hold}");
    }
}
