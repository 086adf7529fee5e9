//! The receiving half of a session: frames to events, and what the protocol owes in return.

use super::{
    Block, Call, Event, Fault, Phase, Script, Session, TAG_OWN, TAG_PROBE, TAG_SERVER_CHECK,
    WINDOW_BYTES,
};
use crate::envelope;
use crate::http2::frame::{self, HEAD_BYTES, Head, flag, kind, setting};
use crate::http2::hpack;
use nacre_proto::client::response::{Response, ServerCheckResponse};

/// Header blocks longer than this are an attack on us, not an answer.
const BLOCK_BYTES_MAX: usize = 64 << 10;

/// An answer or push longer than the reference's own limit is refused.
const MESSAGE_BYTES_MAX: usize = 10 << 20;

/// An answer that has grown so long needs its stream's window returned before it ends.
const LONG_ANSWER_BYTES: usize = 256 << 10;

/// Who is told what happened.
type Each<'a> = &'a mut dyn FnMut(&mut Session, &mut Script, Event<'_>);

impl Session {
    /// Takes received bytes and tells what they meant. After an error the session is over.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        if self.partial.is_empty() {
            let used = self.frames(bytes, script, each)?;
            if used < bytes.len() {
                self.partial = script.buffer();
                self.partial.extend_from_slice(&bytes[used..]);
            }
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let used = self.frames(&joined, script, each)?;
        joined.drain(..used);
        if joined.is_empty() {
            script.give_back(joined);
        } else {
            self.partial = joined;
        }
        Ok(())
    }

    /// Handles every whole frame and returns how many bytes they were.
    fn frames(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<usize, Fault> {
        let mut used = 0;
        while let Some(head) = bytes[used..].first_chunk::<HEAD_BYTES>() {
            let head = Head::parse(head);
            if head.len > frame::FRAME_BYTES_MAX {
                return Err(Fault::Malformed("frame over 16,384 bytes"));
            }
            let start = used + HEAD_BYTES;
            let Some(payload) = bytes.get(start..start + head.len) else { break };
            self.frame(&head, payload, script, each)?;
            used = start + head.len;
        }
        Ok(used)
    }

    fn frame(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        if self.block.is_some() != (head.kind == kind::CONTINUATION) {
            return Err(Fault::Malformed("header block interrupted"));
        }
        match head.kind {
            kind::DATA => self.data(head, payload, script, each),
            kind::HEADERS | kind::CONTINUATION => self.headers(head, payload, script, each),
            kind::RST_STREAM => {
                let code = frame::number(payload).unwrap_or(0);
                self.reset(head.stream, code, script, each)
            }
            kind::SETTINGS => self.settings(head, payload, script),
            kind::PING if !head.has(flag::ACK) => {
                self.reserve_output(script);
                frame::put_frame(kind::PING, flag::ACK, 0, payload, &mut self.out);
                Ok(())
            }
            kind::GOAWAY => {
                let code = payload.get(4..).and_then(frame::number).unwrap_or(0);
                Err(Fault::GoAway(code))
            }
            kind::WINDOW_UPDATE => {
                let increment = i64::from(frame::number(payload).unwrap_or(0));
                match head.stream {
                    0 => self.window += increment,
                    stream if stream == self.push_stream => self.push_window += increment,
                    _ => {}
                }
                Ok(())
            }
            kind::PUSH_PROMISE => Err(Fault::Malformed("PUSH_PROMISE though disabled")),
            _ => Ok(()),
        }
    }

    fn settings(&mut self, head: &Head, payload: &[u8], script: &mut Script) -> Result<(), Fault> {
        if head.has(flag::ACK) {
            return Ok(());
        }
        for (id, value) in frame::settings(payload) {
            match id {
                setting::HEADER_TABLE_SIZE if value < hpack::TABLE_BYTES as u32 => {
                    self.plain = (value as usize) < script.table_bytes();
                    self.table_update = Some(if self.plain { 0 } else { value });
                }
                setting::MAX_CONCURRENT_STREAMS => self.streams_max = value,
                setting::INITIAL_WINDOW_SIZE => {
                    let delta = i64::from(value) - self.stream_window;
                    self.stream_window = i64::from(value);
                    self.push_window += delta;
                }
                _ => {}
            }
        }
        self.reserve_output(script);
        frame::put_frame(kind::SETTINGS, flag::ACK, 0, &[], &mut self.out);
        Ok(())
    }

    fn data(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        self.return_window(head, script);
        let bytes = frame::unpadded(head, payload).ok_or(Fault::Malformed("padding"))?;
        if head.stream == self.push_stream {
            self.push_data(bytes, script, each)?;
            if head.has(flag::END_STREAM) {
                return Err(Fault::Grpc(-1));
            }
            return Ok(());
        }
        let Some(at) = self.calls.iter().position(|call| call.stream == head.stream) else {
            return Err(Fault::Malformed("DATA on a stream that is not open"));
        };
        let call = &mut self.calls[at];
        if call.body.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::Malformed("answer over 10 MiB"));
        }
        call.body.extend_from_slice(bytes);
        if head.has(flag::END_STREAM) {
            self.end_call(at, script, each)?;
        }
        Ok(())
    }

    /// Gives back flow-control window when half of it is used.
    fn return_window(&mut self, head: &Head, script: &mut Script) {
        let len = head.len as u32;
        self.unreturned += len;
        if self.unreturned > WINDOW_BYTES / 2 {
            self.reserve_output(script);
            frame::put_window_update(0, std::mem::take(&mut self.unreturned), &mut self.out);
        }
        if head.stream == self.push_stream {
            self.push_unreturned += len;
            if self.push_unreturned > WINDOW_BYTES / 2 {
                let bytes = std::mem::take(&mut self.push_unreturned);
                frame::put_window_update(head.stream, bytes, &mut self.out);
            }
        } else if self
            .calls
            .iter()
            .any(|c| c.stream == head.stream && c.body.len() > LONG_ANSWER_BYTES)
        {
            // A long answer: each frame's bytes are returned at once.
            self.reserve_output(script);
            frame::put_window_update(head.stream, len.max(1), &mut self.out);
        }
    }

    fn push_data(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        let mut pushed = std::mem::take(&mut self.pushed);
        let whole = pushed.is_empty();
        let mut rest = bytes;
        if !whole {
            pushed.extend_from_slice(bytes);
            rest = &pushed;
        }
        while let Some((message, used)) = split(rest)? {
            let push = envelope::decode(message)
                .map_err(|_| Fault::Malformed("message on the stream is no Payload"))?;
            rest = &rest[used..];
            if push.kind == "SetupAckRequest" {
                self.become_ready(script, each);
            } else {
                each(self, script, Event::Push(push));
            }
        }
        if rest.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::Malformed("push over 10 MiB"));
        }
        if rest.is_empty() {
            script.give_back(pushed);
        } else {
            let mut kept = script.buffer();
            kept.extend_from_slice(rest);
            script.give_back(pushed);
            self.pushed = kept;
        }
        Ok(())
    }

    fn become_ready(&mut self, script: &mut Script, each: Each<'_>) {
        if self.phase != Phase::Ready {
            self.phase = Phase::Ready;
            each(self, script, Event::Ready);
        }
    }

    fn headers(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        let mut ends_stream = head.has(flag::END_STREAM);
        if head.kind == kind::HEADERS {
            let bytes = frame::unpadded(head, payload).ok_or(Fault::Malformed("padding"))?;
            if head.has(flag::END_HEADERS) {
                return self.block(head.stream, ends_stream, bytes, script, each);
            }
            let bytes = bytes.to_vec();
            self.block = Some(Box::new(Block { stream: head.stream, ends_stream, bytes }));
            return Ok(());
        }
        let Some(mut block) = self.block.take() else {
            return Err(Fault::Malformed("CONTINUATION of nothing"));
        };
        if block.stream != head.stream || block.bytes.len() > BLOCK_BYTES_MAX {
            return Err(Fault::Malformed("CONTINUATION of another stream, or too long"));
        }
        block.bytes.extend_from_slice(payload);
        if !head.has(flag::END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        ends_stream = block.ends_stream;
        self.block(head.stream, ends_stream, &block.bytes, script, each)
    }

    fn block(
        &mut self,
        stream: u32,
        ends_stream: bool,
        bytes: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        let mut grpc_status = None;
        let mut http_status = 200;
        self.decoder
            .decode(bytes, &mut script.pool, |name, value| match name {
                b"grpc-status" => grpc_status = Some(decimal(value)),
                b":status" => http_status = decimal(value),
                _ => {}
            })
            .map_err(|_| Fault::Malformed("header block"))?;
        if stream == self.push_stream {
            let broken = ends_stream || http_status != 200;
            return if broken { Err(Fault::Grpc(grpc_status.unwrap_or(-1))) } else { Ok(()) };
        }
        let Some(at) = self.calls.iter().position(|call| call.stream == stream) else {
            return Err(Fault::Malformed("HEADERS on a stream that is not open"));
        };
        if let Some(status) = grpc_status {
            self.calls[at].status = status;
        }
        if ends_stream || http_status != 200 {
            self.end_call(at, script, each)?;
        }
        Ok(())
    }

    fn reset(
        &mut self,
        stream: u32,
        code: u32,
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        if stream == self.push_stream {
            return Err(Fault::Reset(code));
        }
        if let Some(at) = self.calls.iter().position(|call| call.stream == stream) {
            let call = self.calls.remove(at);
            let Call { tag, intended_ns, body, .. } = call;
            script.give_back(body);
            if tag > TAG_OWN {
                return Err(Fault::Reset(code));
            }
            let fault = Fault::Reset(code);
            each(self, script, Event::Failed { tag, intended_ns, fault });
        }
        Ok(())
    }

    fn end_call(&mut self, at: usize, script: &mut Script, each: Each<'_>) -> Result<(), Fault> {
        let Call { tag, intended_ns, status, body, .. } = self.calls.remove(at);
        if self.calls.is_empty() && self.phase != Phase::Ready {
            self.calls = Vec::new();
        }
        let outcome = match split(&body) {
            _ if status != 0 => Err(Fault::Grpc(status)),
            Ok(Some((message, used))) if used == body.len() => Ok(message),
            _ => Err(Fault::Malformed("answer is not one message")),
        };
        if tag > TAG_OWN {
            self.own_answer(tag, outcome?, script, each)?;
        } else {
            let event = match outcome {
                Ok(message) => Event::Answer { tag, intended_ns, message },
                Err(fault) => Event::Failed { tag, intended_ns, fault },
            };
            each(self, script, event);
        }
        script.give_back(body);
        Ok(())
    }

    /// ServerCheck and the probes of a server that does not negotiate.
    fn own_answer(
        &mut self,
        tag: u32,
        message: &[u8],
        script: &mut Script,
        each: Each<'_>,
    ) -> Result<(), Fault> {
        let malformed = Fault::Malformed("answer to the set-up");
        let payload = envelope::decode(message).map_err(|_| malformed)?;
        let outcome: Response = serde_json::from_slice(payload.body).map_err(|_| malformed)?;
        if tag == TAG_SERVER_CHECK {
            if outcome.result_code != 200 {
                return Err(Fault::Refused(outcome.error_code));
            }
            let check: ServerCheckResponse =
                serde_json::from_slice(payload.body).map_err(|_| malformed)?;
            self.open_stream(script);
            if check.support_ability_negotiation {
                self.phase = Phase::Negotiating;
                return Ok(());
            }
            self.phase = Phase::Probing;
        } else if outcome.result_code == 200 {
            self.become_ready(script, each);
            return Ok(());
        } else if outcome.error_code != 301 {
            return Err(Fault::Refused(outcome.error_code));
        }
        let probe = std::mem::take(&mut script.health_check);
        self.start_call(script, &probe, TAG_PROBE, 0);
        script.health_check = probe;
        Ok(())
    }
}

fn split(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Fault> {
    envelope::split_message(bytes).map_err(|_| Fault::Malformed("compressed message"))
}

fn decimal(text: &[u8]) -> i32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(-1)
}
