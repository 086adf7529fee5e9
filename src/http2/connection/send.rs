//! Responses: HEADERS, DATA as far as windows and the socket admit, and an end.

use bytes::{Buf, Bytes};

use super::*;
use crate::http2::hpack::Block;
use crate::http2::hpack::encode::Presets;
use crate::http2::stream::{END_QUEUED, End, HEAD_SENT, Held, HeldEnd, LOCAL_CLOSED};

/// A frame of held output at least this large pays for control frames of the peer; smaller ones
/// come of windows opened by a few bytes at a time.
const CREDITED_FRAME_BYTES: usize = 1_024;

/// Room for what follows most messages: the trailers of a success are a few indexed fields.
const TRAILERS_BYTES: usize = 64;

/// The bytes of a message, concatenated. Only `shared` may be large: it is never copied while it
/// waits.
#[derive(Debug, Default, Clone, Copy)]
pub struct Body<'a> {
    /// The length prefix.
    pub prefix: &'a [u8],
    /// Before the shared part.
    pub head: &'a [u8],
    /// Encoded once, sent to many.
    pub shared: Option<&'a Bytes>,
    /// Behind the shared part.
    pub tail: &'a [u8],
}

impl Body<'_> {
    /// Sum of the parts.
    pub fn len(&self) -> usize {
        let shared = self.shared.map_or(0, Bytes::len);
        self.prefix.len() + self.head.len() + shared + self.tail.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// All of it is in `out`.
    Out,
    /// Some of it waits for the peer.
    Held,
    /// There is no such stream, or its response has ended.
    Gone,
    /// More waits than a connection may hold: the connection is over, `out` ends with a GOAWAY.
    Closed(Closed),
}

impl<C: Default> Connection<C> {
    /// Sends a part of a response. `head` goes out once, before the first part.
    ///
    /// Costs one copy of what goes out now and no allocation, unless something must wait.
    pub fn send(
        &mut self,
        id: u32,
        head: Block<'_>,
        body: &Body<'_>,
        end: End<'_>,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Sent {
        let Some(position) = self.streams.position(id) else { return Sent::Gone };
        let stream = self.streams.at_mut(position);
        if stream.flags & (LOCAL_CLOSED | END_QUEUED) != 0 {
            return Sent::Gone;
        }
        if !stream.is(HEAD_SENT) {
            stream.flags |= HEAD_SENT;
            write_block(&mut self.encoder, id, head, 0, &core.presets, out);
        }
        let bytes = body.len();
        let window = stream.send.available().min(self.send.available());
        let room = limits::OUT_BYTES_MAX.saturating_sub(self.backlog as usize + out.len());
        if stream.held.is_some() || bytes > window.min(room).min(FRAME_BYTES_MAX) {
            return self.hold(position, body, end, core, out);
        }
        if bytes > 0 || matches!(end, End::Stream) {
            self.meter.sent();
            stream.send.take(bytes);
            self.send.take(bytes);
            let flags = if matches!(end, End::Stream) { frame::END_STREAM } else { 0 };
            // At once: growing piece by piece would double a buffer twice for one list.
            out.reserve(HEAD_BYTES + bytes + TRAILERS_BYTES);
            frame::write_head(out, bytes, Kind::Data, flags, id);
            out.extend_from_slice(body.prefix);
            out.extend_from_slice(body.head);
            if let Some(shared) = body.shared {
                out.extend_from_slice(shared);
            }
            out.extend_from_slice(body.tail);
        }
        match end {
            End::Open => return Sent::Out,
            End::Stream => {}
            End::Trailers(block) => {
                let presets = &core.presets;
                write_block(&mut self.encoder, id, block, frame::END_STREAM, presets, out);
            }
        }
        self.end_local(position, core);
        Sent::Out
    }

    /// Sends a response that is nothing but a head.
    pub fn respond(
        &mut self,
        id: u32,
        head: Block<'_>,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Sent {
        let Some(position) = self.streams.position(id) else { return Sent::Gone };
        let stream = self.streams.at_mut(position);
        if stream.flags & (LOCAL_CLOSED | END_QUEUED | HEAD_SENT) != 0 {
            return Sent::Gone;
        }
        stream.flags |= HEAD_SENT;
        write_block(&mut self.encoder, id, head, frame::END_STREAM, &core.presets, out);
        self.end_local(position, core);
        Sent::Out
    }

    /// Whether the response head of a stream is out.
    pub fn has_responded(&self, id: u32) -> bool {
        self.streams.get(id).is_some_and(|stream| stream.is(HEAD_SENT))
    }

    /// Our side has ended; a stream that has ended on both sides is forgotten.
    fn end_local(&mut self, position: usize, core: &mut Core) {
        let stream = self.streams.at_mut(position);
        stream.flags |= LOCAL_CLOSED;
        if stream.is_over() {
            self.departed.note(stream.id, false);
            self.remove_at(position, core);
        }
    }

