//! A batch that somebody made up who has the engine's login, as text of a call of commit_batch.

use payplane_ledger::{AccountId, TenantId};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// One batch with one payment; each part can be spoiled.
#[derive(Clone, Debug)]
pub(crate) struct Forgery {
    pub(crate) batch: i64,
    /// SQL: microseconds since 1970.
    pub(crate) decided_us: &'static str,
    pub(crate) root_tenants: Vec<Uuid>,
    pub(crate) row_counts: Vec<i64>,
    /// Rows of the journal.
    pub(crate) rows: Vec<Value>,
}

impl Forgery {
    /// A payment of a hundred that nothing is wrong with, as the accounts stand now.
    pub(crate) async fn of_payment(
        superuser: &mut PgConnection,
        tenant: TenantId,
        debit: AccountId,
        credit: AccountId,
    ) -> Self {
        let batch: i64 = sqlx::query_scalar("select nextval('payplane.batch_ids')")
            .fetch_one(&mut *superuser)
            .await
            .unwrap();
        let (mut row, tenant) = (row(tenant, batch), tenant.uuid());
        post(superuser, &mut row, "debit", tenant, debit.uuid()).await;
        post(superuser, &mut row, "credit", tenant, credit.uuid()).await;
        let decided_us = "extract(epoch from clock_timestamp()) * 1000000";
        Self { batch, decided_us, root_tenants: vec![tenant], row_counts: vec![1], rows: vec![row] }
    }

    /// The same with other values in some columns of its row.
    pub(crate) fn with(&self, columns: Value) -> Self {
        let mut forgery = self.clone();
        merge(&mut forgery.rows[0], columns);
        forgery
    }

    /// A payment of another amount, consistent in itself.
    pub(crate) fn of_amount(&self, minor: i64) -> Self {
        let more = |column: &str| self.rows[0][column].as_i64().unwrap() + minor - 100;
        self.with(json!({
            "minor": minor, "posted": minor, "debit_posted_debits": more("debit_posted_debits"),
            "credit_posted_credits": more("credit_posted_credits"),
        }))
    }

    pub(crate) fn call(&self) -> String {
        let Self { batch, decided_us, root_tenants, row_counts, rows } = self;
        let list = |texts: Vec<String>| texts.join(",");
        let tenants = list(root_tenants.iter().map(|id| format!("'{id}'")).collect());
        let roots = list(root_tenants.iter().map(|_| "sha256('')".to_owned()).collect());
        let counts = list(row_counts.iter().map(i64::to_string).collect());
        let rows = Value::from(rows.clone()).to_string().replace('\'', "''");
        format!(
            "select payplane.commit_batch(null, null, {batch}, ({decided_us})::bigint, \
             (select version from payplane.settings_version), sha256(''), array[{tenants}]::uuid[], \
             array[{roots}]::bytea[], array[{counts}]::integer[], \
             array(select jsonb_populate_record(null::payplane.journal, r) from jsonb_array_elements('{rows}') r), \
             '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
        )
    }
}

fn row(tenant: TenantId, batch: i64) -> Value {
    json!({
        "tenant_id": tenant.uuid(), "operation_id": Uuid::new_v4(), "sequence": batch * 1024, "kind": 1, "origin": 1,
        "minor": 100, "posted": 100, "pending": 0, "currency": "USD", "key": "forged", "reference": "",
        "origin_ref": "", "actor": "thief", "correlation_id": "",
    })
}

/// One side of the row, as it follows from the account.
async fn post(superuser: &mut PgConnection, row: &mut Value, side: &str, tenant: Uuid, account: Uuid) {
    let found: (i64, i64, i64, i64, i64, i64) = sqlx::query_as(
        "select posted_debits, posted_credits, pending_debits, pending_credits, version, last_operation \
         from payplane.accounts where tenant_id = $1 and account_id = $2",
    )
    .bind(tenant)
    .bind(account)
    .fetch_one(superuser)
    .await
    .unwrap();
    let (debits, credits, pending_debits, pending_credits, version, last) = found;
    let (more_debits, more_credits) = if side == "debit" { (100, 0) } else { (0, 100) };
    for (column, value) in [
        ("posted_debits", debits + more_debits),
        ("posted_credits", credits + more_credits),
        ("pending_debits", pending_debits),
        ("pending_credits", pending_credits),
        ("version", version + 1),
        ("previous", last),
    ] {
        row[format!("{side}_{column}")] = value.into();
    }
    row[format!("{side}_account")] = account.to_string().into();
}

fn merge(row: &mut Value, columns: Value) {
    if let (Value::Object(row), Value::Object(columns)) = (row, columns) {
        row.extend(columns);
    }
}

/// What no error has as its SQLSTATE.
const COMMITTED: &str = "00000";

/// The SQLSTATE that a transaction with this statement ends with, at the latest when it is committed.
pub(crate) async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let mut transaction = connection.begin().await.unwrap();
    let result = transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await;
    let error = match result {
        Err(error) => {
            transaction.rollback().await.unwrap();
            error
        }
        Ok(_) => match transaction.commit().await {
            Err(error) => error,
            Ok(()) => return COMMITTED.to_owned(),
        },
    };
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

/// A hash over every row of every table.
pub(crate) async fn row_hash(superuser: &mut PgConnection) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select oid::regclass::text from pg_class where relnamespace = 'payplane'::regnamespace and relkind = 'r'",
    )
    .fetch_all(&mut *superuser)
    .await
    .unwrap();
    let rows = |table: &String| format!("select '{table}' || t::text from {table} t");
    let rows: Vec<String> = tables.iter().map(rows).collect();
    let hash = format!("select md5(string_agg(r, '|' order by r)) from ({}) a (r)", rows.join(" union all "));
    sqlx::query_scalar(AssertSqlSafe(hash)).fetch_one(superuser).await.unwrap()
}
