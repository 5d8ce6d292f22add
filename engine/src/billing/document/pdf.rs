//! A page as PDF, on A4: the same bytes for the same page, because nothing in it is of now.
//!
//! 1. The largest size is taken at which the numbers leave enough for the first column.
//! 2. Rows are set from the top; the first column breaks into lines, and what does not fit goes on the next sheet, below
//!    the head again. A row is as high as a sheet at most. Sums stay together on one sheet if one has room for them.
//! 3. Every sheet gets its number.
//!
//! Only fonts that readers have are used, see [`super::glyphs`]. Where a character is written as an escape, copying and
//! reading aloud give the character itself, and a line says what the escape is. Lengths are integers: hundredths of a point.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::{
    glyphs::{Glyph, Weight, glyphs, width},
    page::{Page, PageRow},
};

const SHEET: (i32, i32) = (59_500, 84_200);
const MARGIN: i32 = 5_600;
const RIGHT: i32 = SHEET.0 - MARGIN;
const BOTTOM: i32 = MARGIN + 2_000;

/// Between two columns.
const GAP: i32 = 1_400;
/// The first column has at least that.
const TEXT_MIN: i32 = 9_000;

/// From the largest on. At the smallest a row has room for seven times the largest amount.
const SIZES: [i32; 6] = [1_000, 900, 800, 700, 600, 450];
const TITLE_SIZE: i32 = 2_000;
const ABOUT_SIZE: i32 = 1_000;
const NOTE_SIZE: i32 = 800;

const NORMAL: Name<'_> = Name(b"F1");
const BOLD: Name<'_> = Name(b"F2");
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const FONTS: [(Ref, Name<'_>, Name<'_>); 2] =
    [(Ref::new(3), NORMAL, Name(b"Helvetica")), (Ref::new(4), BOLD, Name(b"Helvetica-Bold"))];
const INFO: Ref = Ref::new(5);
const FIRST_SHEET: i32 = 6;

/// The document.
pub(super) fn pdf(page: &Page) -> Vec<u8> {
    bind(page, set(page))
}

/// The content of every sheet.
fn set(page: &Page) -> Vec<Vec<u8>> {
    let mut setter = Setter::new(page);
    setter.title();
    setter.head();
    let sums = page.rows.len().saturating_sub(page.sums);
    for row in 0..page.rows.len() {
        if row == sums {
            setter.keep_together(sums);
        }
        setter.row(row);
    }
    setter.note();
    setter.finish()
}

/// Where the next line goes.
struct Setter<'a> {
    page: &'a Page,
    sheets: Vec<Content>,
    y: i32,
    size: i32,
    /// The right edge of every column but the first.
    edges: Vec<i32>,
    /// How wide the first one may be.
    text: i32,
    has_escape: bool,
}

impl<'a> Setter<'a> {
    fn new(page: &'a Page) -> Self {
        let (size, widths) = fit(page);
        let mut edges = vec![RIGHT; widths.len()];
        for column in (1..widths.len()).rev() {
            edges[column - 1] = edges[column] - widths[column];
        }
        let text = RIGHT - MARGIN - widths.iter().sum::<i32>();
        let mut setter = Self { page, sheets: Vec::new(), y: 0, size, edges, text, has_escape: false };
        setter.sheet();
        setter
    }

    /// Begins a sheet. Its content is in hundredths of a point.
    fn sheet(&mut self) {
        let mut content = Content::new();
        content.transform([0.01, 0.0, 0.0, 0.01, 0.0, 0.0]);
        self.sheets.push(content);
        self.y = SHEET.1 - MARGIN;
    }

    fn title(&mut self) {
        self.y -= TITLE_SIZE;
        self.show(&glyphs(&self.page.title), (Weight::Bold, TITLE_SIZE), MARGIN);
        self.y -= TITLE_SIZE / 2;
        for line in &self.page.about {
            for line in wrapped(&glyphs(line), (Weight::Normal, ABOUT_SIZE), RIGHT - MARGIN) {
                self.y -= ABOUT_SIZE * 3 / 2;
                self.show(&line, (Weight::Normal, ABOUT_SIZE), MARGIN);
            }
        }
        self.y -= TITLE_SIZE;
    }

    fn head(&mut self) {
        let head = &self.page.head;
        self.cells(head, &[glyphs(&head[0])], Weight::Bold);
        self.rule(80);
    }

