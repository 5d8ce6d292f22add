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
        let made =
            proto::Wallet { balance: Some(balance(credits, debits, "1.00", "0.00")), ..Default::default() };
        assert_eq!(wallet(made).unwrap().posted, posted, "{credits} - {debits}");
    }
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
        ("minimum.amount", "minimum.amount"),
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
    for n in [1, 2, 5, 6, 20, 21, 29, 30, 31, 32, 33] {
        let refused = refusal(proto::Refusal { reason: n, ..Default::default() });
        assert!(seen.insert(refused.reason), "{} twice", refused.reason);
        assert_ne!(refused.reason, reason::INVALID);
    }
}

#[test]
fn an_answer_that_is_neither_yes_nor_no_is_an_error_and_never_a_result() {
    let empty = proto::CreatePaymentResponse { outcome: Some(proto::PaymentOutcome::default()) };
    assert_eq!(outcome(empty).unwrap_err().category(), "engine_answer");
    let held = proto::Payment { state: proto::PaymentState::Pending.into(), ..Default::default() };
    let pending = proto::CreatePaymentResponse {
        outcome: Some(proto::PaymentOutcome {
            result: Some(proto::payment_outcome::Result::Payment(held)),
            ..Default::default()
        }),
    };
    assert_eq!(outcome(pending).unwrap_err().category(), "engine_answer");
}
