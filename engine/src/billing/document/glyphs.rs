//! Text in the fonts that every reader of PDF has: no font is embedded, so there are only the characters of the encoding
//! WinAnsi. What it lacks is written as `[U+4E2D]`, never left out.

/// One character as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// What it stands for.
    pub(super) character: char,
    /// One byte, or those of an escape.
    pub(super) codes: Vec<u8>,
    pub(super) is_escape: bool,
}

/// Normal or bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Normal,
    Bold,
}

/// Where the encoding has what Unicode has elsewhere: 0x80 to 0x9F. A blank is none.
const EIGHTIES: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

/// Letters of about the same width for 0xC0 to 0xFF, not narrower than the real ones.
const WIDE_AS: &[u8; 64] = b"AAAAAA@CEEEEIIIIDNOOOOO+OUUUUYPTaaaaaa%ceeeeiiiionooooo+ouuuuypy";

/// Thousandths of the size, for 0x20 to 0x7E: the metrics of Helvetica and Helvetica-Bold.
const NORMAL: [i32; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const BOLD: [i32; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278,
    556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584,
    556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556,
    333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// The text as it is shown.
pub(super) fn glyphs(text: &str) -> Vec<Glyph> {
    let glyph = |character: char| match code(character) {
        Some(code) => Glyph { character, codes: vec![code], is_escape: false },
        None => {
            let codes = format!("[U+{:04X}]", u32::from(character)).into_bytes();
            Glyph { character, codes, is_escape: true }
        }
    };
    text.chars().map(glyph).collect()
}

/// How wide it is, in thousandths of the size.
pub(super) fn width(glyphs: &[Glyph], weight: Weight) -> i32 {
    glyphs.iter().flat_map(|glyph| &glyph.codes).map(|code| code_width(*code, weight)).sum()
}

fn code(character: char) -> Option<u8> {
    match character {
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(character)).ok(),
        // The encoding has one space that does not break, and no minus but the dash of that width.
        '\u{202f}' => Some(0xa0),
        '−' => Some(0x96),
        _ => (0x80..=0x9f).zip(EIGHTIES.chars()).find(|(_, known)| *known == character).map(|(code, _)| code),
    }
}

fn code_width(code: u8, weight: Weight) -> i32 {
    let like = match code {
        b' '..=b'~' => code,
        0x80 | 0x96 => b'0',
        0x91 | 0x92 => b'i',
        0xa0 => b' ',
        0xc0.. => WIDE_AS[usize::from(code - 0xc0)],
        _ => b'@',
    };
    let widths = if weight == Weight::Bold { &BOLD } else { &NORMAL };
    widths[usize::from(like - b' ')]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_there_or_named() {
        for (text, shown) in [
            ("VAT 8.1 %", &b"VAT 8.1 %"[..]),
            ("Größe 1’234", b"Gr\xf6\xdfe 1\x92234"),
            ("1\u{202f}234 € –", b"1\xa0234 \x80 \x96"),
            ("−5", b"\x965"),
            ("税", b"[U+7A0E]"),
            ("😀", b"[U+1F600]"),
            ("\u{81}", b"[U+0081]"),
        ] {
            let glyphs = glyphs(text);
            assert_eq!(glyphs.iter().flat_map(|glyph| glyph.codes.clone()).collect::<Vec<_>>(), shown);
            assert_eq!(glyphs.iter().map(|glyph| glyph.character).collect::<String>(), text);
        }
    }

    #[test]
    fn numbers_have_the_widths_of_the_font() {
        assert_eq!(width(&glyphs("1,234.50"), Weight::Normal), 6 * 556 + 2 * 278);
        assert_eq!(width(&glyphs("−1’000"), Weight::Bold), 5 * 556 + 278);
        // Every code has one.
        assert!(
            (0..=u8::MAX)
                .filter(|code| *code != 0x7f)
                .skip(32)
                .all(|code| 0 < code_width(code, Weight::Bold))
        );
    }
}
