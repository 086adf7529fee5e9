//! The protobuf envelope (`grpc-protocol.md` 1.1): read without copying, written around shared
//! JSON.
//!
//! [`PayloadView`] is for servers: it borrows, checks everything once and allocates nothing.
//! [`Payload`] is the same schema by prost, for clients and as the oracle of the tests.
//!
//! Differences between the two, on input no encoder makes: a known field with a wrong wire type is
//! passed over by the view as an unknown field, as Java does, and refused by prost.

use crate::fields::Fields;
use std::fmt;

/// `Payload` by prost: owned, for whoever sends requests.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    pub body: Option<Any>,
}

/// `Metadata` by prost.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    /// Simple class name of what the body holds. `type` on the wire.
    #[prost(string, tag = "3")]
    pub kind: String,
    /// The sender's own address; often empty.
    #[prost(string, tag = "8")]
    pub client_ip: String,
    #[prost(map = "string, string", tag = "7")]
    pub headers: std::collections::HashMap<String, String>,
}

/// `google.protobuf.Any` by prost. `value` is JSON here, not a nested message.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {
    /// Left empty by Java and Go, the type name with the Rust SDK; never read.
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// Headers of one payload. Real clients send at most ten; beyond this the payload is refused, so
/// that a look-up stays a short walk.
pub const HEADERS_MAX: usize = 256;

/// Why bytes are no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// A field or the message ends before its length says.
    CutShort,
    /// A varint of more than ten bytes, a field number 0, or a wire type that does not exist.
    Malformed,
    /// Groups nested deeper than any encoder does.
    TooDeep,
    /// The named member is no UTF-8.
    NotUtf8(&'static str),
    /// More than [`HEADERS_MAX`] headers.
    TooManyHeaders,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::CutShort => f.write_str("the payload ends too early"),
            PayloadError::Malformed => f.write_str("the payload is malformed protobuf"),
            PayloadError::TooDeep => f.write_str("the payload is nested too deeply"),
            PayloadError::NotUtf8(member) => write!(f, "the payload's {member} is not UTF-8"),
            PayloadError::TooManyHeaders => {
                write!(f, "the payload has more than {HEADERS_MAX} headers")
            }
        }
    }
}

impl std::error::Error for PayloadError {}

/// A received payload, borrowed from its bytes. About 50 ns for a HealthCheck.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadView<'a> {
    /// `Metadata.type`; empty when absent.
    pub kind: &'a str,
    /// `Metadata.clientIp`; empty when absent.
    pub client_ip: &'a str,
    /// `Any.value`: the JSON.
    pub body: &'a [u8],
    /// The whole message, walked again for headers; empty when there are none.
    bytes: &'a [u8],
}

impl<'a> PayloadView<'a> {
    /// Reads one payload. Unknown fields are passed over, of repeated scalars the last counts,
    /// repeated messages are merged, `Any.type_url` is checked and dropped. Never panics, never
    /// allocates.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let mut view = Self { kind: "", client_ip: "", body: &[], bytes: &[] };
        let mut headers = 0;
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match (field.number, field.bytes) {
                (2, Some(metadata)) => headers += view.metadata(metadata)?,
                (3, Some(any)) => view.any(any)?,
                _ => {}
            }
            if headers > HEADERS_MAX {
                return Err(PayloadError::TooManyHeaders);
            }
        }
        if headers > 0 {
            view.bytes = bytes;
        }
        Ok(view)
    }

    /// A header by its name, case ignored; the last of several. `None` when absent.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .last()
    }

    /// All headers in wire order, at most [`HEADERS_MAX`]; a repeated key comes again.
    pub fn headers(&self) -> Headers<'a> {
        Headers { payload: Fields(self.bytes), metadata: Fields(&[]) }
    }

    /// Merges a `Metadata`; returns how many headers it has.
    fn metadata(&mut self, bytes: &'a [u8]) -> Result<usize, PayloadError> {
        let mut headers = 0;
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match (field.number, field.bytes) {
                (3, Some(kind)) => self.kind = text(kind, "type")?,
                (8, Some(ip)) => self.client_ip = text(ip, "clientIp")?,
                (7, Some(entry)) => {
                    header(entry)?;
                    headers += 1;
                }
                _ => {}
            }
        }
        Ok(headers)
    }

    fn any(&mut self, bytes: &'a [u8]) -> Result<(), PayloadError> {
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match (field.number, field.bytes) {
                (1, Some(url)) => drop(text(url, "type_url")?),
                (2, Some(value)) => self.body = value,
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PayloadView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadView")
            .field("kind", &self.kind)
            .field("client_ip", &self.client_ip)
            .field("headers", &self.headers().count())
            .field("body", &String::from_utf8_lossy(self.body))
            .finish()
    }
}

/// Iterates the headers of a payload.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    payload: Fields<'a>,
    metadata: Fields<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        // Errors cannot come: the same bytes were walked by `decode`.
        loop {
            while let Some(field) = self.metadata.next().ok()? {
                if let (7, Some(entry)) = (field.number, field.bytes) {
                    return header(entry).ok();
                }
            }
            let field = self.payload.next().ok()??;
            if let (2, Some(metadata)) = (field.number, field.bytes) {
                self.metadata = Fields(metadata);
            }
        }
    }
}

