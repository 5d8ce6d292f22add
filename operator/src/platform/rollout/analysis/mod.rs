//! Whether new engines answer as well as those of before. Any way of rolling out can ask this; today's does so while
//! engines of both templates run.
//!
//! Order: pick the pods of the newest template and of the others; read what each has answered ([`read`], bounded in time,
//! size and number); take away what it had answered when this operator first looked ([`window`]); judge. Below
//! [`ANSWERED_MIN`] calls nothing is said. New engines fail when more than one call in a hundred ended for a reason that is
//! the engine's (internal, unavailable, unknown, data loss), unless those of before fail about as often: then it is something
//! that they share, such as the database, and going back would not help. Reading changes nothing, and pods that cannot be
//! read say nothing.

mod read;
mod window;

use k8s_openapi::api::core::v1::Pod;

use super::{Seen, newest, of};
use crate::scrape::is_ready;

pub use crate::scrape::exposition::Counts;

pub use window::Windows;

/// Fewer calls say nothing: of them three failures are one in a hundred.
const ANSWERED_MIN: u64 = 200;

/// New engines may fail one call in so many.
const FAILED_OF_MAX: u128 = 100;

/// What is known about new engines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Analysis {
    /// No rollout is under way.
    #[default]
    None,
    /// New engines are ready, and none of them can be asked.
    Unread,
    /// They answered too little to say anything.
    TooFew(Counts),
    /// They answer well.
    Good(Counts),
    /// They fail, and those of before do not.
    Failing {
        /// What the new ones answered.
        new: Counts,
        /// What those of before answered meanwhile.
        old: Counts,
    },
    /// They fail, and those of before about as often.
    Shared {
        /// What the new ones answered.
        new: Counts,
        /// What those of before answered meanwhile.
        old: Counts,
    },
}

/// One engine, and what it has answered since it started, if it can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sample {
    /// UID of its pod.
    pub pod: String,
    /// Whether it is of the newest template.
    pub is_new: bool,
    /// What it has answered.
    pub counts: Option<Counts>,
}

/// Looks at the engines of a Platform, if a rollout is under way.
pub async fn look(windows: &Windows, platform: &str, seen: &Seen) -> Analysis {
    let Some((rollout, pods)) = both(seen) else {
        windows.close(platform);
        return Analysis::None;
    };
    let is_serving = pods.iter().any(|(pod, is_new)| *is_new && is_ready(pod));
    let samples = read::samples(pods).await;
    let (new, old) = windows.counts(platform, rollout, &samples);
    match samples.iter().any(|sample| sample.is_new && sample.counts.is_some()) {
        true => judge(new, old),
        false if is_serving => Analysis::Unread,
        false => Analysis::None,
    }
}

/// Judges. Pure.
fn judge(new: Counts, old: Counts) -> Analysis {
    if new.answered < ANSWERED_MIN {
        return Analysis::TooFew(new);
    }
    match (new.fails(), old.fails() && new.fails_less_than_twice_as_often_as(old)) {
        (false, _) => Analysis::Good(new),
        (true, false) => Analysis::Failing { new, old },
        (true, true) => Analysis::Shared { new, old },
    }
}

impl Counts {
    fn fails(self) -> bool {
        u128::from(self.answered) < u128::from(self.failed) * FAILED_OF_MAX
    }

    fn fails_less_than_twice_as_often_as(self, other: Self) -> bool {
        u128::from(self.failed) * u128::from(other.answered)
            < 2 * u128::from(other.failed) * u128::from(self.answered)
    }

    /// For people, such as "12 of 340 calls (3.5 %)".
    fn told(self) -> String {
        let Self { answered, failed } = self;
        let tenths = u128::from(failed) * 1000 / u128::from(answered).max(1);
        format!("{failed} of {answered} calls ({}.{} %)", tenths / 10, tenths % 10)
    }
}

impl Analysis {
    /// Why the new template will not do, if that is what was found.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Failing { new, old } => Some(format!(
                "New engines failed {}, more than one in {FAILED_OF_MAX}; those of before failed {} meanwhile.",
                new.told(),
                old.told()
            )),
            Self::None | Self::Unread | Self::TooFew(_) | Self::Good(_) | Self::Shared { .. } => None,
        }
    }

    /// What is seen of a rollout that goes on, for people.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Unread => Some(
                "The metrics of new engines cannot be read, so they are not judged by failures: let the operator reach \
                 their port."
                    .to_owned(),
            ),
            Self::TooFew(new) => Some(format!(
                "New engines answered {} calls, too few to judge them by failures.",
                new.answered
            )),
            Self::Good(new) => Some(format!("New engines failed {}.", new.told())),
            Self::Shared { new, old } => Some(format!(
                "New engines failed {}, and those of before {}: it is something that they share, such as the database.",
                new.told(),
                old.told()
            )),
            Self::Failing { .. } => self.complaint(),
        }
    }
}

/// Names the rollout that is under way, and gives the pods of both templates.
fn both(seen: &Seen) -> Option<(&str, Vec<(&Pod, bool)>)> {
    let newest = newest(seen.live.as_ref()?, &seen.sets)?;
    let new: Vec<&Pod> = of(newest, &seen.pods).collect();
    let is_new = |pod: &Pod| new.iter().any(|other| other.metadata.uid == pod.metadata.uid);
    let others = seen.sets.iter().filter(|set| set.metadata.uid != newest.metadata.uid);
    let old: Vec<&Pod> = others.flat_map(|set| of(set, &seen.pods)).filter(|pod| !is_new(pod)).collect();
    let is_under_way = !old.is_empty();
    let pods = new.iter().map(|pod| (*pod, true)).chain(old.iter().map(|pod| (*pod, false)));
    is_under_way.then(|| (newest.metadata.uid.as_deref().unwrap_or_default(), pods.collect()))
}

#[cfg(test)]
mod tests;
