//! The protobuf `Payload` around every JSON body, and the gRPC prefix around that.
//!
//! Written by hand, apart from the server's own codec, so that the two cannot share a mistake
//! (`grpc-protocol.md` 1.1, 2).

use std::fmt;

/// Bytes before each gRPC message: one flag and a big-endian length.
pub const PREFIX_BYTES: usize = 5;

/// Field keys of `Payload`, `Metadata` and `Any`: number and wire type 2 (length-delimited).
const PAYLOAD_METADATA: u64 = 2 << 3 | 2;
const PAYLOAD_BODY: u64 = 3 << 3 | 2;
const METADATA_TYPE: u64 = 3 << 3 | 2;
const METADATA_HEADERS: u64 = 7 << 3 | 2;
const METADATA_CLIENT_IP: u64 = 8 << 3 | 2;
const ANY_VALUE: u64 = 2 << 3 | 2;
const ENTRY_KEY: u64 = 1 << 3 | 2;
const ENTRY_VALUE: u64 = 2 << 3 | 2;

/// A decoded `Payload`; everything borrows from the received bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `Metadata.type`, the simple class name.
    pub kind: &'a str,
    /// `Metadata.clientIp`, empty when absent.
    pub client_ip: &'a str,
    /// `Metadata.headers` in wire order.
    pub headers: Vec<(&'a str, &'a str)>,
    /// `Any.value`, the JSON text.
    pub body: &'a [u8],
}

/// Why bytes are no `Payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeError {
    /// A length or varint runs past the end.
    Truncated,
    /// A varint over ten bytes, or field number zero.
    Varint,
    /// A text field is no UTF-8.
    Text,
    /// A group or an unknown wire type.
    WireType,
    /// The gRPC compressed flag is set; we never offered a compression.
    Compressed,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Truncated => "payload ends inside a field",
            Self::Varint => "payload has a malformed varint",
            Self::Text => "payload text is not UTF-8",
            Self::WireType => "payload has an unknown wire type",
            Self::Compressed => "message is compressed though none was offered",
        })
    }
}

impl std::error::Error for EnvelopeError {}

