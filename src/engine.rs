//! The socket engine of one core: bytes in and out by slot, on io_uring.
//!
//! Job: accept connections, hand received bytes to a [`Handler`], gather what is written per turn
//! and send it, close in order. It knows nothing of what the bytes mean.
//!
//! Invariants worth naming:
//! * an idle connection owns a 16-byte table entry and nothing else in user memory: no buffer, no
//!   file descriptor, no task;
//! * every byte received before the peer's FIN is delivered before `closed`;
//! * `closed` is called exactly once for each `accepted`, and a slot is not given out again before;
//! * memory the kernel may read or write is not freed or moved before its completion is in. A slot
//!   is closed only when its receive and its send have returned, so no completion of an old tenant
//!   meets a new one; tags carry the generation all the same;
//! * one send is under way per socket; what is written meanwhile leaves with the next.
//!
//! It refuses to read a clock (time is an argument), to make threads, and to block: the caller
//! sleeps on the wake-up descriptor after [`Engine::prepare_sleep`] said so.
#![allow(unsafe_code)] // The room where unsafe lives; each block says why it is sound.

mod accept;
mod buffers;
mod close;
mod counters;
mod error;
pub mod limits;
pub(crate) mod listen;
mod op;
mod outbox;
mod recv;
mod ring;
mod send;
mod sends;
mod sys;
mod table;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use error::EngineError;
pub use listen::check_free;
pub use sends::{Closing, Sends};
pub use sys::{event_fd, wait_readable};
pub use table::{CloseWhy, Socket};

use limits::{COMPLETION_BATCH, EVENTS_PER_TURN_MAX, RING_SLOTS_MAX, RINGS_MAX, TURN_AWAY_SLOTS};
use op::{Op, Tag};
use ring::Ring;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

/// What an engine is made of. [`Config::default`] suits a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections this core should be able to hold. Rings are added while it fills, each with as
    /// many slots as the open-files limit allows.
    pub connections_max: u32,
    /// Slots of a ring, for tests; `None` takes the largest that the limits allow.
    pub ring_slots: Option<u32>,
    /// Receive buffers of a ring; a power of two.
    pub receive_buffers: u16,
    /// Bytes of each.
    pub receive_buffer_bytes: u32,
    /// Bytes that may wait for one client before it is disconnected.
    pub backlog_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            ring_slots: None,
            receive_buffers: limits::RECEIVE_BUFFERS,
            receive_buffer_bytes: limits::RECEIVE_BUFFER_BYTES,
            backlog_bytes_max: limits::BACKLOG_BYTES_MAX,
        }
    }
}

/// What happens to sockets, told to whoever drives the engine.
pub trait Handler {
    /// A connection came up.
    fn accepted(&mut self, sends: &mut Sends, socket: Socket, peer: SocketAddr);
    /// Bytes came in, in order. The slice is the engine's again when this returns.
    fn received(&mut self, sends: &mut Sends, socket: Socket, bytes: &[u8]);
    /// A send finished; `backlog_bytes` still wait.
    fn sent(&mut self, sends: &mut Sends, socket: Socket, backlog_bytes: usize);
    /// The connection is over: exactly once per `accepted`, and the last word about `socket`.
    fn closed(&mut self, sends: &mut Sends, socket: Socket, why: CloseWhy);
}

/// The sockets of one core. Made and used on that core's thread only.
pub struct Engine {
    /// Dropped before the buffers it may still read from.
    rings: Vec<Ring>,
    sends: ManuallyDrop<Sends>,
    listeners: Vec<listen::Listener>,
    config: Config,
    wake: OwnedFd,
    /// Slots of each ring.
    ring_slots: u32,
    rings_max: usize,
    /// Which ring is looked at first in the next turn.
    first_ring: usize,
    /// Accepts may have to be armed or moved.
    accepts_due: bool,
    /// No accept is armed before this time.
    accept_retry_ms: u64,
    /// When the armed timers fire, if they are: one for deadlines, one for the end of a nap.
    timers_ms: [Option<u64>; 2],
    /// Completions write the wake-up descriptor.
    waking: bool,
    /// SINGLE_ISSUER rings belong to the thread that made them.
    _not_send: PhantomData<*mut ()>,
}

