//! What all sessions to one target have in common: header blocks, set-up messages, spare buffers.

use crate::envelope;
use crate::http2::hpack::{self, Keep, Pool};
use nacre_proto::client::Named;
use nacre_proto::client::request::{
    ConnectionSetupRequest, HealthCheckRequest, ServerCheckRequest,
};
use nacre_proto::client::response::Response;

/// Buffers kept for reuse; a turn needs one per connection with something to say. Both bounds
/// together keep 16 MiB at most.
const SPARE_BUFFERS_MAX: usize = 1_024;

/// A buffer that grew beyond this is freed rather than kept.
const SPARE_BYTES_MAX: usize = 16 << 10;

/// `Metadata.clientIp` of everything sent.
const CLIENT_IP: &str = "127.0.0.1";

const UNARY_PATH: &str = "/Request/request";
const STREAM_PATH: &str = "/BiRequestStream/requestBiStream";

/// Fields after `:authority` and `:path`, those the dynamic table takes, in wire order.
const FIELDS: [(&str, &str); 4] = [
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "nacre-loadgen/0.1"),
    ("grpc-accept-encoding", "gzip"),
];

/// Shared by all sessions of a target.
#[derive(Debug)]
pub struct Script {
    /// First unary call: literals into the dynamic table.
    first: Vec<u8>,
    /// The stream: one more literal, its path.
    stream: Vec<u8>,
    /// Every later call: one byte a field.
    again: Vec<u8>,
    /// The same two without the table.
    plain_unary: Vec<u8>,
    plain_stream: Vec<u8>,
    table_bytes: usize,
    pub(super) server_check: Vec<u8>,
    pub(super) setup: Vec<u8>,
    pub(super) health_check: Vec<u8>,
    pub(super) pool: Pool,
    spare: Vec<Vec<u8>>,
}

impl Script {
    /// For clients of one module (label `module`) to one authority.
    pub fn new(authority: &str, module: &str) -> Self {
        let labels = [("source", "sdk"), ("module", module), ("AppName", "nacre-loadgen")];
        let setup = ConnectionSetupRequest {
            client_version: "Nacos-Java-Client:v3.1.1".into(),
            labels: labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            ability_table: Some([("fuzzyWatch".into(), true)].into()),
            ..ConnectionSetupRequest::default()
        };
        Self {
            first: first_block(authority),
            stream: stream_block(),
            again: again_block(),
            plain_unary: plain_block(authority, UNARY_PATH),
            plain_stream: plain_block(authority, STREAM_PATH),
            table_bytes: table_bytes(authority),
            server_check: Self::message(&ServerCheckRequest::default()),
            setup: Self::message(&setup),
            health_check: Self::message(&HealthCheckRequest::default()),
            pool: Pool::default(),
            spare: Vec::new(),
        }
    }

    /// A request as a whole gRPC message, with the metadata Java sends.
    pub fn message<M: Named>(request: &M) -> Vec<u8> {
        let body = serde_json::to_vec(request).expect("requests have text keys only");
        let mut message = Vec::new();
        envelope::encode_message(M::NAME, CLIENT_IP, &[], &body, &mut message);
        message
    }

    pub(super) fn unary_block(&self, plain: bool, introduced: bool) -> &[u8] {
        match (plain, introduced) {
            (true, _) => &self.plain_unary,
            (false, false) => &self.first,
            (false, true) => &self.again,
        }
    }

    pub(super) fn stream_block(&self, plain: bool) -> &[u8] {
        if plain { &self.plain_stream } else { &self.stream }
    }

    /// What our entries take of the peer's table.
    pub(super) fn table_bytes(&self) -> usize {
        self.table_bytes
    }

    /// An empty buffer, used before where possible.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        let worth = buffer.capacity() > 0 && buffer.capacity() <= SPARE_BYTES_MAX;
        if worth && self.spare.len() < SPARE_BUFFERS_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The gRPC message that answers a push.
    pub(super) fn ack(&mut self, push_kind: &str, request_id: &str) -> Vec<u8> {
        let mut kind = String::with_capacity(push_kind.len() + 1);
        kind.push_str(push_kind.strip_suffix("Request").unwrap_or(push_kind));
        kind.push_str("Response");
        let response = Response { request_id: Some(request_id.to_owned()), ..Response::default() };
        let body = serde_json::to_vec(&response).expect("text and numbers");
        let mut message = self.buffer();
        envelope::encode_message(&kind, "", &[], &body, &mut message);
        message
    }
}

fn first_block(authority: &str) -> Vec<u8> {
    let mut block = Vec::new();
    hpack::put_field(":authority", authority, Keep::Index, &mut block);
    hpack::put_field(":path", UNARY_PATH, Keep::Index, &mut block);
    put_method(&mut block);
    for (name, value) in FIELDS {
        hpack::put_field(name, value, Keep::Index, &mut block);
    }
    block
}

/// Refers to the entries of [`first_block`]; its own path becomes the newest entry.
fn stream_block() -> Vec<u8> {
    let mut block = Vec::new();
    hpack::put_dynamic(FIELDS.len() + 1, &mut block);
    hpack::put_field(":path", STREAM_PATH, Keep::Index, &mut block);
    put_method(&mut block);
    put_fields_after_stream(&mut block);
    block
}

/// Refers to the entries of [`first_block`], each one older since [`stream_block`].
fn again_block() -> Vec<u8> {
    let mut block = Vec::new();
    hpack::put_dynamic(FIELDS.len() + 2, &mut block);
    hpack::put_dynamic(FIELDS.len() + 1, &mut block);
    put_method(&mut block);
    put_fields_after_stream(&mut block);
    block
}

fn put_fields_after_stream(block: &mut Vec<u8>) {
    for at in 0..FIELDS.len() {
        hpack::put_dynamic(FIELDS.len() - at, block);
    }
}

fn plain_block(authority: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    hpack::put_field(":authority", authority, Keep::Forget, &mut block);
    hpack::put_field(":path", path, Keep::Forget, &mut block);
    put_method(&mut block);
    for (name, value) in FIELDS {
        hpack::put_field(name, value, Keep::Forget, &mut block);
    }
    block
}

fn put_method(block: &mut Vec<u8>) {
    hpack::put_field(":method", "POST", Keep::Index, block);
    hpack::put_field(":scheme", "http", Keep::Index, block);
}

fn table_bytes(authority: &str) -> usize {
    let named = [(":authority", authority), (":path", UNARY_PATH), (":path", STREAM_PATH)];
    named.iter().chain(&FIELDS).map(|(name, value)| hpack::entry_bytes(name, value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::hpack::Decoder;

    #[test]
    fn later_blocks_mean_what_the_first_said() {
        let script = Script::new("127.0.0.1:9848", "naming");
        let (mut decoder, mut pool) = (Decoder::default(), Pool::default());
        let mut read = |block: &[u8]| {
            let mut fields = Vec::new();
            decoder
                .decode(block, &mut pool, |name, value| {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    fields.push((text(name), text(value)));
                })
                .unwrap();
            fields
        };
        let first = read(&script.first);
        assert_eq!(first[0], (":authority".into(), "127.0.0.1:9848".into()));
        assert_eq!(first.len(), 8);
        let mut stream = read(&script.stream);
        assert_eq!(stream[1], (":path".into(), STREAM_PATH.into()));
        stream[1].1 = UNARY_PATH.into();
        assert_eq!(stream, first);
        assert_eq!(read(&script.again), first);
        assert_eq!(read(&script.again), first);
        assert_eq!(read(&script.plain_unary), first);
        assert_eq!(script.again.len(), 8, "one byte a field");
    }
}
