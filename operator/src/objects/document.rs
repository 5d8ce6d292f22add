//! The document: a List as `kubectl apply` reads it, with one object per line, so that two of them can be compared. One that was
//! broken off is no JSON.

use std::io::{self, BufWriter, Write};

use serde_json::Value;

/// One that is being written.
pub struct Document<W: Write> {
    to: BufWriter<W>,
    count: u64,
}

impl<W: Write> Document<W> {
    /// Begins one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(to: W) -> io::Result<Self> {
        let mut to = BufWriter::new(to);
        to.write_all(br#"{"apiVersion":"v1","kind":"List","items":["#)?;
        Ok(Self { to, count: 0 })
    }

    /// Adds an object.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, object: &Value) -> io::Result<()> {
        self.to.write_all(if self.count == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut self.to, object)?;
        self.count += 1;
        Ok(())
    }

    /// Ends it. How many objects it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<u64> {
        self.to.write_all(b"\n]}\n")?;
        self.to.flush()?;
        Ok(self.count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_a_list_when_it_is_finished_and_nothing_before() {
        for count in [0, 1, 3] {
            let mut text = Vec::new();
            let mut document = Document::begin(&mut text).unwrap();
            for number in 0..count {
                document.add(&json!({"number": number})).unwrap();
            }
            assert_eq!(document.finish().unwrap(), count);
            let whole: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!((&whole["apiVersion"], &whole["kind"]), (&json!("v1"), &json!("List")));
            assert_eq!(whole["items"].as_array().unwrap().len() as u64, count);
            assert!(serde_json::from_slice::<Value>(&text[..text.len() - 2]).is_err());
        }
    }
}
