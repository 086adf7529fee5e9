//! Parameters of a request: of its query, of a urlencoded body, of a multipart body.
//!
//! Names that come twice: the first wins, the query before the body, as servlets have it.

use bytes::Bytes;
use std::borrow::Cow;

/// Parameters of one request; one more is refused with 400.
pub const PARAMETERS_MAX: usize = 1_024;

/// Parts of one multipart body; one more is refused with 400.
pub const PARTS_MAX: usize = 64;

/// Why parameters cannot be read. Answer 400 with this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    Escape,
    Utf8,
    Nul,
    TooMany,
    Multipart,
}

impl Malformed {
    /// What to tell the peer.
    pub fn text(self) -> &'static str {
        match self {
            Malformed::Escape => "a parameter has a % that is not followed by two hex digits",
            Malformed::Utf8 => "a parameter is not UTF-8",
            Malformed::Nul => "a parameter contains a NUL character",
            Malformed::TooMany => "too many parameters",
            Malformed::Multipart => "the multipart body is malformed",
        }
    }
}

/// Name and value pairs in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Adds the pairs of a query or of a urlencoded body.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn add(&mut self, text: &'a [u8]) -> Result<(), Malformed> {
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match at {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            self.push(decode(name)?, decode(value)?)?;
        }
        Ok(())
    }

    /// Adds one pair.
    ///
    /// # Errors
    /// There are [`PARAMETERS_MAX`].
    pub fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), Malformed> {
        if self.0.len() == PARAMETERS_MAX {
            return Err(Malformed::TooMany);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of a name. Linear: requests have some ten parameters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// All pairs in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// Undoes the encoding of forms: `+` is a blank, `%41` is `A`.
///
/// # Errors
/// A broken escape, bytes that are no UTF-8, a NUL.
pub fn decode(text: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    unescape(text, b' ')
}

/// Undoes the encoding of one part of a path: there, `+` is itself.
///
/// # Errors
/// As [`decode`].
pub fn decode_path(text: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    unescape(text, b'+')
}

fn unescape(text: &[u8], plus: u8) -> Result<Cow<'_, str>, Malformed> {
    let plain = !text.iter().any(|byte| matches!(byte, b'%' | b'+'));
    let decoded = if plain {
        Cow::Borrowed(std::str::from_utf8(text).map_err(|_| Malformed::Utf8)?)
    } else {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.iter();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => plus,
                b'%' => {
                    let mut digit = || rest.next().and_then(|byte| (*byte as char).to_digit(16));
                    match (digit(), digit()) {
                        (Some(high), Some(low)) => (high * 16 + low) as u8,
                        _ => return Err(Malformed::Escape),
                    }
                }
                other => *other,
            });
        }
        Cow::Owned(String::from_utf8(bytes).map_err(|_| Malformed::Utf8)?)
    };
    if decoded.contains('\0') { Err(Malformed::Nul) } else { Ok(decoded) }
}

/// One part of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// Only of files.
    pub file_name: Option<String>,
    pub content: Bytes,
}

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    rest.split(';').find_map(|attribute| {
        let (name, value) = attribute.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then_some(value)
    })
}

