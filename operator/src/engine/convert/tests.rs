use super::*;
use crate::engine::{Amount, FeeRequest, PaymentRequest};

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
fn a_tenants_issuer_is_told_as_it_is_and_its_groups_decide_unless_it_says_otherwise() {
    let tenant: Tenant = serde_json::from_value(serde_json::json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": "me"},
        "spec": {
            "platformRef": {"namespace": "p", "name": "p"}, "namespaces": [{"name": "shop"}],
            "oidc": {
                "issuer": "https://a.example", "audience": "b",
                "roles": [{"value": "leads", "role": "Admin"}, {"value": "all", "role": "Viewer"}],
            },
        },
    }))
    .unwrap();
    let role = |value: &str, role: proto::Role| proto::OidcRole { value: value.into(), role: role.into() };
    let expected = proto::OidcIssuer {
        issuer: "https://a.example".into(),
        audience: "b".into(),
        ca_pem: String::new(),
        role_claim: "groups".into(),
        roles: vec![role("leads", proto::Role::Admin), role("all", proto::Role::Viewer)],
    };
    assert_eq!(tenant_request(&tenant).tenant.unwrap().oidc, Some(expected));
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
        ("tenant.oidc.ca_pem", "oidc.caBundle"),
        ("tenant.oidc.roles[1].role", "oidc.roles[1].role"),
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

fn with_two_fees() -> PaymentRequest {
    let amount = |amount: &str| Amount { amount: amount.into(), currency: "USD".into() };
    let fee = |to: &str, minor: &str| FeeRequest {
        to: WalletRef::Name(to.into()),
        amount: amount(minor),
        reference: format!("for {to}"),
    };
    PaymentRequest {
        namespace: "shop".into(),
        key: "shop/rent".into(),
        from: WalletRef::Name("shop/a".into()),
        to: WalletRef::Name("shop/b".into()),
        amount: amount("1.00"),
        reference: String::new(),
        origin_ref: "u-1".into(),
        hold: None,
        metadata: [("order".to_owned(), "7".to_owned())].into(),
        fees: vec![fee("shop/c", "0.10"), fee("shop/d", "0.20")],
        requester: Some("ada".into()),
        approver: Some("bea".into()),
        asked: Default::default(),
        never: true,
    }
}

#[test]
fn fees_are_linked_payments_of_the_same_payer_under_keys_that_follow_from_the_payments() {
    use proto::payment_item::Operation::CreatePayment;
    let items = linked_request(&with_two_fees()).items;
    let told: Vec<_> = items
        .into_iter()
        .map(|item| {
            let Some(CreatePayment(item)) = item.operation else { panic!("no payment") };
            assert_eq!(item.from, Some(wallet_ref(&WalletRef::Name("shop/a".into()))));
            assert_eq!((&*item.approved_by, &*item.origin_ref), ("bea", "u-1"));
            assert_eq!(item.metadata.len(), 1, "every item is found by the payment's labels");
            (item.idempotency_key, item.amount.unwrap().amount, item.reference, item.expect.is_some())
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(k, a, r, never)| (&**k, &**a, &**r, *never)).collect();
    let expected = [
        ("shop/rent", "1.00", "", true),
        ("shop/rent fee 1", "0.10", "for shop/c", false),
        ("shop/rent fee 2", "0.20", "for shop/d", false),
    ];
    assert_eq!(told, expected);
}

/// An item's outcome: paid to this wallet with what payer and payee then have, or refused for this.
fn item(answer: Result<(&str, &str, &str), (proto::RefusalReason, &str)>) -> proto::ItemOutcome {
    use proto::payment_outcome::Result;
    let result = match answer {
        Ok((to, payer, payee)) => Result::Payment(proto::Payment {
            state: proto::PaymentState::Completed.into(),
            amount: Some(proto::Money { amount: "1.00".into(), currency: "USD".into() }),
            captured: "1.00".into(),
            to_wallet_id: to.into(),
            from_balance: Some(balance("9.00", "0.00", "0.00", payer)),
            to_balance: Some(balance("9.00", "0.00", "0.00", payee)),
            ..Default::default()
        }),
        Err((reason, field)) => Result::Refusal(proto::Refusal {
            reason: reason.into(),
            field: field.into(),
            definitive: true,
            ..Default::default()
        }),
    };
    let payment =
        proto::PaymentOutcome { payment_id: "p".into(), result: Some(result), ..Default::default() };
    proto::ItemOutcome { outcome: Some(proto::item_outcome::Outcome::Payment(payment)) }
}

#[test]
fn the_answer_to_a_payment_with_fees_is_the_payments_and_the_balances_are_the_last_ones() {
    let paid =
        [item(Ok(("b", "8.00", "1.00"))), item(Ok(("c", "7.00", "0.10"))), item(Ok(("b", "6.00", "1.20")))];
    let outcome = made_together(paid.into()).unwrap();
    assert_eq!(outcome.result.unwrap().available, Some(("6.00".into(), "1.20".into())));
    assert_eq!(outcome.fees.len(), 2);
    assert!(made_together(Vec::new()).is_err());
}

#[test]
fn a_refusal_names_the_item_that_it_is_about() {
    use proto::RefusalReason::{IdempotencyConflict, InsufficientFunds, LinkedItemRefused, WalletFrozen};
    let cases = [
        ([(InsufficientFunds, "from"), (LinkedItemRefused, "items")], "InsufficientFunds from"),
        ([(LinkedItemRefused, "items"), (InsufficientFunds, "from")], "InsufficientFunds fees[0]"),
        ([(LinkedItemRefused, "items"), (WalletFrozen, "to")], "WalletFrozen fees[0].to"),
        ([(IdempotencyConflict, "items"), (IdempotencyConflict, "items")], "IdempotencyConflict fees"),
        ([(IdempotencyConflict, "items"), (IdempotencyConflict, "to")], "IdempotencyConflict fees[0].to"),
        (
            [(IdempotencyConflict, "amount.amount"), (IdempotencyConflict, "items")],
            "IdempotencyConflict amount",
        ),
    ];
    for (refusals, expected) in cases {
        let outcome = made_together(refusals.map(|refusal| item(Err(refusal))).into()).unwrap();
        let refusal = outcome.result.unwrap_err();
        assert_eq!(format!("{} {}", refusal.reason, refusal.field), expected);
    }
}

#[test]
fn a_malformed_item_is_told_by_the_field_of_the_spec() {
    let cases = [
        ("items[0].create_payment.amount.amount", "amount"),
        ("items[0].create_payment.idempotency_key", "idempotencyKey"),
        ("items[2].create_payment.amount.amount", "fees[1].amount"),
        ("items[1].create_payment.to.id", "fees[0].to"),
        ("items[1].create_payment.from", "fees[0]"),
        ("items[1].create_payment.idempotency_key", "idempotencyKey"),
    ];
    for (field, expected) in cases {
        assert_eq!(spec_field(field), expected, "{field}");
    }
}

#[test]
fn what_was_refused_is_no_change_and_wakes_nobody() {
    use proto::operation::Result as Told;
    let operation = |id: &str, target: &str, result| proto::Operation {
        id: id.into(),
        target_id: target.into(),
        result: Some(result),
        ..Default::default()
    };
    let operations = vec![
        operation("capture", "taken", Told::Payment(Default::default())),
        operation("refused", "frozen", Told::Refusal(Default::default())),
        operation("made", "", Told::Refund(Default::default())),
    ];
    let told = changes(proto::WatchPaymentsResponse { seal: 7, operations });
    assert_eq!((told.seal, told.subjects), (7, ["capture", "taken", "made"].map(String::from).to_vec()));
}
