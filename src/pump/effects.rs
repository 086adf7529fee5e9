//! Effects become bytes: replies, pushes and ends of connections, each in its order.

use super::carrier::Carrier;
use super::delayed::Delayed;
use super::incoming::Arrival;
use super::limits::{CONGESTED_BYTES, RELIEVED_BYTES};
use super::replica::Inquiry;
use super::replica::Proposal;
use crate::admin::counter::Counter;
use crate::engine::{Closing, Sends, Socket};
use crate::grpc::{self, Outcome};
use nacre_proto::code::Code;
use nacre_proto::payload::encode_head;
use nacre_proto::request::Kind;
use nacre_shards::effect::{Body, CloseReason, Effect, Json};
use nacre_shards::key::ConnKey;
use nacre_shards::limits::ENTRIES_KEPT;
use nacre_shards::message::Message;

impl Carrier {
    pub(super) fn carry_out(&mut self, sends: &mut Sends) {
        while !self.effects.list.is_empty() {
            let mut list = std::mem::take(&mut self.effects.list);
            for effect in list.drain(..) {
                self.carry_out_one(sends, effect);
            }
            if self.effects.list.is_empty() {
                list.shrink_to(ENTRIES_KEPT);
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
                if let Some(back) = self.delayed.keep(due_ms, delayed) {
                    self.metrics.inc(Counter::LimitDelayed);
                    self.reply(sends, back.conn, back.stream, &back.body);
                }
            }
            Effect::Push { conn, body } => self.push(sends, conn, &body),
            Effect::Answer { ticket, answer } => self.desk.answer(ticket, answer),
            Effect::Datagram { to, number, list } => {
                if let Some(datagrams) = &mut self.datagrams {
                    datagrams.send(to, number, &list);
                }
            }
            Effect::Check(check) => self.prober.start(check),
            Effect::Close { conn, reason } => self.close(sends, conn, reason),
            Effect::Propose { from, waiter, purpose, command } => {
                self.outgoing.proposals.push(Proposal { from, waiter, purpose, command });
            }
            Effect::Recall { from, waiter, question } => {
                self.outgoing.looks.push(Inquiry { from, waiter, question: *question });
            }
            Effect::Ask { to, ask } => self.outgoing.asks.push((to.0, ask)),
            Effect::Tell { to, tell } => self.outgoing.tells.push((to.0, tell)),
        }
    }

