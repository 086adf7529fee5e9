//! The loop of one core: take in what arrived, act, send, sleep when there is nothing.

use super::carrier::Carrier;
use super::limits::{
    IDLE_TURNS_BEFORE_SLEEP, MESH_PER_TURN_MAX, OUTSTANDING_BYTES_PAUSE,
    OUTSTANDING_PAUSE_MS,
};
use super::report::Report;
use super::sleep::Sleeper;
use crate::admin::counter::Counter;
use crate::boot::stop::{Phase, Stop};
use crate::engine::Engine;
use crate::engine::limits::EVENTS_PER_TURN_MAX;
use crate::mesh::Port;
use crate::pump::clock::STALL_MS;
use nacre_shards::limits::LaneLimits;
use nacre_shards::message::{Ask, Message, Now, Tell};
use nacre_shards::shard::Room;

/// Everything one core turns over.
pub struct Turn {
    pub engine: Engine,
    pub carrier: Carrier,
    pub port: Port<Ask, Tell>,
    pub lanes: LaneLimits,
    pub sleeper: Sleeper,
    pub stop: Stop,
    /// How long a stop waits for clients to leave.
    pub drain_ms: u64,
    pub report: Report,
    /// Free change entries per core, kept to be filled anew each turn.
    pub room: Vec<u32>,
    /// When the hand-out of pushes began to pause.
    pub paused_since_ms: Option<u64>,
    /// When the stop began.
    pub stopping_since_ms: Option<u64>,
}

impl Turn {
    /// Turns until the node has stopped.
    pub async fn run(mut self) {
        let mut idle_turns = 0;
        while !self.has_stopped() {
            let began_us = self.carrier.clock.precise_us();
            let worked = self.turn();
            self.report.busy_us += self.carrier.clock.precise_us() - began_us;
            idle_turns = if worked { 0 } else { idle_turns + 1 };
            if idle_turns < IDLE_TURNS_BEFORE_SLEEP {
                glommio::yield_if_needed().await;
            } else {
                self.sleep().await;
            }
        }
    }

    /// One turn. True if it did something.
    fn turn(&mut self) -> bool {
        self.read_clock();
        self.carrier.metrics.inc(Counter::Turns);
        let now_ms = self.carrier.now.tick_ms;
        let events = self.engine.turn(now_ms, &mut self.carrier);
        let messages = self.take_messages();
        let all_input_seen = events < EVENTS_PER_TURN_MAX && messages < MESH_PER_TURN_MAX;
        let sends = self.engine.sends();
        if all_input_seen {
            // Whether a client is silent is judged after what it sent was looked at.
            self.carrier.tick(sends);
        }
        self.carrier.run_timers(sends);
        self.hand_out();
        self.send_messages();
        self.follow_stop();
        if self.report.is_due(now_ms) {
            self.report.write(now_ms, &self.carrier, &self.engine);
        }
        events + messages > 0 || self.carrier.shard.has_work()
    }

    fn read_clock(&mut self) {
        let clock = self.carrier.clock;
        let tick_ms = clock.tick_ms();
        let gap_ms = tick_ms.saturating_sub(self.carrier.now.tick_ms.max(self.report.slept_until_ms));
        self.carrier.now = Now { tick_ms, unix_ms: clock.unix_ms() };
        self.carrier.codec.set_now(tick_ms);
        if gap_ms > STALL_MS {
            self.carrier.metrics.inc(Counter::Stalls);
            self.carrier.shard.stalled(gap_ms);
        }
    }

    /// Takes what other cores sent, a bounded number at a time.
    fn take_messages(&mut self) -> usize {
        let mut taken = 0;
        while taken < MESH_PER_TURN_MAX {
            let Some(from) = self.port.next_sender() else { break };
            let core = nacre_shards::key::Core(from as u16);
            if let Some(tell) = self.port.take_tell(from) {
                self.carrier.tell_shard(self.engine.sends(), Message::Tell { from: core, tell });
                taken += 1;
            }
            if let Some(ask) = self.port.take_ask(from) {
                self.carrier.tell_shard(self.engine.sends(), Message::Ask { from: core, ask });
                taken += 1;
            }
        }
        taken
    }

    /// Pushes, changes and what waited for room, unless too much waits for the kernel already.
    fn hand_out(&mut self) {
        let now_ms = self.carrier.now.tick_ms;
        if self.engine.sends().outstanding_bytes() > OUTSTANDING_BYTES_PAUSE {
            let since = *self.paused_since_ms.get_or_insert(now_ms);
            if now_ms - since < OUTSTANDING_PAUSE_MS {
                return;
            }
        }
        self.paused_since_ms = None;
        for (core, room) in self.room.iter_mut().enumerate() {
            let free = self.port.tell_room(core).saturating_sub(self.lanes.asks_max);
            *room = u32::try_from(free).unwrap_or(u32::MAX);
        }
        self.carrier.drain(self.engine.sends(), Room { changes: &self.room });
    }

    fn send_messages(&mut self) {
        let outgoing = &mut self.carrier.outgoing;
        for (to, tell) in outgoing.tells.drain(..) {
            let sent = self.port.send_tell(usize::from(to.0), tell);
            assert!(sent.is_ok(), "every ask under way has its answer's place in the lane");
            self.carrier.metrics.inc(Counter::MeshTells);
        }
        for (to, ask) in outgoing.asks.drain(..) {
            let sent = self.port.send_ask(usize::from(to.0), ask);
            assert!(sent.is_ok(), "the shard keeps its asks under way below the lane's size");
            self.carrier.metrics.inc(Counter::MeshAsks);
        }
        let woken = self.port.wake_receivers();
        self.carrier.metrics.add(Counter::MeshWakes, woken as u64);
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
        let waited_ms = self.carrier.clock.tick_ms() - since_ms;
        let over = waited_ms >= self.drain_ms || self.stop.phase() == Phase::Now;
        if over {
            self.carrier.close_all(self.engine.sends());
        }
        // A last turn or two carry out what was said to the last clients.
        self.carrier.links.len() == 0 || waited_ms >= self.drain_ms + 1_000
    }

    async fn sleep(&mut self) {
        let wake = std::sync::Arc::clone(self.port.wake());
        wake.fall_asleep();
        let now_ms = self.carrier.clock.tick_ms();
        let until = [self.carrier.next_due(), Some(self.report.next_ms)].into_iter().flatten().min();
        let quiet = self.port.is_empty()
            && (self.stop.phase() == Phase::Running || self.stopping_since_ms.is_some());
        if quiet && self.engine.prepare_sleep(now_ms, until) {
            self.carrier.metrics.inc(Counter::Sleeps);
            if self.sleeper.sleep().await.is_err() {
                self.stop.ask(Phase::Now);
            }
            self.report.slept_until_ms = self.carrier.clock.tick_ms();
        }
        wake.rise();
    }
}
