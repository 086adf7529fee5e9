//! One connection, server side, as a synchronous state machine: bytes in, frames out (RFC 9113).
//!
//! The caller hands over what the socket gave and calls [`Connection::next`] until it returns
//! `None`; every event is handled before the next is asked for, so answers may be written between
//! them. Invariants: every byte is looked at once; nothing is buffered but a frame that is
//! incomplete and is not DATA, or a header block that is; an idle connection owns no buffer. What a
//! single call may do is bounded by the receive buffer the caller fills (at most 16 KiB, about
//! 1,800 frames).

mod control;
mod data;
mod deadline;
mod head;
mod partial;
mod send;

use partial::Partial;
pub use send::{Body, Sent};

use super::abuse::{Class, Meter};
use super::core::Core;
use super::error::{Closed, ErrorCode, Reason};
use super::flow::{ReceiveWindow, SendWindow};
use super::frame::{self, FRAME_BYTES_MAX, Frame, HEAD_BYTES, Kind, PREFACE};
use super::hpack;
use super::limits;
use super::settings;
use super::stream::{Departed, Stream, Streams};

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i, C> {
    /// A request head, valid and in [`Core::head`]. The stream is open, its call is `C::default()`.
    Head {
        /// Stream.
        stream: u32,
        /// The request has no body.
        end: bool,
    },
    /// A piece of a body. Borrows the input.
    Data {
        /// Stream.
        stream: u32,
        /// The piece, empty where only the end came.
        bytes: &'i [u8],
        /// The request is complete.
        end: bool,
    },
    /// The stream is gone without a regular end: reset by the peer, or by us for its mistake.
    Reset {
        /// Stream.
        stream: u32,
        /// What the layer above had stored with it.
        call: C,
    },
}

/// A DATA frame under way: its payload is handed on as it comes.
#[derive(Debug, Default, Clone, Copy)]
struct OpenData {
    stream: u32,
    left: u16,
    pad: u8,
    flags: u8,
}

/// The payload's first byte, the padding length, is still to come.
const DATA_PAD_AHEAD: u8 = 1;
/// END_STREAM is set.
const DATA_END: u8 = 2;
/// Nobody wants it.
const DATA_DISCARD: u8 = 4;
/// There is such a frame.
const DATA_OPEN: u8 = 8;
/// A piece of it, or its emptiness, was handed on.
const DATA_BEGUN: u8 = 16;

const PREFACE_DONE: u8 = 24;

const SETTINGS_SEEN: u8 = 1;
const SETTINGS_ACKED: u8 = 2;
const GOING_AWAY: u8 = 4;
const CLOSED: u8 = 8;
const PING_SENT: u8 = 16;
/// Something incomplete is under way; `waiting_ms` says since when.
const WAITING: u8 = 32;
/// Output is stuck; `stuck_ms` says since when.
const STUCK: u8 = 64;

/// One connection. `C` is what the layer above keeps of a stream. Home core.
pub struct Connection<C> {
    streams: Streams<C>,
    table: hpack::Table,
    encoder: hpack::Encoder,
    partial: Option<Box<Partial>>,
    data: OpenData,
    meter: Meter,
    departed: Departed,
    send: SendWindow,
    receive: ReceiveWindow,
    /// The window the peer gives to new streams.
    peer_window: u32,
    last_stream: u32,
    opened_ms: u32,
    /// When something last came.
    heard_ms: u32,
    waiting_ms: u32,
    stuck_ms: u32,
    held_bytes: u32,
    /// What the socket has not taken yet, as the caller said.
    backlog: u32,
    /// Streams whose requests have not ended.
    unfinished: u16,
    preface: u8,
    flags: u8,
}

