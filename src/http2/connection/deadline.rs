//! What a silent or slow peer owes us, and by when.

use super::*;

impl<C: Default> Connection<C> {
    /// The earliest time at which [`Connection::check`] may have something to do, as milliseconds
    /// of [`Core::now_ms`]; `None` when nothing is due.
    pub fn next_check(&self, core: &Core) -> Option<u32> {
        let limits = &core.limits;
        let mut due: Option<u32> = None;
        let mut at = |since: u32, after: u32| {
            let time = since.wrapping_add(after);
            let sooner = due.is_none_or(|known| (time.wrapping_sub(known) as i32) < 0);
            if sooner {
                due = Some(time);
            }
        };
        if self.flags & SETTINGS_SEEN == 0 {
            at(self.opened_ms, limits.preface_ms);
        } else if self.flags & SETTINGS_ACKED == 0 {
            at(self.opened_ms, limits.preface_ms + limits.settings_ack_ms);
        }
        if self.flags & WAITING != 0 {
            at(self.waiting_ms, limits.frame_ms);
        }
        if self.flags & STUCK != 0 {
            at(self.stuck_ms, limits.held_ms);
        }
        if self.flags & PING_SENT != 0 {
            at(self.heard_ms, limits.keep_alive_ms.saturating_add(limits.keep_alive_answer_ms));
        } else if limits.keep_alive_ms > 0 {
            at(self.heard_ms, limits.keep_alive_ms);
        }
        due
    }

    /// Judges what is overdue at [`Core::now_ms`]: ends the connection, or sends a keep-alive PING.
    pub fn check(&mut self, core: &mut Core, out: &mut Vec<u8>) -> Result<(), Closed> {
        let now = core.now_ms;
        let limits = core.limits;
        let passed = |since: u32, after: u32| now.wrapping_sub(since) >= after;
        let handshake_ms = limits.preface_ms + limits.settings_ack_ms;
        let reason = if self.flags & CLOSED != 0 {
            return Err(Closed { reason: Reason::Protocol });
        } else if self.flags & SETTINGS_SEEN == 0 && passed(self.opened_ms, limits.preface_ms) {
            Reason::PrefaceTimeout
        } else if self.flags & SETTINGS_ACKED == 0 && passed(self.opened_ms, handshake_ms) {
            Reason::SettingsTimeout
        } else if self.flags & WAITING != 0 && passed(self.waiting_ms, limits.frame_ms) {
            Reason::FrameTimeout
        } else if self.flags & STUCK != 0 && passed(self.stuck_ms, limits.held_ms) {
            Reason::TooSlow
        } else {
            return self.keep_alive(core, out);
        };
        Err(self.close(reason, core, out))
    }

    fn keep_alive(&mut self, core: &mut Core, out: &mut Vec<u8>) -> Result<(), Closed> {
        let every = core.limits.keep_alive_ms;
        let silent = core.now_ms.wrapping_sub(self.heard_ms);
        if every == 0 || silent < every {
            return Ok(());
        }
        if self.flags & PING_SENT == 0 {
            self.flags |= PING_SENT;
            frame::write_ping(out, 0, b"nacrekpa");
            return Ok(());
        }
        if silent >= every.saturating_add(core.limits.keep_alive_answer_ms) {
            return Err(self.close(Reason::KeepAlive, core, out));
        }
        Ok(())
    }
}
