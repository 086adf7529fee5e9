//! What one connection's received messages lead to: the gRPC layer calls, the shard hears.

use super::held::{Held, HeldCalls};
use crate::auth::Door;
use crate::front::unary::Gate;
use crate::front::{route, stream, unary};
use crate::grpc::{Method, Service, Status};
use nacre_proto::request::Kind;
use nacre_shards::auth::Denial;
use nacre_shards::effect::{Effect, Effects};
use nacre_shards::key::ConnKey;
use nacre_shards::message::{Message, Now};
use nacre_shards::shard::Shard;
use std::net::{IpAddr, Ipv4Addr};

/// Stands for the address of a connection that is gone.
const UNKNOWN_PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A unary call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub stream: u32,
    pub kind: Kind,
    /// When its bytes were taken in, in microseconds of the core's clock.
    pub at_us: u64,
}

/// What cannot be done while the protocol is being driven, kept for right after.
#[derive(Debug, Default)]
pub struct Noted {
    /// Calls that fail as gRPC calls, with what to say.
    pub failures: Vec<(u32, Status, String)>,
    /// The client ended its bidirectional stream: it leaves.
    pub left: bool,
    /// Messages of streams that were dropped, since the start.
    pub dropped: u64,
}

/// Lives for one receive of one connection.
pub struct Incoming<'a> {
    pub conn: ConnKey,
    pub now: Now,
    pub now_us: u64,
    pub shard: &'a mut Shard,
    pub effects: &'a mut Effects,
    /// Calls of this receive.
    pub arrivals: &'a mut Vec<Arrival>,
    /// Calls of earlier ones that another core answers.
    pub calls: &'a mut Vec<Arrival>,
    pub pushes_on: &'a mut u32,
    pub door: &'a Door,
    pub held: &'a HeldCalls,
    pub noted: &'a mut Noted,
}

impl Service for Incoming<'_> {
    fn route(&mut self, path: &[u8]) -> Option<Method> {
        route::method(path)
    }

    fn message(&mut self, stream: u32, method: Method, message: &[u8]) {
        if method == route::UNARY {
            self.unary(stream, message);
        } else {
            self.streamed(stream, message);
        }
    }

    fn half_closed(&mut self, stream: u32, method: Method) {
        if method == route::STREAM && stream == *self.pushes_on {
            self.noted.left = true;
        }
    }

    fn reset(&mut self, stream: u32, method: Method) {
        if method == route::STREAM {
            self.half_closed(stream, method);
        } else {
            self.arrivals.retain(|arrival| arrival.stream != stream);
            self.calls.retain(|arrival| arrival.stream != stream);
        }
    }
}

impl Incoming<'_> {
    fn unary(&mut self, stream: u32, bytes: &[u8]) {
        let (started, gate) = (self.shard.started(), Gate::Door(self.door, self.now));
        let (kind, unary) = unary::translate(self.conn, stream, started, gate, bytes);
        self.arrivals.push(Arrival { stream, kind, at_us: self.now_us });
        match unary {
            unary::Unary::MustCompare { user, password } => {
                let from = self.shard.peer_ip(self.conn).unwrap_or(UNKNOWN_PEER);
                let (conn, bytes) = (self.conn, bytes.to_vec());
                let held = Held { conn, stream, bytes, outcome: Ok(()) };
                if !self.held.compare(self.door, (user, password), from, held) {
                    let denial = Denial::Busy;
                    self.tell(Message::Denied { conn: self.conn, stream, kind, denial });
                }
            }
            unary::Unary::Message(message) => self.tell(message),
            unary::Unary::Standing(claims, message) => {
                self.tell(Message::Known { conn: self.conn, user: &claims.user });
                self.tell(message);
            }
            unary::Unary::Answer(body) => {
                self.effects.push(Effect::Reply { conn: self.conn, stream, body, delay_ms: 0 });
            }
            unary::Unary::Malformed(text) => {
                self.noted.failures.push((stream, Status::Internal, text));
            }
        }
    }

    fn streamed(&mut self, stream: u32, bytes: &[u8]) {
        match stream::translate(self.conn, bytes) {
            Ok(message) => {
                // Pushes go out on the stream the setup came on; it is set before the shard can
                // push the setup's answer.
                if matches!(message, Message::Setup { .. }) && *self.pushes_on == 0 {
                    *self.pushes_on = stream;
                }
                self.tell(message);
            }
            Err(_) => self.noted.dropped += 1,
        }
    }

    fn tell(&mut self, message: Message<'_>) {
        self.shard.handle(self.now, message, self.effects);
    }
}
