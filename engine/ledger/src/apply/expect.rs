//! Conditions of a conditional payment.

use super::{money::Parties, refuse_if};
use crate::{Expect, Field, Reason, Refusal, Snapshot};

pub(super) fn refuse_unexpected(
    snapshot: &Snapshot,
    parties: Parties,
    expect: &Expect,
) -> Result<(), Refusal> {
    let Expect { from_version, to_version, from_available_min } = *expect;
    let (payer, payee) = parties.of(snapshot);
    let (payer, payee) = (&payer.balance, &payee.balance);
    let holds = from_version.is_none_or(|version| version == payer.version)
        && to_version.is_none_or(|version| version == payee.version)
        && from_available_min.is_none_or(|least| i128::from(least) <= payer.available());
    refuse_if(!holds, Reason::ConditionNotMet, Field::Expect)
}
