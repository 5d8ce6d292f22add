//! What a period is billed by: a plan that the caller gives, or what was agreed; and its parts, if it was cut.

use std::collections::BTreeMap;

use payplane_billing::{Part, Period, Plan, Statement, divide};
use payplane_ledger::{Currency, TenantId, Timestamp};

use super::BillingError;
use crate::store::{PartRow, Store, StoreError};

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
        let mut currencies = parts.iter().map(|(_, plan)| plan.terms().currency);
        let currency = currencies.next().ok_or(BillingError::NoPlan)?;
        if currencies.any(|other| other != currency) {
            return Err(StoreError::Corrupt("agreement").into());
        }
        Ok(Self { parts, currency, agreements })
    }

    /// What was used in each part: seals after the one, up to the cut of each part's end and at last to the other, and what
    /// others recorded between the two positions. What comes late is in the first part. Each seal, each event and each
    /// active wallet is in one part.
    pub(super) async fn usages(
        &self,
        store: &Store,
        tenant: TenantId,
        (after_seal, through_seal): (i64, i64),
        positions: (i64, i64),
    ) -> Result<Vec<PartRow>, BillingError> {
        let mut cuts = Vec::with_capacity(self.parts.len());
        let mut cut = after_seal;
        for (place, (part, _)) in self.parts.iter().enumerate() {
            let is_last = place + 1 == self.parts.len();
            let end = if is_last { through_seal } else { store.billing_cut(part.end).await? };
            cut = end.clamp(cut, through_seal.max(cut));
            cuts.push(cut);
        }
        let counted = store.usage_in_parts(tenant, after_seal, &cuts, self.currency).await?;
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
                if count != 0 && priced(name) {
                    usage.events.insert(name.clone(), count);
                }
            }
            before = recorded;
            let version = plan.terms().version.clone();
            rows.push(PartRow { version, start_us: part.start.0, end_us: part.end.0, through_seal, usage });
        }
        Ok(rows)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .parts
            .iter()
            .flat_map(|(_, plan)| plan.terms().events.iter().map(|price| price.name.clone()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the usage of the parts costs.
    pub(super) fn bill<'a>(&'a self, rows: &'a [PartRow]) -> Result<Statement, BillingError> {
        let part = |((period, plan), row): (&'a (Period, Plan), &'a PartRow)| {
            let length = period.end.0.saturating_sub(period.start.0);
            Part { plan, length, usage: &row.usage }
        };
        let parts: Vec<Part<'_>> = self.parts.iter().zip(rows).map(part).collect();
        Ok(Statement::of_parts(&parts)?)
    }
}
