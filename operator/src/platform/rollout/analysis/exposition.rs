//! What an engine says of itself, in the text format of Prometheus: only the lines that count calls by how they ended. Pure.
//!
//! The engine's labels are words of letters, digits and underscores, so nothing is escaped; a line that is otherwise counts
//! nothing.

use super::Counts;

/// The counter of a histogram: one per method and code.
const CALLS: &str = "payplane_engine_grpc_request_seconds_count";

/// Codes that say that the engine, and not the caller, is the reason.
const FAILURES: [&str; 4] = ["internal", "unavailable", "unknown", "data_loss"];

/// Adds up the calls; an engine that nobody called has no such line.
pub fn calls(text: &str) -> Counts {
    text.lines().filter_map(call).fold(Counts::default(), |sum, (code, number)| Counts {
        answered: sum.answered.saturating_add(number),
        failed: sum.failed.saturating_add(if FAILURES.contains(&code) { number } else { 0 }),
    })
}

/// The code and the number of one line.
fn call(line: &str) -> Option<(&str, u64)> {
    let (labels, number) = line.strip_prefix(CALLS)?.strip_prefix('{')?.split_once('}')?;
    let code = labels.split(',').find_map(|label| label.trim().strip_prefix("code=\"")?.strip_suffix('"'))?;
    // A time may follow.
    let number = number.split_ascii_whitespace().next()?;
    // Go's clients write whole numbers so, too.
    let whole = number.strip_suffix(".0").unwrap_or(number);
    Some((code, whole.parse().ok()?))
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
}