/// The parts of a multipart body (RFC 7578). Contents are not copied.
///
/// # Errors
/// No parts between boundaries, a part without a name, more than [`PARTS_MAX`].
pub fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Malformed> {
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut at = match body.starts_with(opening.as_bytes()) {
        true => opening.len(),
        false => find(body, between.as_bytes(), 0).ok_or(Malformed::Multipart)? + between.len(),
    };
    let mut parts = Vec::new();
    while !body[at..].starts_with(b"--") {
        if !body[at..].starts_with(b"\r\n") {
            return Err(Malformed::Multipart);
        }
        let end = find(body, between.as_bytes(), at).ok_or(Malformed::Multipart)?;
        let head_end = find(body, b"\r\n\r\n", at).filter(|head_end| *head_end + 4 <= end);
        let head_end = head_end.ok_or(Malformed::Multipart)?;
        let head = std::str::from_utf8(&body[at..head_end]).map_err(|_| Malformed::Utf8)?;
        if parts.len() == PARTS_MAX {
            return Err(Malformed::TooMany);
        }
        parts.push(Part {
            name: attribute(head, "name").ok_or(Malformed::Multipart)?.to_owned(),
            file_name: attribute(head, "filename").map(str::to_owned),
            content: body.slice(head_end + 4..end),
        });
        at = end + between.len();
    }
    Ok(parts)
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    body[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}

/// An attribute of a part's `Content-Disposition`.
fn attribute<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let is_disposition = |line: &&str| {
        line.split_once(':')
            .is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case("content-disposition"))
    };
    let line = head.lines().find(is_disposition)?;
    line.split(';').skip(1).find_map(|attribute| {
        let (key, value) = attribute.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_decoded_and_the_first_wins() {
        let mut form = Form::default();
        form.add(b"a=1&b=%41+%e4%bd%a0&&c&d=&a=2&=x&e=f=g").unwrap();
        form.add(b"a=3&z=9&").unwrap();
        let table = [("a", "1"), ("b", "A \u{4f60}"), ("c", ""), ("d", ""), ("e", "f=g")];
        for (name, value) in table.into_iter().chain([("z", "9"), ("", "x")]) {
            assert_eq!(form.get(name), Some(value), "{name}");
        }
        assert_eq!(form.get("f"), None);
        assert_eq!(form.iter().filter(|(name, _)| *name == "a").count(), 3);
    }

    #[test]
    fn what_is_malformed_is_named() {
        let table: &[(&[u8], Malformed)] = &[
            (b"a=%", Malformed::Escape),
            (b"a=%4", Malformed::Escape),
            (b"a=%zz", Malformed::Escape),
            (b"%=a", Malformed::Escape),
            (b"a=%ff", Malformed::Utf8),
            (b"a=\xff", Malformed::Utf8),
            (b"a=%00", Malformed::Nul),
            (b"a\0=1", Malformed::Nul),
        ];
        for (text, expected) in table {
            assert_eq!(Form::default().add(text), Err(*expected), "{text:?}");
        }
        let many = "a=1&".repeat(PARAMETERS_MAX);
        let mut form = Form::default();
        form.add(many.as_bytes()).unwrap();
        assert_eq!(form.add(b"b=1"), Err(Malformed::TooMany));
    }

    #[test]
    fn multipart_bodies() {
        let text = "--xyz\r\nContent-Disposition: form-data; name=\"namespace\"\r\n\r\ndev\r\n\
                    --xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\
                    Content-Type: application/zip\r\n\r\nPK\r\n--x\r\n--xyz--\r\n";
        let body = Bytes::from_static(text.as_bytes());
        let parts = parts(&body, "xyz").unwrap();
        assert_eq!((&*parts[0].name, &parts[0].content[..]), ("namespace", &b"dev"[..]));
        assert_eq!(parts[1].file_name.as_deref(), Some("a.zip"));
        assert_eq!(&parts[1].content[..], b"PK\r\n--x");
        assert_eq!(parts.len(), 2);
        assert_eq!(boundary("multipart/form-data; boundary=\"xyz\""), Some("xyz"));
        assert_eq!(boundary("Multipart/Form-Data;charset=x; BOUNDARY=a-b"), Some("a-b"));
        for none in ["text/plain; boundary=x", "multipart/form-data", "multipart/form-data; x=y"] {
            assert_eq!(boundary(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Form::default().add(&bytes);
            let _ = parts(&Bytes::from(bytes.clone()), "b");
            let mut framed = b"--b\r\n".to_vec();
            framed.extend_from_slice(&bytes);
            framed.extend_from_slice(b"\r\n--b--");
            let _ = parts(&Bytes::from(framed), "b");
        }

        #[test]
        fn what_is_encoded_comes_back(text in "[^\0]{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let decoded = decode(encoded.as_bytes()).unwrap();
            prop_assert_eq!(&*decoded, text.as_str());
        }
    }
}
