//! Payments: made at once or held, and what is done to them later.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use payplane_proto::v1 as proto;
use proto::payment_service_client::PaymentServiceClient;

use super::{Engine, EngineError, Refusal, WalletRef, channel, convert, fault};

/// What the operator asks to be paid or held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentRequest {
    /// Namespace that the request speaks for.
    pub namespace: String,
    /// What makes it the same payment wherever it is applied.
    pub key: String,
    /// Who pays.
    pub from: WalletRef,
    /// Who is paid.
    pub to: WalletRef,
    /// How much.
    pub amount: Amount,
    /// Free text.
    pub reference: String,
    /// UID of the object that asks.
    pub origin_ref: String,
    /// Set if the money is held, not moved.
    pub hold: Option<HoldTerms>,
    /// Labels to find it by.
    pub metadata: BTreeMap<String, String>,
    /// What is paid beside the amount, all or nothing.
    pub fees: Vec<FeeRequest>,
    /// The person who asks. None where nobody says so.
    pub requester: Option<String>,
    /// Who approved it.
    pub approver: Option<String>,
    /// Since when it is asked for.
    pub asked: Asked,
    /// Asks for what can never be, so that the key is spent on a refusal if nobody has used it.
    pub never: bool,
}

/// Something that is paid beside the amount, by the same payer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeeRequest {
    /// Who is paid.
    pub to: WalletRef,
    /// How much.
    pub amount: Amount,
    /// Free text.
    pub reference: String,
}

/// What became of a fee.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fee {
    /// Id of its payment in the ledger; also set when refused.
    pub payment_id: String,
    /// What moved; None if nothing did.
    pub amount: Option<String>,
}

/// An amount of money.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Amount {
    /// Decimal string.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
}

/// Terms of a hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HoldTerms {
    /// How long; None means as long as the parameters say.
    pub timeout_seconds: Option<i64>,
    /// When the hold takes itself.
    pub capture_at: Option<Timestamp>,
}

/// What is done to a payment that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepRequest {
    /// Namespace that the request speaks for.
    pub namespace: String,
    /// Id of the payment.
    pub payment_id: String,
    /// UID of the object that asks.
    pub origin_ref: String,
    /// What makes it the same step whoever asks for it.
    pub key: String,
    /// What to do.
    pub step: Step,
    /// Since when it is asked for.
    pub asked: Asked,
}

/// Since when something is asked for, in case the ledger was restored since. The default asks for it whatever was before.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// When the object was made, by the API server's clock.
    pub at: Option<Timestamp>,
    /// The ledger's epoch in which somebody wants it done again.
    pub replay: Option<String>,
}

/// What can be done to a hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Take some of it.
    Capture {
        /// How much.
        amount: Amount,
        /// Whether the rest is given back.
        is_final: bool,
    },
    /// Give back what is left of it.
    Void,
}

/// What became of a requested payment, or of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Id in the ledger; also set when refused.
    pub payment_id: String,
    /// UID of the object that asked first.
    pub origin_ref: String,
    /// Whether the key was decided before: then this is how the payment was right after that decision.
    pub replayed: bool,
    /// Who approved what was decided first; empty if nobody did.
    pub approver: String,
    /// What became of the fees, in their order. Empty of a step and of a look.
    pub fees: Vec<Fee>,
    /// The payment, or why there is none.
    pub result: Result<Payment, Refusal>,
}

/// What changed about payments and refunds of custom resources.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changes {
    /// Everything up to this seal is told.
    pub seal: i64,
    /// Ids of the payments and refunds that were made or acted on.
    pub subjects: Vec<String>,
}

/// A payment in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Where in its life it is.
    pub phase: Phase,
    /// Under which key it was made. Of a step's answer the step's key.
    pub key: String,
    /// Whether custom resources made it.
    pub is_of_resource: bool,
    /// Id of the wallet that is paid.
    pub to_wallet_id: String,
    /// What was held or moved.
    pub amount: Amount,
    /// What moved so far.
    pub captured: String,
    /// What was given back by refunds.
    pub refunded: String,
    /// What is still held.
    pub held: String,
    /// Until when it can be captured.
    pub deadline: Option<Timestamp>,
    /// When it takes itself.
    pub capture_at: Option<Timestamp>,
    /// What payer and payee had available right after the operation; None if it changed neither.
    pub available: Option<(String, String)>,
    /// When the ledger decided the operation.
    pub decided_at: Option<Timestamp>,
}

