//! One call: what its head asked for, and what has come of its request.

use super::compress::Encoding;
use super::timeout;
use crate::http2::hpack::{Atoms, Head};

/// Shape of a method.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message there, one back.
    #[default]
    Unary,
    /// Messages both ways until each side has enough.
    Bidi,
}

/// A method the service knows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The service's own number for it.
    pub id: u8,
    /// Its shape.
    pub kind: Kind,
}

/// How far a call is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Answered, or not gRPC: what still comes is dropped.
    #[default]
    Over,
    /// The request is coming.
    Reading,
    /// The request is complete and with the service.
    Serving,
}

/// A message under way, from its prefix on.
#[derive(Debug, Default)]
pub struct Gather {
    /// Prefix and as much of the message as came.
    pub bytes: Vec<u8>,
    /// Prefix and message together, once the prefix is there; until then 0.
    pub wanted: usize,
}

/// What the gRPC layer keeps of a stream. Kept small: it is part of every idle connection.
#[derive(Debug, Default)]
pub struct Call {
    /// A message that did not come in one piece.
    pub gather: Option<Box<Gather>>,
    /// When the head came.
    pub begun_ms: u32,
    /// Milliseconds after `begun_ms` at which the client stops waiting; 0 is never.
    pub timeout_ms: u32,
    /// What was called.
    pub method: Method,
    /// How far it is.
    pub stage: Stage,
    /// How messages may be compressed.
    pub encoding: Encoding,
    /// A bidirectional stream has had its first message.
    pub heard: bool,
}

impl Call {
    /// Whether this is an open stream on which nothing is owed: it may be silent for ever.
    pub fn is_resting(&self) -> bool {
        self.stage == Stage::Reading && self.method.kind == Kind::Bidi && self.heard
    }
}

/// What a request head says to gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A call.
    Call {
        /// `/service/method`
        path: &'a [u8],
        /// For its messages.
        encoding: Encoding,
        /// 0 is none.
        timeout_ms: u32,
    },
    /// Plain HTTP.
    Plain {
        /// Any but POST.
        method: &'a [u8],
        /// Path.
        path: &'a [u8],
    },
    /// A POST that is not gRPC: 415.
    NotGrpc,
    /// A compression we do not know.
    BadEncoding,
    /// A `grpc-timeout` that is none.
    BadTimeout,
}

/// Reads a request head. About ten short comparisons, no copy.
pub fn read_head<'a>(head: &'a Head, atoms: &'a Atoms) -> Asked<'a> {
    let (method, path) = (head.method(atoms), head.path(atoms));
    if method != b"POST" {
        return Asked::Plain { method, path };
    }
    let mut is_grpc = false;
    let mut encoding = Some(Encoding::Identity);
    let mut timeout_ms = Ok(None);
    for (name, value) in head.fields(atoms) {
        match name {
            b"content-type" => is_grpc = is_grpc_content_type(value),
            b"grpc-encoding" => encoding = Encoding::from_name(value),
            b"grpc-timeout" => timeout_ms = timeout::parse(value),
            _ => {}
        }
    }
    match (is_grpc, encoding, timeout_ms) {
        (false, ..) => Asked::NotGrpc,
        (_, None, _) => Asked::BadEncoding,
        (.., Err(_)) => Asked::BadTimeout,
        // A timeout of zero has passed before we could see it; a millisecond is near enough.
        (_, Some(encoding), Ok(timeout)) => {
            let timeout_ms = timeout.map_or(0, |ms| ms.max(1));
            Asked::Call { path, encoding, timeout_ms }
        }
    }
}

/// `application/grpc`, also with a suffix like `+proto` or parameters.
fn is_grpc_content_type(value: &[u8]) -> bool {
    match value.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';' | b' ')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for good in [&b"application/grpc"[..], b"application/grpc+proto", b"application/grpc;x=y"] {
            assert!(is_grpc_content_type(good));
        }
        for bad in [&b"application/grpc-web"[..], b"application/json", b"", b"application/grp"] {
            assert!(!is_grpc_content_type(bad));
        }
    }
}