    /// Begins a sheet unless all rows from this one on have room below; not if they would not have it there either.
    fn keep_together(&mut self, from: usize) {
        let rows = self.page.rows[from..].iter();
        let height: i32 = rows.map(|row| self.height(self.lines(row).1.len())).sum();
        let head = self.height(1);
        if self.y - height < BOTTOM && height + head <= SHEET.1 - MARGIN - BOTTOM {
            self.sheet();
            self.head();
        }
    }

    /// The first cell of a row, in lines.
    fn lines(&self, row: &PageRow) -> (Weight, Vec<Vec<Glyph>>) {
        let weight = if row.is_total { Weight::Bold } else { Weight::Normal };
        (weight, wrapped(&glyphs(&row.cells[0]), (weight, self.size), self.text))
    }

    /// Of a row of so many lines.
    fn height(&self, lines: usize) -> i32 {
        i32::try_from(lines).unwrap_or(i32::MAX).saturating_mul(self.leading()).saturating_add(self.size)
    }

    fn row(&mut self, number: usize) {
        let row = &self.page.rows[number];
        let (weight, lines) = self.lines(row);
        let lines_max = (SHEET.1 - MARGIN - BOTTOM) / self.leading() - 4;
        for (part, lines) in lines.chunks(usize::try_from(lines_max).unwrap_or(1).max(1)).enumerate() {
            if self.y - self.height(lines.len()) < BOTTOM {
                self.sheet();
                self.head();
            }
            let only_text = [row.cells[0].clone()];
            let cells = if part == 0 { &row.cells[..] } else { &only_text };
            self.cells(cells, lines, weight);
        }
        self.rule(if row.is_total { 80 } else { 30 });
    }

    /// The first cell in lines, the others beside the first of them.
    fn cells(&mut self, cells: &[String], lines: &[Vec<Glyph>], weight: Weight) {
        self.y -= self.size / 2;
        for (number, line) in lines.iter().enumerate() {
            self.y -= self.leading();
            self.show(line, (weight, self.size), MARGIN);
            if number != 0 {
                continue;
            }
            for (cell, edge) in cells[1..].iter().zip(self.edges.clone()) {
                let cell = glyphs(cell);
                let wide = width(&cell, weight) * self.size / 1_000;
                self.show(&cell, (weight, self.size), edge - wide);
            }
        }
        self.y -= self.size / 2;
    }

    fn note(&mut self) {
        if !self.has_escape {
            return;
        }
        let note = glyphs(self.page.locale.words().escapes);
        let lines = wrapped(&note, (Weight::Normal, NOTE_SIZE), RIGHT - MARGIN);
        if self.y - NOTE_SIZE * 5 < BOTTOM {
            self.sheet();
        }
        self.y -= NOTE_SIZE;
        for line in lines {
            self.y -= NOTE_SIZE * 3 / 2;
            self.show(&line, (Weight::Normal, NOTE_SIZE), MARGIN);
        }
    }

    /// A line below what was set.
    fn rule(&mut self, thickness: u8) {
        let y = self.y;
        let Some(content) = self.sheets.last_mut() else { return };
        content.set_line_width(f32::from(thickness)).set_stroke_gray(0.6);
        content.move_to(points(MARGIN), points(y)).line_to(points(RIGHT), points(y)).stroke();
    }

    /// Text at the current height, from the left edge `x` on.
    fn show(&mut self, glyphs: &[Glyph], (weight, size): (Weight, i32), x: i32) {
        let has_escape = glyphs.iter().any(|glyph| glyph.is_escape);
        self.has_escape |= has_escape;
        let y = self.y;
        let Some(content) = self.sheets.last_mut() else { return };
        if has_escape {
            let actual: String = glyphs.iter().map(|glyph| glyph.character).collect();
            let mut mark = content.begin_marked_content_with_properties(Name(b"Span"));
            mark.properties().actual_text(TextStr(&actual));
            mark.finish();
        }
        let codes: Vec<u8> = glyphs.iter().flat_map(|glyph| glyph.codes.iter().copied()).collect();
        let font = if weight == Weight::Bold { BOLD } else { NORMAL };
        content.begin_text().set_font(font, points(size)).next_line(points(x), points(y));
        content.show(Str(&codes)).end_text();
        if has_escape {
            content.end_marked_content();
        }
    }

