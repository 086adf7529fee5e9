//! What a long poll says its client has, and what it is told (`http-api.md` 2.3).

/// Ends each word of a record but the last.
const WORD: char = '\u{2}';

/// Ends a record.
const LINE: char = '\u{1}';

/// Records of one poll: the reference's own bound.
pub const RECORDS_MAX: usize = 10_000;

/// One record: what the client has of one config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe<'a> {
    pub data_id: &'a str,
    pub group: &'a str,
    /// Empty: nothing.
    pub md5: &'a str,
    /// Empty where the record names none.
    pub tenant: &'a str,
}

/// Reads `Listening-Configs`, decoded. What stands behind the last line end is passed over, as in
/// the reference. `None`: no record, a record of other than three or four words, or too many.
pub fn read(text: &str) -> Option<Vec<Probe<'_>>> {
    let (lines, _rest) = text.rsplit_once(LINE)?;
    let mut probes = Vec::new();
    for line in lines.split(LINE) {
        let mut words = line.split(WORD);
        let [data_id, group, md5] = [words.next()?, words.next()?, words.next()?];
        let tenant = words.next().unwrap_or("");
        if words.next().is_some() || probes.len() == RECORDS_MAX {
            return None;
        }
        probes.push(Probe { data_id, group, md5, tenant });
    }
    Some(probes)
}

/// Adds one changed config to the answer of a poll, encoded; `tenant` empty where the client named
/// none.
pub fn write_changed(out: &mut String, data_id: &str, group: &str, tenant: &str) {
    write_encoded(out, data_id);
    out.push_str("%02");
    write_encoded(out, group);
    if !tenant.is_empty() {
        out.push_str("%02");
        write_encoded(out, tenant);
    }
    out.push_str("%01");
}

/// Text as Java's `URLEncoder` writes it.
pub fn write_encoded(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe<'a>(data_id: &'a str, group: &'a str, md5: &'a str, tenant: &'a str) -> Probe<'a> {
        Probe { data_id, group, md5, tenant }
    }

    #[test]
    fn records_of_real_clients() {
        let one = probe("j14.yaml", "DEFAULT_GROUP", "c32ab5951a0460cb3dd1724bdc4f00f2", "");
        let text = "j14.yaml\u{2}DEFAULT_GROUP\u{2}c32ab5951a0460cb3dd1724bdc4f00f2\u{1}";
        assert_eq!(read(text), Some(vec![one]));
        // Python names an empty tenant.
        let python = "j14.yaml\u{2}DEFAULT_GROUP\u{2}c32ab5951a0460cb3dd1724bdc4f00f2\u{2}\u{1}";
        assert_eq!(read(python), Some(vec![one]));
        let two = "a\u{2}g\u{2}\u{1}b\u{2}g\u{2}m\u{2}dev\u{1}cut\u{2}off";
        assert_eq!(read(two), Some(vec![probe("a", "g", "", ""), probe("b", "g", "m", "dev")]));
    }

    #[test]
    fn other_shapes_are_none() {
        for odd in
            ["", "a", "a\u{2}g\u{2}m", "\u{1}", "a\u{2}g\u{1}", "a\u{2}g\u{2}m\u{2}t\u{2}\u{1}"]
        {
            assert_eq!(read(odd), None, "{odd:?}");
        }
        let full = "a\u{2}g\u{2}\u{1}".repeat(RECORDS_MAX);
        assert_eq!(read(&full).map(|probes| probes.len()), Some(RECORDS_MAX));
        assert_eq!(read(&format!("{full}a\u{2}g\u{2}\u{1}")), None);
    }

    #[test]
    fn changes_are_encoded_as_java_does() {
        let mut out = String::new();
        write_changed(&mut out, "j14.yaml", "DEFAULT_GROUP", "");
        write_changed(&mut out, "org.a:b", "g", "dev-1");
        assert_eq!(out, "j14.yaml%02DEFAULT_GROUP%01org.a%3Ab%02g%02dev-1%01");
    }
}
