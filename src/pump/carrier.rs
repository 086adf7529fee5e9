//! Between the engine and the shard of one core: bytes become messages, effects become bytes.

use super::checks::Checks;
use super::clock::Clock;
use super::datagram::Datagrams;
use super::delayed::DelayedReplies;
use super::desk::Desk;
use super::held::HeldCalls;
use super::incoming::{Arrival, Incoming, Noted};
use super::link::{Link, Links, conn_key};
use super::node::Node;
use super::replica::{Inquiry, Proposal};
use crate::admin::counter::Counter;
use crate::admin::metrics;
use crate::auth::Door;
use crate::engine::{CloseWhy, Closing, Handler, Sends, Socket};
use crate::front::unary::{self, Gate, Unary};
use crate::grpc;
use crate::probe::Prober;
use nacre_shards::auth::Denial;
use nacre_shards::effect::{CloseReason, Effects};
use nacre_shards::key::{ConnKey, Core, Home};
use nacre_shards::limits::ENTRIES_KEPT;
use nacre_shards::message::{Ask, Message, Now, Tell};
use nacre_shards::shard::{Room, Shard};
use std::net::SocketAddr;
use std::sync::Arc;

/// Asks and tells for other cores, in the order they were made. There is room in their lanes (see
/// `nacre_shards::limits::LaneLimits`), so they wait here for the length of one turn only.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub asks: Vec<(Core, Ask)>,
    pub tells: Vec<(Core, Tell)>,
    /// For the Raft group; only on its core.
    pub proposals: Vec<Proposal>,
    /// For its state, likewise.
    pub looks: Vec<Inquiry>,
}

impl Outgoing {
    /// Gives back what a burst needed; all of it has been sent.
    pub fn give_back(&mut self) {
        self.asks.shrink_to(ENTRIES_KEPT);
        self.tells.shrink_to(ENTRIES_KEPT);
        self.proposals.shrink_to(ENTRIES_KEPT);
        self.looks.shrink_to(ENTRIES_KEPT);
    }
}

/// What the pump shares with the core's HTTP tasks.
#[derive(Debug)]
pub struct Shared {
    /// Calls of this core's HTTP side, and whoever waits for their answers.
    pub desk: Desk,
    /// Who may come in.
    pub door: Door,
    /// Calls that wait for a password.
    pub held: HeldCalls,
    /// Asks instances whether they live.
    pub prober: Prober,
}

/// One core's connections and its shard, as the handler of the core's engine.
pub struct Carrier {
    pub home: Home,
    pub links: Links,
    pub shard: Shard,
    pub codec: grpc::Codec,
    pub outgoing: Outgoing,
    /// Calls of this core's HTTP side, and whoever waits for their answers.
    pub desk: Desk,
    /// Who may come in, and calls that wait for a password.
    pub door: Door,
    pub held: HeldCalls,
    /// Asks instances whether they live.
    pub prober: Prober,
    /// Absent where no socket could be had: then pollers are not told, they poll.
    pub datagrams: Option<Datagrams>,
    pub clock: Clock,
    pub now: Now,
    /// When the clock was last read precisely: once a turn and once per chunk received. One chunk's
    /// end is the next one's begin, so each call is charged what was done for its chunk.
    pub read_us: u64,
    pub metrics: metrics::Core,
    pub node: Arc<Node>,
    checks: Checks,
    pub(super) delayed: DelayedReplies,
    pub(super) effects: Effects,
    pub(super) arrivals: Vec<Arrival>,
    noted: Noted,
    pub(super) head: Vec<u8>,
    last_id_ms: u64,
}

