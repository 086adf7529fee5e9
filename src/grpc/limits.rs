//! Every bound of a call: its unit, how it was chosen, what happens beyond it.

use crate::http2;

/// Bytes of one message, compressed or not, as the reference's default. Above: RESOURCE_EXHAUSTED.
pub const MESSAGE_BYTES_MAX: usize = 10_485_760;
/// Request bytes one connection may have buffered: one largest message and room for smaller ones.
/// Above: RESOURCE_EXHAUSTED.
pub const CONNECTION_BODY_BYTES_MAX: usize = 16 << 20;
/// Request bytes buffered on a core: 24 largest messages at once. Above: RESOURCE_EXHAUSTED.
pub const CORE_BODY_BYTES_MAX: usize = 256 << 20;
/// Time for a unary request to arrive in full: a largest message at 170 KB/s. Above:
/// DEADLINE_EXCEEDED.
pub const REQUEST_MS: u32 = 60_000;
/// Bytes of `grpc-message` before percent-encoding; it travels in a header list.
pub const STATUS_TEXT_BYTES_MAX: usize = 1_024;
/// Longest `grpc-timeout` we keep: a day. Above: no deadline.
pub const TIMEOUT_MS_MAX: u64 = 86_400_000;
/// Message buffers kept for reuse on a core, and the capacity up to which one is kept.
pub const SPARE_BUFFERS_MAX: usize = 64;
/// See [`SPARE_BUFFERS_MAX`].
pub const SPARE_BUFFER_BYTES_MAX: usize = 4_096;
/// Capacity of the inflation buffer that is kept between messages.
pub const INFLATED_BYTES_KEPT: usize = 65_536;

const _: () = assert!(CONNECTION_BODY_BYTES_MAX > MESSAGE_BYTES_MAX);
const _: () = assert!(CORE_BODY_BYTES_MAX >= CONNECTION_BODY_BYTES_MAX);

/// A path that answers plain `GET`: health checks of load balancers and protocol testers.
#[derive(Debug, Clone)]
pub struct PlainPath {
    /// Exact path.
    pub path: Vec<u8>,
    /// The text of the answer.
    pub body: bytes::Bytes,
}

/// The bounds an operator may set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bounds of the transport.
    pub http2: http2::Limits,
    /// See [`MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
    /// See [`CONNECTION_BODY_BYTES_MAX`].
    pub connection_body_bytes_max: usize,
    /// See [`CORE_BODY_BYTES_MAX`].
    pub core_body_bytes_max: usize,
    /// See [`REQUEST_MS`].
    pub request_ms: u32,
    /// Paths answered without gRPC.
    pub plain_paths: Vec<PlainPath>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http2: http2::Limits::default(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            connection_body_bytes_max: CONNECTION_BODY_BYTES_MAX,
            core_body_bytes_max: CORE_BODY_BYTES_MAX,
            request_ms: REQUEST_MS,
            plain_paths: Vec::new(),
        }
    }
}
