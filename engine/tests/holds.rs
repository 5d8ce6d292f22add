//! Payments that are held before money moves: taken, given back, handed to a gateway.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{self as proto, PaymentState, RefusalReason};
use support::{
    client::{Client, capture, code, fields, hold, id, name, paid, payment, refused, usd},
    eventually,
    world::World,
};
use tonic::Code;

const ABSENT: &str = "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a";

/// Alice has 100 dollars, Bob nothing.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    (world, operator)
}

async fn take(client: &Client, request: proto::CapturePaymentRequest) -> proto::PaymentOutcome {
    client.payments.clone().capture_payment(request).await.unwrap().into_inner().outcome.unwrap()
}

fn void(key: &str, payment: &str) -> proto::VoidPaymentRequest {
    proto::VoidPaymentRequest {
        idempotency_key: key.to_owned(),
        payment_id: payment.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_taken_in_parts_and_the_rest_is_given_back() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await;
    let made = paid(&held);
    assert_eq!((made.state(), &*made.held, &*made.captured), (PaymentState::Pending, "60.00", "0.00"));
    assert_eq!(made.from_balance.as_ref().unwrap().available, "40.00");
    assert_eq!(made.to_balance.as_ref().unwrap().pending_credits, "60.00");
    assert!(made.deadline.unwrap().seconds - made.create_time.unwrap().seconds == 600);
    assert_eq!(made.deadline_level(), proto::ParameterLevel::Unspecified);
    let poor = operator.pay(payment("poor", "alice", "bob", "40.01")).await.unwrap();
    assert_eq!(refused(&poor), (RefusalReason::InsufficientFunds, "from"));

    let first = take(&operator, capture("c1", &held.payment_id, "25.00")).await;
    assert_eq!(first.payment_id, held.payment_id);
    let taken = paid(&first);
    assert_eq!((taken.state(), &*taken.held, &*taken.captured), (PaymentState::Pending, "35.00", "25.00"));
    assert_eq!((&*taken.idempotency_key, taken.to_balance.as_ref().unwrap().version), ("c1", 2));
    let much = take(&operator, capture("c2", &held.payment_id, "35.01")).await;
    assert_eq!(refused(&much), (RefusalReason::CaptureExceedsHold, "amount.amount"));
    let last = proto::CapturePaymentRequest { r#final: true, ..capture("c3", &held.payment_id, "5.00") };
    let last = take(&operator, last).await;
    let taken = paid(&last);
    assert_eq!((taken.state(), &*taken.held, &*taken.captured), (PaymentState::Completed, "0.00", "30.00"));
    assert_eq!(taken.from_balance.as_ref().unwrap().available, "70.00");

    let again = take(&operator, capture("c1", &held.payment_id, "25.00")).await;
    assert!(again.replayed);
    assert_eq!(paid(&again), paid(&first));
    let other = take(&operator, capture("c1", &held.payment_id, "26.00")).await;
    assert_eq!(refused(&other), (RefusalReason::IdempotencyConflict, "amount.amount"));
    let late = take(&operator, capture("c4", &held.payment_id, "1.00")).await;
    assert_eq!(refused(&late), (RefusalReason::WrongState, "payment_id"));
    let now = operator.read_payment(&held.payment_id).await;
    assert_eq!((&*now.idempotency_key, &*now.captured, now.state()), ("h", "30.00", PaymentState::Completed));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_voided_once() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await;
    let voided = operator.payments.clone().void_payment(void("v", &held.payment_id)).await.unwrap();
    let voided = voided.into_inner().outcome.unwrap();
    assert_eq!(paid(&voided).state(), PaymentState::Voided);
    assert_eq!(paid(&voided).from_balance.as_ref().unwrap().available, "100.00");
    let more = operator.payments.clone().void_payment(void("v2", &held.payment_id)).await.unwrap();
    assert_eq!(refused(&more.into_inner().outcome.unwrap()).0, RefusalReason::WrongState);
    // One key means one payment, however it is asked for.
    let other = operator.pay(payment("h", "alice", "bob", "60.00")).await.unwrap();
    assert_eq!(refused(&other), (RefusalReason::IdempotencyConflict, "kind"));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_at_its_deadline_whether_or_not_it_was_swept() {
    let (_world, operator) = world().await;
    let short = proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds: 0, nanos: 1_000 }),
        ..hold("h", "alice", "bob", "60.00")
    };
    let held = operator.hold(short).await;
    let late = take(&operator, capture("c", &held.payment_id, "1.00")).await;
    assert_eq!(refused(&late), (RefusalReason::HoldExpired, "payment_id"));
    let swept = eventually("a sweep", async || {
        let now = operator.read_payment(&held.payment_id).await;
        (now.state() == PaymentState::Expired).then_some(now)
    });
    assert_eq!(swept.await.held, "0.00");
    assert_eq!(operator.available(name("alice")).await, "100.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_settles_or_fails_a_payment_once_per_event() {
    let (world, operator) = world().await;
    let hand_over = |payment: &str| proto::HandOverPaymentRequest {
        idempotency_key: format!("over {payment}"),
        payment_id: payment.to_owned(),
        gateway_reference: "psp-1".to_owned(),
        ..Default::default()
    };
    let settle = |event: &str, payment: &str, amount: Option<&str>| proto::SettlePaymentRequest {
        event_id: event.to_owned(),
        payment_id: payment.to_owned(),
        amount: amount.map(usd),
        ..Default::default()
    };
    let first = operator.hold(hold("one", "alice", "bob", "30.00")).await.payment_id;
    let second = operator.hold(hold("two", "alice", "bob", "20.00")).await.payment_id;
    for held in [&first, &second] {
        let over = operator.payments.clone().hand_over_payment(hand_over(held)).await.unwrap();
        let over = over.into_inner().outcome.unwrap();
        assert_eq!(
            (paid(&over).state(), &*paid(&over).gateway_reference),
            (PaymentState::Processing, "psp-1")
        );
        assert_eq!(paid(&over).from_balance, None, "no account changed");
    }
    let stopped = take(&operator, capture("c", &first, "1.00")).await;
    assert_eq!(refused(&stopped).0, RefusalReason::WrongState);
    let event = settle("evt-1", &first, Some("12.00"));
    let settled = operator.payments.clone().settle_payment(event.clone()).await.unwrap();
    let settled = settled.into_inner().outcome.unwrap();
    assert_eq!((paid(&settled).state(), &*paid(&settled).captured), (PaymentState::Completed, "12.00"));
    let again = operator.payments.clone().settle_payment(event).await.unwrap().into_inner().outcome.unwrap();
    assert!(again.replayed);
    assert_eq!(paid(&again), paid(&settled));
    let fail = proto::FailPaymentRequest {
        event_id: "evt-2".to_owned(),
        payment_id: second.clone(),
        reason: "no such account".to_owned(),
        ..Default::default()
    };
    let failed =
        operator.payments.clone().fail_payment(fail.clone()).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!((paid(&failed).state(), &*paid(&failed).held), (PaymentState::Failed, "0.00"));
    let changed = proto::FailPaymentRequest { reason: "other".to_owned(), ..fail };
    let changed =
        operator.payments.clone().fail_payment(changed).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!(refused(&changed), (RefusalReason::IdempotencyConflict, "reason"));
    assert_eq!(operator.available(name("alice")).await, "88.00");
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_others_are_absent_for_every_operation() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await.payment_id;
    let theirs = world.as_role("globex", "admin");
    for payment in [&*held, ABSENT] {
        let answer = take(&theirs, capture(&format!("c {payment}"), payment, "1.00")).await;
        assert_eq!(refused(&answer), (RefusalReason::PaymentNotFound, "payment_id"));
        let voided =
            theirs.payments.clone().void_payment(void(&format!("v {payment}"), payment)).await.unwrap();
        let voided = voided.into_inner().outcome.unwrap();
        assert_eq!(refused(&voided), (RefusalReason::PaymentNotFound, "payment_id"));
        let get = proto::GetPaymentRequest { id: payment.to_owned() };
        assert_eq!(code(theirs.payments.clone().get_payment(get).await), Code::NotFound);
    }
    assert_eq!(operator.read_payment(&held).await.state(), PaymentState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_and_what_is_available_are_looked_at_before_money_moves() {
    let (_world, operator) = world().await;
    let expecting = |key: &str, expect| proto::CreatePaymentRequest {
        expect: Some(expect),
        ..payment(key, "alice", "bob", "1.00")
    };
    let version = |version| proto::Expect { from_version: Some(version), ..Default::default() };
    let least = |amount| proto::Expect { from_available_min: Some(usd(amount)), ..Default::default() };
    let old = operator.pay(expecting("old", version(7))).await.unwrap();
    assert_eq!(refused(&old), (RefusalReason::ConditionNotMet, "expect"));
    paid(&operator.pay(expecting("new", version(1))).await.unwrap());
    let little = operator.pay(expecting("little", least("99.01"))).await.unwrap();
    assert_eq!(refused(&little).0, RefusalReason::ConditionNotMet);
    paid(&operator.pay(expecting("enough", least("99.00"))).await.unwrap());
    let all = proto::CreatePaymentRequest { up_to: true, ..payment("all", "alice", "bob", "1000.00") };
    let moved = operator.pay(all.clone()).await.unwrap();
    assert_eq!(paid(&moved).amount, Some(usd("98.00")));
    assert_eq!(paid(&operator.pay(all).await.unwrap()).amount, Some(usd("98.00")));
    let none = proto::CreatePaymentRequest { up_to: true, ..payment("none", "alice", "bob", "1.00") };
    assert_eq!(refused(&operator.pay(none).await.unwrap()).0, RefusalReason::InsufficientFunds);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_steps_name_every_field() {
    let (_world, operator) = world().await;
    let good = || hold("k", "alice", "bob", "1.00");
    let lasting = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let euros = proto::Money { amount: "1.00".to_owned(), currency: "EUR".to_owned() };
    let least = proto::Expect { from_available_min: Some(euros), ..Default::default() };
    #[rustfmt::skip]
    let table = [
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(0, 0), ..good() }),
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(-1, 0), ..good() }),
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(367 * 86_400, 0), ..good() }),
        ("capture_time", proto::AuthorizePaymentRequest { capture_time: at(-1), ..good() }),
        ("expect.from_available_min.currency", proto::AuthorizePaymentRequest { expect: Some(least), ..good() }),
        ("from.id",      proto::AuthorizePaymentRequest { from: Some(id("x")), ..good() }),
    ];
    for (field, request) in table {
        assert_eq!(fields(&operator.payments.clone().authorize_payment(request).await.unwrap_err()), [field]);
    }
    let empty = operator.payments.clone().capture_payment(proto::CapturePaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["idempotency_key", "payment_id"]);
    let empty = operator.payments.clone().settle_payment(proto::SettlePaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["event_id", "payment_id"]);
    let empty = operator.payments.clone().hand_over_payment(proto::HandOverPaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["gateway_reference", "idempotency_key", "payment_id"]);
    let nothing = operator.payments.clone().capture_payment(capture("k", ABSENT, "0.00")).await;
    assert_eq!(fields(&nothing.unwrap_err()), ["amount.amount"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hold_lasts_longer_than_the_parameter_allows() {
    let (world, operator) = world().await;
    let minute = proto::Setting {
        name: proto::ParameterName::HoldMaximum.into(),
        value: Some(proto::setting::Value::Duration(prost_types::Duration { seconds: 30, nanos: 0 })),
        ..Default::default()
    };
    let scope = proto::settings_scope::Scope::Tenant(proto::TenantScope {});
    let request = proto::PutSettingsRequest {
        scope: Some(proto::SettingsScope { scope: Some(scope) }),
        settings: vec![minute],
    };
    world.as_role("acme", "admin").settings.clone().put_settings(request).await.unwrap();
    let long = operator.hold(hold("long", "alice", "bob", "1.00")).await;
    assert_eq!(refused(&long), (RefusalReason::LimitExceeded, "timeout"));
    let Some(proto::payment_outcome::Result::Refusal(refusal)) = long.result else { panic!("held") };
    let limit = refusal.limit.unwrap();
    assert_eq!(
        (limit.name(), limit.level()),
        (proto::ParameterName::HoldMaximum, proto::ParameterLevel::Tenant)
    );
    assert!(refusal.message.contains("HOLD_MAXIMUM"), "{}", refusal.message);
    // Whoever does not say gets what is allowed, of the minute that is built in.
    let unsaid = proto::AuthorizePaymentRequest { timeout: None, ..hold("unsaid", "alice", "bob", "1.00") };
    let held = operator.hold(unsaid).await;
    let held = paid(&held);
    assert_eq!(held.deadline.unwrap().seconds - held.create_time.unwrap().seconds, 30);
    assert_eq!(held.deadline_level(), proto::ParameterLevel::Tenant);
}

async fn summary(client: &Client, scope: proto::settings_scope::Scope) -> proto::GetHoldSummaryResponse {
    let scope = Some(proto::SettingsScope { scope: Some(scope) });
    client.ledger.clone().get_hold_summary(proto::GetHoldSummaryRequest { scope }).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_sees_how_holds_do_and_how_far_the_sweep_is() {
    use proto::settings_scope::Scope;
    let world = World::without_sweeps().await;
    let operator = world.as_role("acme", "operator");
    let classy = proto::CreateWalletRequest {
        name: "alice".to_owned(),
        currency: "USD".to_owned(),
        wallet_class: "retail".to_owned(),
        ..Default::default()
    };
    operator.wallets.clone().create_wallet(classy).await.unwrap();
    operator.wallet("bob", "USD").await;
    for wallet in ["alice", "bob"] {
        world.fund("acme", wallet, "100.00").await;
    }
    let platform = world.as_platform(Some("acme"));
    let tenant = || Scope::Tenant(proto::TenantScope {});
    let retail = || Scope::WalletClass("retail".to_owned());
    let nothing = summary(&platform, tenant()).await;
    assert_eq!((nothing.pending, nothing.overdue, nothing.reversed), (0, 0, 0));
    assert_eq!((nothing.oldest_create_time, nothing.overdue_since), (None, None));

    let first = operator.hold(hold("first", "bob", "alice", "1.00")).await;
    let short = |key: &str, from: &str, to: &str| proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds: 0, nanos: 1_000 }),
        ..hold(key, from, to, "1.00")
    };
    let due = operator.hold(short("due", "alice", "bob")).await;
    operator.hold(short("due too", "bob", "alice")).await;
    let all = summary(&platform, tenant()).await;
    assert_eq!((all.pending, all.overdue, all.reversed), (3, 2, 0));
    assert_eq!(all.oldest_create_time, paid(&first).create_time);
    assert_eq!(all.overdue_since, paid(&due).deadline);
    let some = summary(&platform, retail()).await;
    assert_eq!((some.pending, some.overdue), (1, 1));
    assert_eq!(some.oldest_create_time, paid(&due).create_time);
    assert_eq!(summary(&platform, Scope::WalletClass("nobody".to_owned())).await.pending, 0);
    assert_eq!(summary(&world.as_platform(Some("globex")), tenant()).await.pending, 0, "another tenant's");
    let everybody = summary(&world.as_platform(None), Scope::Platform(proto::PlatformScope {})).await;
    assert_eq!((everybody.pending, everybody.overdue), (3, 2));

    let swept = payplane_engine::background::sweep(&world.engines[0].engine).await.unwrap();
    assert_eq!(swept.expired, 2);
    let all = summary(&platform, tenant()).await;
    assert_eq!((all.pending, all.overdue, all.reversed, all.reversed_last), (1, 0, 2, 2));
    assert_eq!((all.overdue_since, all.sweep_time.is_some()), (None, true));
    operator.hold(short("later", "bob", "alice")).await;
    payplane_engine::background::sweep(&world.engines[0].engine).await.unwrap();
    let all = summary(&platform, tenant()).await;
    assert_eq!((all.pending, all.reversed, all.reversed_last), (1, 3, 1));
    let some = summary(&platform, retail()).await;
    assert_eq!((some.reversed, some.reversed_last), (1, 0), "the last sweep gave back another class's");

    for role in ["viewer", "operator", "approver", "treasury", "admin"] {
        let asked = world.as_role("acme", role).ledger.clone();
        let answer = asked.clone().get_hold_summary(proto::GetHoldSummaryRequest::default()).await;
        assert_eq!(code(answer), Code::PermissionDenied, "{role}");
    }
    let wallet = Some(proto::SettingsScope { scope: Some(Scope::Wallet(name("bob"))) });
    let narrow =
        platform.ledger.clone().get_hold_summary(proto::GetHoldSummaryRequest { scope: wallet }).await;
    assert_eq!(fields(&narrow.unwrap_err()), ["scope"]);
    let nobodys =
        proto::GetHoldSummaryRequest { scope: Some(proto::SettingsScope { scope: Some(tenant()) }) };
    let nobody = world.as_platform(None).ledger.clone().get_hold_summary(nobodys).await;
    assert_eq!(code(nobody), Code::InvalidArgument);
}

