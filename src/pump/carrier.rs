//! Between the engine and the shard of one core: bytes become messages, effects become bytes.

use super::checks::Checks;
use super::clock::Clock;
use super::delayed::{Delayed, DelayedReplies};
use super::incoming::{Arrival, Incoming};
use super::link::{Link, Links, conn_key};
use super::limits::{CONGESTED_BYTES, RELIEVED_BYTES};
use super::node::Node;
use crate::admin::metrics::CoreMetrics;
use crate::engine::{self, CloseWhy, Closing, Sends, Socket};
use crate::grpc;
use nacre_proto::payload::encode_head;
use nacre_shards::effect::{Body, CloseReason, Effect, Effects, Json};
use nacre_shards::key::{ConnKey, Core, Home};
use nacre_shards::message::{Ask, Message, Now, Tell};
use nacre_shards::shard::Shard;
use std::net::SocketAddr;
use std::sync::Arc;

/// Asks and tells for other cores, in the order they were made. There is room in their lanes (see
/// `nacre_shards::limits::LaneLimits`), so they wait here for the length of one hand-over only.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub asks: Vec<(Core, Ask)>,
    pub tells: Vec<(Core, Tell)>,
}

/// One core's connections and its shard, as the handler of the core's engine.
pub struct Carrier {
    pub home: Home,
    pub links: Links,
    pub shard: Shard,
    pub codec: grpc::Codec,
    pub checks: Checks,
    pub delayed: DelayedReplies,
    pub outgoing: Outgoing,
    pub clock: Clock,
    pub now: Now,
    pub metrics: Arc<CoreMetrics>,
    pub node: Arc<Node>,
    effects: Effects,
    arrivals: Vec<Arrival>,
    head: Vec<u8>,
    last_id_ms: u64,
}

impl Carrier {
    /// A carrier without connections.
    pub fn new(
        home: Home,
        shard: Shard,
        codec: grpc::Codec,
        clock: Clock,
        metrics: Arc<CoreMetrics>,
        node: Arc<Node>,
    ) -> Self {
        let now = clock.now();
        Self {
            home,
            links: Links::default(),
            shard,
            codec,
            checks: Checks::default(),
            delayed: DelayedReplies::default(),
            outgoing: Outgoing::default(),
            clock,
            now,
            metrics,
            node,
            effects: Effects::default(),
            arrivals: Vec::new(),
            head: Vec::with_capacity(256),
            last_id_ms: 0,
        }
    }

    /// Hands one message to the shard and carries out what it leads to.
    pub fn tell_shard(&mut self, sends: &mut Sends, message: Message<'_>) {
        self.shard.handle(self.now, message, &mut self.effects);
        self.carry_out(sends);
    }

    /// Carries out what time has made due.
    pub fn tick(&mut self, sends: &mut Sends) {
        self.shard.tick(self.now, &mut self.effects);
        self.carry_out(sends);
        for delayed in self.delayed.due(self.now.tick_ms) {
            self.reply(sends, delayed.conn, delayed.stream, &delayed.body);
        }
        while let Some((slot, generation)) = self.checks.pop_due(self.now.tick_ms) {
            self.check(sends, slot, generation);
        }
        self.carry_out(sends);
    }

    /// Hands out waiting pushes and changes, as far as `changes` entries of lanes have room.
    pub fn drain(&mut self, sends: &mut Sends, room: nacre_shards::shard::Room<'_>) {
        self.shard.drain(self.now, room, &mut self.effects);
        self.carry_out(sends);
    }

    /// The node stops: every client that is still here hears it on the transport and goes.
    pub fn close_all(&mut self, sends: &mut Sends) {
        for link in self.links.iter_mut().filter(|link| !link.leaving) {
            link.leaving = true;
            let codec = &mut self.codec;
            sends.send_with(link.socket, |out| link.grpc.go_away("app_requested", codec, out));
            sends.close(link.socket, Closing::AfterQueued);
        }
    }

    fn carry_out(&mut self, sends: &mut Sends) {
        while !self.effects.list.is_empty() {
            let mut list = std::mem::take(&mut self.effects.list);
            for effect in list.drain(..) {
                self.carry_out_one(sends, effect);
            }
            if self.effects.list.is_empty() {
                self.effects.list = list;
            }
        }
    }

