//! From an outcome to words.

use std::fmt::Debug;

use payplane_ledger::{After, Movement, Outcome, Refusal, Verdict};

pub(super) fn outcome(outcome: &Outcome) -> String {
    let (decision, replayed) = match outcome {
        Outcome::Declined(refusal) => {
            assert!(!refusal.reason.is_definitive(), "{refusal:?} must be stored");
            return describe(*refusal);
        }
        Outcome::Decided { decision, replayed } => (decision, *replayed),
    };
    match &decision.verdict {
        Verdict::Refused(refusal) => {
            assert!(refusal.reason.is_definitive(), "{refusal:?} must not be stored");
            let again = if replayed { "again " } else { "" };
            format!("{again}{}", describe(*refusal))
        }
        Verdict::Done { .. } if replayed => "replayed".to_owned(),
        Verdict::Done { movement, after } => done(movement, after.as_deref()),
    }
}

fn done(movement: &Movement, after: Option<&After>) -> String {
    let (posted, pending) = match movement {
        Movement::Transfer(transfer) => (transfer.posted, transfer.pending),
        _ => (0, 0),
    };
    match after {
        None => format!("moved {posted}"),
        Some(After::Payment(payment)) => format!("{} {posted} {pending:+}", snake(&payment.phase)),
        Some(After::Refund(refund, _)) => format!("{} {posted}", snake(&refund.phase)),
        Some(After::Wallet(terms)) => {
            let ceiling = terms.ceiling.map_or("none".to_owned(), |ceiling| ceiling.to_string());
            format!("changed {} {} {ceiling}", snake(&terms.status), terms.floor)
        }
    }
}

fn describe(refusal: Refusal) -> String {
    let mut text = format!("{} {}", snake(&refusal.reason), refusal.field.path());
    if let Some((name, level)) = refusal.limit {
        text += &format!(" {}@{}", name.name(), level.name());
    }
    text
}

/// `InsufficientFunds` as `insufficient_funds`.
pub(super) fn snake(word: &impl Debug) -> String {
    let mut text = String::new();
    for letter in format!("{word:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