/// Where in its life a payment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Held.
    Pending,
    /// In the hands of an external gateway.
    Processing,
    /// Money moved, nothing is held.
    Completed,
    /// Failed by the gateway.
    Failed,
    /// Given back.
    Voided,
    /// Given back by its deadline.
    Expired,
}

impl Payment {
    /// Whether more can become of it by itself or by its owner.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Processing)
    }
}

impl Engine {
    /// Makes the payment or the hold, or finds what became of it.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn make_payment(&self, request: &PaymentRequest) -> Result<Outcome, EngineError> {
        let outcome = match &request.hold {
            None if !request.fees.is_empty() => {
                let message = asked(request, convert::linked_request(request))?;
                let answer = self.payments().create_linked(message).await;
                return convert::made_together(answer.map_err(fault::from_status)?.into_inner().outcomes);
            }
            None => {
                let message = asked(request, convert::payment_request(request))?;
                let answer = self.payments().create_payment(message).await;
                answer.map_err(fault::from_status)?.into_inner().outcome
            }
            Some(hold) => {
                let message = asked(request, convert::hold_request(request, hold))?;
                let answer = self.payments().authorize_payment(message).await;
                answer.map_err(fault::from_status)?.into_inner().outcome
            }
        };
        convert::made(outcome, request.hold.is_some())
    }

    /// Does one step, or finds what became of it.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn step_payment(&self, request: &StepRequest) -> Result<Outcome, EngineError> {
        let namespace = Some(&*request.namespace);
        let outcome = match &request.step {
            Step::Capture { amount, is_final } => {
                let body = convert::capture_request(request, amount, *is_final);
                let answer =
                    self.payments().capture_payment(channel::asked(body, namespace, &request.asked)?).await;
                answer.map_err(fault::from_status)?.into_inner().outcome
            }
            Step::Void => {
                let body = convert::void_request(request);
                let answer = self.payments().void_payment(channel::request(body, namespace)?).await;
                answer.map_err(fault::from_status)?.into_inner().outcome
            }
        };
        convert::outcome(outcome)
    }

    /// The payment as it stands, or the refusal that is stored under its id. None if the tenant has no such payment.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get_payment(&self, namespace: &str, id: &str) -> Result<Option<Outcome>, EngineError> {
        let message = channel::request(proto::GetPaymentRequest { id: id.into() }, Some(namespace))?;
        match self.payments().get_payment(message).await {
            Ok(answer) => convert::outcome(answer.into_inner().outcome).map(Some),
            Err(status) => fault::absent(status),
        }
    }

    /// What changes about the payments and refunds of custom resources of the namespace's tenant, whoever changes it, after
    /// this seal; from now on if there is none. Ends after a while.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn watch_changes(
        &self,
        namespace: &str,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Changes, EngineError>> + use<>, EngineError> {
        let body = proto::WatchPaymentsRequest {
            start_seal: after.map_or(0, |seal| seal + 1),
            subject_origin: proto::Origin::Resource.into(),
        };
        let answer = self.payments().watch_payments(channel::request(body, Some(namespace))?).await;
        let answers = answer.map_err(fault::from_status)?.into_inner();
        Ok(answers.map(|answer| answer.map(convert::changes).map_err(fault::from_status)))
    }

    pub(super) fn payments(
        &self,
    ) -> PaymentServiceClient<
        tonic::service::interceptor::InterceptedService<tonic::transport::Channel, super::Token>,
    > {
        PaymentServiceClient::new(self.channel.clone())
    }
}

/// The message for the request's namespace, on behalf of who asks.
fn asked<T>(request: &PaymentRequest, body: T) -> Result<tonic::Request<T>, EngineError> {
    let message = channel::asked(body, Some(&request.namespace), &request.asked)?;
    match &request.requester {
        Some(requester) => channel::on_behalf_of(message, requester),
        None => Ok(message),
    }
}