/// One entry of the header map; absent parts are empty.
fn header(bytes: &[u8]) -> Result<(&str, &str), PayloadError> {
    let mut entry = ("", "");
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match (field.number, field.bytes) {
            (1, Some(key)) => entry.0 = text(key, "header name")?,
            (2, Some(value)) => entry.1 = text(value, "header value")?,
            _ => {}
        }
    }
    Ok(entry)
}

fn text<'a>(bytes: &'a [u8], member: &'static str) -> Result<&'a str, PayloadError> {
    std::str::from_utf8(bytes).map_err(|_| PayloadError::NotUtf8(member))
}

/// Bytes that [`encode_head`] writes for the same arguments. `head_len(…) + body_len` is the whole
/// message.
pub fn head_len(kind: &str, client_ip: &str, body_len: usize) -> usize {
    let metadata = text_len(kind) + text_len(client_ip);
    1 + varint_len(metadata) + metadata + 1 + varint_len(any_len(body_len)) + any_head(body_len)
}

/// Writes everything of a payload that comes before its JSON. The JSON is the end of the message,
/// so the head and the pieces of the JSON, `body_len` bytes together, are the message. No headers:
/// servers send none.
pub fn encode_head(kind: &str, client_ip: &str, body_len: usize, out: &mut Vec<u8>) {
    out.push(METADATA);
    write_varint(text_len(kind) + text_len(client_ip), out);
    write_text(TYPE, kind, out);
    write_text(CLIENT_IP, client_ip, out);
    out.push(BODY);
    write_varint(any_len(body_len), out);
    if body_len > 0 {
        out.push(VALUE);
        write_varint(body_len, out);
    }
}

// Tags of length-delimited fields: number × 8 + 2.
const METADATA: u8 = 2 << 3 | 2;
const BODY: u8 = 3 << 3 | 2;
const TYPE: u8 = 3 << 3 | 2;
const CLIENT_IP: u8 = 8 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

/// An empty scalar is not written (proto3).
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { 1 + varint_len(text.len()) + text.len() }
}

fn any_head(body_len: usize) -> usize {
    if body_len == 0 { 0 } else { 1 + varint_len(body_len) }
}

fn any_len(body_len: usize) -> usize {
    any_head(body_len) + body_len
}

fn varint_len(value: usize) -> usize {
    // Seven bits a byte; 0 takes one.
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn write_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        out.push(tag);
        write_varint(text.len(), out);
        out.extend_from_slice(text.as_bytes());
    }
}

fn write_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn entry(key: &str, value: &str) -> Vec<u8> {
        field(7, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    }

    #[test]
    fn nothing_is_an_empty_payload() {
        let view = PayloadView::decode(b"").unwrap();
        assert_eq!((view.kind, view.client_ip, view.body), ("", "", &b""[..]));
        assert_eq!(view.header("app"), None);
    }

    #[test]
    fn headers_ignore_case_and_the_last_counts() {
        let entries = [entry("app", "a"), entry("Tag", "t"), entry("APP", "b"), field(7, b"")];
        let bytes = [field(2, &entries.concat()), field(2, &entry("tag", "u"))].concat();
        let view = PayloadView::decode(&bytes).unwrap();
        assert_eq!(view.header("App"), Some("b"));
        assert_eq!(view.header("tag"), Some("u"));
        assert_eq!(view.header(""), Some(""));
        assert_eq!(view.header("other"), None);
        let all = [("app", "a"), ("Tag", "t"), ("APP", "b"), ("", ""), ("tag", "u")];
        assert_eq!(view.headers().collect::<Vec<_>>(), all);
    }

    #[test]
    fn later_scalars_win_and_unknown_fields_do_not_matter() {
        let metadata = [field(3, b"Old"), field(9, b"?"), field(3, b"New"), field(8, b"::1")];
        let any = [field(2, b"{}"), field(1, b"type"), field(4, b"\xff"), field(2, b"[]")];
        let parts = [field(1, b"\xff"), field(2, &metadata.concat()), field(3, &any.concat())];
        let bytes = parts.concat();
        let view = PayloadView::decode(&bytes).unwrap();
        assert_eq!((view.kind, view.client_ip, view.body), ("New", "::1", &b"[]"[..]));
    }

    #[test]
    fn text_that_is_no_utf8_is_named() {
        let header = |name: &[u8], value: &[u8]| {
            field(2, &field(7, &[field(1, name), field(2, value)].concat()))
        };
        for (bytes, member) in [
            (field(2, &field(3, b"\xff")), "type"),
            (field(2, &field(8, b"\xc3")), "clientIp"),
            (header(b"\xff", b""), "header name"),
            (header(b"a", b"\xff"), "header value"),
            (field(3, &field(1, b"\xff")), "type_url"),
        ] {
            assert_eq!(PayloadView::decode(&bytes), Err(PayloadError::NotUtf8(member)));
        }
    }

    #[test]
    fn an_empty_body_is_an_empty_any() {
        let mut bytes = vec![];
        encode_head("T", "", 0, &mut bytes);
        assert_eq!(bytes, [field(2, &field(3, b"T")), field(3, b"")].concat());
        assert_eq!(head_len("T", "", 0), bytes.len());
    }
}
