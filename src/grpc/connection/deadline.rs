//! Calls and peers that are out of time.

use super::*;
use crate::http2::stream::{REMOTE_CLOSED, Stream};

/// What is wrong with a stream at a moment, or when something will be.
enum Due {
    /// Nothing, ever.
    Never,
    /// Something, then.
    At(u32),
    /// The client has stopped waiting, or its request does not end.
    Expired,
    /// The call was answered, but its request does not end.
    Lingers,
}

impl Connection {
    /// The earliest time, on the clock of `receive`, at which [`Connection::check`] may have work.
    /// May be early, never late. `None` when nothing is due.
    pub fn next_check(&self, codec: &Codec) -> Option<u64> {
        let now = codec.now_ms;
        let absolute = |due: u32| {
            let ahead = due.wrapping_sub(now as u32) as i32;
            now.saturating_add_signed(i64::from(ahead))
        };
        let transport = self.http2.next_check(&codec.http2).map(absolute);
        let calls = self.calls_due.map(absolute);
        match (transport, calls) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Does what is due: ends calls with DEADLINE_EXCEEDED, sends a keep-alive PING, or ends the
    /// connection of a peer that is too slow; then `out` ends with a GOAWAY.
    pub fn check(
        &mut self,
        now_ms: u64,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        service: &mut impl Service,
    ) -> Result<(), Closed> {
        codec.set_now(now_ms);
        self.http2.check(&mut codec.http2, out)?;
        let now = codec.http2.now_ms;
        let passed = |due: u32| now.wrapping_sub(due) as i32 >= 0;
        if !self.calls_due.is_some_and(passed) {
            return Ok(());
        }
        self.calls_due = None;
        let mut overdue = Vec::new();
        let mut coming = Vec::new();
        for stream in self.http2.streams().iter() {
            match due(stream, now, codec.limits.request_ms) {
                Due::Never => {}
                Due::At(time) => coming.push(time),
                Due::Expired => overdue.push((stream.id, true)),
                Due::Lingers => overdue.push((stream.id, false)),
            }
        }
        for time in coming {
            self.note_due(time);
        }
        for (stream, expired) in overdue {
            self.expire(stream, expired, codec, out, service);
        }
        Ok(())
    }

    fn expire(
        &mut self,
        stream: u32,
        expired: bool,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        service: &mut impl Service,
    ) {
        if expired {
            codec.counters.deadlines_exceeded += 1;
            let open = self.http2.streams().get(stream);
            let method = open.map(|open| open.call.method);
            self.fail(stream, Status::DeadlineExceeded, "the call was out of time", codec, out);
            if let Some(method) = method {
                service.reset(stream, method);
            }
        }
        // Gone already when the request had ended and the trailers are out.
        self.abandon(stream, ErrorCode::Cancel, codec, out);
    }
}

fn due(stream: &Stream<Call>, now: u32, request_ms: u32) -> Due {
    let call = &stream.call;
    let age = now.wrapping_sub(call.begun_ms);
    let ended = stream.is(REMOTE_CLOSED);
    let unary = call.method.kind == Kind::Unary;
    let request_late = !ended && (unary || call.stage == Stage::Over);
    match call.stage {
        Stage::Over if request_late && age >= request_ms => Due::Lingers,
        Stage::Reading if request_late && age >= request_ms => Due::Expired,
        Stage::Reading | Stage::Serving if call.timeout_ms > 0 && age >= call.timeout_ms => {
            Due::Expired
        }
        _ => {
            let timeout = call.timeout_ms > 0 && call.stage != Stage::Over;
            let until_timeout = timeout.then_some(call.timeout_ms);
            let until_request = request_late.then_some(request_ms);
            let soonest = until_timeout.into_iter().chain(until_request).min();
            soonest.map_or(Due::Never, |after| Due::At(call.begun_ms.wrapping_add(after)))
        }
    }
}
