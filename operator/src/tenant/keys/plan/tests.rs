//! Every state, and every crash.

use payplane_crds::tenant::ApiKeyRole;
use proptest::prelude::*;

use super::{
    super::{LEASE, Token},
    *,
};

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn wanted(name: &str) -> TenantApiKey {
    TenantApiKey {
        name: name.into(),
        namespace: "shop".into(),
        role: ApiKeyRole::Operator,
        rotate_after_seconds: 30 * DAY,
        overlap_seconds: DAY,
    }
}

fn token(id: &str) -> Token {
    Token(format!("payplane_{id}_secret"))
}

fn known(id: &str, created: i64) -> ApiKey {
    ApiKey {
        id: id.into(),
        name: "a".into(),
        role: ApiKeyRole::Operator,
        hash: token(id).hash(),
        created: at(created),
        expires: None,
        is_ending: false,
    }
}

fn ending(id: &str, until: i64) -> ApiKey {
    ApiKey { expires: Some(at(until)), is_ending: true, ..known(id, 0) }
}

fn leased(id: &str, until: i64) -> ApiKey {
    ApiKey { expires: Some(at(until)), ..known(id, 0) }
}

fn holding(entries: &[(&str, &str)]) -> Kept {
    let tokens = entries.iter().map(|(name, id)| ((*name).to_owned(), token(id))).collect();
    Kept::Ours { version: Some("7".into()), tokens }
}

fn observed(keys: Vec<ApiKey>, kept: Kept) -> Observed {
    Observed { keys, secrets: BTreeMap::from([("shop".into(), kept)]) }
}

/// What is made, written, told again and ended, as one line.
fn told(plan: &Plan) -> String {
    let makes: Vec<String> = plan
        .makes
        .iter()
        .map(|(name, make)| format!("+{name}{}", if make.is_rotation { "!" } else { "" }))
        .collect();
    let writes = plan
        .writes
        .iter()
        .map(|write| format!("w{:?}{:?}", write.keeps.keys().collect::<Vec<_>>(), write.makes));
    let puts = plan
        .puts
        .iter()
        .map(|key| format!("={}:{:?}:{:?}", key.id, key.role, key.expires.map(Timestamp::as_second)));
    let ends = plan.ends.iter().map(|end| format!("-{}:{:?}", end.id, end.at.map(Timestamp::as_second)));
    makes.into_iter().chain(writes).chain(puts).chain(ends).collect::<Vec<_>>().join(" ").replace('"', "")
}

#[test]
fn every_state_has_its_steps() {
    let viewer = |key: ApiKey| ApiKey { role: ApiKeyRole::Viewer, ..key };
    let other = |key: ApiKey| ApiKey { hash: vec![0; 32], ..key };
    let b = |key: ApiKey| ApiKey { name: "b".into(), ..key };
    let held = || holding(&[("a", "k1")]);
    #[rustfmt::skip]
    let cases: Vec<(&str, i64, Vec<ApiKey>, Kept, &str)> = vec![
        ("at first", 0, vec![], Kept::Absent, "+a w[][a]"),
        ("registered, then a crash", 9, vec![leased("k1", 99)], Kept::Absent, "+a w[][a]"),
        ("written, then a crash", 9, vec![leased("k1", 99)], held(), "=k1:Operator:None"),
        ("all is well", 9, vec![known("k1", 0)], held(), ""),
        ("its time is over", 30 * DAY, vec![known("k1", 0)], held(), "+a! w[][a] -k1:Some(2678400)"),
        ("a moment before", 30 * DAY - 1, vec![known("k1", 0)], held(), ""),
        ("rotation, registered, then a crash", 30 * DAY, vec![known("k1", 0), leased("k2", 31 * DAY)], held(),
            "+a! w[][a] -k1:Some(2678400)"),
        ("rotation, written, then a crash", 30 * DAY, vec![known("k0", 0), ApiKey { created: at(30 * DAY), ..leased("k1", 31 * DAY) }], held(),
            "=k1:Operator:None -k0:Some(2678400)"),
        ("rotation, confirmed, then a crash", 30 * DAY, vec![known("k0", 0), known("k1", 30 * DAY)], held(),
            "-k0:Some(2678400)"),
        ("overlap", 30 * DAY, vec![ending("k0", 30 * DAY + 9), known("k1", 30 * DAY)], held(), ""),
        ("a shorter overlap", 0, vec![ending("k0", 9 * DAY), known("k1", 0)], held(), "-k0:Some(86400)"),
        ("the Secret is gone", 9, vec![known("k1", 0)], Kept::Absent, "+a! w[][a] -k1:Some(86409)"),
        ("the ledger does not know it", 9, vec![], held(), "+a w[][a]"),
        ("an ending one was put back", 9, vec![ending("k1", 99), known("k2", 1)], held(),
            "+a! w[][a] -k2:Some(86409)"),
        ("its secret was changed", 9, vec![other(known("k1", 0))], held(), "+a! w[][a] -k1:Some(86409)"),
        ("another role", 9, vec![viewer(known("k1", 0))], held(), "=k1:Operator:None"),
        ("another role, also of the one before", 9, vec![viewer(ending("k0", 99)), known("k1", 0)], held(),
            "=k0:Operator:Some(99)"),
        ("not in the spec any more", 9, vec![known("k1", 0), b(known("k2", 0))], holding(&[("a", "k1"), ("b", "k2")]),
            "w[a][] -k2:None"),
        ("entries of others", 9, vec![known("k1", 0)], holding(&[("a", "k1"), ("x", "nobody")]), ""),
        ("somebody else's Secret", 9, vec![known("k1", 0)], Kept::Foreign, ""),
    ];
    for (what, now, keys, kept, expected) in cases {
        let plan = plan(&[wanted("a")], &observed(keys, kept), at(now));
        assert_eq!(told(&plan), expected, "{what}");
    }
}