impl Engine {
    /// Makes the first ring. `wake` is an eventfd that is written when something happens while the
    /// core sleeps; other cores may write it as well.
    ///
    /// Errors: what the host does not offer, with the remedy.
    pub fn new(config: &Config, wake: impl AsFd) -> Result<Self, EngineError> {
        let files = sys::limit_of(libc::RLIMIT_NOFILE);
        let most = config.ring_slots.unwrap_or(RING_SLOTS_MAX).min(RING_SLOTS_MAX);
        let wanted = config.connections_max.saturating_add(TURN_AWAY_SLOTS);
        let ring_slots = most.min(wanted).min(u32::try_from(files).unwrap_or(u32::MAX));
        if ring_slots <= TURN_AWAY_SLOTS {
            return Err(EngineError::Files { limit: files });
        }
        let usable = ring_slots - TURN_AWAY_SLOTS;
        let wake = wake.as_fd().try_clone_to_owned().map_err(|source| EngineError::Kernel {
            what: "keep the wake-up descriptor",
            source,
        })?;
        let mut engine = Self {
            rings: Vec::new(),
            sends: ManuallyDrop::new(Sends::new(config.backlog_bytes_max)),
            listeners: Vec::new(),
            config: config.clone(),
            wake,
            ring_slots,
            rings_max: (config.connections_max.div_ceil(usable) as usize).clamp(1, RINGS_MAX),
            first_ring: 0,
            accepts_due: false,
            accept_retry_ms: 0,
            timers_ms: [None; 2],
            waking: true,
            _not_send: PhantomData,
        };
        engine.add_ring()?;
        Ok(engine)
    }

    /// Opens listeners, sharing their ports with the other cores'. Returns the bound addresses
    /// (port 0 asks for any).
    ///
    /// Errors: [`EngineError::Listen`]; listeners opened before it stay open.
    pub fn listen(&mut self, addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, EngineError> {
        let mut bound = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let listener = listen::open(address)?;
            bound.push(listener.address);
            self.listeners.push(listener);
        }
        self.accepts_due = true;
        Ok(bound)
    }

    /// One turn: sends what was queued, fetches what happened, tells the handler. Makes one system
    /// call per ring with something to do, and never waits. `now_ms` is any clock that does not go
    /// back. Returns how many events were handled; at most [`EVENTS_PER_TURN_MAX`] and a batch.
    pub fn turn(&mut self, now_ms: u64, handler: &mut impl Handler) -> usize {
        self.sends.now_ms = now_ms;
        if self.waking {
            self.set_waking(false);
        }
        self.tell_ended(handler);
        self.flush();
        let mut events = 0;
        for offset in 0..self.rings.len() {
            let ring = (self.first_ring + offset) % self.rings.len();
            self.rings[ring].enter(&mut self.sends.counters);
            events += self.reap(ring, EVENTS_PER_TURN_MAX.saturating_sub(events), handler);
        }
        self.first_ring = (self.first_ring + 1) % self.rings.len();
        events
    }

    /// Hands what was queued since the last flush to the kernel, in the middle of a turn; what
    /// happened meanwhile waits for [`Self::turn`].
    pub fn send_now(&mut self) {
        self.launch_listed();
        for ring in &mut self.rings {
            ring.submit(&mut self.sends.counters);
        }
    }

    /// The write side, for use between turns.
    pub fn sends(&mut self) -> &mut Sends {
        &mut self.sends
    }

    /// Connections the handler has.
    pub fn connections(&self) -> u64 {
        self.sends.counters.accepted - self.sends.counters.closed
    }

    /// Whether the core may sleep: submits what is queued, makes completions write the wake-up
    /// descriptor, and looks again. False: take another turn. True: wait until the descriptor is
    /// readable; it will be when something happens, and at `wake_at_ms` at the latest.
    ///
    /// Whoever receives messages from other cores sets his flag before and looks at his lanes
    /// after, or the wake-up is lost.
    pub fn prepare_sleep(&mut self, now_ms: u64, wake_at_ms: Option<u64>) -> bool {
        self.prepare_rest(now_ms, wake_at_ms, None)
    }

    /// As [`Self::prepare_sleep`], for a rest that ends at `ends_ms` even if nothing happens.
    pub fn prepare_nap(&mut self, now_ms: u64, wake_at_ms: Option<u64>, ends_ms: u64) -> bool {
        self.prepare_rest(now_ms, wake_at_ms, Some(ends_ms))
    }

    fn prepare_rest(&mut self, now_ms: u64, wake_ms: Option<u64>, nap_ms: Option<u64>) -> bool {
        self.sends.now_ms = now_ms;
        if !self.sends.ended.is_empty() {
            return false;
        }
        self.set_waking(true);
        fence(Ordering::SeqCst);
        self.flush();
        self.arm_timers(wake_ms, nap_ms);
        for ring in &mut self.rings {
            ring.enter(&mut self.sends.counters);
        }
        !self.sends.has_work() && !self.rings.iter_mut().any(Ring::has_work)
    }

