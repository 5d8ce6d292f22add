//! The header of a file: read as strictly as the format asks for, and written. Pure.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as BASE64};

use super::HEADER_MAX;

const VERSION: &str = "age-encryption.org/v1\n";
/// A line of a stanza's body has so many letters; the last one has fewer.
const COLUMNS: usize = 64;
/// What other programs skip.
const LABEL: &str = "payplane.io/sealed";
/// A key, wrapped for a public key.
pub const X25519: &str = "X25519";

/// One part of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stanza {
    /// Its type, and what else is in its first line.
    pub words: Vec<String>,
    /// What is below.
    pub body: Vec<u8>,
}

/// What a file was sealed under. Believed once the header is authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label {
    /// The name.
    pub name: String,
    /// Ids of the keys that open it.
    pub keys: Vec<String>,
}

/// A header.
#[derive(Debug)]
pub struct Header {
    /// Its parts.
    pub stanzas: Vec<Stanza>,
    /// What authenticates it.
    pub mac: [u8; 32],
    /// What is authenticated.
    pub covered: Vec<u8>,
}

impl Label {
    /// As a part of a header.
    pub fn stanza(&self) -> Stanza {
        let words = [LABEL, self.name.as_str()].into_iter().chain(self.keys.iter().map(String::as_str));
        Stanza { words: words.map(String::from).collect(), body: Vec::new() }
    }
}

impl Header {
    /// The label, if it has one.
    pub fn label(&self) -> Option<Label> {
        self.stanzas.iter().find_map(|stanza| match stanza.words.as_slice() {
            [type_, name, keys @ ..] if type_ == LABEL => {
                Some(Label { name: name.clone(), keys: keys.to_vec() })
            }
            _ => None,
        })
    }

    /// Reads exactly this. None where the format is not kept to, even if the meaning is clear.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_prefix(VERSION)?.strip_suffix('\n')?.split('\n');
        let mut stanzas = Vec::new();
        loop {
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix("--- ") {
                let covered = bytes.len() - line.len() - 1 + "---".len();
                let is_end = lines.next().is_none() && !stanzas.is_empty();
                let header = Self { stanzas, mac: exactly(mac)?, covered: bytes[..covered].to_vec() };
                return is_end.then_some(header);
            }
            stanzas.push(stanza(line, &mut lines)?);
        }
    }
}

fn stanza<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<Stanza> {
    let words: Vec<String> = first.strip_prefix("-> ")?.split(' ').map(String::from).collect();
    let is_word = |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    if !words.iter().all(is_word) {
        return None;
    }
    let mut body = Vec::new();
    loop {
        let line = lines.next()?;
        if COLUMNS < line.len() {
            return None;
        }
        body.extend(BASE64.decode(line).ok()?);
        if line.len() < COLUMNS {
            return Some(Stanza { words, body });
        }
    }
}

/// A word that is exactly so many bytes.
pub fn exactly<const N: usize>(word: &str) -> Option<[u8; N]> {
    BASE64.decode(word).ok()?.try_into().ok()
}

/// The header up to where its authentication follows.
pub fn write(stanzas: &[Stanza]) -> Vec<u8> {
    let mut text = VERSION.to_owned();
    for stanza in stanzas {
        text.push_str("-> ");
        text.push_str(&stanza.words.join(" "));
        text.push('\n');
        let body = BASE64.encode(&stanza.body);
        let mut rest = body.as_str();
        // Letters of base64 are one byte each.
        while let Some((line, more)) = rest.split_at_checked(COLUMNS) {
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("---");
    text.into_bytes()
}

/// What follows it.
pub fn write_mac(mac: &[u8]) -> Vec<u8> {
    format!(" {}\n", BASE64.encode(mac)).into_bytes()
}

/// A part for a public key.
pub fn wrapped(share: &[u8; 32], body: Vec<u8>) -> Stanza {
    Stanza { words: vec![X25519.into(), BASE64.encode(share)], body }
}

/// Where the header ends, once it is there. An error when it is too long, or these bytes begin none.
pub fn end(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let version = VERSION.as_bytes();
    let common = version.len().min(bytes.len());
    if bytes[..common] != version[..common] {
        return Err(());
    }
    // No other line can begin so: bodies have no hyphens, and first lines go on with a sign of their own.
    let Some(last) = bytes.windows(4).position(|window| window == b"\n---") else {
        return if HEADER_MAX < bytes.len() { Err(()) } else { Ok(None) };
    };
    let ends = bytes[last + 1..].iter().position(|byte| *byte == b'\n');
    match ends {
        None if HEADER_MAX < bytes.len() => Err(()),
        ends => Ok(ends.map(|at| last + 1 + at + 1)),
    }
}
