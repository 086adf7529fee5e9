//! HEADERS and CONTINUATION: header blocks become requests or trailers (RFC 9113, 6.2, 6.10 and 8).

use super::*;
use crate::http2::hpack::HpackError;
use crate::http2::hpack::fields::Fault;
use crate::http2::stream::{Departure, LENGTH_UNKNOWN, REMOTE_CLOSED};

impl<C: Default> Connection<C> {
    pub(super) fn headers<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let id = frame.stream;
        if id == 0 || id.is_multiple_of(2) {
            return Err(Reason::Protocol);
        }
        let mut block = payload;
        if frame.has(frame::PADDED) {
            let (pad, rest) = block.split_first().ok_or(Reason::FrameSize)?;
            let bytes = rest.len().checked_sub(usize::from(*pad)).ok_or(Reason::Protocol)?;
            block = &rest[..bytes];
        }
        let mut depends_on_itself = false;
        if frame.has(frame::PRIORITY_FLAG) {
            let priority = block.first_chunk::<5>().ok_or(Reason::FrameSize)?;
            depends_on_itself = control::dependency(priority) == id;
            block = &block[5..];
        }
        let end = frame.has(frame::END_STREAM);
        if frame.has(frame::END_HEADERS) {
            return self.block(id, end, depends_on_itself, block, core, out);
        }
        let partial = self.partial.get_or_insert_default();
        partial.block.extend_from_slice(block);
        partial.block_stream = id;
        partial.block_end = end;
        partial.block_frames = 1;
        Ok(None)
    }

    pub(super) fn continuation<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let Some(partial) = &mut self.partial else { return Err(Reason::Protocol) };
        if partial.block_stream == 0 || partial.block_stream != frame.stream {
            return Err(Reason::Protocol);
        }
        partial.block_frames += 1;
        if partial.block_frames > limits::HEADER_BLOCK_FRAMES_MAX {
            return Err(Reason::ContinuationFlood);
        }
        if partial.block.len() + payload.len() > limits::HEADER_BLOCK_BYTES_MAX {
            return Err(Reason::HeaderBlockTooLarge);
        }
        partial.block.extend_from_slice(payload);
        if !frame.has(frame::END_HEADERS) {
            return Ok(None);
        }
        let block = std::mem::take(&mut partial.block);
        let end = partial.block_end;
        self.partial = None;
        self.block(frame.stream, end, false, &block, core, out)
    }

    /// A complete header block. Decoded whatever becomes of it, or HPACK would lose step.
    fn block<'i>(
        &mut self,
        id: u32,
        end: bool,
        depends_on_itself: bool,
        block: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if !core.repeat.is(block, &self.table) {
            self.decode(block, core)?;
        }
        if self.streams.position(id).is_some() {
            return self.trailers(id, end, core, out);
        }
        if id <= self.last_stream {
            return self.late_head(id, core).map(|()| None);
        }
        self.last_stream = id;
        self.check_unread(out)?;
        let full = self.streams.len() >= core.limits.streams_max as usize;
        if full || self.flags & GOING_AWAY != 0 {
            core.counters.streams_refused += 1;
            return self.reset_for(id, ErrorCode::RefusedStream, core, out);
        }
        let fault = core.head.check_request(&core.atoms).err();
        if depends_on_itself || fault == Some(Fault::Malformed) {
            return self.reset_for(id, ErrorCode::Protocol, core, out);
        }
        let length = core.head.content_length();
        let length_left = length.map_or(Some(LENGTH_UNKNOWN), |bytes| {
            u32::try_from(bytes).ok().filter(|bytes| *bytes != LENGTH_UNKNOWN)
        });
        let Some(length_left) = length_left else {
            return self.reset_for(id, ErrorCode::RefusedStream, core, out);
        };
        if end && length.is_some_and(|bytes| bytes != 0) {
            return self.reset_for(id, ErrorCode::Protocol, core, out);
        }
        self.open(id, end, length_left, core);
        if fault == Some(Fault::TooLarge) {
            return self.refuse_large_head(id, end, core, out);
        }
        Ok(Some(Event::Head { stream: id, end }))
    }

    /// Decodes a block into [`Core::head`].
    fn decode(&mut self, block: &[u8], core: &mut Core) -> Result<(), Reason> {
        let Core { atoms, strings, head, repeat, .. } = core;
        repeat.clear();
        head.clear(limits::HEADER_LIST_BYTES_MAX);
        let result = hpack::decode(block, &mut self.table, atoms, strings, head);
        result.map_err(|error| match error {
            HpackError::NoRoom => Reason::AtomsFull,
            HpackError::Bomb => Reason::HeaderBomb,
            _ => Reason::Compression,
        })?;
        repeat.note(block, &self.table);
        Ok(())
    }

    fn open(&mut self, id: u32, end: bool, length_left: u32, core: &mut Core) {
        core.counters.streams_opened += 1;
        if !end {
            self.unfinished += 1;
        }
        self.streams.open(Stream {
            id,
            send: SendWindow::new(self.peer_window),
            receive: ReceiveWindow::default(),
            length_left,
            flags: if end { REMOTE_CLOSED } else { 0 },
            held: None,
            call: C::default(),
        });
    }

    /// Answers 431 (RFC 6585, 5). The stream stays for the body, which nobody reads.
    fn refuse_large_head<'i>(
        &mut self,
        id: u32,
        end: bool,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        core.counters.header_lists_too_large += 1;
        let mut block = Vec::new();
        hpack::encode::status(&mut block, "431");
        self.respond(id, hpack::Block::Plain(&block), core, out);
        if !end {
            return self.reset_for(id, ErrorCode::NoError, core, out);
        }
        self.meter.spend(Class::Provoked, core.now_ms)?;
        Ok(None)
    }

    fn trailers<'i>(
        &mut self,
        id: u32,
        end: bool,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        if stream.is(REMOTE_CLOSED) {
            return self.reset_for(id, ErrorCode::StreamClosed, core, out);
        }
        let complete = matches!(stream.length_left, 0 | LENGTH_UNKNOWN);
        if !end || !complete || core.head.check_trailers().is_err() {
            return self.reset_for(id, ErrorCode::Protocol, core, out);
        }
        stream.flags |= REMOTE_CLOSED;
        let over = stream.is_over();
        self.unfinished -= 1;
        if over {
            self.remove(id, false, core);
            return Ok(None);
        }
        Ok(Some(Event::Data { stream: id, bytes: &[], end: true }))
    }

    /// A header block for a stream that is not open and not new.
    fn late_head(&mut self, id: u32, core: &mut Core) -> Result<(), Reason> {
        match self.departed.find(id) {
            Departure::ByPeer => Err(Reason::StreamClosed),
            Departure::Forgotten => Err(Reason::Protocol),
            Departure::ByUs => {
                core.counters.frames_late += 1;
                self.meter.spend(Class::Idle, core.now_ms)
            }
        }
    }
}
