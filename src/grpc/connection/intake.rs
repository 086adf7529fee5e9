//! Pieces of a request body become messages.

use super::*;
use crate::grpc::call::Gather;
use crate::grpc::compress::{self, Encoding, InflateError};
use crate::grpc::message::{PREFIX_BYTES, Prefix};

/// Why a request is not accepted. Answered with a status; the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    TooLarge(usize),
    InflatedTooLarge,
    NoRoom,
    BadFlag,
    NotEncoded,
    Damaged,
    SecondMessage,
    NoMessage,
    Truncated,
}

impl Refusal {
    fn status(self, bytes_max: usize) -> (Status, String) {
        let internal = |text: &str| (Status::Internal, text.to_owned());
        match self {
            // The reference's words: clients show them.
            Self::TooLarge(bytes) => (
                Status::ResourceExhausted,
                format!("gRPC message exceeds maximum size {bytes_max}: {bytes}"),
            ),
            Self::InflatedTooLarge => (
                Status::ResourceExhausted,
                format!("inflated gRPC message exceeds maximum size {bytes_max}"),
            ),
            Self::NoRoom => {
                (Status::ResourceExhausted, "too many request bytes are waiting".to_owned())
            }
            Self::BadFlag => internal("the compressed flag of a message is neither 0 nor 1"),
            Self::NotEncoded => internal("a message is compressed, but there is no grpc-encoding"),
            Self::Damaged => internal("a gzip message cannot be inflated"),
            Self::SecondMessage => internal("a unary request has more than one message"),
            Self::NoMessage => internal("a unary request has no message"),
            Self::Truncated => internal("a request ends inside a message"),
        }
    }

    fn count(self, codec: &mut Codec) {
        let counters = &mut codec.counters;
        match self {
            Self::TooLarge(_) | Self::InflatedTooLarge => counters.messages_too_large += 1,
            Self::NoRoom => counters.bodies_refused += 1,
            _ => counters.requests_malformed += 1,
        }
    }
}

impl Connection {
    /// Takes a piece of a request body.
    pub(super) fn feed(
        &mut self,
        stream: u32,
        bytes: &[u8],
        end: bool,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        service: &mut impl Service,
    ) {
        let Some(open) = self.http2.streams_mut().get_mut(stream) else { return };
        if open.call.stage != Stage::Reading {
            return;
        }
        let mut intake = Intake {
            call: &mut open.call,
            stream,
            body_bytes: &mut self.body_bytes,
            resting: &mut self.resting,
            codec,
            service,
        };
        let taken = intake.feed(bytes, end);
        if let Err(refusal) = taken {
            refusal.count(codec);
            let (status, text) = refusal.status(codec.limits.message_bytes_max);
            let method = open.call.method;
            self.fail(stream, status, &text, codec, out);
            if method.kind == Kind::Bidi {
                service.reset(stream, method);
            }
        }
    }
}

struct Intake<'a, S> {
    call: &'a mut Call,
    stream: u32,
    body_bytes: &'a mut u32,
    resting: &'a mut u16,
    codec: &'a mut Codec,
    service: &'a mut S,
}