    fn set_waking(&mut self, wanted: bool) {
        self.waking = wanted;
        for ring in &mut self.rings {
            ring.wake_on_completion(wanted);
        }
    }

    fn arm_timers(&mut self, wake_ms: Option<u64>, nap_ms: Option<u64>) {
        let now = self.sends.now_ms;
        let linger = self.sends.lingering.front().map(|&(at, _)| at);
        let retry =
            (self.accepts_due && self.accept_retry_ms > now).then_some(self.accept_retry_ms);
        let due_ms = [wake_ms, linger, retry].into_iter().flatten().min();
        match (due_ms, nap_ms) {
            (due, Some(nap)) if due.is_none_or(|due| due > nap) => self.arm_timer(1, nap),
            (Some(due), _) => self.arm_timer(0, due),
            (None, _) => {}
        }
    }

    /// Arms one of the first ring's timers unless it fires early enough already. With a single one
    /// every nap would leave a deadline's timer behind.
    fn arm_timer(&mut self, which: usize, at: u64) {
        let now = self.sends.now_ms;
        if self.timers_ms[which].is_some_and(|armed| armed <= at && armed > now) {
            return;
        }
        self.timers_ms[which] = Some(at);
        let tag = Tag::new(Op::Timer, which as u32, at as u32);
        self.rings[0].arm_timer(at.saturating_sub(now).max(1), tag);
    }

    fn add_ring(&mut self) -> Result<(), EngineError> {
        let ring = Ring::new(
            self.ring_slots,
            self.config.receive_buffers,
            self.config.receive_buffer_bytes,
            self.wake.as_raw_fd(),
        )?;
        self.rings.push(ring);
        Ok(())
    }

    /// Turns what was asked for since the last flush into requests.
    fn flush(&mut self) {
        self.expire_lingering();
        self.launch_listed();
        self.hurry_acknowledgements();
        self.take_steps();
        if self.accepts_due {
            self.arm_accepts();
        }
    }

    fn reap(&mut self, ring: usize, most: usize, handler: &mut impl Handler) -> usize {
        let mut batch = [const { MaybeUninit::uninit() }; COMPLETION_BATCH];
        let mut events = 0;
        while events < most {
            let completions = self.rings[ring].reap(&mut batch);
            if completions.is_empty() {
                break;
            }
            events += completions.len();
            for completion in completions {
                let tag = Tag::unpack(completion.user_data());
                let (result, flags) = (completion.result(), completion.flags());
                match tag.op {
                    Op::Receive => self.on_receive(ring, tag, result, flags, handler),
                    Op::Send => self.on_send(ring, tag, result, handler),
                    Op::Accept => self.on_accept(ring, tag, result, handler),
                    Op::Close => self.on_close(ring, tag),
                    Op::Install => self.on_install(ring, tag, result),
                    Op::Cancel => self.on_cancel_failed(ring, tag),
                    Op::Timer => self.on_timer(tag),
                    Op::Option => self.sends.counters.quick_acks_refused += 1,
                    Op::Ignored => {}
                }
            }
            self.rings[ring].buffers.publish();
            self.tell_ended(handler);
        }
        self.sends.counters.completions += events as u64;
        events
    }

    fn on_timer(&mut self, tag: Tag) {
        let armed = &mut self.timers_ms[tag.index as usize];
        // One that was armed anew for an earlier time fires as well.
        if armed.map(|at| at as u32) == Some(tag.generation) {
            *armed = None;
        }
    }

    /// Before any slot among them can be given out again: that takes a flush and an enter.
    fn tell_ended(&mut self, handler: &mut impl Handler) {
        while !self.sends.ended.is_empty() {
            let mut ended = std::mem::take(&mut self.sends.ended);
            for (socket, why) in ended.drain(..) {
                handler.closed(&mut self.sends, socket, why);
            }
            if self.sends.ended.is_empty() {
                self.sends.ended = ended;
            }
        }
    }

    /// The socket a ring's slot stands for.
    fn socket(&self, ring: usize, tag: Tag) -> Socket {
        Socket { slot: ring as u32 * self.ring_slots + tag.index, generation: tag.generation }
    }

    /// The ring of a socket, and its slot there.
    fn place(&self, socket: Socket) -> (usize, u32) {
        ((socket.slot / self.ring_slots) as usize, socket.slot % self.ring_slots)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut quiet = true;
        for ring in &mut self.rings {
            quiet &= ring.quiesce();
        }
        if quiet {
            // SAFETY: dropped once, here; no request refers to the send buffers any more. When one
            // does after all, they are leaked.
            unsafe { ManuallyDrop::drop(&mut self.sends) };
        }
    }
}
