//! Every bound of the system, with its unit, how it was chosen, and what happens when it is reached.

/// Asks under way between all pairs of one core, shared out over the pairs. 16,384 × 64 bytes is 1 MiB a core;
/// beyond it a call is answered errorCode 503 after [`REFUSED_DELAY_MS`].
pub const LANE_ASKS_PER_CORE: usize = 16_384;

/// Least share of one pair, on machines with very many cores.
pub const LANE_ASKS_PAIR_MIN: usize = 256;

/// The reference delays its 503 by a second, which slows a client down that would repeat at once.
pub const REFUSED_DELAY_MS: u32 = 1_000;

/// Pushes handed out in one turn: one service with 100,000 subscribers must not stall the others.
pub const PUSHES_PER_TURN_MAX: usize = 1_024;

/// Filtered bodies kept per service and core; `clusters` is the client's text, so more are built per use.
pub const FILTERED_BODIES_MAX: usize = 16;

/// Bytes of one service's list. A client receives at most 10 MiB in a message, so a list near this has no
/// reader; instances beyond it are left out of views, though still published.
pub const VIEW_BYTES_MAX: usize = 1 << 30;

/// Bytes of the `clusters` text of a query or subscription, which is kept with the subscription. Room for a
/// hundred names of full length; beyond it the request is refused.
pub const CLUSTERS_BYTES_MAX: usize = 8_192;

/// Bytes of a fuzzy watch pattern: the longest names in three bytes a character, and stars. Longer: refused.
pub const FUZZY_PATTERN_BYTES_MAX: usize = 4_096;

/// Bytes of a `ServiceListResponse`: what an SDK's gRPC accepts. A page over it is refused, with the advice to
/// ask for smaller ones.
pub const LIST_BYTES_MAX: usize = 10 * 1_024 * 1_024;

/// Changes handed to one home core in a turn, room or not: each may build a service's list, about 1 µs for ten
/// instances, and a burst of changes must not hold up the requests behind it.
pub const CHANGES_PER_TURN_MAX: usize = 1_024;

/// Empty services one tick looks at. A mass departure of 64,000 services is cleaned in 64 ticks, each well
/// under a millisecond.
pub const CLEANED_PER_TICK_MAX: usize = 1_024;

/// How lanes between `cores` cores are cut. Both lanes of a pair are sized from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Asks under way from one core to another, answered or not yet.
    pub asks_max: usize,
    /// Of these, kept free for asks that may not be refused (a client is gone, interest ended, a name changed).
    pub asks_reserved: usize,
    /// Changes waiting in the lane back, beside the answers.
    pub changes_max: usize,
}

impl LaneLimits {
    /// The limits for a node of this many cores.
    pub const fn for_cores(cores: usize) -> Self {
        let share = LANE_ASKS_PER_CORE / cores;
        let asks_max = if share < LANE_ASKS_PAIR_MIN { LANE_ASKS_PAIR_MIN } else { share };
        Self { asks_max, asks_reserved: asks_max / 4, changes_max: asks_max / 4 }
    }

    /// Entries of the lane that carries asks.
    pub const fn ask_lane(self) -> usize {
        self.asks_max
    }

    /// Entries of the lane that carries answers and changes: every ask under way has its answer's place.
    pub const fn tell_lane(self) -> usize {
        self.asks_max + self.changes_max
    }
}
