//! Parameters.

use std::collections::BTreeMap;

use payplane_ledger::{
    Currency, HOLD_TIMEOUT_DEFAULT_US, Level, OVERDUE_ACTIONS, OverdueAction, PARAMETER_NAMES, ParameterName,
    Parameters, Scope, Setting, Sign,
};
use payplane_proto::v1::{
    self as proto, setting::Value, settings_scope::Scope as Wanted, settings_service_server::SettingsService,
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    ask::{self, Asker},
    decode::{self, Path, Violations},
    encode, status,
};
use crate::{
    auth::Role,
    engine::detached,
    store::{SettingsChange, TENANT_SETTINGS_MAX},
};

const SETTINGS_MAX: usize = 200;
const DURATION_DAYS_MAX: i64 = 3_653;

#[tonic::async_trait]
impl SettingsService for Api {
    async fn put_settings(
        &self,
        request: Request<proto::PutSettingsRequest>,
    ) -> Result<Response<proto::PutSettingsResponse>, Status> {
        let asker = self.asker(&request).await?;
        let proto::PutSettingsRequest { scope, settings } = request.into_inner();
        let mut violations = Violations::default();
        if matches!(scope_of(scope.as_ref()), Some(Wanted::Platform(_))) {
            asker.need(Role::Platform, &mut violations);
        }
        let values = read_all(scope.as_ref(), &settings, &mut violations);
        let scope = self.scope(&asker, scope.as_ref(), violations).await?;
        let setting = |((name, currency), value)| Setting { name, scope: scope.clone(), currency, value };
        let wanted: Vec<Setting> = values.into_iter().map(setting).collect();
        let (store, tenant) = (self.engine.store.clone(), asker.tenant);
        let done = detached(async move { store.put_settings(tenant, &scope, &wanted).await }).await;
        match done.map_err(|error| status::of_store(&error))? {
            SettingsChange::TooMany => Err(status::too_many_settings(TENANT_SETTINGS_MAX)),
            change => {
                let changed = change == SettingsChange::Changed;
                Ok(Response::new(proto::PutSettingsResponse { changed }))
            }
        }
    }

    async fn get_settings(
        &self,
        request: Request<proto::GetSettingsRequest>,
    ) -> Result<Response<proto::GetSettingsResponse>, Status> {
        let asker = self.asker(&request).await?;
        let scope = request.into_inner().scope;
        let scope = self.scope(&asker, scope.as_ref(), Violations::default()).await?;
        let mut found = self.all_settings(&asker).await?;
        // What follows from a debt was set by nobody.
        found.retain(|setting| setting.scope == scope && setting.name.is_settable());
        found.sort_by_key(|setting| (setting.name, setting.currency));
        let settings = found.iter().map(encode::setting).collect();
        Ok(Response::new(proto::GetSettingsResponse { settings }))
    }

    async fn get_effective_parameters(
        &self,
        request: Request<proto::GetEffectiveParametersRequest>,
    ) -> Result<Response<proto::GetEffectiveParametersResponse>, Status> {
        let asker = self.asker(&request).await?;
        let proto::GetEffectiveParametersRequest { wallet, currency } = request.into_inner();
        let row = self.wallet(&asker, wallet.as_ref(), &currency, Violations::default()).await?;
        let parameters = Parameters::new(self.all_settings(&asker).await?);
        let holds = |name: &ParameterName| {
            let found = parameters.find(*name, row.id, &row.account);
            let found = found.map(|(value, level)| (value, Some(level))).or_else(|| built_in(*name))?;
            Some(encode::effective(*name, found, row.account.currency))
        };
        let parameters = PARAMETER_NAMES.iter().filter_map(holds).collect();
        Ok(Response::new(proto::GetEffectiveParametersResponse { parameters }))
    }
}

impl Api {
    async fn all_settings(&self, asker: &Asker) -> Result<Vec<Setting>, Status> {
        let (store, tenant) = (self.engine.store.clone(), asker.tenant);
        let found = detached(async move { store.settings(tenant).await }).await;
        found.map_err(|error| status::of_store(&error))
    }

