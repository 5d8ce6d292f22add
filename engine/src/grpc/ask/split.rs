//! One amount for several receivers. The parts are linked payments, whose ids follow from the key of the whole and
//! never meet those of keys that a caller chooses.

use payplane_ledger::{Kind, LINKED_ITEMS_MAX, OperationId, Request, Sign};
use payplane_proto::v1::{self as proto, split_part::Share};

use super::{
    Asker, Group, Texts, items, party,
    payment::{Parties, payer},
    shared,
};
use crate::grpc::decode::{self, Path, Violations};

/// Leaves room for the number of the part.
const KEY_CHARS_MAX: usize = 250;

pub(in crate::grpc) fn split(
    asker: &Asker,
    request: proto::SplitPaymentRequest,
    violations: &mut Violations,
) -> Option<Group> {
    let proto::SplitPaymentRequest { idempotency_key, from, amount, parts, reference, origin_ref } = request;
    let root = Path::Root;
    if KEY_CHARS_MAX < idempotency_key.len() {
        decode::key(root.at("idempotency_key"), &idempotency_key, KEY_CHARS_MAX, violations);
        return None;
    }
    let texts = Texts::usual(idempotency_key, reference, origin_ref);
    let whole = asker.draft(Kind::Pay, root, texts, violations);
    let money = decode::money(root.at("amount"), amount.as_ref(), Sign::Positive, violations);
    let currency = money.map(|(_, currency)| currency);
    let from = payer(asker, root.at("from"), from.as_ref(), currency, violations);
    if parts.is_empty() || LINKED_ITEMS_MAX < parts.len() {
        violations.add(root.at("parts"), "has a wrong number of entries: expected 1 to 64");
        return None;
    }
    let receivers: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let field = root.entry("parts", index);
            decode::text(field.at("reference"), &part.reference, violations);
            party(field.at("to"), part.to.as_ref(), (asker, currency), violations)
        })
        .collect();
    let shares = shares(&parts, money, violations)?;
    let requests =
        parts.into_iter().zip(receivers).zip(shares).zip(1..).map(|(((part, to), minor), number)| {
            let parties = Parties { minor: Some(minor), currency, from, to };
            parties.fill(part_of(asker, &whole, part, number))
        });
    Some(items::tie(requests.collect::<Option<_>>()?))
}

fn part_of(asker: &Asker, whole: &Request, part: proto::SplitPart, number: u32) -> Request {
    let key = format!("{}/{number}", whole.provenance.key);
    let origin_ref = whole.provenance.origin_ref.clone();
    let reference = if part.reference.is_empty() { whole.reference.clone() } else { shared(part.reference) };
    Request {
        operation: OperationId::part(whole.operation, number),
        reference,
        provenance: asker.provenance(shared(key), origin_ref),
        ..whole.clone()
    }
}

/// What each part gets, in minor units, summing to the whole: fixed amounts first, the rest by weight.
fn shares(
    parts: &[proto::SplitPart],
    whole: Option<(i64, payplane_ledger::Currency)>,
    violations: &mut Violations,
) -> Option<Vec<i64>> {
    let mut fixed: Vec<i64> = Vec::with_capacity(parts.len());
    let mut weights: Vec<u32> = Vec::with_capacity(parts.len());
    let mut is_right = true;
    for (index, part) in parts.iter().enumerate() {
        let field = Path::Root;
        let field = field.entry("parts", index);
        let currency = whole.map(|(_, currency)| currency);
        let (amount, weight) = match &part.share {
            Some(Share::Amount(money)) => {
                let minor =
                    decode::money_in(field.at("amount"), Some(money), (Sign::Positive, currency), violations);
                (minor, Some(0))
            }
            Some(Share::Weight(weight)) => (Some(0), Some(*weight).filter(|weight| 0 < *weight)),
            None => (None, Some(0)),
        };
        if part.share.is_none() || weight.is_none() {
            violations.add(field, "has no share: expected an amount or a weight, more than zero");
        }
        is_right &= amount.is_some() && weight.is_some();
        fixed.push(amount.unwrap_or_default());
        weights.push(weight.unwrap_or_default());
    }
    let (whole, _) = whole.filter(|_| is_right)?;
    let shared = by_weight(whole, &fixed, &weights);
    if shared.is_none() {
        let description = "do not fit the whole: expected parts that sum to the amount, none of them zero";
        violations.add(Path::Root.at("parts"), description);
    }
    shared
}

fn by_weight(whole: i64, fixed: &[i64], weights: &[u32]) -> Option<Vec<i64>> {
    let taken = fixed.iter().try_fold(0_i64, |sum, part| sum.checked_add(*part))?;
    let rest = whole.checked_sub(taken)?;
    let parts: Vec<i64> = match payplane_ledger::split(rest, weights) {
        Some(shares) => fixed.iter().zip(shares).map(|(fixed, share)| fixed + share).collect(),
        None => fixed.to_vec(),
    };
    let sum = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(*part))?;
    (sum == whole && parts.iter().all(|part| 0 < *part)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::by_weight;

    #[test]
    fn parts_sum_to_the_whole_or_are_refused() {
        type Case<'a> = (i64, &'a [i64], &'a [u32], Option<Vec<i64>>);
        #[rustfmt::skip]
        let cases: [Case<'_>; 7] = [
            (100,      &[60, 40],      &[0, 0],    Some(vec![60, 40])),
            (100,      &[60, 30],      &[0, 0],    None),
            (100,      &[60, 50],      &[0, 0],    None),
            (100,      &[0, 0, 0],     &[1, 1, 1], Some(vec![34, 33, 33])),
            (100,      &[10, 0, 0],    &[0, 2, 1], Some(vec![10, 60, 30])),
            (100,      &[100, 0],      &[0, 1],    None),
            (i64::MAX, &[i64::MAX, 1], &[0, 0],    None),
        ];
        for (whole, fixed, weights, parts) in cases {
            assert_eq!(by_weight(whole, fixed, weights), parts, "{whole} {fixed:?} {weights:?}");
        }
    }
}
