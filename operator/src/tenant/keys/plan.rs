//! Which keys to make, confirm and end, and what each Secret is to hold. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use payplane_crds::tenant::TenantApiKey;

use super::{
    Token,
    observe::{Kept, Observed},
};
use crate::engine::ApiKey;

/// What to do, in this order.
#[derive(Debug, Default)]
pub struct Plan {
    /// Names of keys to make. The value says whether one takes the place of another.
    pub makes: BTreeMap<String, Make>,
    /// Secrets to write or to delete.
    pub writes: Vec<Write>,
    /// Keys to tell the engine again: confirmed, or with another role.
    pub puts: Vec<ApiKey>,
    /// Keys to end.
    pub ends: Vec<End>,
    /// Keys that stay in their Secrets.
    pub stay: Vec<ApiKey>,
    /// Until when the keys before are valid, by name. The latest of them.
    pub previous: BTreeMap<String, Timestamp>,
    /// Namespaces whose Secret is somebody else's, although keys are wanted there.
    pub foreign: BTreeSet<String>,
    /// Now, in whole seconds, as every time in a status.
    pub now: Timestamp,
}

/// A key to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Make {
    /// As the spec asks.
    pub wanted: TenantApiKey,
    /// Whether the ledger knows keys of this name: then this is a rotation.
    pub is_rotation: bool,
}

/// A Secret to write. Without entries it is deleted.
#[derive(Debug)]
pub struct Write {
    /// Where.
    pub namespace: String,
    /// Its version when it was read. None if it was not there.
    pub version: Option<String>,
    /// Entries that stay.
    pub keeps: BTreeMap<String, Token>,
    /// Names of keys in `makes` that come in.
    pub makes: Vec<String>,
}

/// A key to end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When. None for now.
    pub at: Option<Timestamp>,
}

/// What the spec asks for, against what there is.
pub fn plan(wanted: &[TenantApiKey], observed: &Observed, now: Timestamp) -> Plan {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut plan = Plan { now, ..Plan::default() };
    for key in wanted {
        one(key, observed, &mut plan);
    }
    let is_wanted = |name: &str| wanted.iter().any(|key| key.name == name);
    let unwanted = observed.keys.iter().filter(|key| !is_wanted(&key.name));
    plan.ends.extend(unwanted.map(|key| End { id: key.id.clone(), name: key.name.clone(), at: None }));
    for (namespace, kept) in &observed.secrets {
        let change = write(namespace, kept, (wanted, &observed.keys), &plan);
        plan.writes.extend(change);
    }
    plan
}

/// The key of one line of the spec.
fn one(wanted: &TenantApiKey, observed: &Observed, plan: &mut Plan) {
    let held = match observed.secrets.get(&wanted.namespace) {
        Some(Kept::Ours { tokens, .. }) => tokens.get(&wanted.name),
        Some(Kept::Absent) => None,
        Some(Kept::Foreign) | None => {
            plan.foreign.insert(wanted.namespace.clone());
            return;
        }
    };
    let known: Vec<&ApiKey> = observed.keys.iter().filter(|key| key.name == wanted.name).collect();
    let current = held.and_then(|token| {
        known
            .iter()
            .copied()
            .find(|key| !key.is_ending && Some(&*key.id) == token.id() && key.hash == token.hash())
    });
    let stays = current.filter(|key| plan.now < rotation(wanted, key.created));
    match stays {
        Some(key) => plan.stay.push(key.clone()),
        None => {
            let is_rotation = known.iter().any(|key| key.expires.is_none() || key.is_ending);
            plan.makes.insert(wanted.name.clone(), Make { wanted: wanted.clone(), is_rotation });
        }
    }
    for key in known {
        let is_current = stays.is_some_and(|stays| stays.id == key.id);
        settle(wanted, key, is_current, plan);
    }
}

/// A key that the ledger knows by this name: the one that stays has no end, one from before ends, and one that was never
/// handed out ends by itself.
fn settle(wanted: &TenantApiKey, key: &ApiKey, is_current: bool, plan: &mut Plan) {
    if key.role != wanted.role || (is_current && key.expires.is_some()) {
        let expires = key.expires.filter(|_| !is_current);
        plan.puts.push(ApiKey { role: wanted.role, expires, ..key.clone() });
    }
    if is_current {
        return;
    }
    let limit = after(plan.now, wanted.overlap_seconds);
    let until = match key.expires {
        // An overlap that was made shorter holds for the keys that are ending, too.
        Some(at) if key.is_ending && at <= limit => at,
        Some(_) if !key.is_ending => return,
        _ => {
            plan.ends.push(End { id: key.id.clone(), name: key.name.clone(), at: Some(limit) });
            limit
        }
    };
    let latest = plan.previous.entry(wanted.name.clone()).or_insert(until);
    *latest = until.max(*latest);
}

/// What a namespace's Secret is to hold, if that is not what it holds. Entries of somebody else do not count: applying
/// leaves them, so it would never end.
fn write(
    namespace: &str,
    kept: &Kept,
    (wanted, known): (&[TenantApiKey], &[ApiKey]),
    plan: &Plan,
) -> Option<Write> {
    let nothing = BTreeMap::new();
    let (is_there, version, tokens) = match kept {
        Kept::Foreign => return None,
        Kept::Absent => (false, None, &nothing),
        Kept::Ours { version, tokens } => (true, version.clone(), tokens),
    };
    let here = wanted.iter().filter(|key| key.namespace == namespace).map(|key| &key.name);
    let (makes, stay): (Vec<&String>, Vec<&String>) = here.partition(|name| plan.makes.contains_key(*name));
    let keeps: BTreeMap<_, _> =
        stay.iter().filter_map(|name| Some(((*name).clone(), tokens.get(*name)?.clone()))).collect();
    let is_known = |token: &Token| known.iter().any(|key| Some(&*key.id) == token.id());
    let has_more = tokens.iter().any(|(name, token)| !keeps.contains_key(name) && is_known(token));
    let is_due = match makes.is_empty() && keeps.is_empty() {
        true => is_there,
        false => !makes.is_empty() || has_more,
    };
    let makes = makes.into_iter().cloned().collect();
    is_due.then(|| Write { namespace: namespace.into(), version, keeps, makes })
}

/// When the next key takes the place of one that was made then.
pub fn rotation(wanted: &TenantApiKey, created: Timestamp) -> Timestamp {
    after(created, wanted.rotate_after_seconds)
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