/// Appends one gRPC message (prefix and `Payload`) to `out`.
pub fn encode_message(
    kind: &str,
    client_ip: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    encode(kind, client_ip, headers, body, out);
    let len = u32::try_from(out.len() - start - PREFIX_BYTES).expect("tests send less than 4 GiB");
    out[start + 1..start + PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// Appends a `Payload` without the gRPC prefix to `out`.
pub fn encode(
    kind: &str,
    client_ip: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let mut metadata_len = field_len(kind.len());
    if !client_ip.is_empty() {
        metadata_len += field_len(client_ip.len());
    }
    for (key, value) in headers {
        metadata_len += field_len(field_len(key.len()) + field_len(value.len()));
    }
    put_key(PAYLOAD_METADATA, metadata_len, out);
    put_field(METADATA_TYPE, kind.as_bytes(), out);
    for (key, value) in headers {
        put_key(METADATA_HEADERS, field_len(key.len()) + field_len(value.len()), out);
        put_field(ENTRY_KEY, key.as_bytes(), out);
        put_field(ENTRY_VALUE, value.as_bytes(), out);
    }
    if !client_ip.is_empty() {
        put_field(METADATA_CLIENT_IP, client_ip.as_bytes(), out);
    }
    put_key(PAYLOAD_BODY, field_len(body.len()), out);
    put_field(ANY_VALUE, body, out);
}

/// Reads one `Payload`. Unknown fields are skipped, later scalars win.
pub fn decode(bytes: &[u8]) -> Result<Envelope<'_>, EnvelopeError> {
    let mut envelope = Envelope::default();
    let mut fields = Fields(bytes);
    while let Some((key, value)) = fields.next()? {
        match key {
            PAYLOAD_METADATA => decode_metadata(value, &mut envelope)?,
            PAYLOAD_BODY => {
                let mut any = Fields(value);
                while let Some((key, value)) = any.next()? {
                    if key == ANY_VALUE {
                        envelope.body = value;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(envelope)
}

fn decode_metadata<'a>(bytes: &'a [u8], envelope: &mut Envelope<'a>) -> Result<(), EnvelopeError> {
    let mut fields = Fields(bytes);
    while let Some((key, value)) = fields.next()? {
        match key {
            METADATA_TYPE => envelope.kind = text(value)?,
            METADATA_CLIENT_IP => envelope.client_ip = text(value)?,
            METADATA_HEADERS => {
                let mut pair = ("", "");
                let mut entry = Fields(value);
                while let Some((key, value)) = entry.next()? {
                    match key {
                        ENTRY_KEY => pair.0 = text(value)?,
                        ENTRY_VALUE => pair.1 = text(value)?,
                        _ => {}
                    }
                }
                envelope.headers.push(pair);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes one whole gRPC message off the front of `bytes`: the message and how many bytes it used.
/// `None` when more bytes must come.
pub fn split_message(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, EnvelopeError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    if prefix[0] != 0 {
        return Err(EnvelopeError::Compressed);
    }
    let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    Ok(rest.get(..len).map(|message| (message, PREFIX_BYTES + len)))
}

/// Length-delimited fields of one message, in order; fields of other wire types are skipped.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, &'a [u8])>, EnvelopeError> {
        while !self.0.is_empty() {
            let key = self.varint()?;
            if key >> 3 == 0 {
                return Err(EnvelopeError::Varint);
            }
            match key & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                    return Ok(Some((key, self.take(len)?)));
                }
                5 => drop(self.take(4)?),
                _ => return Err(EnvelopeError::WireType),
            }
        }
        Ok(None)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], EnvelopeError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(EnvelopeError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, EnvelopeError> {
        let mut value = 0;
        for shift in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(EnvelopeError::Varint)
    }
}

fn text(bytes: &[u8]) -> Result<&str, EnvelopeError> {
    std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Text)
}

fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_key(key: u64, len: usize, out: &mut Vec<u8>) {
    put_varint(key, out);
    put_varint(len as u64, out);
}

fn put_field(key: u64, value: &[u8], out: &mut Vec<u8>) {
    put_key(key, value.len(), out);
    out.extend_from_slice(value);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first message Java 3.1.1 sends (wire-samples/http2/java-nacos-client-3.1.1.jsonl).
    const JAVA_SERVER_CHECK: &str = "0000000047121f1a12536572766572436865636b5265717565737442093139\
        322e302e322e321a2412227b2268656164657273223a7b7d2c226d6f64756c65223a22696e7465726e616c227d";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().filter(|b| !b.is_ascii_whitespace()).map(digit).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn digit(byte: u8) -> u8 {
        if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
    }

    #[test]
    fn writes_what_java_writes() {
        let mut out = Vec::new();
        let body = br#"{"headers":{},"module":"internal"}"#;
        encode_message("ServerCheckRequest", "192.0.2.2", &[], body, &mut out);
        assert_eq!(out, hex(JAVA_SERVER_CHECK));
    }

    #[test]
    fn reads_back_headers_and_long_bodies() {
        let body = vec![b'x'; 70_000];
        let mut out = Vec::new();
        encode_message("K", "", &[("app", "a"), ("", "v")], &body, &mut out);
        let (message, used) = split_message(&out).unwrap().unwrap();
        assert_eq!(used, out.len());
        let envelope = decode(message).unwrap();
        assert_eq!(envelope.kind, "K");
        assert_eq!(envelope.headers, [("app", "a"), ("", "v")]);
        assert_eq!(envelope.body, body);
    }

    #[test]
    fn refuses_every_truncation() {
        let mut out = Vec::new();
        encode("InstanceRequest", "1.2.3.4", &[("k", "v")], b"{}", &mut out);
        let whole = decode(&out).unwrap();
        for end in 0..out.len() {
            if let Ok(part) = decode(&out[..end]) {
                assert_ne!(part, whole, "cut at {end}");
            }
        }
    }

    #[test]
    fn asks_for_more_and_refuses_compression() {
        assert_eq!(split_message(&[0, 0, 0, 0, 2, 1]), Ok(None));
        assert_eq!(split_message(&[1, 0, 0, 0, 0]), Err(EnvelopeError::Compressed));
    }
}