    /// Numbers the sheets.
    fn finish(mut self) -> Vec<Vec<u8>> {
        let sheets = std::mem::take(&mut self.sheets);
        let all = sheets.len();
        let mut finished = Vec::with_capacity(all);
        for (number, content) in (1..).zip(sheets) {
            self.sheets.push(content);
            self.y = MARGIN;
            let text = format!("{} · {} {number}/{all}", self.page.title, self.page.locale.words().page);
            self.show(&glyphs(&text), (Weight::Normal, NOTE_SIZE), MARGIN);
            finished.extend(self.sheets.pop().map(|content| content.finish().into_vec()));
        }
        finished
    }

    fn leading(&self) -> i32 {
        self.size * 6 / 5
    }
}

/// The size, and how wide the columns of numbers are.
fn fit(page: &Page) -> (i32, Vec<i32>) {
    let widths = |size: i32| -> Vec<i32> {
        let of_column = |column: usize| {
            let rows = page.rows.iter().filter_map(|row| row.cells.get(column));
            // All as if they were bold, which a few are.
            let wide = |cell: &String| width(&glyphs(cell), Weight::Bold) * size / 1_000;
            rows.chain(page.head.get(column)).map(wide).max().unwrap_or_default() + GAP
        };
        (1..page.head.len()).map(of_column).collect()
    };
    let fits = |widths: &[i32]| TEXT_MIN <= RIGHT - MARGIN - widths.iter().sum::<i32>();
    let mut sizes = SIZES.into_iter().map(|size| (size, widths(size)));
    let smallest = SIZES[SIZES.len() - 1];
    sizes.find(|(_, widths)| fits(widths)).unwrap_or_else(|| (smallest, widths(smallest)))
}

/// Lines of at most this width, broken after spaces where there are any. Never empty.
fn wrapped(text: &[Glyph], (weight, size): (Weight, i32), most: i32) -> Vec<Vec<Glyph>> {
    let mut lines = Vec::new();
    let mut line: Vec<Glyph> = Vec::new();
    for glyph in text {
        line.push(glyph.clone());
        if width(&line, weight) * size / 1_000 <= most || line.len() == 1 {
            continue;
        }
        let blank = line[..line.len() - 1].iter().rposition(|glyph| glyph.character == ' ');
        let rest = line.split_off(blank.map_or(line.len() - 1, |blank| blank + 1));
        lines.push(std::mem::replace(&mut line, rest));
    }
    lines.push(line);
    lines
}

/// Sheets to a file.
fn bind(page: &Page, sheets: Vec<Vec<u8>>) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let refs = (FIRST_SHEET..).step_by(2).map(|number| (Ref::new(number), Ref::new(number + 1)));
    let sheets: Vec<(Ref, Ref, Vec<u8>)> =
        refs.zip(sheets).map(|((sheet, content), bytes)| (sheet, content, bytes)).collect();
    let mut catalog = pdf.catalog(CATALOG);
    catalog.pages(PAGES).lang(TextStr(page.locale.name()));
    catalog.viewer_preferences().display_doc_title(true);
    catalog.finish();
    let count = i32::try_from(sheets.len()).unwrap_or(i32::MAX);
    pdf.pages(PAGES).kids(sheets.iter().map(|sheet| sheet.0)).count(count);
    for (font, _, base) in FONTS {
        pdf.type1_font(font).base_font(base).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.document_info(INFO).title(TextStr(&page.title));
    for (sheet, content, bytes) in &sheets {
        let mut written = pdf.page(*sheet);
        written.parent(PAGES).contents(*content);
        written.media_box(Rect::new(0.0, 0.0, points(SHEET.0 / 100), points(SHEET.1 / 100)));
        let mut resources = written.resources();
        let mut fonts = resources.fonts();
        for (font, name, _) in FONTS {
            fonts.pair(name, font);
        }
        fonts.finish();
        resources.finish();
        written.finish();
        pdf.stream(*content, bytes);
    }
    pdf.finish()
}

/// Exact: every length is far below what a float counts exactly.
#[expect(clippy::cast_precision_loss, reason = "lengths on a sheet are below 100,000")]
fn points(length: i32) -> f32 {
    length as f32
}

