//! The password of the login that is connected.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

const SET: &str = "do $$ begin execute format('alter role %I password %L', current_user, \
                   current_setting('payplane.own_password')); end $$";

/// Changes it, in the caller's transaction. The setting that holds it ends with that; it is no part of any statement's text.
pub(super) async fn set_own(transaction: &mut PgConnection, password: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('payplane.own_password', $1, true)")
        .bind(password)
        .execute(&mut *transaction)
        .await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(SET))).await?;
    Ok(())
}
