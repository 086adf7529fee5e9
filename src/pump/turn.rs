//! The loop of one core: take in what arrived, act, send, sleep when there is nothing.

use super::carrier::Carrier;
use super::limits::{
    CALLS_PER_TURN_MAX, CROWDED_PUSHES_PER_TURN, MESH_PER_TURN_MAX, OUTSTANDING_BYTES_MAX,
    PUSHES_BESIDE_CROWD, PUSHES_BESIDE_INPUT, PUSHES_IN_A_ROW, PUSHES_PER_SUBMIT,
};
use super::replica::Durable;
use super::report::Report;
use super::sleep::{Bed, Rest};
use crate::admin::counter::Counter;
use crate::boot::stop::{Phase, Stop};
use crate::engine::Engine;
use crate::engine::limits::EVENTS_PER_TURN_MAX;
use crate::mesh::{Bell, Letter, Port};
use nacre_shards::config::table::Tables;
use nacre_shards::key::Core;
use nacre_shards::limits::LaneLimits;
use nacre_shards::message::{Ask, Message, Tell};
use nacre_shards::shard::Room;
use std::rc::Rc;
use std::sync::Arc;

/// Everything one core turns over.
pub struct Turn {
    pub engine: Engine,
    pub carrier: Carrier,
    pub port: Port<Ask, Tell>,
    pub lanes: LaneLimits,
    pub bed: Bed,
    pub stop: Stop,
    /// How long a stop waits for clients to leave.
    pub drain_ms: u64,
    pub report: Report,
    /// Free change entries per core, kept to be filled anew each turn.
    pub room: Vec<usize>,
    /// Pushes that may leave before input is looked at between every few of them: at first
    /// [`PUSHES_IN_A_ROW`].
    pub in_a_row: usize,
    /// When the stop began.
    pub stopping_since_ms: Option<u64>,
    /// What all cores read of configs; says when the log was replayed.
    pub tables: Arc<Tables>,
    /// The way to the Raft group, on its core.
    pub durable: Option<Rc<Durable>>,
}

