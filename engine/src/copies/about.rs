//! What a copy says of itself without being opened: only what is needed to delete it, and the log before it. It is not
//! authenticated, so nothing is believed that would matter to a restore.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log;

/// `about.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct About {
    /// UID of its Backup.
    pub uid: String,
    /// System identifier of its server, which is a number.
    pub system: String,
    /// The first segment of the log that it needs, without its timeline: sixteen hexadecimal digits.
    pub begin: String,
    /// Ids of the keys that open it. None if it is not sealed.
    pub keys: Vec<String>,
    /// What each file has of one that is not sealed, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Sum>,
    /// The copy that it builds on. None of a full one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// Another copy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// UID of its Backup.
    pub uid: String,
}

/// By what a file is known again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sum {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl About {
    /// Reads it, if it can be what it says.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let about: Self = serde_json::from_slice(bytes).ok()?;
        about.makes_sense().then_some(about)
    }

    /// Whether it is packed, and not a directory as the server has it.
    pub fn is_packed(&self) -> bool {
        !self.keys.is_empty() || !self.sums.is_empty()
    }

    /// Whether they are what their names say: they become parts of paths.
    pub fn makes_sense(&self) -> bool {
        let is_system =
            (1..=20).contains(&self.system.len()) && self.system.bytes().all(|one| one.is_ascii_digit());
        is_system
            && self.begin.len() == 16
            && self.begin.bytes().all(is_hexadecimal)
            && self.parent.as_ref().is_none_or(|parent| is_name(&parent.name))
    }
}

/// The server and the first segment of a copy that was never sealed, from its own files.
pub fn of_plain(label: &str, control: &[u8]) -> Option<About> {
    let line = label.lines().find(|line| line.starts_with("START WAL LOCATION: "))?;
    let segment = line.split_once("(file ")?.1.strip_suffix(')')?;
    // The first value in the control file.
    let system = u64::from_ne_bytes(control.first_chunk().copied()?);
    let begin = segment.get(8..).unwrap_or_default().to_owned();
    let about = About {
        uid: String::new(),
        system: system.to_string(),
        begin,
        keys: Vec::new(),
        sums: BTreeMap::new(),
        parent: None,
    };
    about.makes_sense().then_some(about)
}

/// Whether a copy can have this name: that of a Backup, and not that of the log.
pub fn is_name(name: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name != log::FOLDER && name.bytes().all(is_part)
}

/// As PostgreSQL writes it.
pub const fn is_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'A'..=b'F')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_a_part_of_a_path_is_what_it_says() {
        let about = |system: &str, begin: &str| {
            let text = serde_json::json!({"uid": "u", "system": system, "begin": begin, "keys": []});
            About::parse(text.to_string().as_bytes())
        };
        assert!(about("7412345678901234567", "0000000000000003").is_some());
        for (system, begin) in [
            ("", "0000000000000003"),
            ("../../etc", "0000000000000003"),
            ("7412345678901234567", "../0000000000003"),
            ("7412345678901234567", "000000000000003"),
            ("7412345678901234567", "00000000000000ab"),
        ] {
            assert_eq!(about(system, begin), None, "{system} {begin}");
        }
        assert_eq!(About::parse(b"{}"), None);
        for (parent, makes_sense) in
            [("hourly-1", true), ("../etc", false), (".by", false), ("wal", false), ("", false)]
        {
            let text = serde_json::json!({
                "uid": "u", "system": "7", "begin": "0000000000000003", "keys": [], "parent": {"name": parent, "uid": "u-1"},
            });
            assert_eq!(About::parse(text.to_string().as_bytes()).is_some(), makes_sense, "{parent}");
        }
    }

    #[test]
    fn a_copy_that_was_never_sealed_tells_the_same() {
        let label =
            "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nCHECKPOINT LOCATION: 0/3000060\n";
        let control = [7_412_345_678_901_234_567_u64.to_ne_bytes().as_slice(), &[1, 2, 3]].concat();
        let about = of_plain(label, &control).unwrap();
        assert_eq!((&*about.system, &*about.begin), ("7412345678901234567", "0000000000000003"));
        assert_eq!(of_plain("START TIME: now", &control), None);
        assert_eq!(of_plain(label, &[1, 2, 3]), None);
    }
}
