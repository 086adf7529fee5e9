//! Frames that carry no request: SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, PRIORITY, GOAWAY.

use super::*;

/// The stream a priority depends on.
pub(super) fn dependency(priority: &[u8; 5]) -> u32 {
    u32::from_be_bytes([priority[0], priority[1], priority[2], priority[3]]) & 0x7fff_ffff
}

impl<C: Default> Connection<C> {
    pub(super) fn settings(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        if frame.stream != 0 {
            return Err(Reason::Protocol);
        }
        self.meter.spend(Class::Control, core.now_ms)?;
        if frame.has(frame::ACK) {
            if !payload.is_empty() {
                return Err(Reason::FrameSize);
            }
            self.flags |= SETTINGS_ACKED;
            return Ok(());
        }
        let settings = settings::parse(payload)?;
        self.flags |= SETTINGS_SEEN;
        if let Some(bytes) = settings.header_table_bytes {
            self.encoder.set_peer_table(bytes, &core.presets);
        }
        if let Some(window) = settings.initial_window {
            let change = i64::from(window) - i64::from(self.peer_window);
            self.peer_window = window;
            for stream in self.streams.iter_mut() {
                if !stream.send.add(change) {
                    return Err(Reason::FlowControl);
                }
            }
        }
        self.check_unread(out)?;
        frame::write_head(out, 0, Kind::Settings, frame::ACK, 0);
        if settings.initial_window.is_some() {
            self.flush_held(core, out);
        }
        Ok(())
    }

    pub(super) fn ping(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        if frame.stream != 0 {
            return Err(Reason::Protocol);
        }
        if payload.len() != 8 {
            return Err(Reason::FrameSize);
        }
        self.meter.spend(Class::Control, core.now_ms)?;
        if frame.has(frame::ACK) {
            return Ok(());
        }
        self.check_unread(out)?;
        frame::write_ping(out, frame::ACK, payload);
        Ok(())
    }

    /// Acknowledgements and heads are outside flow control: who does not read must not ask for
    /// more.
    pub(super) fn check_unread(&self, out: &[u8]) -> Result<(), Reason> {
        let waiting = self.backlog as usize + out.len();
        let bound = limits::OUT_BYTES_MAX + limits::OUT_CONTROL_BYTES_MAX;
        if waiting > bound { Err(Reason::Unread) } else { Ok(()) }
    }

    pub(super) fn window_update<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let Ok(bytes) = <[u8; 4]>::try_from(payload) else { return Err(Reason::FrameSize) };
        let increment = i64::from(u32::from_be_bytes(bytes) & 0x7fff_ffff);
        self.meter.spend(Class::Idle, core.now_ms)?;
        if frame.stream == 0 {
            if increment == 0 {
                return Err(Reason::Protocol);
            }
            if !self.send.add(increment) {
                return Err(Reason::FlowControl);
            }
            self.flush_held(core, out);
            return Ok(None);
        }
        self.check_not_idle(frame.stream)?;
        let Some(stream) = self.streams.get_mut(frame.stream) else { return Ok(None) };
        if increment == 0 {
            return self.reset_for(frame.stream, ErrorCode::Protocol, core, out);
        }
        if !stream.send.add(increment) {
            return self.reset_for(frame.stream, ErrorCode::FlowControl, core, out);
        }
        if stream.held.is_some() {
            self.flush_held(core, out);
        }
        Ok(None)
    }

    pub(super) fn reset_by_peer<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if frame.stream == 0 {
            return Err(Reason::Protocol);
        }
        if payload.len() != 4 {
            return Err(Reason::FrameSize);
        }
        self.check_not_idle(frame.stream)?;
        core.counters.streams_reset_by_peer += 1;
        self.meter.spend(Class::Reset, core.now_ms)?;
        let call = self.remove(frame.stream, false, core);
        Ok(call.map(|call| Event::Reset { stream: frame.stream, call }))
    }

    pub(super) fn priority<'i>(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        if frame.stream == 0 {
            return Err(Reason::Protocol);
        }
        self.meter.spend(Class::Idle, core.now_ms)?;
        let Ok(priority) = <[u8; 5]>::try_from(payload) else {
            return self.reset_for(frame.stream, ErrorCode::FrameSize, core, out);
        };
        if dependency(&priority) == frame.stream {
            return self.reset_for(frame.stream, ErrorCode::Protocol, core, out);
        }
        Ok(None)
    }

    pub(super) fn go_away_by_peer(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        core: &mut Core,
    ) -> Result<(), Reason> {
        if frame.stream != 0 {
            return Err(Reason::Protocol);
        }
        if payload.len() < 8 {
            return Err(Reason::FrameSize);
        }
        // The client will open no more and will close when its calls are done: nothing to do.
        self.meter.spend(Class::Idle, core.now_ms)
    }

    /// Frames for streams nobody has opened end the connection (RFC 9113, 5.1).
    fn check_not_idle(&self, id: u32) -> Result<(), Reason> {
        let idle = id > self.last_stream || id.is_multiple_of(2);
        if idle { Err(Reason::Protocol) } else { Ok(()) }
    }

    /// Graceful end: no new streams, the open ones go on.
    pub fn go_away(&mut self, debug: &str, out: &mut Vec<u8>) {
        if self.flags & CLOSED == 0 {
            self.flags |= GOING_AWAY;
            frame::write_go_away(out, self.last_stream, ErrorCode::NoError, debug);
        }
    }

    /// Ends a stream at once; what the layer above had stored with it, if it was open.
    pub fn reset(
        &mut self,
        id: u32,
        code: ErrorCode,
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Option<C> {
        self.streams.position(id)?;
        frame::write_reset(out, id, code);
        self.remove(id, true, core)
    }
}
