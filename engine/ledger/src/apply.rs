//! The rule book. Reasons are looked for in their order of precedence, the payer's side before the payee's.

use crate::{
    Account, AccountId, AccountKind, Balance, Body, Decision, Field, Outcome, Reason, Refusal, Request,
    Sequence, Snapshot, Timestamp, Verdict,
};

/// Decides one request and changes the snapshot accordingly. Equal arguments give equal results.
///
/// The caller decides at most [`BATCH_ITEMS_MAX`](crate::BATCH_ITEMS_MAX) requests against one snapshot.
pub fn apply(snapshot: &mut Snapshot, request: &Request, now: Timestamp) -> Outcome {
    if let Some(decision) = snapshot.decisions.get(&(request.tenant, request.payment)) {
        return match first_difference(snapshot, request, &decision.body) {
            None => Outcome::Decided { decision: decision.clone(), replayed: true },
            Some(field) => Outcome::Declined(Refusal { reason: Reason::IdempotencyConflict, field }),
        };
    }
    let body = match resolve(snapshot, request) {
        Ok(body) => body,
        Err(refusal) => return Outcome::Declined(refusal),
    };
    let sequence = snapshot.next_sequence();
    let verdict = match judge(snapshot, request, &body) {
        Err(refusal) => Verdict::Refused(refusal),
        // From here on nothing can fail.
        Ok((debit_after, credit_after)) => {
            post(snapshot, request, body.debit, debit_after, sequence);
            post(snapshot, request, body.credit, credit_after, sequence);
            Verdict::Completed { debit_after, credit_after }
        }
    };
    let decision =
        Decision { sequence, body, provenance: request.provenance.clone(), decided_at: now, verdict };
    Outcome::Decided { decision: snapshot.decide(request.tenant, request.payment, decision), replayed: false }
}

/// The first field in which a repeated key asks for something else. The currency comes first, because the settlement
/// account that a request means follows from it.
fn first_difference(snapshot: &Snapshot, request: &Request, body: &Body) -> Option<Field> {
    let account = |reference| snapshot.resolve(request.tenant, reference);
    let differs = [
        (Field::Currency, request.currency != body.currency),
        (Field::Amount, request.minor != body.minor),
        (Field::From, account(&request.from) != Some(body.debit)),
        (Field::To, account(&request.to) != Some(body.credit)),
        (Field::Reference, request.reference != body.reference),
    ];
    differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
}

/// Finds both accounts and checks what is never stored, because it may be mended.
fn resolve(snapshot: &Snapshot, request: &Request) -> Result<Body, Refusal> {
    let find = |reference, field| {
        let id = snapshot
            .resolve(request.tenant, reference)
            .ok_or(Refusal { reason: Reason::WalletNotFound, field })?;
        Ok((id, &snapshot.accounts[&(request.tenant, id)]))
    };
    let (debit, debit_account) = find(&request.from, Field::From)?;
    let (credit, credit_account) = find(&request.to, Field::To)?;
    refuse_if(debit == credit, Reason::SameWallet, Field::To)?;
    refuse_if(debit_account.currency != request.currency, Reason::CurrencyMismatch, Field::From)?;
    refuse_if(credit_account.currency != request.currency, Reason::CurrencyMismatch, Field::To)?;
    let reference = request.reference.clone();
    Ok(Body { debit, credit, minor: request.minor, currency: request.currency, reference })
}

/// Looks for a definitive reason to refuse; without one, gives both balances after the transfer.
fn judge(snapshot: &Snapshot, request: &Request, body: &Body) -> Result<(Balance, Balance), Refusal> {
    use crate::Status::Closed;
    let debit = &snapshot.accounts[&(request.tenant, body.debit)];
    let credit = &snapshot.accounts[&(request.tenant, body.credit)];
    refuse_if(debit.status == Closed, Reason::WalletClosed, Field::From)?;
    refuse_if(credit.status == Closed, Reason::WalletClosed, Field::To)?;
    refuse_if(debit.status.freezes_debit(), Reason::WalletFrozen, Field::From)?;
    refuse_if(credit.status.freezes_credit(), Reason::WalletFrozen, Field::To)?;
    refuse_if(falls_below_floor(debit, body.minor), shortfall(debit.kind), Field::From)?;
    let overflow = |field| Refusal { reason: Reason::BalanceOverflow, field };
    let debit_after = debit.balance.debited(body.minor).ok_or(overflow(Field::From))?;
    let credit_after = credit.balance.credited(body.minor).ok_or(overflow(Field::To))?;
    Ok((debit_after, credit_after))
}

fn falls_below_floor(account: &Account, minor: i64) -> bool {
    account.balance.available() - i128::from(minor) < i128::from(account.floor)
}

const fn shortfall(kind: AccountKind) -> Reason {
    match kind {
        AccountKind::Wallet => Reason::InsufficientFunds,
        AccountKind::Settlement => Reason::SettlementCapExceeded,
    }
}

fn post(snapshot: &mut Snapshot, request: &Request, id: AccountId, balance: Balance, sequence: Sequence) {
    let key = (request.tenant, id);
    if let Some(account) = snapshot.accounts.get_mut(&key) {
        snapshot.last_before.entry(key).or_insert(account.last);
        account.balance = balance;
        account.last = sequence;
    }
}

fn refuse_if(holds: bool, reason: Reason, field: Field) -> Result<(), Refusal> {
    if holds { Err(Refusal { reason, field }) } else { Ok(()) }
}
