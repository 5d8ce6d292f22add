//! There is a figure of all, or there is none.

use super::*;

/// What is looked at, engines with whether they are ready and what they tell, and whose figures there are or what is missing.
type Case<'a> = (&'a str, &'a [(&'a str, bool, Option<Told>)], Result<&'a [&'a str], &'a str>);

#[test]
fn there_is_a_figure_of_every_ready_engine_or_none() {
    let told = Some(Told { waiting: 1, calls: 2 });
    let cases: [Case<'_>; 6] = [
        ("all are ready", &[("a", true, told), ("b", true, told)], Ok(&["a", "b"])),
        ("a ready one is silent", &[("a", true, told), ("b", true, None)], Err("Engine b")),
        ("one that starts is silent", &[("a", true, told), ("b", false, None)], Ok(&["a"])),
        ("one that is not ready tells", &[("a", true, told), ("b", false, told)], Ok(&["a", "b"])),
        ("none is ready", &[("a", false, told)], Err("No engine of Platform pay/main is ready")),
        ("there is none", &[], Err("No engine of Platform pay/main is ready")),
    ];
    for (name, engines, expected) in cases {
        let found = engines.iter().map(|(name, is_ready, told)| Found {
            uid: (*name).into(),
            name: (*name).into(),
            is_ready: *is_ready,
            told: *told,
        });
        match (judge(found.collect(), "pay", "main"), expected) {
            (Ok(told), Ok(expected)) => assert!(told.keys().eq(expected), "{name}: {told:?}"),
            (Err(refusal), Err(expected)) => {
                assert!(refusal.message.contains(expected), "{name}: {}", refusal.message);
                assert_eq!(refusal.code.as_u16(), 503, "{name}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn an_engine_that_does_not_tell_what_waits_tells_nothing() {
    assert_eq!(read("payplane_engine_queue_depth 3"), Some(Told { waiting: 3, calls: 0 }));
    assert_eq!(read("up 1"), None);
}