/// What becomes of overdue holds of this scope.
async fn set_action(client: &Client, scope: proto::settings_scope::Scope, action: proto::OverdueAction) {
    let setting = proto::Setting {
        name: proto::ParameterName::HoldOverdueAction.into(),
        value: Some(proto::setting::Value::OverdueAction(action.into())),
        ..Default::default()
    };
    let scope = Some(proto::SettingsScope { scope: Some(scope) });
    let request = proto::PutSettingsRequest { scope, settings: vec![setting] };
    client.settings.clone().put_settings(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_wait_for_a_decision_are_left_by_every_engines_sweep_until_somebody_decides() {
    use payplane_engine::background::sweep;
    use proto::{OverdueAction, settings_scope::Scope};
    let mut world = World::without_sweeps().await;
    world.add_engine(world.database.app_dir()).await;
    let operator = world.as_role("acme", "operator");
    let classy = proto::CreateWalletRequest {
        name: "alice".to_owned(),
        currency: "USD".to_owned(),
        wallet_class: "retail".to_owned(),
        ..Default::default()
    };
    operator.wallets.clone().create_wallet(classy).await.unwrap();
    operator.wallet("bob", "USD").await;
    for wallet in ["alice", "bob"] {
        world.fund("acme", wallet, "100.00").await;
    }
    let admin = world.as_role("acme", "admin");
    let tenant = || Scope::Tenant(proto::TenantScope {});
    let retail = || Scope::WalletClass("retail".to_owned());
    let short = |key: &str, from: &str, to: &str| proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds: 0, nanos: 1_000 }),
        ..hold(key, from, to, "1.00")
    };
    let sweep_twice = async || {
        let first = sweep(&world.engines[0].engine).await.unwrap();
        first.expired + sweep(&world.engines[1].engine).await.unwrap().expired
    };
    // The tenant's holds wait, those of its class do not.
    set_action(&admin, tenant(), OverdueAction::Alert).await;
    set_action(&admin, retail(), OverdueAction::Reverse).await;
    let waits = operator.hold(short("waits", "bob", "alice")).await;
    let other = operator.hold(short("other", "bob", "alice")).await.payment_id;
    let back = operator.hold(short("back", "alice", "bob")).await.payment_id;
    assert_eq!(sweep_twice().await, 1);
    assert_eq!(operator.read_payment(&back).await.state(), PaymentState::Expired);
    let platform = world.as_platform(Some("acme"));
    let all = summary(&platform, tenant()).await;
    assert_eq!((all.pending, all.overdue, all.awaiting_decision, all.reversed), (2, 2, 2, 1));
    assert_eq!(all.awaiting_since, paid(&waits).deadline);
    assert_eq!(all.overdue_since, None, "the sweep is behind with none");
    assert_eq!(summary(&platform, retail()).await.awaiting_decision, 0);
    // The money stays held, taking it stays refused, and giving it back works.
    assert_eq!(operator.read_wallet(name("bob")).await.balance.unwrap().pending_debits, "2.00");
    let late = take(&operator, capture("late", &waits.payment_id, "1.00")).await;
    assert_eq!(refused(&late), (RefusalReason::HoldExpired, "payment_id"));
    let voided = operator.payments.clone().void_payment(void("v", &waits.payment_id)).await.unwrap();
    assert_eq!(paid(&voided.into_inner().outcome.unwrap()).state(), PaymentState::Voided);
    assert_eq!(sweep_twice().await, 0);
    let effective = operator.settings.clone();
    let wallet = Some(name("bob"));
    let request = proto::GetEffectiveParametersRequest { wallet, ..Default::default() };
    let found = effective.clone().get_effective_parameters(request).await.unwrap().into_inner().parameters;
    let named = |one: &&proto::EffectiveParameter| {
        one.setting.as_ref().unwrap().name() == proto::ParameterName::HoldOverdueAction
    };
    let found = found.iter().find(named).unwrap();
    assert_eq!(found.level(), proto::ParameterLevel::Tenant);
    let value = found.setting.clone().unwrap().value;
    assert_eq!(value, Some(proto::setting::Value::OverdueAction(OverdueAction::Alert.into())));
    // A decision for all: the engine that sweeps has not heard of it before.
    set_action(&admin, tenant(), OverdueAction::Reverse).await;
    assert_eq!(sweep(&world.engines[1].engine).await.unwrap().expired, 1);
    assert_eq!(operator.read_payment(&other).await.state(), PaymentState::Expired);
    let unknown = proto::Setting {
        name: proto::ParameterName::HoldOverdueAction.into(),
        value: Some(proto::setting::Value::OverdueAction(3)),
        ..Default::default()
    };
    let scope = Some(proto::SettingsScope { scope: Some(tenant()) });
    let request = proto::PutSettingsRequest { scope, settings: vec![unknown] };
    let refused = admin.settings.clone().put_settings(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["settings[0].overdue_action"]);
    world.assert_balanced().await;
    println!(
        "holds: 2 left by two engines' sweeps, 1 of another class given back, 1 voided, 1 decided by the parameter"
    );
}
