//! From a line to a request.

use std::sync::Arc;

use payplane_ledger::{AccountRef, Currency, Expect, Kind, Origin, Provenance, Request, Terms, Timestamp};

use super::{account_id, number, operation, option, status, tenant};

pub(super) fn request(words: &[&str]) -> Request {
    let positional: Vec<&str> =
        words[1..].iter().copied().filter(|word| !word.contains('=') && !is_flag(word)).collect();
    let kind = kind(words[0]);
    let key = match kind {
        Kind::Expire => format!("expiry:{}", positional[0]),
        Kind::CaptureDue => format!("due:{}", positional[0]),
        _ => positional[0].to_owned(),
    };
    let mut request = empty(kind, &key);
    fill(&mut request, &positional);
    request.terms = terms(words);
    request.only_known = words.contains(&"known");
    if let Some(code) = option(words, "currency") {
        request.currency = Some(Currency::parse(code).unwrap());
    }
    request.provenance.actor = Arc::from(option(words, "by").unwrap_or("somebody"));
    request
}

fn fill(request: &mut Request, positional: &[&str]) {
    let account = |name: &str| Some(AccountRef::id(account_id(name)));
    match (request.kind, positional) {
        (Kind::Pay | Kind::Authorize, [_, from, to, minor, currency, reference]) => {
            (request.from, request.to) = (account(from), account(to));
            request.minor = number(minor);
            request.currency = Some(Currency::parse(currency).unwrap());
            request.reference = Arc::from(*reference);
        }
        (Kind::ChangeWallet, [_, wallet]) => request.from = account(wallet),
        (Kind::Expire | Kind::CaptureDue, [target]) | (_, [_, target]) => {
            request.target = Some(operation(target));
        }
        (Kind::HandOver, [_, target, reference]) => {
            request.target = Some(operation(target));
            request.reference = Arc::from(*reference);
        }
        (_, [_, target, minor]) => {
            request.target = Some(operation(target));
            request.minor = number(minor);
        }
        _ => panic!("{:?} is not written like this: {positional:?}", request.kind),
    }
}

fn empty(kind: Kind, key: &str) -> Request {
    let nothing: Arc<str> = Arc::from("");
    Request {
        tenant: tenant(),
        operation: operation(key),
        kind,
        from: None,
        to: None,
        minor: 0,
        currency: None,
        reference: Arc::clone(&nothing),
        target: None,
        terms: Terms::default(),
        provenance: Provenance {
            origin: Origin::Api,
            key: Arc::from(key),
            origin_ref: Arc::clone(&nothing),
            actor: Arc::clone(&nothing),
            correlation_id: nothing,
        },
        only_known: false,
    }
}

fn terms(words: &[&str]) -> Terms {
    let value = |name| option(words, name).map(number);
    Terms {
        timeout_us: value("timeout"),
        capture_at: value("capture").map(Timestamp),
        is_final: words.contains(&"final"),
        up_to: words.contains(&"up_to"),
        expect: Expect {
            from_version: value("version"),
            to_version: value("to_version"),
            from_available_min: value("available"),
        },
        status: option(words, "status").map(status),
        floor: value("minimum"),
        ceiling: value("maximum"),
        metadata: option(words, "label")
            .map(|text| ("label".to_owned(), text.to_owned()))
            .into_iter()
            .collect(),
        link: option(words, "link").map(operation),
        approver: option(words, "approved").map(Arc::from),
    }
}

fn is_flag(word: &str) -> bool {
    ["final", "up_to", "known"].contains(&word)
}

fn kind(word: &str) -> Kind {
    match word {
        "pay" => Kind::Pay,
        "hold" => Kind::Authorize,
        "capture" => Kind::Capture,
        "void" => Kind::Void,
        "expire" => Kind::Expire,
        "due" => Kind::CaptureDue,
        "handover" => Kind::HandOver,
        "settle" => Kind::Settle,
        "fail" => Kind::Fail,
        "refund" => Kind::Refund,
        "approve" => Kind::ApproveRefund,
        "reject" => Kind::RejectRefund,
        "reverse" => Kind::Reverse,
        "change" => Kind::ChangeWallet,
        other => panic!("unknown event {other}"),
    }
}
