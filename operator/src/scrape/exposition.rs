//! What an engine says of itself, in the text format of Prometheus: the lines that count calls by how they ended, and what
//! waits. Pure.
//!
//! The engine's labels are words of letters, digits and underscores, so nothing is escaped; a line that is otherwise counts
//! nothing.

/// The counter of a histogram: one per method and code.
const CALLS: &str = "payplane_engine_grpc_request_seconds_count";

/// The gauge of requests that wait for a batch.
const WAITING: &str = "payplane_engine_queue_depth";

/// Codes that say that the engine, and not the caller, is the reason.
const FAILURES: [&str; 4] = ["internal", "unavailable", "unknown", "data_loss"];

/// What engines answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Calls that ended, however.
    pub answered: u64,
    /// Those that ended for a reason that is the engine's.
    pub failed: u64,
}

/// Adds up the calls; an engine that nobody called has no such line.
pub fn calls(text: &str) -> Counts {
    text.lines().filter_map(call).fold(Counts::default(), |sum, (code, number)| Counts {
        answered: sum.answered.saturating_add(number),
        failed: sum.failed.saturating_add(if FAILURES.contains(&code) { number } else { 0 }),
    })
}

/// How many requests wait for a batch; nothing if it does not say so.
pub fn waiting(text: &str) -> Option<u64> {
    text.lines().find_map(|line| number(line.strip_prefix(WAITING)?.strip_prefix(' ')?))
}

/// The code and the number of one line.
fn call(line: &str) -> Option<(&str, u64)> {
    let (labels, number) = line.strip_prefix(CALLS)?.strip_prefix('{')?.split_once('}')?;
    let code = labels.split(',').find_map(|label| label.trim().strip_prefix("code=\"")?.strip_suffix('"'))?;
    Some((code, self::number(number)?))
}

/// A whole number, as it stands at the end of a line.
fn number(text: &str) -> Option<u64> {
    // A time may follow.
    let number = text.split_ascii_whitespace().next()?;
    // Go's clients write whole numbers so, too.
    number.strip_suffix(".0").unwrap_or(number).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_added_up_by_how_they_ended_and_nothing_else_counts() {
        let line = |labels: &str, number: &str| format!("{CALLS}{{{labels}}} {number}");
        let count = |answered, failed| Counts { answered, failed };
        let cases = [
            (String::new(), count(0, 0)),
            ("# HELP payplane_engine_grpc_request_seconds Duration of gRPC calls.".into(), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, "7"), count(7, 0)),
            (line(r#"method="Pay",code="internal""#, "7"), count(7, 7)),
            (line(r#"code="ok",method="Pay""#, "0"), count(0, 0)),
            (line(r#"code="unavailable",method="Pay""#, "3 1700000000000"), count(3, 3)),
            (line(r#"code="unknown",method="Pay""#, "3.0"), count(3, 3)),
            (line(r#"code="data_loss",method="Pay""#, "1"), count(1, 1)),
            (line(r#"code="deadline_exceeded",method="Pay""#, "9"), count(9, 0)),
            (line(r#"method="Pay""#, "9"), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, "NaN"), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, "-1"), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, ""), count(0, 0)),
            (format!("{CALLS}{{code=\"ok\""), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, "7").replace("_count", "_bucket"), count(0, 0)),
            (line(r#"code="ok",method="Pay""#, "18446744073709551616"), count(0, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(calls(&text), expected, "{text}");
        }
        let most = line(r#"code="ok",method="Pay""#, &u64::MAX.to_string());
        let together = format!("{most}\n{most}\n{}", line(r#"code="internal",method="Get""#, "2"));
        assert_eq!(calls(&together), count(u64::MAX, 2), "no sum runs over");
    }

    #[test]
    fn what_waits_is_told_by_one_line_or_not_at_all() {
        let cases = [
            ("", None),
            ("payplane_engine_queue_depth 0", Some(0)),
            ("# TYPE payplane_engine_queue_depth gauge\npayplane_engine_queue_depth 17\nother 3", Some(17)),
            ("payplane_engine_queue_depth 17 1700000000000", Some(17)),
            ("payplane_engine_queue_depth -1", None),
            ("payplane_engine_queue_depth", None),
            ("payplane_engine_queue_depth_more 4", None),
            ("payplane_engine_queue_depth{a=\"b\"} 4", None),
        ];
        for (text, expected) in cases {
            assert_eq!(waiting(text), expected, "{text}");
        }
    }
}
