//! Between custom resources and the wire. Free functions, pure; nothing is calculated but posted = credits - debits.

use payplane_crds::{
    Tenant,
    condition::reason,
    tenant::{DefaultRole, OidcRole, Role, TenantOidc},
};
use payplane_proto::v1 as proto;

use super::{EngineError, Epoch, Refusal, Wallet, WalletRef};

mod api_key;
mod billing;
mod payment;
mod refund;
mod settings;
mod wallet;

pub(super) use api_key::{api_key_request, api_keys, end_key_request};
pub(super) use billing::{
    agree_request, agreed, close_request, closed, collect_request, collected, invoice, locale, measures,
    preview, preview_request,
};
pub(super) use payment::{
    capture_request, changes, hold_request, linked_request, made, made_together, outcome, payment_request,
    void_request,
};
pub(super) use refund::{approval_request, refund_request, refunded, rejection_request};
pub(super) use settings::{archive, hold_summary, with_hold_limits};
pub(super) use wallet::{
    change_request, changed_wallet, created_wallet, label_request, wallet, wallet_named, wallet_request,
};

pub(super) fn wallet_ref(reference: &WalletRef) -> proto::WalletRef {
    use proto::wallet_ref::Ref;
    let named = match reference {
        WalletRef::Name(name) => Ref::Name(name.clone()),
        WalletRef::Id(id) => Ref::Id(id.clone()),
        WalletRef::Settlement => Ref::Settlement(proto::Settlement {}),
    };
    proto::WalletRef { r#ref: Some(named) }
}

/// Whole seconds, as every time in a status: a comparison must not see what cannot be written.
fn time(time: Option<prost_types::Timestamp>) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(time?.seconds).ok()
}

pub(super) fn epoch(answer: proto::GetHeadResponse) -> Epoch {
    Epoch { name: answer.epoch_name, began: time(answer.epoch_begin_time) }
}

fn refusal(refused: proto::Refusal) -> Refusal {
    use proto::RefusalReason as Reason;
    let reason = match refused.reason() {
        Reason::IdempotencyConflict => reason::IDEMPOTENCY_CONFLICT,
        Reason::WalletNotFound => reason::WALLET_NOT_FOUND,
        Reason::SameWallet => reason::SAME_WALLET,
        Reason::CurrencyMismatch => reason::CURRENCY_MISMATCH,
        Reason::TenantSuspended => reason::TENANT_SUSPENDED,
        Reason::WalletClosed => reason::WALLET_CLOSED,
        Reason::WalletFrozen => reason::WALLET_FROZEN,
        Reason::WalletNotEmpty => reason::WALLET_NOT_EMPTY,
        Reason::SettlementCapExceeded => reason::SETTLEMENT_CAP_EXCEEDED,
        Reason::InsufficientFunds => reason::INSUFFICIENT_FUNDS,
        Reason::LimitExceeded => reason::LIMIT_EXCEEDED,
        Reason::MaximumExceeded => reason::MAXIMUM_EXCEEDED,
        Reason::BalanceOverflow => reason::BALANCE_OVERFLOW,
        Reason::PaymentNotFound => reason::PAYMENT_NOT_FOUND,
        Reason::HoldExpired => reason::HOLD_EXPIRED,
        Reason::WrongState => reason::WRONG_STATE,
        Reason::CaptureExceedsHold => reason::CAPTURE_EXCEEDS_HOLD,
        Reason::RefundExceedsCaptured => reason::REFUND_EXCEEDS_CAPTURED,
        Reason::RefundWindowClosed => reason::REFUND_WINDOW_CLOSED,
        Reason::ConditionNotMet => reason::CONDITION_NOT_MET,
        Reason::ApproverIsRequester => reason::APPROVER_IS_REQUESTER,
        Reason::PaymentApprovalRequired => reason::APPROVAL_REQUIRED,
        Reason::LostByRestore => reason::LOST_BY_RESTORE,
        Reason::LinkedItemDeclined | Reason::LinkedItemRefused => reason::LINKED_ITEM_REFUSED,
        // Answers to what the operator does not ask for.
        Reason::Unspecified | Reason::RefundNotFound | Reason::NotDue => reason::INVALID,
    };
    Refusal {
        reason,
        field: spec_field(&refused.field),
        message: refused.message,
        definitive: refused.definitive,
    }
}

/// Where a group as a whole is to blame.
const ALL_FEES: &str = "fees";

/// A field of a payment's fee, by its place. Its payer is the payment's: that it cannot pay so much is up to the fee.
fn fee_field(index: usize, field: &str) -> String {
    match field {
        "" | "from" => format!("fees[{index}]"),
        "idempotencyKey" | "metadata" | "approver" | ALL_FEES => field.into(),
        field => format!("fees[{index}].{field}"),
    }
}