    /// A wallet has to exist: settings for one that does not would never be found again.
    async fn scope(
        &self,
        asker: &Asker,
        scope: Option<&proto::SettingsScope>,
        mut violations: Violations,
    ) -> Result<Scope, Status> {
        let field = Path::Root;
        let field = field.at("scope");
        match scope_of(scope) {
            Some(Wanted::Platform(_)) => violations.finish(Some(Scope::Platform)),
            Some(Wanted::Tenant(_)) => violations.finish(Some(Scope::Tenant)),
            Some(Wanted::WalletClass(class)) => {
                decode::wallet_class(field.at("wallet_class"), class, &mut violations);
                if class.is_empty() {
                    violations.add(field.at("wallet_class"), "is empty: expected the name of a class");
                }
                violations.finish(Some(Scope::Class(class.as_str().into())))
            }
            Some(Wanted::Wallet(reference)) => {
                let wallet = field.at("wallet");
                if ask::is_own_account(Some(reference)) {
                    violations.add(wallet, "is one of the tenant's own accounts: expected a name or an id");
                }
                let found = ask::wallet_ref(wallet, Some(reference), (asker, None), &mut violations);
                let found = self.find(asker.tenant, violations.finish(found)?).await?;
                found.map(|row| Scope::Wallet(row.id)).ok_or_else(|| status::not_found("wallet"))
            }
            None => {
                violations.add(field, "is missing: expected platform, tenant, wallet_class or wallet");
                violations.finish(None)
            }
        }
    }
}

fn scope_of(scope: Option<&proto::SettingsScope>) -> Option<&Wanted> {
    scope.and_then(|scope| scope.scope.as_ref())
}

/// What holds where nothing is set.
fn built_in(name: ParameterName) -> Option<(i64, Option<Level>)> {
    match name {
        ParameterName::HoldTimeout => Some((HOLD_TIMEOUT_DEFAULT_US, None)),
        ParameterName::HoldOverdueAction => Some((OverdueAction::Reverse as i64, None)),
        _ => None,
    }
}

type Values = BTreeMap<(ParameterName, Option<Currency>), i64>;

fn read_all(
    scope: Option<&proto::SettingsScope>,
    settings: &[proto::Setting],
    violations: &mut Violations,
) -> Values {
    let root = Path::Root;
    if SETTINGS_MAX < settings.len() {
        violations.add(root.at("settings"), "has too many entries: expected at most 200");
        return Values::new();
    }
    let is_narrow = matches!(scope_of(scope), Some(Wanted::WalletClass(_) | Wanted::Wallet(_)));
    let mut values = Values::new();
    for (index, setting) in settings.iter().enumerate() {
        let field = root.entry("settings", index);
        let Some((name, currency, value)) = read(field, setting, violations) else { continue };
        if is_narrow && is_of_tenant(name) {
            violations
                .add(field.at("name"), "is for a whole tenant: expected it at the platform or the tenant");
        }
        if values.insert((name, currency), value).is_some() {
            violations.add(field, "is listed twice: expected one entry per name and currency");
        }
    }
    values
}

fn read(
    field: Path<'_>,
    setting: &proto::Setting,
    violations: &mut Violations,
) -> Option<(ParameterName, Option<Currency>, i64)> {
    let name = PARAMETER_NAMES.into_iter().find(|name| *name as i32 == setting.name && name.is_settable());
    let Some(name) = name else {
        violations.add(field.at("name"), "is unknown: expected a value of ParameterName that can be set");
        return None;
    };
    let of_currency = Some(&*setting.currency).filter(|code| !code.is_empty());
    let of_currency = of_currency.map(|code| decode::currency(field.at("currency"), code, violations));
    match &setting.value {
        Some(Value::Amount(money)) if name.is_amount() => {
            if of_currency.is_some() {
                violations.add(field.at("currency"), "is superfluous: the amount names its currency");
            }
            let (minor, currency) =
                decode::money(field.at("amount"), Some(money), Sign::NotNegative, violations)?;
            Some((name, Some(currency), minor))
        }
        Some(Value::Duration(duration)) if encode::is_duration(name) => {
            let micros = decode::duration(field.at("duration"), duration, DURATION_DAYS_MAX, violations)?;
            Some((name, of_currency.flatten(), micros))
        }
        Some(Value::OverdueAction(action)) if encode::is_action(name) => {
            let action = i64::from(*action);
            if !OVERDUE_ACTIONS.iter().any(|known| *known as i64 == action) {
                violations.add(field.at("overdue_action"), "is unknown: expected a value of OverdueAction");
            }
            Some((name, of_currency.flatten(), action))
        }
        Some(Value::Count(count))
            if !name.is_amount() && !encode::is_duration(name) && !encode::is_action(name) =>
        {
            if *count < 0 {
                violations.add(field.at("count"), "is out of range: expected zero or more");
            }
            Some((name, of_currency.flatten(), *count))
        }
        _ => {
            let kind = if name.is_amount() {
                "an amount"
            } else if encode::is_duration(name) {
                "a duration"
            } else if encode::is_action(name) {
                "an action"
            } else {
                "a count"
            };
            violations.add(field, format!("has no fitting value: expected {kind}"));
            None
        }
    }
}

const fn is_of_tenant(name: ParameterName) -> bool {
    matches!(
        name,
        ParameterName::TenantDailyAmount
            | ParameterName::TenantDailyCount
            | ParameterName::TenantMonthlyAmount
            | ParameterName::TenantMonthlyCount
    )
}