impl Carrier {
    /// A carrier without connections.
    pub fn new(
        home: Home,
        shard: Shard,
        codec: grpc::Codec,
        Shared { desk, door, held, prober }: Shared,
        mut clock: Clock,
        metrics: metrics::Core,
        node: Arc<Node>,
    ) -> Self {
        let now = clock.tick().now;
        Self {
            home,
            links: Links::default(),
            shard,
            codec,
            outgoing: Outgoing::default(),
            desk,
            door,
            held,
            prober,
            datagrams: None,
            clock,
            now,
            read_us: 0,
            metrics,
            node,
            checks: Checks::default(),
            delayed: DelayedReplies::default(),
            effects: Effects::default(),
            arrivals: Vec::new(),
            noted: Noted::default(),
            head: Vec::with_capacity(256),
            last_id_ms: 0,
        }
    }

    /// Hands one message to the shard and carries out what it leads to.
    pub fn tell_shard(&mut self, sends: &mut Sends, message: Message<'_>) {
        self.shard.handle(self.now, message, &mut self.effects);
        self.carry_out(sends);
    }

    /// Carries on with calls whose password was compared. How many.
    pub fn take_held(&mut self, sends: &mut Sends) -> usize {
        let mut taken = self.door.collect();
        while let Some(held) = self.held.take() {
            taken += 1;
            let gate = match held.outcome {
                Ok(()) => Gate::Door(&self.door, self.now),
                Err(denial) => Gate::Denied(denial),
            };
            let (conn, stream, started) = (held.conn, held.stream, self.shard.started());
            let message = match unary::translate(conn, stream, started, gate, &held.bytes) {
                (_, Unary::Message(message)) => message,
                (_, Unary::Standing(claims, message)) => {
                    let user = &claims.user;
                    self.shard.handle(self.now, Message::Known { conn, user }, &mut self.effects);
                    message
                }
                // Forgotten again while it waited for its turn: the client repeats a 503.
                (kind, _) => Message::Denied { conn, stream, kind, denial: Denial::Busy },
            };
            self.shard.handle(self.now, message, &mut self.effects);
            self.carry_out(sends);
        }
        taken
    }

    /// Carries out what time has made due for clients and services.
    pub fn tick(&mut self, sends: &mut Sends) {
        self.shard.tick(self.now, &mut self.effects);
        self.carry_out(sends);
    }

    /// Whether more has come due than [`Carrier::tick`] carried out.
    pub fn is_late(&self) -> bool {
        self.shard.is_late(self.now)
    }

    /// Delayed answers and protocol deadlines.
    pub fn run_timers(&mut self, sends: &mut Sends) {
        for delayed in self.delayed.due(self.now.tick_ms) {
            self.reply(sends, delayed.conn, delayed.stream, &delayed.body);
        }
        while let Some(socket) = self.checks.take_due(&mut self.links, self.now.tick_ms) {
            self.check(sends, socket);
        }
        self.carry_out(sends);
    }

    /// Hands out waiting pushes and changes, as far as lanes have room.
    pub fn drain(&mut self, sends: &mut Sends, room: Room<'_>) {
        self.shard.drain(self.now, room, &mut self.effects);
        self.carry_out(sends);
    }