/// Place and field of an item of a linked request: `items[1].create_payment.to`.
fn item_field(field: &str) -> Option<(usize, &str)> {
    let (index, rest) = field.strip_prefix("items[")?.split_once(']')?;
    Some((index.parse().ok()?, rest.trim_start_matches(".create_payment").trim_start_matches('.')))
}

/// A field of a request under the name that it has in the spec.
pub(super) fn spec_field(field: &str) -> String {
    if let Some(field) = billing::spec_field(field) {
        return field;
    }
    if let Some((place, field)) = item_field(field) {
        let field = spec_field(field);
        return place.checked_sub(1).map_or(field.clone(), |index| fee_field(index, &field));
    }
    let mut parts = field.trim_start_matches("tenant.").split('.');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("amount", Some("currency")) => "currency".into(),
        ("amount", _) => "amount".into(),
        ("minimum" | "maximum", Some("currency")) => "currency".into(),
        ("minimum", _) => "minimum".into(),
        ("maximum", _) => "maximum".into(),
        ("wallet_class", _) => "class".into(),
        ("idempotency_key", _) => "idempotencyKey".into(),
        ("kind", _) => "hold".into(),
        ("payment_id", _) => "payment".into(),
        ("refund_id", _) => "approves".into(),
        ("timeout", _) => "hold.timeoutSeconds".into(),
        ("capture_time", _) => "hold.captureAt".into(),
        ("from", _) => "from".into(),
        ("to", _) => "to".into(),
        ("items", None) => ALL_FEES.into(),
        ("approved_by", _) => "approver".into(),
        _ => field
            .trim_start_matches("tenant.")
            .replace("settlement_caps", "settlement")
            .replace("service_accounts", "access.serviceAccounts")
            .replace("default_role", "access.defaultRole")
            .replace("oidc.ca_pem", "oidc.caBundle")
            .replace("oidc.role_claim", "oidc.roleClaim"),
    }
}

/// None while nothing is sealed.
pub(super) fn head(answer: proto::GetHeadResponse) -> Result<Option<String>, EngineError> {
    let head = answer.head.ok_or(EngineError::Answer("no head"))?;
    Ok((0 < head.seal).then(|| format!("{}:{}", head.seal, head.link)))
}

pub(super) fn tenant_request(tenant: &Tenant) -> proto::PutTenantRequest {
    let spec = &tenant.spec;
    let caps = spec
        .settlement
        .iter()
        .map(|line| proto::Money { amount: line.cap.0.clone(), currency: line.currency.0.clone() });
    let grants = spec.access.service_accounts.iter().map(|account| proto::ServiceAccountGrant {
        namespace: account.namespace.clone(),
        name: account.name.clone(),
        role: role(account.role).into(),
    });
    proto::PutTenantRequest {
        tenant: Some(proto::Tenant {
            id: String::new(),
            name: tenant.metadata.name.clone().unwrap_or_default(),
            namespaces: spec.namespaces.iter().map(|namespace| namespace.name.clone()).collect(),
            settlement_caps: caps.collect(),
            service_accounts: grants.collect(),
            default_role: default_role(spec.access.default_role).into(),
            suspended: spec.suspend,
            rates: spec.rates.map(|rates| proto::Rates {
                calls_per_second: rates.calls_per_second.unsigned_abs(),
                burst: rates.burst.unsigned_abs(),
            }),
            oidc: spec.oidc.as_ref().map(oidc),
        }),
    }
}

fn oidc(wanted: &TenantOidc) -> proto::OidcIssuer {
    let line =
        |line: &OidcRole| proto::OidcRole { value: line.value.clone(), role: self::role(line.role).into() };
    proto::OidcIssuer {
        issuer: wanted.issuer.clone(),
        audience: wanted.audience.clone(),
        ca_pem: wanted.ca_bundle.clone().unwrap_or_default(),
        role_claim: wanted.role_claim.clone(),
        roles: wanted.roles.iter().map(line).collect(),
    }
}

/// A tenant that nobody may act for. Only its money and its history are left of it.
pub(super) fn archive_request(name: &str) -> proto::PutTenantRequest {
    let tenant = proto::Tenant { name: name.into(), suspended: true, ..Default::default() };
    proto::PutTenantRequest { tenant: Some(tenant) }
}

fn role(role: Role) -> proto::Role {
    match role {
        Role::Viewer => proto::Role::Viewer,
        Role::Operator => proto::Role::Operator,
        Role::Approver => proto::Role::Approver,
        Role::Treasury => proto::Role::Treasury,
        Role::Admin => proto::Role::Admin,
    }
}

fn default_role(role: DefaultRole) -> proto::Role {
    match role {
        DefaultRole::None => proto::Role::Unspecified,
        DefaultRole::Viewer => proto::Role::Viewer,
        DefaultRole::Operator => proto::Role::Operator,
    }
}

pub(super) fn tenant_id(answer: proto::PutTenantResponse) -> Result<String, EngineError> {
    answer.tenant.map(|tenant| tenant.id).ok_or(EngineError::Answer("no tenant"))
}

#[cfg(test)]
mod tests;
