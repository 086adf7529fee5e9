//! What the connections of one core share: buffers, budgets, counters.

use super::call::Gather;
use super::limits::{Limits, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX};
use crate::http2;

/// What happened to calls on one core. Plain numbers: one core, no atomics.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Messages handed to the service.
    pub messages: u64,
    /// Calls of methods nobody offers.
    pub unknown_methods: u64,
    /// Messages over the size limit, as sent or inflated.
    pub messages_too_large: u64,
    /// Requests refused because a connection or the core had too much buffered.
    pub bodies_refused: u64,
    /// Requests whose framing, compression or number of messages was wrong.
    pub requests_malformed: u64,
    /// Requests in a compression we do not know.
    pub encodings_unknown: u64,
    /// Calls that were not answered within the client's time, or whose request did not end in ours.
    pub deadlines_exceeded: u64,
    /// Requests that are not gRPC and not a plain path: 404, 405 and 415.
    pub not_grpc: u64,
    /// Answers on plain paths.
    pub plain: u64,
}

/// One per core.
pub struct Codec {
    /// The transport's part, with its own counters.
    pub http2: http2::Core,
    /// What happened.
    pub counters: Counters,
    pub(super) limits: Limits,
    /// Now, on the caller's clock.
    pub(super) now_ms: u64,
    /// Request bytes buffered on this core.
    pub(super) body_bytes: usize,
    pub(super) inflated: Vec<u8>,
    /// Header blocks of failures are built here.
    pub(super) block: Vec<u8>,
    /// A box each, because that is how a call holds its buffer.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Gather>>,
}

impl Codec {
    /// A codec with these bounds.
    pub fn new(limits: Limits) -> Self {
        // What the reference answers with, in its order.
        let head = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-encoding", "identity"),
            ("grpc-accept-encoding", "gzip"),
        ];
        Self {
            http2: http2::Core::new(limits.http2, &head, &[("grpc-status", "0")]),
            counters: Counters::default(),
            limits,
            now_ms: 0,
            body_bytes: 0,
            inflated: Vec::new(),
            block: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The time of what follows. `receive` and `check` set it; set it before a turn that only
    /// sends.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.http2.now_ms = now_ms as u32;
    }

    /// Request bytes buffered on this core now.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    pub(super) fn take_buffer(&mut self) -> Box<Gather> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_buffer(&mut self, mut buffer: Box<Gather>) {
        let small = buffer.bytes.capacity() <= SPARE_BUFFER_BYTES_MAX;
        if small && self.spare.len() < SPARE_BUFFERS_MAX {
            buffer.bytes.clear();
            buffer.wanted = 0;
            self.spare.push(buffer);
        }
    }
}
