//! What a period is billed by: a plan that the caller gives, or what was agreed; and its parts, if it was cut.

use std::collections::BTreeMap;

use payplane_billing::{
    API_CALLS, Metric, Overflow, Part, Period, Plan, Statement, Usage, apportion, divide,
};
use payplane_ledger::{Currency, TenantId, Timestamp};

use super::BillingError;
use crate::store::{Document, PartRow, Store, StoreError};

/// Where the prices come from.
#[derive(Clone, Copy, Debug)]
pub enum Pricing<'a> {
    /// A plan that holds for the whole period.
    Given(&'a Plan),
    /// What was agreed with the tenant.
    Agreed,
}

impl<'a> From<&'a Plan> for Pricing<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self::Given(plan)
    }
}

/// A period with its parts. There is at least one, and all are in one currency.
#[derive(Debug)]
pub(super) struct Priced {
    parts: Vec<(Period, Plan)>,
    pub(super) currency: Currency,
    /// How many agreements are known; none if the plan was given.
    pub(super) agreements: Option<i64>,
}

impl Priced {
    pub(super) async fn find(
        store: &Store,
        tenant: TenantId,
        period: Period,
        pricing: Pricing<'_>,
    ) -> Result<Self, BillingError> {
        let (parts, agreements) = match pricing {
            Pricing::Given(plan) => (vec![(period, plan.clone())], None),
            Pricing::Agreed => {
                let found = store.agreements(tenant, period).await?;
                (divide(period, &found.agreements).ok_or(BillingError::NoPlan)?, Some(found.count))
            }
        };
        let parts: Vec<_> =
            parts.into_iter().map(|(part, plan)| (part, plan.holding_from(part.start))).collect();
        let mut currencies = parts.iter().map(|(_, plan)| plan.terms().currency);
        let currency = currencies.next().ok_or(BillingError::NoPlan)?;
        if currencies.any(|other| other != currency) {
            return Err(StoreError::Corrupt("agreement").into());
        }
        Ok(Self { parts, currency, agreements })
    }

    /// What was used in each part: seals after the one, up to the cut of each part's end and at last to the other, and what
    /// others recorded between the two positions. What comes late is in the first part. Each seal, each event and each
    /// active wallet is in one part. What is stored at the cut is shared out over the parts by time; `stored` is what was
    /// there at the cut before, zero if nobody knows.
    pub(super) async fn usages(
        &self,
        store: &Store,
        tenant: TenantId,
        (after_seal, through_seal): (i64, i64),
        positions: (i64, i64),
        stored: i64,
    ) -> Result<Vec<PartRow>, BillingError> {
        let mut cuts = Vec::with_capacity(self.parts.len());
        let mut cut = after_seal;
        for (place, (part, _)) in self.parts.iter().enumerate() {
            let is_last = place + 1 == self.parts.len();
            let end = if is_last { through_seal } else { store.billing_cut(part.end).await? };
            cut = end.clamp(cut, through_seal.max(cut));
            cuts.push(cut);
        }
        let mut counted = store.usage_in_parts(tenant, after_seal, &cuts, self.currency).await?;
        self.share_storage(store, (tenant, after_seal), stored, &mut counted).await?;
        let start = self.parts.first().map_or(Timestamp(0), |(part, _)| part.start);
        let mut before = BTreeMap::new();
        let mut rows = Vec::with_capacity(self.parts.len());
        for (((part, plan), through_seal), mut usage) in self.parts.iter().zip(cuts).zip(counted) {
            // All names of the period, so that what follows is a difference of like and like.
            let so_far = Period { start, end: part.end };
            let recorded = store.recorded_usage(tenant, positions, so_far, self.names()).await?;
            let priced = |name: &String| plan.terms().events.iter().any(|event| event.name == *name);
            for (name, count) in &recorded {
                let count = count - before.get(name).copied().unwrap_or_default();
                if name == API_CALLS {
                    usage.api_calls = count;
                } else if count != 0 && priced(name) {
                    usage.events.insert(name.clone(), count);
                }
            }
            before = recorded;
            let version = plan.terms().version.clone();
            rows.push(PartRow { version, start_us: part.start.0, end_us: part.end.0, through_seal, usage });
        }
        Ok(rows)
    }