#[test]
fn what_is_not_wanted_at_all_goes_with_its_secret() {
    let there = observed(vec![known("k1", 0), ending("k0", 99)], holding(&[("a", "k1")]));
    assert_eq!(told(&plan(&[], &there, at(9))), "w[][] -k1:None -k0:None");
    assert_eq!(told(&plan(&[], &observed(vec![], Kept::Absent), at(9))), "");
    assert_eq!(told(&plan(&[], &observed(vec![], Kept::Foreign), at(9))), "");
}

#[test]
fn the_status_tells_the_latest_end_of_those_before() {
    let keys = vec![ending("k0", 99), known("k1", 1), known("k2", 2)];
    let plan = plan(&[wanted("a")], &observed(keys, holding(&[("a", "k2")])), at(9));
    assert_eq!(plan.previous, BTreeMap::from([("a".into(), at(9 + DAY))]));
    assert_eq!(plan.stay.len(), 1);
}

/// The ledger and the Secret as they are after some of a plan's steps, in their order.
fn step(observed: &mut Observed, plan: &Plan, steps: usize, serial: &mut u32, now: Timestamp) {
    let mut left = steps;
    let mut go = || left.checked_sub(1).map(|less| left = less).is_some();
    let mut made = BTreeMap::new();
    for name in plan.makes.keys() {
        if !go() {
            return;
        }
        *serial += 1;
        let id = format!("n{serial}");
        let lease = now.checked_add(jiff::SignedDuration::try_from(LEASE).unwrap()).unwrap();
        observed.keys.push(ApiKey {
            name: name.clone(),
            created: now,
            expires: Some(lease),
            ..known(&id, 0)
        });
        made.insert(name.clone(), id);
    }
    for write in &plan.writes {
        if !go() {
            return;
        }
        let mut tokens = write.keeps.clone();
        tokens.extend(write.makes.iter().map(|name| (name.clone(), token(&made[name]))));
        let kept = if tokens.is_empty() { Kept::Absent } else { Kept::Ours { version: None, tokens } };
        observed.secrets.insert(write.namespace.clone(), kept);
    }
    for id in made.values().chain(plan.puts.iter().map(|put| &put.id)) {
        if !go() {
            return;
        }
        for key in observed.keys.iter_mut().filter(|key| key.id == *id && !key.is_ending) {
            key.expires = None;
        }
    }
    for end in &plan.ends {
        if !go() {
            return;
        }
        for key in observed.keys.iter_mut().filter(|key| key.id == end.id) {
            key.is_ending = true;
            let at = end.at.unwrap_or(now);
            key.expires = Some(key.expires.map_or(at, |expires| expires.min(at)));
        }
    }
}

proptest! {
    /// However often it crashes and however the time goes: what is in the Secret under a key's name was registered,
    /// a whole look afterwards heals everything, and few keys are without an end.
    #[test]
    fn crashes_lose_no_key_and_leave_none_behind(
        looks in prop::collection::vec((0_usize..9, 0_i64..40 * DAY, prop::bool::ANY), 1..30)
    ) {
        let (names, mut now, mut serial) = ([wanted("a"), wanted("b")], at(0), 0);
        let mut there = observed(vec![], Kept::Absent);
        for (steps, passes, whole) in looks {
            now = now.checked_add(passes.seconds()).unwrap();
            there.keys.retain(|key| key.expires.is_none_or(|expires| now < expires));
            let next = plan(&names, &there, now);
            step(&mut there, &next, if whole { usize::MAX } else { steps }, &mut serial, now);
            if !whole { continue; }
            let again = plan(&names, &there, now);
            prop_assert_eq!(told(&again), "", "a whole look leaves nothing to do");
            prop_assert_eq!(again.stay.len(), names.len());
            let endless = there.keys.iter().filter(|key| key.expires.is_none()).count();
            prop_assert_eq!(endless, names.len(), "one per name");
        }
    }
}
