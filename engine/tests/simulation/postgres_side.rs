//! The real database of a comparison, as its superuser sees it: filled like the stand-in, and compared with it.

use payplane_ledger::{AccountId, Scope, Setting, TenantId};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::tables::Tables;

/// The real side.
#[derive(Debug)]
pub(crate) struct Real(pub(crate) PgConnection);

impl Real {
    /// The same accounts.
    pub(crate) async fn fill(&mut self, tables: &Tables) {
        for tenant in super::fixture::tenants() {
            sqlx::query("insert into payplane.tenants (tenant_id, name) values ($1, $2)")
                .bind(tenant.uuid())
                .bind(tenant.to_string())
                .execute(&mut self.0)
                .await
                .unwrap();
        }
        for ((tenant, id), account) in &tables.accounts {
            sqlx::query(
                "insert into payplane.accounts (tenant_id, account_id, kind, currency, floor_minor, ceiling_minor, \
                 posted_debits, posted_credits, class) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(tenant.uuid())
            .bind(id.uuid())
            .bind(account.kind as i16)
            .bind(account.currency.code())
            .bind(account.floor)
            .bind(account.ceiling)
            .bind(account.balance.posted_debits)
            .bind(account.balance.posted_credits)
            .bind(&*account.class)
            .execute(&mut self.0)
            .await
            .unwrap();
        }
    }

    /// What `put_settings` does for a tenant, all scopes at once.
    pub(crate) async fn put_settings(&mut self, tenant: TenantId, settings: &[Setting]) {
        let delete = sqlx::query("delete from payplane.settings where tenant_id = $1").bind(tenant.uuid());
        delete.execute(&mut self.0).await.unwrap();
        for setting in settings {
            let scope = match &setting.scope {
                Scope::Platform | Scope::Tenant => String::new(),
                Scope::Class(class) => class.to_string(),
                Scope::Wallet(id) => id.to_string(),
            };
            sqlx::query("insert into payplane.settings values ($1, $2, $3, $4, $5, $6)")
                .bind(tenant.uuid())
                .bind(setting.scope.level() as i16)
                .bind(scope)
                .bind(setting.name as i16)
                .bind(setting.currency.map(|currency| currency.code().to_owned()).unwrap_or_default())
                .bind(setting.value)
                .execute(&mut self.0)
                .await
                .unwrap();
        }
        let next = sqlx::query("update payplane.settings_version set version = version + 1");
        next.execute(&mut self.0).await.unwrap();
    }

    /// What `put_tenant` does to the settlement account.
    pub(crate) async fn put_cap(&mut self, tenant: TenantId, account: AccountId, cap: i64) {
        sqlx::query("update payplane.accounts set floor_minor = $3 where tenant_id = $1 and account_id = $2")
            .bind(tenant.uuid())
            .bind(account.uuid())
            .bind(-cap)
            .execute(&mut self.0)
            .await
            .unwrap();
    }

    /// Every row of both sides, as far as both have it.
    pub(crate) async fn assert_equal(&mut self, tables: &Tables) {
        let _: i32 =
            sqlx::query_scalar("select payplane.seal_batches(1000)").fetch_one(&mut self.0).await.unwrap();
        let accounts = tables.accounts.iter().map(|((tenant, id), account)| {
            let balance = &account.balance;
            let totals = [
                balance.posted_debits,
                balance.posted_credits,
                balance.pending_debits,
                balance.pending_credits,
                balance.version,
                account.last.0,
                account.floor,
                account.ceiling.unwrap_or(-1),
                account.status as i64,
            ];
            format!("{tenant} {id} {totals:?}")
        });
        let query = "select tenant_id, account_id, array[posted_debits, posted_credits, pending_debits, \
                     pending_credits, version, last_operation, floor_minor, coalesce(ceiling_minor, -1), status] \
                     from payplane.accounts order by 1, 2";
        assert_eq!(self.rows(query).await, accounts.collect::<Vec<_>>(), "accounts");
        let journal = tables.journal.iter().map(|((tenant, id), decision)| {
            format!(
                "{tenant} {id} {:?}",
                [decision.sequence.0, decision.body.kind as i64, decision.body.minor]
            )
        });
        let query = "select tenant_id, operation_id, array[sequence, kind, minor] from payplane.journal order by 1, 2";
        assert_eq!(self.rows(query).await, journal.collect::<Vec<_>>(), "journal");
        let payments = tables.payments.iter().map(|((tenant, id), state)| {
            let numbers = [state.phase as i64, state.amount, state.captured, state.refunding, state.refunded];
            format!("{tenant} {id} {numbers:?}")
        });
        let query = "select tenant_id, payment_id, array[phase::bigint, amount, captured, refunding, refunded] \
                     from payplane.payments order by 1, 2";
        assert_eq!(self.rows(query).await, payments.collect::<Vec<_>>(), "payments");
        let refunds = tables.refunds.iter().map(|((tenant, id), state)| {
            format!("{tenant} {id} {:?}", [state.phase as i64, state.amount, state.version])
        });
        let query = "select tenant_id, refund_id, array[phase::bigint, amount, version] from payplane.refunds order by 1, 2";
        assert_eq!(self.rows(query).await, refunds.collect::<Vec<_>>(), "refunds");
        let usages = tables.usages.iter().map(|((tenant, subject, _), usage)| {
            format!("{tenant} {subject} {:?}", [usage.day_minor, usage.day_count, usage.version])
        });
        let query = "select tenant_id, subject, array[day_minor, day_count, version] from payplane.usages \
                     order by 1, 2, currency";
        assert_eq!(self.rows(query).await, usages.collect::<Vec<_>>(), "usages");
        let seals: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("select batch_id, link from payplane.seals order by seal")
                .fetch_all(&mut self.0)
                .await
                .unwrap();
        let expected: Vec<(i64, Vec<u8>)> =
            tables.seals.iter().map(|(batch, link)| (*batch, link.to_vec())).collect();
        assert_eq!(seals, expected, "seals");
    }

    async fn rows(&mut self, query: &'static str) -> Vec<String> {
        let rows = sqlx::query(query).fetch_all(&mut self.0).await.unwrap();
        let text = |row: &sqlx::postgres::PgRow| {
            let (tenant, id, numbers): (Uuid, Uuid, Vec<i64>) = (row.get(0), row.get(1), row.get(2));
            format!("{tenant} {id} {numbers:?}")
        };
        rows.iter().map(text).collect()
    }
}
