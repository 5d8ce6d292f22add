//! Publishing reached thresholds: read what waits, send, wait for all acknowledgements, and only then take it out. What Kafka
//! refused for what it is becomes a dead letter in the same commit. Bounded by a page of the store's.

use std::collections::HashMap;

use super::{
    event::event_of_threshold,
    publish::{Stop, Turn, warn},
};
use crate::store::{Letter, ThresholdRow};

const NO_TIME: &str = "the event has a time that no calendar has";

impl Turn<'_> {
    /// One page.
    pub(super) async fn publish_thresholds(&mut self) -> Result<(), Stop> {
        let rows = self.session.thresholds().await?;
        let (mut events, mut problems) = (Vec::with_capacity(rows.len()), HashMap::new());
        for row in &rows {
            match event_of_threshold(self.platform, row) {
                Some(event) => events.push(event),
                None => drop(problems.insert(row.letter(None).operation, NO_TIME.to_owned())),
            }
        }
        let refused = self.send_all(&events).await?;
        let sent = events.len() - refused.len();
        problems.extend(refused.into_iter().filter_map(|letter| Some((letter.operation, letter.problem?))));
        let letter = |row: &ThresholdRow| {
            let letter = row.letter(None);
            Letter { problem: problems.get(&letter.operation).cloned(), ..letter }
        };
        let letters: Vec<_> = rows.iter().map(letter).collect();
        letters.iter().filter(|letter| letter.problem.is_some()).for_each(warn);
        if !self.session.settle_thresholds(&letters).await? {
            return Err(Stop::Moved);
        }
        self.engine.metrics.count_published(sent);
        self.pace.reset();
        Ok(())
    }

    /// Letters that somebody had sent again, one by one; says what became of each.
    pub(super) async fn send_thresholds_again(&mut self) -> Result<Vec<Letter>, Stop> {
        let mut settled = Vec::new();
        for row in self.session.threshold_retries().await? {
            let problem = self.send_threshold(&row).await?;
            settled.push(row.letter(problem));
        }
        Ok(settled)
    }

    async fn send_threshold(&mut self, row: &ThresholdRow) -> Result<Option<String>, Stop> {
        let Some(event) = event_of_threshold(self.platform, row) else {
            return Ok(Some(NO_TIME.to_owned()));
        };
        Ok(self.send_each(&[event]).await?.pop().and_then(|letter| letter.problem))
    }
}