    pub(super) fn reply(&mut self, sends: &mut Sends, conn: ConnKey, stream: u32, body: &Body) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        if link.leaving {
            return;
        }
        self.head.clear();
        encode_head(body.kind, "", body.json.len(), &mut self.head);
        let (grpc, codec, head) = (&mut link.grpc, &mut self.codec, &mut self.head);
        let mut outcome = Outcome::Gone;
        let backlog = sends.send_with(link.socket, |out| {
            outcome =
                with_message(head, &body.json, |message| grpc.reply(stream, message, codec, out));
        });
        if let Some(arrival) = take_arrival(&mut self.arrivals, &mut link.calls, stream) {
            let waited_us = self.read_us.saturating_sub(arrival.at_us);
            self.metrics.request(arrival.kind, body.error_code, waited_us);
            if let Some(refusal) = refusal(arrival.kind, body.error_code) {
                self.metrics.inc(refusal);
            }
        }
        self.after_send(sends, conn, backlog, outcome);
    }

    /// A client that leaves too much unread is closed by the protocol's bounds, or gets less.
    pub(super) fn after_send(
        &mut self,
        sends: &mut Sends,
        conn: ConnKey,
        backlog: Option<usize>,
        outcome: Outcome,
    ) {
        if let Outcome::Closed(_) = outcome {
            return self.refuse(sends, Socket { slot: conn.slot, generation: conn.generation });
        }
        if outcome == Outcome::Held {
            let socket = Socket { slot: conn.slot, generation: conn.generation };
            self.schedule_check(socket);
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
        let mut outcome = Outcome::Gone;
        let backlog = sends.send_with(link.socket, |out| {
            outcome =
                with_message(head, &body.json, |message| grpc.push(stream, message, codec, out));
        });
        self.after_send(sends, conn, backlog, outcome);
    }

    /// Tells the shard when a client reads too slowly, so that its state coalesces instead.
    pub(super) fn watch_backlog(&mut self, conn: ConnKey, backlog: Option<usize>) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        let waiting = backlog.unwrap_or(0) + link.grpc.pending_bytes();
        let bound = if link.congested { RELIEVED_BYTES } else { CONGESTED_BYTES };
        let congested = waiting > bound;
        if congested != link.congested {
            link.congested = congested;
            let message = Message::Congested { conn, congested };
            self.shard.handle(self.now, message, &mut self.effects);
        }
    }

    pub(super) fn close(&mut self, sends: &mut Sends, conn: ConnKey, reason: CloseReason) {
        let Some(link) = self.links.get(conn.slot, conn.generation) else { return };
        if std::mem::replace(&mut link.leaving, true) {
            return;
        }
        let (counter, text, closing) = match reason {
            CloseReason::Ejected => (Counter::ClosedEjected, "silent", Closing::AfterQueued),
            CloseReason::NeverSetUp => {
                (Counter::ClosedNeverSetUp, "no ConnectionSetupRequest", Closing::AfterQueued)
            }
            CloseReason::Starting => {
                (Counter::ClosedStarting, "starting, come again", Closing::AfterQueued)
            }
            CloseReason::TooSlow => (Counter::ClosedTooSlow, "too slow", Closing::AtOnce),
            CloseReason::Redirected => {
                (Counter::ClosedRedirected, "go elsewhere", Closing::AfterQueued)
            }
            CloseReason::Stopping => {
                (Counter::ClosedStopping, "app_requested", Closing::AfterQueued)
            }
        };
        self.metrics.inc(counter);
        let (grpc, codec) = (&mut link.grpc, &mut self.codec);
        sends.send_with(link.socket, |out| {
            grpc.go_away(text, out);
            grpc.reset_bidi(codec, out);
        });
        sends.close(link.socket, closing);
    }
}

/// Hands the pieces of a payload on as one gRPC message.
fn with_message<T>(
    head: &mut Vec<u8>,
    json: &Json,
    send: impl FnOnce(grpc::Message<'_>) -> T,
) -> T {
    match json {
        Json::Static(text) => send(grpc::Message { head, shared: None, tail: text.as_bytes() }),
        Json::Owned(bytes) => send(grpc::Message { head, shared: None, tail: bytes }),
        Json::Shared { before, shared, after } => {
            head.extend_from_slice(before.as_bytes());
            send(grpc::Message { head, shared: Some(shared), tail: after })
        }
    }
}

/// The counter of an answer whose refusal no shard counts: refused before a shard sees the call,
/// or by a core that is not the client's home.
fn refusal(kind: Kind, error_code: i32) -> Option<Counter> {
    let is = |code: Code| error_code == code.number();
    match kind {
        Kind::ClusterOnly => Some(Counter::RefusedClusterOnly),
        _ if is(Code::NoHandler) => Some(Counter::RefusedNoHandler),
        _ if is(Code::FuzzyWatchPatternOverLimit) => Some(Counter::LimitFuzzyPatterns),
        _ if is(Code::FuzzyWatchMatchOverLimit) => Some(Counter::LimitFuzzyMatches),
        _ => None,
    }
}

/// Finds when a call came: among those of this receive, or among those that waited for another
/// core.
fn take_arrival(
    fresh: &mut Vec<Arrival>,
    waiting: &mut Vec<Arrival>,
    stream: u32,
) -> Option<Arrival> {
    let is_it = |arrival: &Arrival| arrival.stream == stream;
    if let Some(at) = fresh.iter().position(is_it) {
        return Some(fresh.swap_remove(at));
    }
    let arrival = waiting.swap_remove(waiting.iter().position(is_it)?);
    if waiting.is_empty() {
        // An idle connection keeps no heap.
        *waiting = Vec::new();
    }
    Some(arrival)
}
