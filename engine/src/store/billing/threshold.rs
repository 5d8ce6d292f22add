//! Thresholds that were reached: facts, each stored once.

use payplane_billing::{METRICS, Measure, Period, Threshold};
use payplane_ledger::{Currency, TenantId, Timestamp};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// A threshold that was reached in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedThreshold {
    /// Follows from what it is about.
    pub id: Uuid,
    /// For lists: grows, with gaps.
    pub number: i64,
    /// What people call it.
    pub name: String,
    /// What was compared.
    pub measure: Measure,
    /// With this decimal.
    pub bound: String,
    /// What there was when it was noticed.
    pub value: String,
    /// What was billed.
    pub currency: Currency,
    /// In which period.
    pub period: Period,
    /// Counted up to this seal.
    pub seal: i64,
    /// When it was noticed, by the database's clock.
    pub at: Timestamp,
}

/// What is asked about: the period, what is billed in it, and up to which seal it was counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) period: Period,
    pub(crate) currency: Currency,
    pub(crate) seal: i64,
}

const LIST: &str = "select t.* from payplane.reached_thresholds t \
                    where t.tenant_id = $1 and t.number <= $2 order by t.number desc limit $3";

impl Store {
    /// Stores those that are reached, with what there is, unless they are known; gives all of the asked ones that are known then.
    pub(crate) async fn note_thresholds(
        &self,
        tenant: TenantId,
        counting: Counting,
        asked: Vec<Uuid>,
        reached: &[(Uuid, &Threshold, String)],
    ) -> Result<Vec<ReachedThreshold>, StoreError> {
        let metric = |measure: &Measure| match measure {
            Measure::Metric(metric) => Some(*metric as i16),
            Measure::Accrued | Measure::Event(_) => None,
        };
        let event = |measure: &Measure| match measure {
            Measure::Event(name) => Some(name.clone()),
            Measure::Accrued | Measure::Metric(_) => None,
        };
        let thresholds = || reached.iter().map(|(_, threshold, _)| *threshold);
        let mut connection = self.connection().await?;
        let query =
            "select * from payplane.note_thresholds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let query = sqlx::query_as(query)
            .bind(tenant.uuid())
            .bind(asked)
            .bind(reached.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
            .bind(thresholds().map(|threshold| threshold.name().to_owned()).collect::<Vec<_>>())
            .bind(thresholds().map(|threshold| metric(threshold.measure())).collect::<Vec<_>>())
            .bind(thresholds().map(|threshold| event(threshold.measure())).collect::<Vec<_>>())
            .bind(thresholds().map(|threshold| threshold.bound().to_owned()).collect::<Vec<_>>())
            .bind(reached.iter().map(|(.., value)| value.clone()).collect::<Vec<_>>())
            .bind(counting.currency.code())
            .bind(counting.period.start.0)
            .bind(counting.period.end.0)
            .bind(counting.seal);
        Ok(query.fetch_all(&mut *connection).await?)
    }

    /// A tenant's reached thresholds from a number downwards, and where the next page starts.
    pub async fn reached_thresholds(
        &self,
        tenant: TenantId,
        start: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<ReachedThreshold>, Option<i64>), StoreError> {
        let mut view = self.view(tenant).await?;
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let query = sqlx::query_as(LIST).bind(tenant.uuid()).bind(start.unwrap_or(i64::MAX)).bind(wanted);
        let mut found: Vec<ReachedThreshold> = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let next = found.get(limit).map(|reached| reached.number);
        found.truncate(limit);
        Ok((found, next))
    }
}

impl FromRow<'_, PgRow> for ReachedThreshold {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let corrupt = |what: &'static str| sqlx::Error::Decode(what.into());
        let metric = row.try_get::<Option<i16>, _>("metric")?;
        let measure = match (metric, row.try_get("event")?) {
            (None, None) => Measure::Accrued,
            (None, Some(event)) => Measure::Event(event),
            (Some(number), _) => {
                let known = METRICS.into_iter().find(|metric| *metric as i16 == number);
                Measure::Metric(known.ok_or_else(|| corrupt("metric"))?)
            }
        };
        Ok(Self {
            id: row.try_get("threshold_id")?,
            number: row.try_get("number")?,
            name: row.try_get("name")?,
            measure,
            bound: row.try_get("bound")?,
            value: row.try_get("value")?,
            currency: Currency::parse(row.try_get("currency")?).map_err(|_| corrupt("currency"))?,
            period: Period {
                start: Timestamp(row.try_get("start_us")?),
                end: Timestamp(row.try_get("end_us")?),
            },
            seal: row.try_get("seal")?,
            at: Timestamp(row.try_get("reached_us")?),
        })
    }
}