    /// From what was added in each part to each part's share of what is stored at the end. Nothing if no part prices it.
    async fn share_storage(
        &self,
        store: &Store,
        (tenant, after_seal): (TenantId, i64),
        stored: i64,
        counted: &mut [Usage],
    ) -> Result<(), BillingError> {
        if !self.prices(Metric::Storage) {
            counted.iter_mut().for_each(|usage| usage.storage = 0);
            return Ok(());
        }
        let before = match stored {
            0 => store.stored_operations(tenant, after_seal).await?,
            known => known,
        };
        let level = counted.iter().try_fold(before, |sum, usage| sum.checked_add(usage.storage));
        let lengths: Vec<i64> = self.parts.iter().map(|(part, _)| length(*part)).collect();
        let shares = level.and_then(|level| apportion(level, &lengths)).ok_or(Overflow)?;
        for (usage, share) in counted.iter_mut().zip(shares) {
            usage.storage = share;
        }
        Ok(())
    }

    fn prices(&self, metric: Metric) -> bool {
        self.parts.iter().any(|(_, plan)| plan.terms().prices.iter().any(|price| price.metric == metric))
    }

    fn names(&self) -> Vec<String> {
        let of_events = |(_, plan): &(Period, Plan)| -> Vec<String> {
            plan.terms().events.iter().map(|price| price.name.clone()).collect()
        };
        let mut names: Vec<String> = self.parts.iter().flat_map(of_events).collect();
        if self.prices(Metric::ApiCalls) {
            names.push(API_CALLS.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What a preview's usage comes to, if it goes on as it did until now in the part that is open. Earlier parts are over.
    pub(super) fn forecast(&self, shown: &Document, now: Timestamp) -> Result<i64, Overflow> {
        let mut usages = Vec::with_capacity(self.parts.len());
        for (place, (period, _)) in self.parts.iter().enumerate() {
            // A period that is not cut has no parts in its document.
            let usage = shown.parts.get(place).map_or(&shown.usage, |part| &part.usage);
            let elapsed = now.0.saturating_sub(period.start.0);
            usages.push(usage.projected(elapsed, length(*period)).ok_or(Overflow)?);
        }
        let parts = self.parts.iter().zip(&usages);
        let parts = parts.map(|((period, plan), usage)| Part { plan, length: length(*period), usage });
        Ok(Statement::of_parts(&parts.collect::<Vec<_>>())?.total)
    }

    /// What the usage of the parts costs.
    pub(super) fn bill<'a>(&'a self, rows: &'a [PartRow]) -> Result<Statement, BillingError> {
        let part = |((period, plan), row): (&'a (Period, Plan), &'a PartRow)| Part {
            plan,
            length: length(*period),
            usage: &row.usage,
        };
        let parts: Vec<Part<'_>> = self.parts.iter().zip(rows).map(part).collect();
        Ok(Statement::of_parts(&parts)?)
    }
}

const fn length(period: Period) -> i64 {
    period.end.0.saturating_sub(period.start.0)
}

#[cfg(test)]
mod tests {
    use payplane_billing::Terms;

    /// The text that was agreed is compared with what is agreed again, so it never changes by itself.
    #[test]
    fn terms_of_before_are_written_as_they_were() {
        let text = "{\"version\":\"1\",\"currency\":\"USD\",\"base_fee\":1,\"prices\":[],\"events\":[],\"minimum\":0,\
                    \"discount\":null,\"taxes\":[]}";
        let terms: Terms = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&terms).unwrap(), text);
    }
}
