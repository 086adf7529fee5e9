//! What configs say: a text made of the config's number and a sequence, so that every byte of an
//! answer can be checked, and its age read from it.

use crate::md5::Md5;
use std::cell::RefCell;

/// Digits of the sequence at the beginning.
const SEQUENCE_DIGITS: usize = 12;

/// What fills the rest.
const FILLING: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-=";

/// Writes and reads contents of one length.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    bytes: usize,
    md5: Md5,
    /// The content last made: all listeners of a config ask for the same one.
    last: RefCell<Option<Made>>,
}

/// A content and its sum.
#[derive(Debug, Clone)]
struct Made {
    config: usize,
    sequence: u64,
    text: String,
    sum: String,
}

impl Contents {
    /// Contents of about so many bytes; the sequence and the number are always whole.
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, md5: Md5::default(), last: RefCell::default() }
    }

    pub(super) fn text(&self, config: usize, sequence: u64) -> String {
        let mut text = format!("{sequence:0SEQUENCE_DIGITS$} {config}\n");
        while text.len() < self.bytes {
            text.push_str(&FILLING[..(self.bytes - text.len()).min(FILLING.len())]);
        }
        text
    }

    pub(super) fn sum(&self, config: usize, sequence: u64) -> String {
        self.with(config, sequence, |made| made.sum.clone())
    }

    /// Looks at a content, made only if it is not the one looked at before.
    fn with<T>(&self, config: usize, sequence: u64, look: impl FnOnce(&Made) -> T) -> T {
        let mut last = self.last.borrow_mut();
        let same =
            last.as_ref().is_some_and(|made| made.config == config && made.sequence == sequence);
        if !same {
            *last = None;
        }
        look(last.get_or_insert_with(|| {
            let text = self.text(config, sequence);
            let sum = self.md5.hex(text.as_bytes());
            Made { config, sequence, text, sum }
        }))
    }

    /// The sequence of a content, if every byte and the sum are right.
    pub(super) fn read(&self, config: usize, text: &str, md5: &str) -> Result<u64, String> {
        let digits = text.get(..SEQUENCE_DIGITS).and_then(|digits| digits.parse().ok());
        let sequence = digits.ok_or_else(|| "a content of somebody else".to_owned())?;
        self.with(config, sequence, |made| {
            if text != made.text {
                return Err(format!("content {sequence} of config {config} is not as published"));
            }
            if md5 != made.sum {
                return Err(format!("md5 {md5} of content {sequence} of config {config} is wrong"));
            }
            Ok(sequence)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for bytes in [0, 14, 100, 1_024] {
            let contents = Contents::new(bytes);
            let (text, sum) = (contents.text(3, 71), contents.sum(3, 71));
            assert!(text.len() == bytes.max(15), "{}", text.len());
            assert_eq!(contents.read(3, &text, &sum), Ok(71));
            assert!(contents.read(4, &text, &sum).is_err());
            assert!(contents.read(3, &text, &contents.sum(3, 72)).is_err());
            assert!(contents.read(3, &text[..text.len() - 1], &sum).is_err());
            assert!(contents.read(3, "", "").is_err());
            assert_eq!(contents.read(3, &text, &sum), Ok(71), "whatever was looked at before");
        }
    }
}
