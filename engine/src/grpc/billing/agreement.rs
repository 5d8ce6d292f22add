//! Agreeing on plans.

use payplane_billing::Plan;
use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use tonic::Status;

use super::{of_its_own, plan};
use crate::{
    billing::{self, Pricing},
    grpc::{
        Api,
        decode::{Path, Violations},
        encode, status,
    },
    store::Agreed,
};

/// A plan that was given, or what was agreed.
pub(super) const fn pricing(plan: Option<&Plan>) -> Pricing<'_> {
    match plan {
        Some(plan) => Pricing::Given(plan),
        None => Pricing::Agreed,
    }
}

impl Api {
    pub(super) async fn agree(
        &self,
        tenant: TenantId,
        request: proto::AgreePlanRequest,
    ) -> Result<proto::AgreePlanResponse, Status> {
        let mut violations = Violations::default();
        let plan = plan::plan(request.plan.as_ref(), &mut violations);
        let cycle = plan::cycle(request.cycle.as_ref(), &mut violations);
        let is_now = match request.start() {
            proto::PlanStart::NextPeriod => false,
            proto::PlanStart::Now => true,
            proto::PlanStart::Unspecified => {
                violations.add(Path::Root.at("start"), "is unknown: expected a value of PlanStart");
                false
            }
        };
        let (plan, (cycle, begin)) = violations.finish(plan.zip(cycle))?;
        let store = self.engine.store.clone();
        let agreed = of_its_own(async move {
            let period_from = |start| cycle.period_from(start);
            billing::agree(&store, tenant, (&plan, is_now), (begin, period_from)).await
        });
        let (effective, changed) = match agreed.await? {
            Agreed::Now(effective) => (effective, true),
            Agreed::Before(effective) => (effective, false),
            Agreed::OtherTerms => return Err(status::version_taken()),
            Agreed::OtherCurrency => return Err(status::currency_changed()),
            Agreed::TooManyCuts => return Err(status::too_many_changes()),
        };
        Ok(proto::AgreePlanResponse { effective_time: Some(encode::timestamp(effective)), changed })
    }
}