impl<S: Service> Intake<'_, S> {
    fn feed(&mut self, mut rest: &[u8], end: bool) -> Result<(), Refusal> {
        while !rest.is_empty() {
            let whole = match &self.call.gather {
                None => self.whole_message(rest)?,
                Some(_) => None,
            };
            let Some((prefix, bytes)) = whole else {
                rest = self.gather(rest)?;
                continue;
            };
            let (message, behind) = rest.split_at(bytes);
            if self.call.method.kind == Kind::Unary && !(end && behind.is_empty()) {
                // Waits for the end of the request, which some clients send a moment later.
                rest = self.gather(rest)?;
                continue;
            }
            rest = behind;
            self.deliver(prefix, &message[PREFIX_BYTES..])?;
        }
        if end { self.end() } else { Ok(()) }
    }

    /// The prefix at the start of `rest`, and the bytes of prefix and message if they are all
    /// there.
    fn whole_message(&self, rest: &[u8]) -> Result<Option<(Prefix, usize)>, Refusal> {
        let Some(bytes) = rest.first_chunk() else { return Ok(None) };
        let prefix = self.judge(bytes)?;
        let whole = PREFIX_BYTES + prefix.bytes;
        Ok((rest.len() >= whole).then_some((prefix, whole)))
    }

    fn judge(&self, bytes: &[u8; PREFIX_BYTES]) -> Result<Prefix, Refusal> {
        let prefix = Prefix::parse(bytes).map_err(|_| Refusal::BadFlag)?;
        if prefix.compressed && self.call.encoding == Encoding::Identity {
            return Err(Refusal::NotEncoded);
        }
        if prefix.bytes > self.codec.limits.message_bytes_max {
            return Err(Refusal::TooLarge(prefix.bytes));
        }
        Ok(prefix)
    }

    /// Adds to the message under way; returns what is left of `rest`.
    fn gather<'r>(&mut self, rest: &'r [u8]) -> Result<&'r [u8], Refusal> {
        if self.call.gather.is_none() {
            self.call.gather = Some(self.codec.take_buffer());
        }
        let have = self.call.gather.as_ref().map_or(0, |gather| gather.bytes.len());
        let mut left = rest;
        if have < PREFIX_BYTES {
            left = self.append(left, PREFIX_BYTES)?;
            let gather = self.call.gather.as_deref();
            let Some(bytes) = gather.and_then(|gather| gather.bytes.first_chunk()) else {
                return Ok(left);
            };
            let wanted = PREFIX_BYTES + self.judge(bytes)?.bytes;
            if let Some(gather) = &mut self.call.gather {
                gather.wanted = wanted;
            }
        }
        let wanted = self.call.gather.as_ref().map_or(0, |gather| gather.wanted);
        if have == wanted {
            // Only a unary message stays here when it is complete.
            return Err(Refusal::SecondMessage);
        }
        left = self.append(left, wanted)?;
        if self.call.method.kind == Kind::Bidi {
            self.deliver_gathered()?;
        }
        Ok(left)
    }

    /// Moves bytes into the buffer until it has `wanted`, within the budgets.
    fn append<'r>(&mut self, rest: &'r [u8], wanted: usize) -> Result<&'r [u8], Refusal> {
        let Some(gather) = &mut self.call.gather else { return Ok(rest) };
        let bytes = (wanted - gather.bytes.len()).min(rest.len());
        let limits = &self.codec.limits;
        if *self.body_bytes as usize + bytes > limits.connection_body_bytes_max
            || self.codec.body_bytes + bytes > limits.core_body_bytes_max
        {
            return Err(Refusal::NoRoom);
        }
        *self.body_bytes += bytes as u32;
        self.codec.body_bytes += bytes;
        let (part, left) = rest.split_at(bytes);
        gather.bytes.extend_from_slice(part);
        Ok(left)
    }

    /// Hands the gathered message on if it is complete; `false` if it is not.
    fn deliver_gathered(&mut self) -> Result<bool, Refusal> {
        let complete = |gather: &Gather| gather.wanted > 0 && gather.bytes.len() == gather.wanted;
        if !self.call.gather.as_deref().is_some_and(complete) {
            return Ok(false);
        }
        let Some(gather) = self.call.gather.take() else { return Ok(false) };
        *self.body_bytes -= gather.bytes.len() as u32;
        self.codec.body_bytes -= gather.bytes.len();
        let (prefix, message) = gather.bytes.split_at(PREFIX_BYTES);
        let bytes = message.len();
        let delivered = self.deliver(Prefix { compressed: prefix[0] == 1, bytes }, message);
        self.codec.give_buffer(gather);
        delivered.map(|()| true)
    }

    fn deliver(&mut self, prefix: Prefix, message: &[u8]) -> Result<(), Refusal> {
        let (stream, method) = (self.stream, self.call.method);
        if !prefix.compressed {
            self.note_delivered();
            self.service.message(stream, method, message);
            return Ok(());
        }
        let mut inflated = std::mem::take(&mut self.codec.inflated);
        let bytes_max = self.codec.limits.message_bytes_max;
        let result = compress::inflate(message, bytes_max, &mut inflated);
        if result.is_ok() {
            self.note_delivered();
            self.service.message(stream, method, &inflated);
        }
        inflated.clear();
        inflated.shrink_to(crate::grpc::limits::INFLATED_BYTES_KEPT);
        self.codec.inflated = inflated;
        result.map_err(|error| match error {
            InflateError::Damaged => Refusal::Damaged,
            InflateError::TooLarge => Refusal::InflatedTooLarge,
        })
    }

    fn note_delivered(&mut self) {
        self.codec.counters.messages += 1;
        if self.call.method.kind == Kind::Unary {
            self.call.stage = Stage::Serving;
        } else if !self.call.heard {
            self.call.heard = true;
            *self.resting += 1;
        }
    }

    /// The request has ended.
    fn end(&mut self) -> Result<(), Refusal> {
        if self.call.method.kind == Kind::Unary {
            if self.call.stage == Stage::Serving || self.deliver_gathered()? {
                return Ok(());
            }
            let none = self.call.gather.is_none();
            return Err(if none { Refusal::NoMessage } else { Refusal::Truncated });
        }
        if self.call.gather.is_some() {
            return Err(Refusal::Truncated);
        }
        if self.call.is_resting() {
            *self.resting -= 1;
        }
        self.call.stage = Stage::Serving;
        self.service.half_closed(self.stream, self.call.method);
        Ok(())
    }
}