impl Turn {
    /// What wakes this core from outside, as when the node is asked to stop.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(self.port.bell())
    }

    /// Turns until the node has stopped.
    pub async fn run(mut self) {
        while !self.has_stopped() {
            let began_us = self.carrier.clock.precise_us();
            self.carrier.read_us = began_us;
            let events = self.turn();
            self.report.busy_us += self.carrier.clock.precise_us() - began_us;
            let now_ms = self.carrier.now.tick_ms;
            let wake_at_ms = self.carrier.next_due().unwrap_or(u64::MAX);
            let wake_at_ms = wake_at_ms.min(self.report.wake_at_ms(self.engine.sends()));
            let (port, stop, desk) = (&self.port, &self.stop, &self.carrier.desk);
            let (door, held) = (&self.carrier.door, &self.carrier.held);
            let prober = &self.carrier.prober;
            let stopping = self.stopping_since_ms.is_some();
            let durable = &self.durable;
            let is_quiet = || {
                let runs_on = stopping || stop.phase() == Phase::Running;
                let at_the_door = door.is_quiet() && held.is_quiet() && prober.is_quiet();
                let no_letters = durable.as_ref().is_none_or(|durable| durable.is_quiet());
                port.is_quiet() && no_letters && desk.is_quiet() && at_the_door && runs_on
            };
            let is_awaited = desk.has_answers()
                || held.under_way() > 0
                || durable.as_ref().is_some_and(|durable| durable.under_way() > 0);
            let (bed, engine) = (&mut self.bed, &mut self.engine);
            let rest =
                bed.rest(engine, events, now_ms, Some(wake_at_ms), is_awaited, is_quiet).await;
            match rest {
                Rest::Not => continue,
                Rest::Nap => self.carrier.metrics.inc(Counter::Naps),
                Rest::Sleep => self.carrier.metrics.inc(Counter::Sleeps),
            }
            self.carrier.clock.rested(Some(wake_at_ms));
        }
    }

    /// One turn. How much it did.
    fn turn(&mut self) -> usize {
        self.read_clock();
        self.follow_start();
        self.carrier.metrics.inc(Counter::Turns);
        let now_ms = self.carrier.now.tick_ms;
        let events = self.engine.turn(now_ms, &mut self.carrier);
        let messages = self.take_messages() + self.take_letters();
        let calls = self.take_calls();
        let all_input_seen = events < EVENTS_PER_TURN_MAX
            && messages < MESH_PER_TURN_MAX
            && calls < CALLS_PER_TURN_MAX;
        let sends = self.engine.sends();
        if all_input_seen {
            // Whether a client is silent is judged after what it sent was looked at.
            self.carrier.tick(sends);
        }
        self.carrier.run_timers(sends);
        self.hand_out(all_input_seen);
        self.follow_stop();
        self.send_messages();
        if self.report.is_due(now_ms) {
            let durable = self.durable.as_deref();
            self.report.write(now_ms, &self.carrier, durable, self.engine.sends());
        }
        self.report.is_stale |= messages + calls > 0;
        let waits = self.carrier.shard.has_work() || self.carrier.is_late();
        events + messages + calls + usize::from(waits)
    }

    fn read_clock(&mut self) {
        let tick = self.carrier.clock.tick();
        self.carrier.now = tick.now;
        self.carrier.codec.set_now(tick.now.tick_ms);
        if tick.stall_ms > 0 {
            self.carrier.metrics.inc(Counter::Stalls);
            self.carrier.shard.stalled(tick.stall_ms);
        }
    }

    /// Takes what other cores sent, a bounded number at a time.
    fn take_messages(&mut self) -> usize {
        let (carrier, sends) = (&mut self.carrier, self.engine.sends());
        self.port.drain(MESH_PER_TURN_MAX, |from, letter| {
            let message = match letter {
                Letter::Ask(ask) => Message::Ask { from, ask },
                Letter::Tell(tell) => Message::Tell { from, tell },
            };
            carrier.tell_shard(sends, message);
        })
    }

    /// Takes what this core's HTTP side and its prober handed in, a bounded number at a time.
    fn take_calls(&mut self) -> usize {
        let (carrier, sends) = (&mut self.carrier, self.engine.sends());
        let mut taken = carrier.take_held(sends);
        while let Some((from, number)) = carrier.desk.take_ack() {
            carrier.tell_shard(sends, Message::Acknowledged { from, number });
            taken += 1;
        }
        while let Some((ticket, outcome)) = carrier.prober.take() {
            carrier.tell_shard(sends, Message::Checked { ticket, outcome });
            taken += 1;
        }
        for _ in 0..CALLS_PER_TURN_MAX {
            let Some((ticket, call)) = carrier.desk.take_call() else { break };
            carrier.tell_shard(sends, Message::Open { ticket, call });
            taken += 1;
        }
        taken
    }

    /// A node serves when its log was replayed: until then everything is answered 300.
    fn follow_start(&mut self) {
        if !self.carrier.shard.started() && self.tables.is_ready() {
            self.carrier.tell_shard(self.engine.sends(), Message::Started);
        }
    }

    /// Takes what the Raft group has to say, likewise.
    fn take_letters(&mut self) -> usize {
        let Some(durable) = &self.durable else { return 0 };
        let mut taken = 0;
        while taken < MESH_PER_TURN_MAX
            && let Some(letter) = durable.take()
        {
            taken += 1;
            self.carrier.tell_shard(self.engine.sends(), letter);
        }
        taken
    }

    /// Pushes, changes and what waited for room. Of pushes only a few while too much waits for the
    /// kernel already: what it has not taken is our memory, but those who read must not wait for
    /// those who do not. Nor many while input waits: each push brings its acknowledgement, and who
    /// asked in between would wait behind all of them; nor, for the same reason, while more than a
    /// thousand have to leave. Many pushes leave in steps, so that the first subscriber's is on its
    /// way while the last one's is written.
    fn hand_out(&mut self, all_input_seen: bool) {
        let crowded = self.engine.sends().outstanding_bytes() > OUTSTANDING_BYTES_MAX;
        let mut pushes = match all_input_seen {
            _ if crowded => CROWDED_PUSHES_PER_TURN,
            false => PUSHES_BESIDE_INPUT,
            true => self.in_a_row.max(PUSHES_BESIDE_CROWD),
        };
        loop {
            let step = pushes.min(PUSHES_PER_SUBMIT);
            self.hand_out_some(step);
            pushes -= step;
            self.in_a_row = self.in_a_row.saturating_sub(step);
            if !self.carrier.shard.has_work() {
                self.in_a_row = PUSHES_IN_A_ROW;
                return;
            }
            if self.carrier.shard.has_more_pushes_than(self.in_a_row) {
                // The row would not reach the last of them: then others need not wait for it.
                self.in_a_row = 0;
            }
            if pushes == 0 || self.in_a_row == 0 {
                return;
            }
            self.send_messages();
            self.engine.send_now();
        }
    }

    fn hand_out_some(&mut self, pushes: usize) {
        for (core, room) in self.room.iter_mut().enumerate() {
            let core = Core(core as u16);
            if core != self.port.core() {
                *room = self.port.tell_room(core).saturating_sub(self.lanes.asks_max);
            }
        }
        self.carrier.drain(self.engine.sends(), Room { changes: &self.room, pushes });
    }

    fn send_messages(&mut self) {
        let outgoing = &mut self.carrier.outgoing;
        for (to, tell) in outgoing.tells.drain(..) {
            let sent = self.port.send_tell(to, tell);
            assert!(sent.is_ok(), "every ask under way has its answer's place in the lane");
            self.carrier.metrics.inc(Counter::MeshTells);
        }
        for (to, ask) in outgoing.asks.drain(..) {
            let sent = self.port.send_ask(to, ask);
            assert!(sent.is_ok(), "the shard keeps its asks under way below the lane's size");
            self.carrier.metrics.inc(Counter::MeshAsks);
        }
        self.port.wake_written();
        for proposal in outgoing.proposals.drain(..) {
            let durable = self.durable.as_ref();
            durable.expect("shards propose on the Raft core only").propose(proposal);
        }
        for inquiry in outgoing.looks.drain(..) {
            let durable = self.durable.as_ref();
            durable.expect("shards ask on the Raft core only").look(inquiry);
        }
        outgoing.give_back();
    }

    /// Stop accepting, tell clients, give them time to leave.
    fn follow_stop(&mut self) {
        if self.stop.phase() == Phase::Running || self.stopping_since_ms.is_some() {
            return;
        }
        self.stopping_since_ms = Some(self.carrier.now.tick_ms);
        self.engine.stop_accepting();
        self.carrier.tell_shard(self.engine.sends(), Message::Stopping);
    }

    fn has_stopped(&mut self) -> bool {
        let Some(since_ms) = self.stopping_since_ms else { return false };
        let waited_ms = self.carrier.now.tick_ms - since_ms;
        let over = waited_ms >= self.drain_ms || self.stop.phase() == Phase::Now;
        if over {
            self.carrier.close_all(self.engine.sends());
        }
        // A last turn or two carry out what was said to the last clients.
        self.carrier.links.len() == 0 || waited_ms >= self.drain_ms + 1_000
    }
}
