//! StandingOrder: one Payment object per scheduled time, and a record of what came of each.
//!
//! Payments are made as objects and not as calls to the ledger, so that they are seen, waited for and retried like any
//! other. What makes a scheduled time pay once is its Payment's key, which follows from namespace, order and time alone:
//! a crash between two writes, a wiped status, a pruned Payment, another cluster or a clock that jumps back all meet the
//! same fact in the ledger. The status only saves asking; believing it wrongly can skip a payment, and never double one.
//!
//! One look makes at most one Payment: for the latest scheduled time. Those before it are missed.

mod act;
mod build;
mod observe;
mod plan;
mod report;
mod validate;

use payplane_crds::StandingOrder;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    status,
};

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The spec can never be followed; the message names the field.
    Invalid(String),
    /// The order was looked at, and this came of the time that was due.
    Followed(Box<plan::Plan>, Made),
}

/// What became of the Payment that was due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Made {
    /// None was due.
    Nothing,
    /// It is there now, under this name.
    Payment(String),
    /// Another object has its name.
    Taken(String),
    /// The API server will not have it, in its own words.
    Rejected(String),
}

impl Reconciled for StandingOrder {
    const CONCURRENCY: u16 = 8;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        if self.metadata.deletion_timestamp.is_some() {
            return Ok(Again::OnChange);
        }
        let now = jiff::Timestamp::now();
        let observed = observe::observe(self, context).await?; // reads its Payments
        let answer = match validate::validate(self, now) {
            Err(message) => Answer::Invalid(message),
            Ok(valid) => {
                let plan = plan::plan(self, &valid, &observed, now); // pure
                let made = act::act(self, context, &plan).await?; // writes one Payment, deletes old ones
                Answer::Followed(Box::new(plan), made)
            }
        };
        let status = report::report(self, &observed, &answer, now); // pure
        status::write(context, self, &status).await?;
        finish(&answer)
    }
}

/// After the status is written: when to come again.
fn finish(answer: &Answer) -> Result<Again, Error> {
    match answer {
        Answer::Invalid(_) => Ok(Again::OnChange),
        // Nobody tells when a quota has room, or when an object of somebody else goes.
        Answer::Followed(_, Made::Taken(_) | Made::Rejected(_)) => Err(Error::Missing),
        Answer::Followed(plan, Made::Nothing | Made::Payment(_)) => {
            Ok(plan::wait(plan, jiff::Timestamp::now()).map_or(Again::OnChange, Again::After))
        }
    }
}

#[cfg(test)]
mod fixture {
    //! An order and its Payments.

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    /// A moment.
    pub fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Rent on the first of each month at eight, made in June 2026, with these changes of its spec.
    pub fn order(changes: Value) -> StandingOrder {
        let mut spec = json!({
            "schedule": "0 8 1 * *",
            "template": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
        });
        spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "StandingOrder",
            "metadata": {
                "name": "rent", "namespace": "shop", "uid": "u-1", "generation": 1,
                "creationTimestamp": "2026-06-15T12:00:00Z",
            },
            "spec": spec,
        }))
        .unwrap()
    }

    /// The order's Payment of this time, settled for this reason; open for none.
    pub fn child(order: &StandingOrder, time: &str, settled: Option<&str>) -> observe::Child {
        let mut payment = build::payment(order, at(time));
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-06-15T12:00:00Z",
            })
        };
        if let Some(reason) = settled {
            let succeeded = if reason == "Completed" { "True" } else { "False" };
            let conditions =
                json!([condition("Settled", "True", reason), condition("Succeeded", succeeded, reason)]);
            payment.status = serde_json::from_value(json!({ "conditions": conditions })).unwrap();
        }
        observe::Child { time: at(time), payment }
    }
}
