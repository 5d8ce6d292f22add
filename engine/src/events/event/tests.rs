use std::sync::Arc;

use payplane_ledger::{
    Balance, Body, Currency, Field, KINDS, Movement, Origin, Provenance, Reason, Refusal, Sequence, TenantId,
    Terms, Transfer,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const ALICE: u128 = 1;
const BOB: u128 = 2;

fn account(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(number))
}

fn side(number: u128, available: i64, version: i64) -> Posting {
    let after = Balance {
        posted_debits: 0,
        posted_credits: available,
        pending_debits: 0,
        pending_credits: 0,
        version,
    };
    Posting { account: account(number), after, previous: Sequence(7) }
}

fn decision(kind: Kind, verdict: Verdict) -> Decision {
    let text = |text: &str| Arc::<str>::from(text);
    Decision {
        sequence: Sequence(2_048),
        body: Body {
            kind,
            debit: Some(account(ALICE)),
            credit: Some(account(BOB)),
            minor: 1_250,
            currency: Currency::parse("USD").unwrap(),
            reference: text("Order 4711"),
            target: None,
            terms: Terms::default(),
        },
        provenance: Provenance {
            origin: Origin::Api,
            key: text("order-4711"),
            origin_ref: text(""),
            actor: text("shop"),
            correlation_id: text("c-1"),
        },
        decided_at: Timestamp(1_000_000),
        verdict,
    }
}

fn paid() -> Verdict {
    let (debit, credit) = (side(ALICE, 8_750, 3), side(BOB, 1_250, 1));
    let transfer = Transfer { posted: 1_250, pending: 0, debit, credit };
    Verdict::Done { movement: Movement::Transfer(Box::new(transfer)), after: None }
}

fn row(decision: Result<Decision, String>) -> EventRow {
    EventRow {
        seal: 11,
        tenant: TenantId::from_uuid(Uuid::from_u128(9)),
        tenant_name: "acme".into(),
        operation: OperationId::from_uuid(Uuid::from_u128(4)),
        home: Some(account(ALICE)),
        decision,
    }
}

fn made(row: &EventRow, only: Option<AccountId>) -> Made {
    events_of(PlatformId::from_uuid(Uuid::from_u128(5)), row, only)
}

fn read(event: &Event) -> Value {
    serde_json::from_slice(&event.payload).unwrap()
}

#[test]
fn a_payment_is_told_to_both_wallets_each_from_its_own_side() {
    let made = made(&row(Ok(decision(Kind::Pay, paid()))), None);
    let [payer, payee] = &made.events[..] else { panic!("{made:?}") };
    let told = |event: &Event| {
        let event = read(event);
        let wallet = &event["data"]["wallet"];
        json!([
            event["id"],
            event["subject"],
            wallet["posted"],
            wallet["version"],
            wallet["balance"]["available"]
        ])
    };
    let (alice, bob, operation) = (account(ALICE), account(BOB), Uuid::from_u128(4));
    assert_eq!(told(payer), json!([format!("{operation}/{alice}"), alice, "-12.50", 3, "87.50"]));
    assert_eq!(told(payee), json!([format!("{operation}/{bob}"), bob, "12.50", 1, "12.50"]));
    assert_eq!((&payer.key, &payee.key), (&alice.to_string(), &bob.to_string()));
    let event = read(payer);
    assert_eq!(event["type"], "io.payplane.payment.completed.v1");
    assert_eq!(event["time"], "1970-01-01T00:00:01Z");
    assert_eq!(event["data"]["payment"]["state"], "COMPLETED");
    assert_eq!(event["data"]["operation"]["seal"], 11);
    // The same row is the same event, byte for byte.
    let again = self::made(&row(Ok(decision(Kind::Pay, paid()))), None);
    assert_eq!(again.events, made.events);
}

#[test]
fn one_wallets_event_can_be_made_alone() {
    let made = made(&row(Ok(decision(Kind::Pay, paid()))), Some(account(BOB)));
    assert_eq!(made.events.iter().map(|event| event.letter.account).collect::<Vec<_>>(), [account(BOB)]);
}

#[test]
fn what_changes_no_wallet_is_told_to_the_payers() {
    let refused = Verdict::Refused(Refusal::new(Reason::InsufficientFunds, Field::From));
    for kind in KINDS {
        let made = made(&row(Ok(decision(kind, refused.clone()))), None);
        let event = read(&made.events[0]);
        assert_eq!((made.events.len(), &event["type"]), (1, &json!("io.payplane.operation.refused.v1")));
        assert_eq!((&event["subject"], &event["data"]["wallet"]), (&json!(account(ALICE)), &Value::Null));
        assert_eq!(event["data"]["refusal"]["reason"], "insufficient_funds");
    }
}

#[test]
fn a_row_that_makes_no_sense_is_a_letter_and_so_is_an_event_that_is_too_large() {
    let made = made(&row(Err("a stored kind is unknown".to_owned())), None);
    assert!(made.events.is_empty());
    assert_eq!(made.refused[0].problem.as_deref(), Some("a stored kind is unknown"));
    let mut large = decision(Kind::Pay, paid());
    large.body.reference = "x".repeat(EVENT_BYTES_MAX).into();
    let made = self::made(&row(Ok(large)), None);
    assert_eq!((made.events.len(), made.refused.len()), (0, 2));
}
