//! Data about people, apart from the ledger.

use payplane_ledger::{TenantId, Timestamp};

use super::{
    Store, StoreError,
    wallets::{Labels, labels, labels_text},
};

const PERSONAL_DATA: &str = "select data::text, (extract(epoch from changed_at) * 1000000)::bigint \
                             from payplane.personal_data where tenant_id = $1 and subject = $2";

impl Store {
    /// Makes this the only data about a subject.
    pub async fn put_personal_data(
        &self,
        tenant: TenantId,
        subject: &str,
        data: &Labels,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        sqlx::query("select payplane.put_personal_data($1, $2, $3)")
            .bind(tenant.uuid())
            .bind(subject)
            .bind(labels_text(data)?)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// What is known about a subject, and since when.
    pub async fn personal_data(
        &self,
        tenant: TenantId,
        subject: &str,
    ) -> Result<Option<(Labels, Timestamp)>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query_as(PERSONAL_DATA).bind(tenant.uuid()).bind(subject);
        let found: Option<(String, i64)> = query.fetch_optional(view.connection()?).await?;
        view.end().await?;
        found.map(|(data, changed_us)| Ok((labels(&data)?, Timestamp(changed_us)))).transpose()
    }

    /// Erases what is known about a subject; says whether anything was.
    pub async fn erase_personal_data(&self, tenant: TenantId, subject: &str) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let erased = sqlx::query_scalar("select payplane.erase_personal_data($1, $2)")
            .bind(tenant.uuid())
            .bind(subject)
            .fetch_one(&mut *connection)
            .await?;
        Ok(erased)
    }
}
