//! Parameters and personal data: who may set what, what wins, and what is refused because of it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{
    self as proto, ParameterLevel, ParameterName, RefusalReason, payment_outcome::Result as Outcome,
    setting::Value, settings_scope::Scope,
};
use support::{
    client::{Client, code, fields, hold, name, paid, payment, refused, usd},
    world::World,
};
use tonic::Code;

fn setting(name: ParameterName, value: Value) -> proto::Setting {
    proto::Setting { name: name.into(), value: Some(value), ..Default::default() }
}

fn most(amount: &str) -> proto::Setting {
    setting(ParameterName::PaymentMaximum, Value::Amount(usd(amount)))
}

fn request(scope: Scope, settings: Vec<proto::Setting>) -> proto::PutSettingsRequest {
    proto::PutSettingsRequest { scope: Some(proto::SettingsScope { scope: Some(scope) }), settings }
}

async fn put(client: &Client, scope: Scope, settings: Vec<proto::Setting>) -> bool {
    client.settings.clone().put_settings(request(scope, settings)).await.unwrap().into_inner().changed
}

fn tenant() -> Scope {
    Scope::Tenant(proto::TenantScope {})
}

fn limit(outcome: &proto::PaymentOutcome) -> (ParameterName, ParameterLevel) {
    match &outcome.result {
        Some(Outcome::Refusal(refusal)) => {
            let limit = refusal.limit.as_ref().unwrap();
            (limit.name(), limit.level())
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_setting_wins_and_is_named() {
    let world = World::new().await;
    let (operator, admin) = (world.as_role("acme", "operator"), world.as_role("acme", "admin"));
    let classy = proto::CreateWalletRequest {
        name: "alice".to_owned(),
        currency: "USD".to_owned(),
        wallet_class: "retail".to_owned(),
        ..Default::default()
    };
    operator.wallets.clone().create_wallet(classy).await.unwrap();
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "1000.00").await;
    let platform = world.as_platform(Some("acme"));
    let levels = [
        (&platform, Scope::Platform(proto::PlatformScope {}), "400.00", ParameterLevel::Platform),
        (&admin, tenant(), "300.00", ParameterLevel::Tenant),
        (&admin, Scope::WalletClass("retail".to_owned()), "200.00", ParameterLevel::Class),
        (&admin, Scope::Wallet(name("alice")), "100.00", ParameterLevel::Wallet),
    ];
    for (client, scope, amount, level) in levels {
        assert!(put(client, scope.clone(), vec![most(amount)]).await);
        assert!(!put(client, scope.clone(), vec![most(amount)]).await);
        let get = proto::GetSettingsRequest { scope: Some(proto::SettingsScope { scope: Some(scope) }) };
        let found = operator.settings.clone().get_settings(get).await.unwrap().into_inner();
        assert_eq!(found.settings, [most(amount)]);
        let above = amount.replace(".00", ".01");
        let outcome =
            operator.pay(payment(&format!("above {amount}"), "alice", "bob", &above)).await.unwrap();
        assert_eq!(refused(&outcome), (RefusalReason::LimitExceeded, "amount.amount"));
        assert_eq!(limit(&outcome), (ParameterName::PaymentMaximum, level));
        let get = proto::GetEffectiveParametersRequest { wallet: Some(name("alice")), ..Default::default() };
        let found =
            operator.settings.clone().get_effective_parameters(get).await.unwrap().into_inner().parameters;
        assert_eq!((found[0].setting.clone(), found[0].level()), (Some(most(amount)), level));
        let hold = setting(
            ParameterName::HoldTimeout,
            Value::Duration(prost_types::Duration { seconds: 60, nanos: 0 }),
        );
        assert_eq!((found[1].setting.clone(), found[1].level()), (Some(hold), ParameterLevel::Unspecified));
    }
    assert!(put(&admin, Scope::Wallet(name("alice")), Vec::new()).await);
    paid(&operator.pay(payment("free", "alice", "bob", "200.00")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_and_deadlines_follow_their_settings() {
    let world = World::new().await;
    let (operator, admin) = (world.as_role("acme", "operator"), world.as_role("acme", "admin"));
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let minutes = Value::Duration(prost_types::Duration { seconds: 300, nanos: 0 });
    let settings = vec![
        setting(ParameterName::DailyCount, Value::Count(2)),
        setting(ParameterName::HoldTimeout, minutes),
    ];
    put(&admin, tenant(), settings).await;
    let held = operator
        .hold(proto::AuthorizePaymentRequest { timeout: None, ..hold("h", "alice", "bob", "1.00") })
        .await;
    let held = paid(&held);
    assert_eq!(held.deadline.unwrap().seconds - held.create_time.unwrap().seconds, 300);
    assert_eq!(held.deadline_level(), ParameterLevel::Tenant);
    paid(&operator.pay(payment("one", "alice", "bob", "1.00")).await.unwrap());
    let third = operator.pay(payment("two", "alice", "bob", "1.00")).await.unwrap();
    assert_eq!(limit(&third), (ParameterName::DailyCount, ParameterLevel::Tenant));
    paid(&operator.pay(payment("other way", "bob", "alice", "1.00")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_and_belong_to_one_tenant() {
    let world = World::new().await;
    let (operator, admin) = (world.as_role("acme", "operator"), world.as_role("acme", "admin"));
    operator.wallet("alice", "USD").await;
    let refused = async |client: &Client, scope, settings| {
        client.settings.clone().put_settings(request(scope, settings)).await.unwrap_err()
    };
    assert_eq!(refused(&operator, tenant(), vec![most("1.00")]).await.code(), Code::PermissionDenied);
    let platform = Scope::Platform(proto::PlatformScope {});
    assert_eq!(refused(&admin, platform, vec![most("1.00")]).await.code(), Code::PermissionDenied);
    assert_eq!(
        refused(&admin, Scope::Wallet(name("nobody")), vec![most("1.00")]).await.code(),
        Code::NotFound
    );
    let settings = vec![
        setting(ParameterName::PaymentMaximum, Value::Count(1)),
        setting(ParameterName::Unspecified, Value::Count(1)),
        setting(ParameterName::DailyCount, Value::Count(-1)),
        proto::Setting { currency: "USD".to_owned(), ..most("1.00") },
        most("2.00"),
        setting(ParameterName::TenantDailyCount, Value::Count(1)),
    ];
    let error = refused(&admin, Scope::WalletClass("retail".to_owned()), settings).await;
    let expected = [
        "settings[0]",
        "settings[1].name",
        "settings[2].count",
        "settings[3].currency",
        "settings[4]",
        "settings[5].name",
    ];
    assert_eq!(fields(&error), expected);
    let error = admin.settings.clone().put_settings(proto::PutSettingsRequest::default()).await.unwrap_err();
    assert_eq!(fields(&error), ["scope"]);

    put(&admin, tenant(), vec![most("1.00")]).await;
    let theirs = world.as_role("globex", "viewer");
    let get = proto::GetSettingsRequest { scope: Some(proto::SettingsScope { scope: Some(tenant()) }) };
    assert!(theirs.settings.clone().get_settings(get).await.unwrap().into_inner().settings.is_empty());
    let get = proto::GetEffectiveParametersRequest { wallet: Some(name("alice")), ..Default::default() };
    assert_eq!(code(theirs.settings.clone().get_effective_parameters(get).await), Code::NotFound);
    for class in 0..1_000 {
        let scope = Scope::WalletClass(format!("class-{class}"));
        let answer = admin.settings.clone().put_settings(request(scope, vec![most("1.00")])).await;
        let expected = if class < 999 { Code::Ok } else { Code::FailedPrecondition };
        assert_eq!(code(answer), expected, "{class}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_kept_apart_and_erased() {
    let world = World::new().await;
    let admin = world.as_role("acme", "admin");
    let put = |value: &str| proto::PutPersonalDataRequest {
        subject: "customer-1".to_owned(),
        data: [("name".to_owned(), value.to_owned())].into(),
    };
    let get = || proto::GetPersonalDataRequest { subject: "customer-1".to_owned() };
    let erase = || proto::ErasePersonalDataRequest { subject: "customer-1".to_owned() };
    admin.people.clone().put_personal_data(put("Ada")).await.unwrap();
    admin.people.clone().put_personal_data(put("Ada L.")).await.unwrap();
    let found = admin.people.clone().get_personal_data(get()).await.unwrap().into_inner();
    assert_eq!((&*found.data["name"], found.change_time.is_some()), ("Ada L.", true));
    let theirs = world.as_role("globex", "admin");
    assert_eq!(code(theirs.people.clone().get_personal_data(get()).await), Code::NotFound);
    assert!(!theirs.people.clone().erase_personal_data(erase()).await.unwrap().into_inner().erased);
    let treasury = world.as_role("acme", "treasury");
    assert_eq!(code(treasury.people.clone().get_personal_data(get()).await), Code::PermissionDenied);
    assert!(admin.people.clone().erase_personal_data(erase()).await.unwrap().into_inner().erased);
    assert!(!admin.people.clone().erase_personal_data(erase()).await.unwrap().into_inner().erased);
    assert_eq!(code(admin.people.clone().get_personal_data(get()).await), Code::NotFound);
    let empty = proto::PutPersonalDataRequest::default();
    assert_eq!(
        fields(&admin.people.clone().put_personal_data(empty).await.unwrap_err()),
        ["subject", "data"]
    );
}
