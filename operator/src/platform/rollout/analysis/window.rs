//! What is counted since when: engines of before have answered for days, and only what they answer meanwhile compares. Those that
//! are there at the first look count from then on, those that come later from their beginning.
//!
//! Kept in memory, for each Platform the rollout that is under way: another operator begins anew, and says a little later what
//! this one would have said.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Counts, Sample};

/// The windows of all Platforms; as many as there are rollouts.
#[derive(Debug, Default)]
pub struct Windows(Mutex<BTreeMap<String, Window>>);

/// One rollout.
#[derive(Debug, Default)]
struct Window {
    rollout: String,
    /// What each engine had answered at the first look; nothing is known where it could not be read.
    before: BTreeMap<String, Option<Counts>>,
}

impl Windows {
    /// What new and old engines answered since this rollout was first looked at.
    pub fn counts(&self, platform: &str, rollout: &str, samples: &[Sample]) -> (Counts, Counts) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(platform.to_owned()).or_default();
        if window.rollout != rollout {
            let before = samples.iter().map(|sample| (sample.pod.clone(), sample.counts)).collect();
            *window = Window { rollout: rollout.to_owned(), before };
        }
        window.add_up(samples)
    }

    /// Forgets, when no rollout is under way.
    pub fn close(&self, platform: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(platform);
    }
}

impl Window {
    fn add_up(&mut self, samples: &[Sample]) -> (Counts, Counts) {
        let (mut new, mut old) = (Counts::default(), Counts::default());
        for sample in samples {
            let before = self.before.entry(sample.pod.clone()).or_insert(Some(Counts::default()));
            let Some(now) = sample.counts else { continue };
            let first = before.get_or_insert(now);
            if now.answered < first.answered {
                // It started again, and counts from nothing.
                *first = Counts::default();
            }
            let sum = if sample.is_new { &mut new } else { &mut old };
            sum.answered = sum.answered.saturating_add(now.answered - first.answered);
            sum.failed = sum.failed.saturating_add(now.failed.saturating_sub(first.failed));
        }
        // Pods that are gone are not kept, so there are never more than there are pods.
        self.before.retain(|pod, _| samples.iter().any(|sample| sample.pod == *pod));
        (new, old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pod: &str, counts: Option<(u64, u64)>) -> Sample {
        let counts = counts.map(|(answered, failed)| Counts { answered, failed });
        Sample { pod: pod.into(), is_new: pod.starts_with("new"), counts }
    }

    #[test]
    fn engines_that_are_there_count_from_the_first_look_and_others_from_their_beginning() {
        let windows = Windows::default();
        let old = |answered, failed| sample("old", Some((answered, failed)));
        let new = |answered, failed| sample("new", Some((answered, failed)));
        // Platform, rollout, what is read, and what new and old engines answered and failed.
        let looks: [(&str, &str, Vec<Sample>, [u64; 4]); 10] = [
            ("main", "r2", vec![old(1_000, 500)], [0, 0, 0, 0]),
            ("main", "r2", vec![new(10, 1), old(1_000, 500)], [10, 1, 0, 0]),
            ("main", "r2", vec![new(30, 2), old(1_040, 501)], [30, 2, 40, 1]),
            ("other", "r2", vec![old(1_040, 501)], [0, 0, 0, 0]),
            ("main", "r2", vec![new(30, 2), sample("old", None)], [30, 2, 0, 0]),
            ("main", "r2", vec![new(5, 0), old(1_050, 501)], [5, 0, 50, 1]),
            ("main", "r2", vec![new(5, 0), old(3, 3)], [5, 0, 3, 3]),
            // Back to engines that are there already, one of which is not seen at once.
            ("main", "r3", vec![new(9_000, 900), sample("new two", None), old(8, 8)], [0, 0, 0, 0]),
            (
                "main",
                "r3",
                vec![new(9_000, 900), sample("new two", Some((7_000, 700))), old(8, 8)],
                [0, 0, 0, 0],
            ),
            (
                "main",
                "r3",
                vec![new(9_001, 901), sample("new two", Some((7_002, 700))), old(9, 8)],
                [3, 1, 1, 0],
            ),
        ];
        for (number, (platform, rollout, samples, expected)) in looks.into_iter().enumerate() {
            let (new, old) = windows.counts(platform, rollout, &samples);
            assert_eq!([new.answered, new.failed, old.answered, old.failed], expected, "look {number}");
        }
        windows.close("main");
        windows.close("main");
        let (_, old) = windows.counts("main", "r3", &[old(30, 30)]);
        assert_eq!(old, Counts::default(), "what was forgotten begins anew");
    }
}