    /// When something of ours is due, in `tick_ms`.
    pub fn next_due(&self) -> Option<u64> {
        [self.shard.next_wake(), self.delayed.next_due(), self.checks.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The node stops: every client that is still here hears it on the transport and goes.
    pub fn close_all(&mut self, sends: &mut Sends) {
        let conns: Vec<ConnKey> =
            self.links.iter_mut().map(|link| conn_key(self.home, link.socket)).collect();
        for conn in conns {
            self.close(sends, conn, CloseReason::Stopping);
        }
    }

    /// What one connection's bytes (or a deadline) lead to. `work` drives the protocol; what it
    /// noted for the service is acted on afterwards, so that nothing is re-entered.
    fn serve<T>(
        &mut self,
        sends: &mut Sends,
        socket: Socket,
        work: impl FnOnce(
            &mut grpc::Connection,
            &mut grpc::Codec,
            &mut Vec<u8>,
            &mut Incoming<'_>,
        ) -> Result<T, grpc::Closed>,
    ) -> Option<T> {
        let conn = conn_key(self.home, socket);
        let link = self.links.get(socket.slot, socket.generation).filter(|link| !link.leaving)?;
        let mut incoming = Incoming {
            conn,
            now: self.now,
            now_us: self.read_us,
            shard: &mut self.shard,
            effects: &mut self.effects,
            arrivals: &mut self.arrivals,
            calls: &mut link.calls,
            pushes_on: &mut link.pushes_on,
            door: &self.door,
            held: &self.held,
            noted: &mut self.noted,
        };
        let (grpc, codec) = (&mut link.grpc, &mut self.codec);
        let mut verdict = None;
        sends.send_with(socket, |out| verdict = Some(work(grpc, codec, out, &mut incoming)));
        self.read_us = self.clock.precise_us();
        self.fail_calls(sends, socket);
        self.carry_out(sends);
        self.keep_arrivals(socket);
        let verdict = verdict?;
        self.schedule_check(socket);
        if std::mem::take(&mut self.noted.left) {
            self.say_goodbye(sends, socket);
        }
        match verdict {
            Ok(progress) => Some(progress),
            Err(_) => {
                self.refuse(sends, socket);
                None
            }
        }
    }

    /// Calls that fail as gRPC calls.
    fn fail_calls(&mut self, sends: &mut Sends, socket: Socket) {
        let Some(link) = self.links.get(socket.slot, socket.generation) else { return };
        for (stream, status, text) in self.noted.failures.drain(..) {
            let (grpc, codec) = (&mut link.grpc, &mut self.codec);
            sends.send_with(socket, |out| {
                grpc.fail(stream, status, &text, codec, out);
            });
        }
    }

    /// Calls that another core answers keep their time with the link.
    fn keep_arrivals(&mut self, socket: Socket) {
        match self.links.get(socket.slot, socket.generation) {
            Some(link) => link.calls.append(&mut self.arrivals),
            None => self.arrivals.clear(),
        }
    }

    /// The client ended its stream: it leaves. The reference completes its own side, too.
    fn say_goodbye(&mut self, sends: &mut Sends, socket: Socket) {
        let Some(link) = self.links.get(socket.slot, socket.generation) else { return };
        link.leaving = true;
        let (grpc, codec, stream) = (&mut link.grpc, &mut self.codec, link.pushes_on);
        sends.send_with(socket, |out| {
            grpc.finish(stream, codec, out);
        });
        sends.close(socket, Closing::AfterQueued);
    }

    /// Looks at a link whose protocol state has a deadline.
    fn check(&mut self, sends: &mut Sends, socket: Socket) {
        let now_ms = self.now.tick_ms;
        self.serve(sends, socket, |grpc, codec, out, incoming| {
            grpc.check(now_ms, codec, out, incoming)
        });
    }

    /// Keeps the earliest time a link asked for.
    pub(super) fn schedule_check(&mut self, socket: Socket) {
        let Some(link) = self.links.get(socket.slot, socket.generation) else { return };
        let Some(due_ms) = link.grpc.next_check(&self.codec) else { return };
        self.checks.schedule(&mut self.links, socket, due_ms);
    }

    /// The protocol was broken: what explains it was written, then the connection ends.
    pub(super) fn refuse(&mut self, sends: &mut Sends, socket: Socket) {
        let Some(link) = self.links.get(socket.slot, socket.generation) else { return };
        link.leaving = true;
        self.metrics.inc(Counter::ClosedProtocol);
        sends.close(socket, Closing::AfterQueued);
    }

    /// Unique in the process: each core has its own residue, and never repeats a number.
    fn next_id_ms(&mut self) -> u64 {
        let cores = u64::from(self.node.cores);
        let core = u64::from(self.home.0.0);
        let least = self.now.unix_ms.max(self.last_id_ms + 1);
        let id_ms = least + (core + cores - least % cores) % cores;
        self.last_id_ms = id_ms;
        id_ms
    }
}

impl Handler for Carrier {
    fn accepted(&mut self, sends: &mut Sends, socket: Socket, peer: SocketAddr) {
        if !self.node.admit() {
            self.metrics.inc(Counter::LimitConnections);
            self.metrics.inc(Counter::RefusedLimit);
            sends.close(socket, Closing::AtOnce);
            return;
        }
        let mut link = Link::new(socket, self.now.tick_ms);
        let codec = &mut self.codec;
        sends.send_with(socket, |out| link.grpc.greet(codec, out));
        self.links.insert(link);
        self.schedule_check(socket);
        let id_ms = self.next_id_ms();
        let conn = conn_key(self.home, socket);
        self.tell_shard(sends, Message::Connected { conn, peer, id_ms });
    }

    fn received(&mut self, sends: &mut Sends, socket: Socket, bytes: &[u8]) {
        let now_ms = self.now.tick_ms;
        let progress = self.serve(sends, socket, |grpc, codec, out, incoming| {
            grpc.receive(bytes, now_ms, codec, out, incoming)
        });
        if progress.is_some_and(|progress| progress.incomplete) {
            sends.quick_ack(socket);
        }
        if self.links.get(socket.slot, socket.generation).is_some_and(|link| link.congested) {
            let backlog = Some(sends.backlog(socket));
            self.watch_backlog(conn_key(self.home, socket), backlog);
        }
    }

    fn sent(&mut self, sends: &mut Sends, socket: Socket, backlog_bytes: usize) {
        let Some(link) = self.links.get(socket.slot, socket.generation) else { return };
        let (grpc, codec) = (&mut link.grpc, &mut self.codec);
        if grpc.pending_bytes() > 0 {
            sends.send_with(socket, |out| grpc.set_backlog(backlog_bytes, codec, out));
        }
        if link.congested {
            let backlog = Some(sends.backlog(socket));
            self.watch_backlog(conn_key(self.home, socket), backlog);
            self.carry_out(sends);
        }
    }

    fn closed(&mut self, sends: &mut Sends, socket: Socket, why: CloseWhy) {
        let Some(mut link) = self.links.remove(socket) else { return };
        link.grpc.release(&mut self.codec);
        self.node.leave();
        if link.check_due.is_some() {
            self.checks.forgotten(&mut self.links);
        }
        match why {
            CloseWhy::PeerClosed => self.metrics.inc(Counter::ClosedPeer),
            CloseWhy::Reset => self.metrics.inc(Counter::ClosedReset),
            CloseWhy::TimedOut => self.metrics.inc(Counter::ClosedTimedOut),
            CloseWhy::BacklogFull => self.metrics.inc(Counter::ClosedBacklog),
            CloseWhy::ReceiveFailed(_) | CloseWhy::SendFailed(_) => {
                self.metrics.inc(Counter::ClosedFailed);
            }
            // Counted with its reason when it was asked for.
            CloseWhy::Requested => {}
        }
        self.tell_shard(sends, Message::Disconnected { conn: conn_key(self.home, socket) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_burst_is_given_back() {
        let mut outgoing = Outgoing::default();
        outgoing.tells.extend((0..100 * ENTRIES_KEPT).map(|_| (Core(1), Tell::Confirmed)));
        outgoing.tells.clear();
        outgoing.give_back();
        assert!(outgoing.tells.capacity() <= ENTRIES_KEPT);
        outgoing.tells.extend((0..ENTRIES_KEPT).map(|_| (Core(1), Tell::Confirmed)));
        let room = outgoing.tells.as_ptr();
        outgoing.tells.clear();
        outgoing.give_back();
        outgoing.tells.push((Core(1), Tell::Confirmed));
        assert_eq!(outgoing.tells.as_ptr(), room, "a usual turn allocates nothing");
    }
}