impl<C: Default> Connection<C> {
    /// A connection accepted now.
    pub fn new(now_ms: u32) -> Self {
        Self {
            streams: Streams::default(),
            table: hpack::Table::default(),
            encoder: hpack::Encoder::default(),
            partial: None,
            data: OpenData::default(),
            meter: Meter::new(now_ms),
            departed: Departed::default(),
            send: SendWindow::new(limits::WINDOW_BYTES_INITIAL),
            receive: ReceiveWindow::default(),
            peer_window: limits::WINDOW_BYTES_INITIAL,
            last_stream: 0,
            opened_ms: now_ms,
            heard_ms: now_ms,
            waiting_ms: 0,
            stuck_ms: 0,
            held_bytes: 0,
            backlog: 0,
            unfinished: 0,
            preface: 0,
            flags: 0,
        }
    }

    /// Says what we allow. The reference speaks first, before the client's preface; so do we.
    pub fn greet(&mut self, core: &Core, out: &mut Vec<u8>) {
        settings::write_ours(out, core.limits.streams_max);
        let more = limits::CONNECTION_WINDOW_BYTES - limits::WINDOW_BYTES_INITIAL;
        frame::write_window_update(out, 0, more);
    }

    /// Whether frames must wait for more bytes, or a request for its end.
    pub fn is_waiting(&self) -> bool {
        self.flags & WAITING != 0
    }

    /// Requests that have not ended, bidirectional streams among them.
    pub fn unfinished(&self) -> usize {
        usize::from(self.unfinished)
    }

