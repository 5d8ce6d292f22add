//! Refunds.

use jiff::Timestamp;
use payplane_proto::v1 as proto;

use super::{Amount, Asked, Engine, EngineError, Refusal, channel, convert, fault};

/// What the operator asks to be given back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundRequest {
    /// Namespace that the request speaks for.
    pub namespace: String,
    /// What makes it the same refund wherever it is applied.
    pub key: String,
    /// Id of the payment.
    pub payment_id: String,
    /// How much; None means all that is left.
    pub amount: Option<Amount>,
    /// Free text.
    pub reference: String,
    /// UID of the object that asks.
    pub origin_ref: String,
    /// The person who asks. None where nobody says so.
    pub requester: Option<String>,
    /// Since when it is asked for.
    pub asked: Asked,
}

/// What one person decides about another one's refund.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DecisionRequest {
    /// Namespace that the request speaks for.
    pub namespace: String,
    /// What makes it the same decision wherever it is applied.
    pub key: String,
    /// Id of the refund.
    pub refund_id: String,
    /// UID of the object that decides.
    pub origin_ref: String,
    /// The person who decides.
    pub approver: String,
    /// Whether the answer is yes.
    pub approves: bool,
}

/// What became of a requested refund.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundOutcome {
    /// Id in the ledger; also set when refused.
    pub refund_id: String,
    /// UID of the object that asked first.
    pub origin_ref: String,
    /// Whether the key was decided before: then this is how the refund was right after that decision.
    pub replayed: bool,
    /// The refund, or why there is none.
    pub result: Result<Refund, Refusal>,
}

/// A refund in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Refund {
    /// Where in its life it is.
    pub phase: RefundPhase,
    /// Id of the payment.
    pub payment_id: String,
    /// What is given back.
    pub amount: Amount,
    /// Under which key it was asked for. Of a decision's answer the decision's key.
    pub key: String,
    /// Whether custom resources asked for it.
    pub is_of_resource: bool,
    /// Who asked for it.
    pub requester: String,
    /// Who approved or rejected it; empty if nobody did.
    pub approver: String,
    /// What giver and getter had available right after the operation; None if it moved nothing.
    pub available: Option<(String, String)>,
    /// When the ledger decided the request.
    pub decided_at: Option<Timestamp>,
}

/// Where in its life a refund is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefundPhase {
    /// Waits for approval.
    Requested,
    /// Approved, on its way.
    Approved,
    /// Given back.
    Completed,
    /// Somebody said no.
    Rejected,
    /// Approved, but the payee had too little.
    Failed,
}

impl Engine {
    /// Gives back or asks for approval, or finds what became of it.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn refund_payment(&self, request: &RefundRequest) -> Result<RefundOutcome, EngineError> {
        let message =
            channel::asked(convert::refund_request(request), Some(&request.namespace), &request.asked)?;
        let message = match &request.requester {
            Some(requester) => channel::on_behalf_of(message, requester)?,
            None => message,
        };
        let answer = self.payments().refund_payment(message).await;
        convert::refunded(answer.map_err(fault::from_status)?.into_inner().outcome)
    }

    /// Approves or rejects a refund, or finds what became of it.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn decide_refund(&self, request: &DecisionRequest) -> Result<RefundOutcome, EngineError> {
        let DecisionRequest { namespace, approver, approves, .. } = request;
        let outcome = if *approves {
            let message = channel::request(convert::approval_request(request), Some(namespace))?;
            let answer = self.payments().approve_refund(channel::on_behalf_of(message, approver)?).await;
            answer.map_err(fault::from_status)?.into_inner().outcome
        } else {
            let message = channel::request(convert::rejection_request(request), Some(namespace))?;
            let answer = self.payments().reject_refund(channel::on_behalf_of(message, approver)?).await;
            answer.map_err(fault::from_status)?.into_inner().outcome
        };
        convert::refunded(outcome)
    }

    /// The refund as it stands, or the refusal that is stored under its id. None if the tenant has no such refund.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get_refund(&self, namespace: &str, id: &str) -> Result<Option<RefundOutcome>, EngineError> {
        let message = channel::request(proto::GetRefundRequest { id: id.into() }, Some(namespace))?;
        match self.payments().get_refund(message).await {
            Ok(answer) => convert::refunded(answer.into_inner().outcome).map(Some),
            Err(status) => fault::absent(status),
        }
    }
}
