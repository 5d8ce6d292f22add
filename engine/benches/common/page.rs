//! How much a benchmark does, by variables, and its figures in docs/performance.md.

use std::{path::Path, str::FromStr};

/// What the variable says.
pub(crate) fn number<T: FromStr>(name: &str, otherwise: T) -> T {
    let read = |text: String| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number"));
    std::env::var(name).map_or(otherwise, read)
}

/// Replaces what the page has between the two lines of this verb of make. Nobody else writes there.
pub(crate) fn write(verb: &str, text: &str) {
    let begin = format!("<!-- Written by `make {verb}`. Do not edit below. -->");
    let end = format!("<!-- Written by `make {verb}`. Do not edit above. -->");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(&begin).expect("the first line in docs/performance.md");
    let (_, after) = rest.split_once(&end).expect("the second line in docs/performance.md");
    std::fs::write(&path, format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim_end())).unwrap();
    println!("wrote docs/performance.md");
}