    fn carry_out_one(&mut self, sends: &mut Sends, effect: Effect) {
        match effect {
            Effect::Reply { conn, stream, body, delay_ms: 0 } => {
                self.reply(sends, conn, stream, &body);
            }
            Effect::Reply { conn, stream, body, delay_ms } => {
                let due_ms = self.now.tick_ms + u64::from(delay_ms);
                let delayed = Delayed { conn, stream, body };
                if let Err(back) = self.delayed.keep(due_ms, delayed) {
                    self.reply(sends, back.conn, back.stream, &back.body);
                }
            }
            Effect::Push { conn, body } => self.push(sends, conn, &body),
            Effect::Close { conn, reason } => self.close(sends, conn, reason),
            Effect::Ask { to, ask } => self.outgoing.asks.push((to.0, ask)),
            Effect::Tell { to, tell } => self.outgoing.tells.push((to.0, tell)),
        }
    }

    fn reply(&mut self, sends: &mut Sends, conn: ConnKey, stream: u32, body: &Body) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        if link.leaving {
            return;
        }
        self.head.clear();
        encode_head(body.kind, "", body.json.len(), &mut self.head);
        let (grpc, codec, head) = (&mut link.grpc, &mut self.codec, &mut self.head);
        let backlog = sends.send_with(link.socket, |out| {
            with_message(head, &body.json, |message| grpc.reply(stream, message, codec, out));
        });
        if let Some(arrival) = take_arrival(&mut self.arrivals, &mut link.calls, stream) {
            let waited_us = self.clock.precise_us().saturating_sub(arrival.at_us);
            self.metrics.answered(arrival.kind, body.failed(), waited_us);
        }
        self.watch_backlog(conn, backlog);
    }

    fn push(&mut self, sends: &mut Sends, conn: ConnKey, body: &Body) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        if link.leaving || link.pushes_on == 0 {
            return;
        }
        self.head.clear();
        encode_head(body.kind, &self.node.own_ip, body.json.len(), &mut self.head);
        let (grpc, codec, head) = (&mut link.grpc, &mut self.codec, &mut self.head);
        let stream = link.pushes_on;
        let backlog = sends.send_with(link.socket, |out| {
            with_message(head, &body.json, |message| grpc.push(stream, message, codec, out));
        });
        self.watch_backlog(conn, backlog);
    }

    /// Tells the shard when a client reads too slowly, so that its state coalesces instead.
    fn watch_backlog(&mut self, conn: ConnKey, backlog: Option<usize>) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        let waiting = backlog.unwrap_or(0) + link.grpc.pending_bytes();
        let congested = if link.congested { waiting > RELIEVED_BYTES } else { waiting > CONGESTED_BYTES };
        if congested != link.congested {
            link.congested = congested;
            let message = Message::Congested { conn, congested };
            self.shard.handle(self.now, message, &mut self.effects);
        }
    }

    fn close(&mut self, sends: &mut Sends, conn: ConnKey, reason: CloseReason) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        if std::mem::replace(&mut link.leaving, true) {
            return;
        }
        self.metrics.closed(reason);
        let codec = &mut self.codec;
        let debug = close_text(reason);
        sends.send_with(link.socket, |out| link.grpc.go_away(debug, codec, out));
        let closing = match reason {
            CloseReason::TooSlow => Closing::AtOnce,
            _ => Closing::AfterQueued,
        };
        sends.close(link.socket, closing);
    }

    /// Looks at a link whose protocol state has a deadline.
    fn check(&mut self, sends: &mut Sends, slot: u32, generation: u32) {
        let Some(link) = self.links.get(slot, generation) else { return };
        link.check_waits = false;
        let (grpc, codec) = (&mut link.grpc, &mut self.codec);
        let now_ms = self.now.tick_ms;
        let mut verdict = Ok(());
        sends.send_with(link.socket, |out| verdict = grpc.check(now_ms, codec, out));
        match verdict {
            Ok(()) => self.schedule_check(slot, generation),
            Err(closed) => self.refuse(sends, slot, generation, closed),
        }
    }

    fn schedule_check(&mut self, slot: u32, generation: u32) {
        let Some(link) = self.links.get(slot, generation) else { return };
        if link.check_waits {
            return;
        }
        if let Some(due_ms) = link.grpc.next_check() {
            link.check_waits = true;
            self.checks.add(due_ms, slot, generation);
        }
    }

    /// The protocol was broken: what explains it was written, then the connection ends.
    fn refuse(&mut self, sends: &mut Sends, slot: u32, generation: u32, _why: grpc::Closed) {
        let Some(link) = self.links.get(slot, generation) else { return };
        link.leaving = true;
        sends.close(link.socket, Closing::AfterQueued);
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