#[cfg(test)]
mod tests {
    use super::{super::locale::Locale, *};

    fn page(rows: usize, item: &str, amount: &str) -> Page {
        let row = || PageRow { cells: [item, "1", amount].map(str::to_owned).to_vec(), is_total: false };
        Page {
            locale: Locale::Fr,
            title: "Facture 7".to_owned(),
            about: vec!["Émise 30/11/2026".to_owned()],
            head: ["Poste", "Quantité", "Montant (USD)"].map(str::to_owned).to_vec(),
            rows: (0..rows).map(|_| row()).collect(),
            sums: 0,
        }
    }

    fn sheets(bytes: &[u8]) -> usize {
        let text = String::from_utf8_lossy(bytes);
        text.matches("/Type/Page/").count().max(text.matches("/Type /Page\n").count())
    }

    #[test]
    fn rows_go_on_on_the_next_sheet_and_the_bytes_are_always_the_same() {
        for (rows, expected) in [(1, 1), (20, 1), (40, 2), (1_000, 33)] {
            let bytes = pdf(&page(rows, "paiements", "1\u{202f}234,50"));
            assert!(
                bytes.starts_with(b"%PDF-1.7") && bytes.len() < 1_000 + 400 * (rows + 10),
                "{}",
                bytes.len()
            );
            assert_eq!(sheets(&bytes), expected, "{rows} rows");
            assert_eq!(bytes, pdf(&page(rows, "paiements", "1\u{202f}234,50")));
        }
    }

    #[test]
    fn sums_stay_on_one_sheet() {
        let mut moved = 0;
        for lines in 1..100 {
            let mut page = page(lines, "paiements", "1,00");
            let before = set(&page).len();
            for word in ["sum", "tax", "total", "due"] {
                let cells = [word, "", "9,00"].map(str::to_owned).to_vec();
                page.rows.push(PageRow { cells, is_total: word == "due" });
            }
            page.sums = 4;
            let sheets = set(&page);
            let has = |sheet: &&Vec<u8>, word: &str| {
                let text = format!("({word})");
                sheet.windows(text.len()).any(|window| window == text.as_bytes())
            };
            let on = |word: &str| sheets.iter().position(|sheet| has(&sheet, word)).unwrap();
            assert_eq!([on("sum"), on("tax"), on("total")], [on("due"); 3], "{lines} lines");
            // No sheet is begun in vain.
            assert!(sheets.len() <= before + 1 && sheets.iter().all(|sheet| 400 < sheet.len()));
            moved += usize::from(before < sheets.len());
        }
        assert!(3 < moved, "the sums never came to the end of a sheet");
        // More than a sheet holds is not kept together.
        let mut long = page(200, "paiements", "1,00");
        long.sums = 200;
        assert_eq!(set(&long).len(), set(&page(200, "paiements", "1,00")).len());
    }

    #[test]
    fn what_the_fonts_lack_is_named_and_explained() {
        let plain = pdf(&page(1, "paiements", "1,00"));
        let bytes = pdf(&page(1, &"消費税".repeat(40), "1,00"));
        let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        // The note is not of ASCII, so it is written as hexadecimal numbers: "remplace".
        let note = b"72656D706C616365";
        assert!(has(&bytes, b"[U+6D88]") && has(&bytes, b"/ActualText") && has(&bytes, note));
        assert!(!has(&plain, b"/ActualText") && !has(&plain, note));
        // A name of 120 characters, none of which has a letter, and no space.
        assert_eq!(bytes.windows(8).filter(|window| *window == b"[U+6D88]").count(), 40);
    }

    #[test]
    fn lines_break_after_spaces_and_within_words_that_are_too_long() {
        let lines = |text: &str, most: i32| -> Vec<String> {
            let lines = wrapped(&glyphs(text), (Weight::Normal, 1_000), most);
            lines.iter().map(|line| line.iter().map(|glyph| glyph.character).collect()).collect()
        };
        assert_eq!(lines("aaa bbb ccc", 4_000), ["aaa bbb ", "ccc"]);
        assert_eq!(lines("aaaaaaaa", 2_300), ["aaaa", "aaaa"]);
        assert_eq!(lines("", 2_300), [""]);
        assert_eq!(lines("aa", 1), ["a", "a"]);
    }
}