    /// Queues what cannot go out at once, then sends what can.
    fn hold(
        &mut self,
        position: usize,
        body: &Body<'_>,
        end: End<'_>,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Sent {
        let bytes = body.len();
        let limits = &core.limits;
        if self.held_bytes as usize + bytes > limits.held_bytes_max
            || core.held_bytes + bytes > limits.core_held_bytes_max
        {
            return Sent::Closed(self.close(Reason::HeldTooMuch, core, out));
        }
        self.held_bytes += bytes as u32;
        core.held_bytes += bytes;
        let stream = self.streams.at_mut(position);
        let held = stream.held.get_or_insert_with(|| {
            Box::new(Held { chunks: Default::default(), bytes: 0, end: HeldEnd::Open })
        });
        held.bytes += bytes;
        let front = [body.prefix, body.head].concat();
        let shared = body.shared.cloned().unwrap_or_default();
        for chunk in [front.into(), shared, Bytes::copy_from_slice(body.tail)] {
            if !chunk.is_empty() {
                held.chunks.push_back(chunk);
            }
        }
        held.end = match end {
            End::Open => HeldEnd::Open,
            End::Stream => HeldEnd::Stream,
            End::Trailers(Block::Plain(block)) => HeldEnd::Plain(block.into()),
            End::Trailers(Block::Head | Block::Done) => HeldEnd::Done,
        };
        if !matches!(held.end, HeldEnd::Open) {
            stream.flags |= END_QUEUED;
        }
        let before = self.streams.len();
        self.flush_held(core, out);
        let gone = self.streams.len() < before;
        let waits = !gone && self.streams.at_mut(position).held.is_some();
        if waits { Sent::Held } else { Sent::Out }
    }

    /// Sends held output as far as windows and the socket admit, a frame of each stream in turn.
    pub(super) fn flush_held(&mut self, core: &mut Core, out: &mut Vec<u8>) {
        let mut progress = true;
        while progress && self.streams.iter().any(|stream| stream.held.is_some()) {
            progress = false;
            let mut position = 0;
            while position < self.streams.len() {
                let before = self.streams.len();
                if self.streams.at_mut(position).held.is_some() {
                    progress |= self.flush_frame(position, core, out);
                }
                if self.streams.len() == before {
                    position += 1;
                }
            }
        }
        self.note_stuck(core.now_ms);
    }

    /// Sends one frame of a stream's held output; `false` when it must wait.
    fn flush_frame(&mut self, position: usize, core: &mut Core, out: &mut Vec<u8>) -> bool {
        let room = limits::OUT_BYTES_MAX.saturating_sub(self.backlog as usize + out.len());
        let stream = self.streams.at_mut(position);
        let id = stream.id;
        let Some(held) = &mut stream.held else { return false };
        let window = stream.send.available().min(self.send.available());
        let bytes = held.bytes.min(window).min(room).min(FRAME_BYTES_MAX);
        if bytes == 0 && held.bytes > 0 {
            return false;
        }
        stream.send.take(bytes);
        self.send.take(bytes);
        held.bytes -= bytes;
        self.held_bytes -= bytes as u32;
        core.held_bytes -= bytes;
        self.stuck_ms = core.now_ms;
        let last = held.bytes == 0;
        if last || bytes >= CREDITED_FRAME_BYTES {
            self.meter.sent();
        }
        let end_here = last && matches!(held.end, HeldEnd::Stream);
        if bytes > 0 || end_here {
            let flags = if end_here { frame::END_STREAM } else { 0 };
            frame::write_head(out, bytes, Kind::Data, flags, id);
            move_bytes(held, bytes, out);
        }
        if !last {
            return true;
        }
        let Some(held) = stream.held.take() else { return false };
        let presets = &core.presets;
        match &held.end {
            HeldEnd::Open => return true,
            HeldEnd::Stream => {}
            HeldEnd::Done => {
                let block = Block::Done;
                write_block(&mut self.encoder, id, block, frame::END_STREAM, presets, out);
            }
            HeldEnd::Plain(block) => {
                let block = Block::Plain(block);
                write_block(&mut self.encoder, id, block, frame::END_STREAM, presets, out);
            }
        }
        self.end_local(position, core);
        true
    }

    /// The socket's unsent bytes as of now. Held output goes on as far as there is room again, so
    /// call it after each hand-over of `out` while something is held.
    pub fn set_backlog(&mut self, bytes: usize, core: &mut Core, out: &mut Vec<u8>) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let fewer = bytes < self.backlog;
        self.backlog = bytes;
        if fewer {
            self.stuck_ms = core.now_ms;
        }
        if self.held_bytes > 0 {
            self.flush_held(core, out);
        }
        self.note_stuck(core.now_ms);
    }

    fn note_stuck(&mut self, now_ms: u32) {
        let stuck = self.held_bytes > 0 || self.backlog > 0;
        if !stuck {
            self.flags &= !STUCK;
        } else if self.flags & STUCK == 0 {
            self.flags |= STUCK;
            self.stuck_ms = now_ms;
        }
    }
}

/// Writes HEADERS around a block.
fn write_block(
    encoder: &mut hpack::Encoder,
    id: u32,
    block: Block<'_>,
    flags: u8,
    presets: &Presets,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    frame::write_head(out, 0, Kind::Headers, flags | frame::END_HEADERS, id);
    encoder.write(block, presets, out);
    let bytes = out.len() - start - HEAD_BYTES;
    debug_assert!(bytes <= FRAME_BYTES_MAX);
    let [_, length @ ..] = (bytes as u32).to_be_bytes();
    out[start..start + 3].copy_from_slice(&length);
}

/// Moves `bytes` from the front of the chunks.
fn move_bytes(held: &mut Held, mut bytes: usize, out: &mut Vec<u8>) {
    while bytes > 0 {
        let Some(chunk) = held.chunks.front_mut() else { return };
        let part = bytes.min(chunk.len());
        out.extend_from_slice(&chunk[..part]);
        chunk.advance(part);
        bytes -= part;
        if chunk.is_empty() {
            held.chunks.pop_front();
        }
    }
}
