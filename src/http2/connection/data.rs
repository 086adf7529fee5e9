//! DATA: flow control, padding, and bodies handed on piece by piece (RFC 9113, 6.1).

use super::*;
use crate::http2::stream::{Departure, LENGTH_UNKNOWN, REMOTE_CLOSED};

impl<C: Default> Connection<C> {
    /// Judges a DATA frame by its head. Its payload follows through [`Connection::take_data`].
    pub(super) fn open_data<'i>(
        &mut self,
        frame: &Frame,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let id = frame.stream;
        if id == 0 || id.is_multiple_of(2) || id > self.last_stream {
            return Err(Reason::Protocol);
        }
        if !self.receive.take(frame.bytes, limits::CONNECTION_WINDOW_BYTES) {
            return Err(Reason::FlowControl);
        }
        if let Some(credit) = self.receive.credit(limits::CONNECTION_WINDOW_BYTES) {
            frame::write_window_update(out, 0, credit);
        }
        let padded = frame.has(frame::PADDED);
        if padded && frame.bytes == 0 {
            return Err(Reason::FrameSize);
        }
        let end = frame.has(frame::END_STREAM);
        self.data = OpenData {
            stream: id,
            left: frame.bytes as u16,
            pad: 0,
            flags: DATA_OPEN
                | if padded { DATA_PAD_AHEAD } else { 0 }
                | if end { DATA_END } else { 0 },
        };
        let Some(stream) = self.streams.get_mut(id) else {
            return self.late_data(id, core).map(|()| None);
        };
        if stream.is(REMOTE_CLOSED) {
            self.data.flags |= DATA_DISCARD;
            return self.reset_for(id, ErrorCode::StreamClosed, core, out);
        }
        if !stream.receive.take(frame.bytes, limits::STREAM_WINDOW_BYTES) {
            self.data.flags |= DATA_DISCARD;
            return self.reset_for(id, ErrorCode::FlowControl, core, out);
        }
        if !end && let Some(credit) = stream.receive.credit(limits::STREAM_WINDOW_BYTES) {
            frame::write_window_update(out, id, credit);
        }
        Ok(None)
    }

    /// DATA for a stream that is gone: dropped, unless the peer itself had ended it.
    fn late_data(&mut self, id: u32, core: &mut Core) -> Result<(), Reason> {
        if self.departed.find(id) == Departure::ByPeer {
            return Err(Reason::StreamClosed);
        }
        self.data.flags |= DATA_DISCARD;
        core.counters.frames_late += 1;
        self.meter.spend(Class::Idle, core.now_ms)
    }

    /// Takes what there is of the open DATA frame.
    pub(super) fn take_data<'i>(
        &mut self,
        input: &mut &'i [u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if self.data.flags & DATA_PAD_AHEAD != 0 {
            let Some((pad, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            if u16::from(*pad) >= self.data.left {
                return Err(Reason::Protocol);
            }
            self.data.pad = *pad;
            self.data.left -= 1 + u16::from(*pad);
            self.data.flags &= !DATA_PAD_AHEAD;
        }
        let first = self.data.flags & DATA_BEGUN == 0;
        let wanted = usize::from(self.data.left);
        let bytes = wanted.min(input.len());
        let (piece, rest) = input.split_at(bytes);
        let nothing_new = bytes == 0 && wanted > 0;
        if nothing_new {
            return Ok(None);
        }
        *input = rest;
        self.data.left -= bytes as u16;
        let event = if first || bytes > 0 {
            self.data.flags |= DATA_BEGUN;
            let frame_bytes = first.then_some(wanted);
            self.deliver(piece, frame_bytes, core, out)?
        } else {
            None
        };
        if self.data.left == 0 {
            let pad = usize::from(self.data.pad).min(input.len());
            *input = &input[pad..];
            self.data.pad -= pad as u8;
            if self.data.pad == 0 {
                self.data.flags = 0;
                self.flags &= !WAITING;
            }
        }
        Ok(event)
    }

    /// Hands a piece on, with the end of the request where it is the last. `frame_bytes` is what
    /// the frame holds, given with its first piece.
    fn deliver<'i>(
        &mut self,
        piece: &'i [u8],
        frame_bytes: Option<usize>,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if self.data.flags & DATA_DISCARD != 0 {
            return Ok(None);
        }
        let id = self.data.stream;
        let end_flag = self.data.flags & DATA_END != 0;
        let end = end_flag && self.data.left == 0;
        if frame_bytes == Some(0) && !end {
            self.meter.spend(Class::EmptyData, core.now_ms)?;
            return Ok(None);
        }
        let Some(stream) = self.streams.get_mut(id) else {
            // Reset by the layer above between two pieces of the frame.
            return Ok(None);
        };
        if let Some(bytes) = frame_bytes
            && stream.length_left != LENGTH_UNKNOWN
        {
            match (stream.length_left as usize).checked_sub(bytes) {
                Some(left) if !end_flag || left == 0 => stream.length_left = left as u32,
                _ => {
                    self.data.flags |= DATA_DISCARD;
                    return self.reset_for(id, ErrorCode::Protocol, core, out);
                }
            }
        }
        if end {
            stream.flags |= REMOTE_CLOSED;
            self.unfinished -= 1;
        }
        let over = stream.is_over();
        if over {
            self.remove(id, false, core);
            return Ok(None);
        }
        Ok(Some(Event::Data { stream: id, bytes: piece, end }))
    }
}