    /// Response bytes held back by flow control or a slow socket.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes as usize
    }

    /// Streams open now.
    pub fn streams(&self) -> &Streams<C> {
        &self.streams
    }

    /// Streams open now.
    pub fn streams_mut(&mut self) -> &mut Streams<C> {
        &mut self.streams
    }

    /// Bytes of heap an idle connection of this kind holds.
    pub fn heap_bytes(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>() + partial.frame.capacity() + partial.block.capacity()
        });
        self.streams.heap_bytes() + self.table.heap_bytes() + partial
    }

    /// Gives back what belongs to the core. Must be the last call; returns what the streams held.
    pub fn release(&mut self, core: &mut Core) -> impl Iterator<Item = (u32, C)> + use<C> {
        self.flags |= CLOSED;
        self.table.release(&mut core.atoms);
        self.partial = None;
        self.unfinished = 0;
        core.held_bytes -= std::mem::take(&mut self.held_bytes) as usize;
        self.streams.take_all().into_iter().map(|stream| (stream.id, stream.call))
    }

    /// The next event in `input`, which is advanced; `None` when all of it was used.
    ///
    /// Answers to control frames are appended to `out`. On an error `out` ends with a GOAWAY and
    /// the rest of the input is meaningless.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Closed> {
        if self.flags & CLOSED != 0 {
            return Err(Closed { reason: Reason::Protocol });
        }
        self.advance(input, core, out).map_err(|reason| self.close(reason, core, out))
    }

    fn advance<'i>(
        &mut self,
        input: &mut &'i [u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        self.heard_ms = core.now_ms;
        self.flags &= !PING_SENT; // Whatever came, the peer lives.
        if self.preface < PREFACE_DONE {
            self.take_preface(input)?;
        }
        loop {
            if self.data.flags & DATA_OPEN != 0
                && let Some(event) = self.take_data(input, core, out)?
            {
                return Ok(Some(event));
            }
            if input.is_empty() {
                self.note_waiting(core.now_ms);
                return Ok(None);
            }
            let event = match self.partial.as_ref().is_some_and(|p| !p.frame.is_empty()) {
                true => self.complete_partial(input, core, out)?,
                false => self.take_frame(input, core, out)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn take_preface(&mut self, input: &mut &[u8]) -> Result<(), Reason> {
        let expected = &PREFACE[usize::from(self.preface)..];
        let bytes = expected.len().min(input.len());
        if input[..bytes] != expected[..bytes] {
            return Err(Reason::BadPreface);
        }
        self.preface += bytes as u8;
        *input = &input[bytes..];
        Ok(())
    }

    /// Handles the frame at the start of `input`, or keeps what there is of it.
    fn take_frame<'i>(
        &mut self,
        input: &mut &'i [u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let Some(frame) = Frame::parse(input) else {
            self.keep_partial(input);
            return Ok(None);
        };
        self.check_frame(&frame)?;
        let whole = HEAD_BYTES + frame.bytes;
        if frame.kind == Kind::Data {
            *input = &input[HEAD_BYTES..];
            self.open_data(&frame, core, out)
        } else if input.len() < whole {
            self.keep_partial(input);
            Ok(None)
        } else {
            let payload = &input[HEAD_BYTES..whole];
            *input = &input[whole..];
            self.handle(&frame, payload, core, out)
        }
    }

    /// What can be judged by the head of a frame alone.
    fn check_frame(&mut self, frame: &Frame) -> Result<(), Reason> {
        if self.flags & SETTINGS_SEEN == 0
            && (frame.kind != Kind::Settings || frame.has(frame::ACK))
        {
            return Err(Reason::Protocol);
        }
        if frame.bytes > FRAME_BYTES_MAX {
            return Err(Reason::FrameSize);
        }
        // Nothing may stand between the pieces of a header block (RFC 9113, 4.3).
        let block = self.partial.as_ref().map_or(0, |partial| partial.block_stream);
        let wanted = frame.kind == Kind::Continuation && frame.stream == block;
        if block != 0 && !wanted { Err(Reason::Protocol) } else { Ok(()) }
    }

    fn handle<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if self.partial.is_none() {
            self.flags &= !WAITING;
        }
        match frame.kind {
            Kind::Headers => self.headers(frame, payload, core, out),
            Kind::Continuation => self.continuation(frame, payload, core, out),
            Kind::RstStream => self.reset_by_peer(frame, payload, core),
            Kind::WindowUpdate => self.window_update(frame, payload, core, out),
            Kind::Priority => self.priority(frame, payload, core, out),
            Kind::Settings => self.settings(frame, payload, core, out).map(|()| None),
            Kind::Ping => self.ping(frame, payload, core, out).map(|()| None),
            Kind::GoAway => self.go_away_by_peer(frame, payload, core).map(|()| None),
            Kind::Unknown => self.meter.spend(Class::Idle, core.now_ms).map(|()| None),
            Kind::PushPromise | Kind::Data => Err(Reason::Protocol),
        }
    }

    fn note_waiting(&mut self, now_ms: u32) {
        let waiting = self.partial.is_some() || self.data.flags & DATA_OPEN != 0;
        if !waiting {
            self.flags &= !WAITING;
        } else if self.flags & WAITING == 0 {
            self.flags |= WAITING;
            self.waiting_ms = now_ms;
        }
    }

    /// Ends the connection: GOAWAY, a counter, and no further input.
    fn close(&mut self, reason: Reason, core: &mut Core, out: &mut Vec<u8>) -> Closed {
        self.flags |= CLOSED;
        core.counters.note_closed(reason);
        frame::write_go_away(out, self.last_stream, reason.code(), reason.name());
        Closed { reason }
    }

    /// Resets a stream for a mistake of the peer.
    fn reset_for(
        &mut self,
        id: u32,
        code: ErrorCode,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static, C>>, Reason> {
        frame::write_reset(out, id, code);
        core.counters.streams_reset_by_us += 1;
        let call = self.remove(id, true, core);
        self.meter.spend(Class::Provoked, core.now_ms)?;
        Ok(call.map(|call| Event::Reset { stream: id, call }))
    }

    /// Forgets a stream whatever its state, and remembers that it was.
    fn remove(&mut self, id: u32, by_us: bool, core: &mut Core) -> Option<C> {
        self.departed.note(id, by_us);
        let position = self.streams.position(id)?;
        Some(self.remove_at(position, core).call)
    }

    fn remove_at(&mut self, position: usize, core: &mut Core) -> Stream<C> {
        let stream = self.streams.remove(position);
        if !stream.is(super::stream::REMOTE_CLOSED) {
            self.unfinished -= 1;
        }
        if let Some(held) = &stream.held {
            self.held_bytes -= held.bytes as u32;
            core.held_bytes -= held.bytes;
        }
        stream
    }
}
