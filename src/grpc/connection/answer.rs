//! Answers: replies, pushes, failures, and the few that are plain HTTP.

use super::*;
use crate::grpc::message::{Message, Prefix};
use crate::grpc::status;
use crate::http2::stream::REMOTE_CLOSED;

impl Connection {
    /// Answers a unary call: head, message, good trailers.
    pub fn reply(
        &mut self,
        stream: u32,
        message: Message<'_>,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.send_message(stream, message, End::Trailers(Block::Done), codec, out)
    }

    /// Sends a message on a bidirectional stream. The response head leaves with the first one.
    pub fn push(
        &mut self,
        stream: u32,
        message: Message<'_>,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.send_message(stream, message, End::Open, codec, out)
    }

    fn send_message(
        &mut self,
        stream: u32,
        message: Message<'_>,
        end: End<'_>,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let prefix = Prefix::write(message.len());
        let Message { head, shared, tail } = message;
        let body = Body { prefix: &prefix, head, shared, tail };
        self.http2.send(stream, Block::Head, &body, end, &mut codec.http2, out)
    }

    /// Ends a call with `grpc-status: 0`; trailers alone when there was no message.
    pub fn finish(&mut self, stream: u32, codec: &mut Codec, out: &mut Vec<u8>) -> Outcome {
        if self.http2.has_responded(stream) {
            self.end_call(stream, codec);
            let end = End::Trailers(Block::Done);
            let body = Body::default();
            return self.http2.send(stream, Block::Head, &body, end, &mut codec.http2, out);
        }
        self.fail(stream, Status::Ok, "", codec, out)
    }

    /// Ends a call with a status: trailers, or trailers alone. What the client still sends is
    /// dropped and credited, and the connection stays usable.
    pub fn fail(
        &mut self,
        stream: u32,
        status: Status,
        text: &str,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.end_call(stream, codec);
        let mut block = std::mem::take(&mut codec.block);
        block.clear();
        let responded = self.http2.has_responded(stream);
        if !responded {
            encode::status(&mut block, "200");
            encode::literal(&mut block, b"content-type", b"application/grpc");
            if status == Status::Unimplemented {
                encode::literal(&mut block, b"grpc-accept-encoding", b"identity,gzip");
            }
        }
        status::write(&mut block, status, text);
        let outcome = if responded {
            let end = End::Trailers(Block::Plain(&block));
            let body = Body::default();
            self.http2.send(stream, Block::Head, &body, end, &mut codec.http2, out)
        } else {
            self.http2.respond(stream, Block::Plain(&block), &mut codec.http2, out)
        };
        codec.block = block;
        outcome
    }

    /// The call is answered: its request is of no more interest.
    fn end_call(&mut self, stream: u32, codec: &mut Codec) {
        let Some(open) = self.http2.streams_mut().get_mut(stream) else { return };
        if open.call.is_resting() {
            self.resting -= 1;
        }
        open.call.stage = Stage::Over;
        if let Some(gather) = open.call.gather.take() {
            self.body_bytes -= gather.bytes.len() as u32;
            codec.body_bytes -= gather.bytes.len();
            codec.give_buffer(gather);
        }
        if !open.is(REMOTE_CLOSED) {
            // The client should end its side now; the stream is not kept for ever.
            self.note_due(codec.http2.now_ms.wrapping_add(codec.limits.request_ms));
        }
    }

    /// Answers `GET` or `HEAD` on a plain path.
    pub(super) fn answer_plain(
        &mut self,
        stream: u32,
        path: usize,
        with_body: bool,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) {
        let text = codec.limits.plain_paths[path].body.clone();
        let mut block = Vec::new();
        encode::status(&mut block, "200");
        encode::literal(&mut block, b"content-type", b"text/plain");
        encode::literal(&mut block, b"content-length", text.len().to_string().as_bytes());
        let head = Block::Plain(&block);
        if with_body {
            let body = Body { shared: Some(&text), ..Body::default() };
            self.http2.send(stream, head, &body, End::Stream, &mut codec.http2, out);
        } else {
            self.http2.respond(stream, head, &mut codec.http2, out);
        }
    }

    /// Answers with an HTTP status alone: the request is not gRPC.
    pub(super) fn answer_http(
        &mut self,
        stream: u32,
        code: &str,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) {
        let mut block = Vec::new();
        encode::status(&mut block, code);
        if code == "405" {
            encode::literal(&mut block, b"allow", b"POST");
        }
        encode::literal(&mut block, b"content-length", b"0");
        self.http2.respond(stream, Block::Plain(&block), &mut codec.http2, out);
    }
}
