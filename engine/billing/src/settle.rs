//! How it stands with the money of an invoice, and what is to be done about it.

use crate::apportion;

/// What is known of the money of an invoice, in minor units; none is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What was invoiced.
    pub total: i64,
    /// Paid by prepaid credits when it was issued.
    pub prepaid: i64,
    /// Taken off by credit notes, at most the total.
    pub credited: i64,
    /// Collected in money.
    pub collected: i64,
    /// Given back in money, at most what was collected.
    pub returned: i64,
    /// How often it was tried to collect.
    pub attempts: i32,
    /// Whether the last attempt was refused.
    pub is_refused: bool,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was tried yet, and nothing is paid.
    Issued,
    /// A part is covered; nothing was tried yet.
    PartlyPaid,
    /// Nothing is due any more.
    Paid,
    /// The last attempt to collect was refused.
    Uncollected,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Collect so much.
    Collect(i64),
    /// Give so much back.
    Return(i64),
}

impl Standing {
    /// What is still due.
    pub fn due(&self) -> i64 {
        narrow(self.open().max(0))
    }

    /// What was collected beyond what is due. Prepaid credits are not given back in money.
    pub fn to_return(&self) -> i64 {
        narrow((-self.open()).clamp(0, self.kept()))
    }

    /// What comes next. Never both: something is due, or too much was collected, or neither.
    pub fn step(&self) -> Step {
        match (self.due(), self.to_return()) {
            (0, 0) => Step::Rest,
            (0, back) => Step::Return(back),
            (due, _) => Step::Collect(due),
        }
    }

    /// In a word.
    pub fn state(&self) -> State {
        match self.due() {
            0 => State::Paid,
            _ if self.is_refused => State::Uncollected,
            due if due < self.total => State::PartlyPaid,
            _ => State::Issued,
        }
    }

    fn kept(&self) -> i128 {
        i128::from(self.collected) - i128::from(self.returned)
    }

    fn open(&self) -> i128 {
        i128::from(self.total) - i128::from(self.prepaid) - i128::from(self.credited) - self.kept()
    }
}

/// Between zero and what 64 bits hold, by the bounds above.
fn narrow(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(i64::MAX)
}

/// Shares a part of an invoice out between what is invoiced without taxes and the taxes, by largest remainder. Nothing if
/// an amount is negative, or if there is something to share of nothing.
pub fn share_tax(part: i64, net: i64, tax: i64) -> Option<(i64, i64)> {
    match apportion(part, &[net, tax])?[..] {
        [net, tax] => Some((net, tax)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_and_what_comes_next_by_hand() {
        // Total, prepaid, credited, collected, returned, refused.
        let cases = [
            ((100, 0, 0, 0, 0, false), Step::Collect(100), State::Issued),
            ((100, 30, 0, 0, 0, false), Step::Collect(70), State::PartlyPaid),
            ((100, 30, 0, 0, 0, true), Step::Collect(70), State::Uncollected),
            ((100, 100, 0, 0, 0, false), Step::Rest, State::Paid),
            ((100, 0, 0, 100, 0, false), Step::Rest, State::Paid),
            ((100, 0, 40, 100, 0, false), Step::Return(40), State::Paid),
            ((100, 0, 40, 100, 40, false), Step::Rest, State::Paid),
            ((100, 0, 40, 0, 0, true), Step::Collect(60), State::Uncollected),
            // A credit note of what was prepaid is not given back in money.
            ((100, 80, 50, 0, 0, false), Step::Rest, State::Paid),
            ((100, 80, 50, 20, 0, false), Step::Return(20), State::Paid),
            ((0, 0, 0, 0, 0, false), Step::Rest, State::Paid),
        ];
        for ((total, prepaid, credited, collected, returned, is_refused), step, state) in cases {
            let standing =
                Standing { total, prepaid, credited, collected, returned, is_refused, attempts: 0 };
            assert_eq!((standing.step(), standing.state()), (step, state), "{standing:?}");
        }
    }

    #[test]
    fn taxes_take_their_share_of_every_part() {
        for (part, net, tax, shares) in [
            (10_810, 10_000, 810, Some((10_000, 810))),
            (5_000, 10_000, 810, Some((4_625, 375))),
            (1, 10_000, 810, Some((1, 0))),
            (7, 100, 0, Some((7, 0))),
            (1, 0, 0, None),
            (-1, 1, 1, None),
        ] {
            assert_eq!(share_tax(part, net, tax), shares, "{part} of {net} and {tax}");
        }
    }
}
