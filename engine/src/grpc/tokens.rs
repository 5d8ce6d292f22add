//! Tokens that are taken back.

use std::time::{SystemTime, UNIX_EPOCH};

use payplane_ledger::Timestamp;
use payplane_proto::v1::{self as proto, revoke_token_request::Revoked, token_service_server::TokenService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    status,
};
use crate::store::RevocationKind;

const NAME_CHARS_MAX: usize = 512;
const REASON_CHARS_MAX: usize = 256;

/// Issuers give tokens for hours, and subjects can be refused by their role for good.
const UNTIL_MAX_MICROS: i64 = 366 * 86_400 * 1_000_000;

#[tonic::async_trait]
impl TokenService for Api {
    async fn revoke_token(
        &self,
        request: Request<proto::RevokeTokenRequest>,
    ) -> Result<Response<proto::RevokeTokenResponse>, Status> {
        let call = Call::of(&request)?;
        let actor = call.on_behalf_of.unwrap_or(call.caller.subject);
        let proto::RevokeTokenRequest { revoked, until, reason } = request.into_inner();
        let mut violations = Violations::default();
        let name = name(revoked, &mut violations);
        let until = until_time(until.as_ref(), &mut violations);
        if !decode::is_printable_ascii(&reason, REASON_CHARS_MAX) {
            violations.add(
                Path::Root.at("reason"),
                "is malformed: expected at most 256 printable ASCII characters",
            );
        }
        let (kind, name) = violations.finish(name)?;
        let until = until.ok_or_else(status::no_outcome)?;
        let done = self.revocations.revoke(kind, name, until, (reason, actor)).await;
        match done.map_err(|error| status::of_store(&error))? {
            true => Ok(Response::new(proto::RevokeTokenResponse {})),
            false => Err(status::too_many_revocations()),
        }
    }
}

fn name(revoked: Option<Revoked>, violations: &mut Violations) -> Option<(RevocationKind, String)> {
    let (field, kind, name) = match revoked {
        Some(Revoked::TokenId(name)) => ("token_id", RevocationKind::Token, name),
        Some(Revoked::Subject(name)) => ("subject", RevocationKind::Subject, name),
        None => {
            violations.add(Path::Root, "is missing: expected token_id or subject");
            return None;
        }
    };
    if name.is_empty() || !decode::is_printable_ascii(&name, NAME_CHARS_MAX) {
        violations.add(Path::Root.at(field), "is malformed: expected 1 to 512 printable ASCII characters");
        return None;
    }
    Some((kind, name))
}

fn until_time(until: Option<&prost_types::Timestamp>, violations: &mut Violations) -> Option<Timestamp> {
    let micros = until.and_then(|until| {
        let nanos = i64::from(until.nanos);
        (0..1_000_000_000).contains(&nanos).then_some(())?;
        until.seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let latest = i64::try_from(now.as_micros()).unwrap_or(i64::MAX).saturating_add(UNTIL_MAX_MICROS);
    let until = micros.filter(|micros| *micros <= latest).map(Timestamp);
    if until.is_none() {
        violations.add(Path::Root.at("until"), "is missing or out of range: expected a time within a year");
    }
    until
}
