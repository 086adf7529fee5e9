//! Every bound of the system, with its unit, how it was chosen, and what happens when it is
//! reached.

/// Asks under way between all pairs of one core, shared out over the pairs. 16,384 entries of
/// about 100 bytes, and as many answers of 160, are 4 MiB a core; with half of it a burst of
/// sixteen connections with every stream in use was refused. Beyond it a call is answered errorCode
/// 503 after [`REFUSED_DELAY_MS`].
pub const LANE_ASKS_PER_CORE: usize = 16_384;

/// Least share of one pair, on machines with very many cores.
pub const LANE_ASKS_PAIR_MIN: usize = 256;

/// The reference delays its 503 by a second, which slows a client down that would repeat at once.
pub const REFUSED_DELAY_MS: u32 = 1_000;

/// Pushes handed out in one turn: one service with 100,000 subscribers must not stall the others.
pub const PUSHES_PER_TURN_MAX: usize = 1_024;

/// Filtered bodies kept per service and core; `clusters` is the client's text, so more are built
/// per use.
pub const FILTERED_BODIES_MAX: usize = 16;

/// Subscriptions handed out or looked at in a row for one service before the next service has its
/// turn.
pub const FAN_SLICE: usize = 128;

/// Subscriptions looked at in one turn, pushed to or not: looking costs a tenth of pushing.
pub const VISITS_PER_TURN_MAX: usize = 8 * PUSHES_PER_TURN_MAX;

/// Timers looked at in one turn; the others wait for the next ones. A look costs a tenth of a
/// microsecond, and a million clients have up to ten thousand due at once.
pub const LOOKS_PER_TURN_MAX: usize = 1_024;

/// Messages and ends those looks may lead to in one turn before the others wait, some 10 µs each: a
/// hundred thousand clients that fell silent together were asked all at once, and whoever wanted
/// something in between waited for half a second.
pub const LATE_PER_TURN_MAX: usize = 16;

/// Entries the lists that live from turn to turn (effects, messages to other cores) keep room for;
/// what a burst needed more is given back, or memory would remember the worst moment for ever.
pub const ENTRIES_KEPT: usize = 256;

/// A reconnect storm: set-ups of one core in each of so many windows in a row, with the window's
/// milliseconds. 500 a second for five seconds are no busy start of a few services, and what a
/// crowd of some thousands connects with is over before.
pub const STORM_ARRIVALS_PER_WINDOW: u64 = 125;
pub const STORM_WINDOW_MS: u64 = 250;
pub const STORM_WINDOWS: u64 = 20;

/// Milliseconds after a node's start in which there can be one: a million clients need three
/// minutes to come back.
pub const STORM_AFTER_START_MS: u64 = 600_000;

/// Milliseconds a change waits in a storm to be told together with others: a turn of a Java
/// client's redo task, within which the clients of a service register again.
pub const STORM_HOLD_MS: u32 = 3_000;

/// Milliseconds from a service's first state for which its changes wait in a storm: its clients are
/// back then. Connecting takes its time, too.
pub const STORM_SERVICE_MS: u32 = 5_000;

/// Subscriptions of one connection; a gateway that follows every service of a large company has
/// some ten thousand. One more is refused, typed, errorCode 503.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 50_000;

/// Services one connection publishes, as large: synchronisers publish for others. Refused likewise.
pub const PUBLISHED_PER_CONNECTION_MAX: usize = 50_000;

/// Subscriptions of one core: their number is part of push ids. Refused likewise.
pub const SUBSCRIPTIONS_PER_CORE_MAX: usize = (1 << (PUSH_INDEX_BITS - 1)) - 1;

/// Configs one connection listens to. SDKs open one connection for every 3,000; the same room as
/// for subscriptions. A listen that could exceed it is refused as a whole, typed, errorCode 503.
pub const LISTENERS_PER_CONNECTION_MAX: usize = 50_000;

/// Listeners of one core: their number is part of push ids. Refused likewise.
pub const LISTENERS_PER_CORE_MAX: usize = (1 << (PUSH_INDEX_BITS - 1)) - 2;

/// Long polls held on one core. Each holds one of its 16,384 HTTP connections; the rest is for
/// those who publish and ask. One more is answered 503, a second late, and counted.
pub const POLLS_PER_CORE_MAX: usize = 15_872;

/// Configs all held polls of one core wait for, some 100 bytes each: 60 for each poll. Refused
/// likewise.
pub const POLL_KEYS_PER_CORE_MAX: usize = 1 << 20;

/// Milliseconds one poll is held at most, whatever it asks for: a client that is not there any more
/// is found out at the next answer.
pub const POLL_MS_MAX: u32 = 600_000;

/// Polls answered in one turn. Each wakes a task of some 20 µs, all before the next turn: 15,000
/// are told within a second, and nobody else waits for more than a few milliseconds.
pub const POLLS_PER_TURN_MAX: usize = 256;

/// Slots of the tables of configs one turn walks through for a fuzzy watch: some 6,000 names at
/// 100,000 configs, about 0.3 ms.
pub const SCAN_SLOTS_PER_TURN: u32 = 256;

/// Bytes of the list of addresses of a beta publish: the reference's column. Longer: refused.
pub const GRAY_EXPRESSION_BYTES_MAX: usize = 65_535;

/// Inquiries of operators under way on one core: they wait for clients. One more is answered 503.
pub const INQUIRIES_MAX: usize = 16;

/// Clients of one address and core that one inquiry asks; those beyond it are left out.
pub const INQUIRED_MAX: usize = 256;

/// Milliseconds clients have to answer an inquiry, the reference's.
pub const INQUIRY_MS: u64 = 1_000;

/// Bytes of one client's answer to an inquiry; a Java client's are some hundred. Longer: dropped.
pub const INQUIRY_BYTES_MAX: usize = 64 * 1_024;

/// Bits of a push id that say which subscription or listener it is for; the rest, 37 of 63, count
/// the connection's pushes.
pub const PUSH_INDEX_BITS: u32 = 26;

/// Fuzzy watches of one connection: thrice what a whole node allows by default. Refused likewise.
pub const FUZZY_WATCHES_PER_CONNECTION_MAX: usize = 64;

/// Fuzzy watch messages one connection may have waiting or unacknowledged: 20 patterns of 500 names
/// in tens are 1,000. Beyond it the connection is closed as too slow; it comes back and is told the
/// difference.
pub const FUZZY_DELIVERIES_PER_CONNECTION_MAX: usize = 4_096;

/// Names in one batch of a fuzzy watch's first synchronisation, as the reference cuts them.
pub const FUZZY_BATCH_NAMES: usize = 10;

/// Text kept of one setup (version, tenant, labels, abilities); real ones have some 200 bytes. What
/// exceeds it is left out, the connection is served.
pub const PROFILE_BYTES_MAX: usize = 4_096;

/// Text kept of `clientIp`, which the parameter check of an address would allow. Longer: as if
/// absent.
pub const CLIENT_IP_BYTES_MAX: usize = 128;

const _: () = assert!(FAN_SLICE <= PUSHES_PER_TURN_MAX, "a turn reaches several services");
/// Bytes of one service's list. A client receives at most 10 MiB in a message, so a list near this
/// has no reader; instances beyond it are left out of views, though still published.
pub const VIEW_BYTES_MAX: usize = 1 << 30;

/// Bytes of the `clusters` text of a query or subscription, which is kept with the subscription.
/// Room for a hundred names of full length; beyond it the request is refused.
pub const CLUSTERS_BYTES_MAX: usize = 8_192;

/// Bytes of a fuzzy watch pattern: the longest names in three bytes a character, and stars. Longer:
/// refused.
pub const FUZZY_PATTERN_BYTES_MAX: usize = 4_096;

/// Bytes of a `ServiceListResponse`: what an SDK's gRPC accepts. A page over it is refused, with
/// the advice to ask for smaller ones.
pub const LIST_BYTES_MAX: usize = 10 * 1_024 * 1_024;

/// Changes handed to one home core in a turn, room or not: each may build a service's list, about 1
/// µs for ten instances, and a burst of changes must not hold up the requests behind it.
pub const CHANGES_PER_TURN_MAX: usize = 1_024;

/// Between two lists built of one service for its home cores, one millisecond passes for this many
/// instances. A list costs about 0.1 µs an instance, so a service of any size takes a few percent
/// of its core however often it changes; up to this size changes leave at once.
pub const CHANGE_PACE_INSTANCES: usize = 256;

/// The longest such pause: what the reference waits before each push.
pub const CHANGE_PACE_MS_MAX: u64 = 500;

/// Empty services one tick looks at. A mass departure of 64,000 services is cleaned in 64 ticks,
/// each well under a millisecond.
pub const CLEANED_PER_TICK_MAX: usize = 1_024;

/// Beating instances of one core: some 150 bytes each beside the instance itself. One more is
/// refused with 503.
pub const BEATING_PER_CORE_MAX: usize = 4_194_304;

/// Checked instances of one core: some 150 bytes each beside the instance itself. One more keeps
/// its health unasked.
pub const CHECKED_PER_CORE_MAX: usize = 1_048_576;

/// Services whose checks changed, looked at in one tick: some microseconds each.
pub const CHECK_CHANGES_PER_TICK_MAX: usize = 256;

/// Probes under way from one core: each holds a descriptor and some kilobytes of task and socket
/// for half a second at most. Who is due beyond it waits in line.
pub const CHECKS_UNDER_WAY_MAX: usize = 512;

/// Probes of one core under way to one address: somebody who registers a thousand ports of one host
/// must not flood it, nor take all probes while it hangs. Who is due beyond it is looked at again a
/// moment later.
pub const CHECKS_PER_HOST_MAX: usize = 32;

/// Probes started in one turn; each is some ten system calls, about 20 us.
pub const CHECKS_STARTED_MAX: usize = 64;

/// Commands of one owner core that nobody waits for (flips of health, what cleaners remove) and
/// that have no room yet. Beyond it flips are refused to whoever checks, and cleaners look again
/// later.
pub const PROPOSALS_WAITING_MAX: usize = 256;

/// Of these, sent in one turn: calls of clients go the same way.
pub const PROPOSALS_PER_DRAIN_MAX: usize = 16;

/// Flips of health in one command, about 64 KiB.
pub const FLIPS_PER_COMMAND_MAX: usize = 1_024;

/// Overrides that one command forgets; the rest goes with the next scan.
pub const FORGOTTEN_PER_COMMAND_MAX: usize = 1_024;

/// Bytes of one service's own metadata and selector; a map of 1,024 characters fits many times.
/// Longer: refused with 400.
pub const SERVICE_TEXT_BYTES_MAX: usize = 16_384;

/// Pollers (1.x clients that are told of changes by datagram) of one core, one per (client,
/// service). One more is answered and not subscribed: it polls anyway.
pub const POLLERS_PER_CORE_MAX: usize = 65_536;

/// Bytes kept of how a poller names its software: `Nacos-Java-Client:v1.4.8` and the like. What
/// exceeds it is cut off.
pub const AGENT_BYTES_MAX: usize = 64;

/// Datagrams handed out in one turn; each is a system call of some 5 us.
pub const DATAGRAMS_PER_TURN_MAX: usize = 64;

/// Datagrams sent to one poller without an acknowledgement, after which it is forgotten until its
/// client asks again by HTTP: nobody can aim more than this at an address.
pub const DATAGRAMS_UNACKNOWLEDGED_MAX: u8 = 4;

/// Bytes of a service's list beyond which it is not sent by datagram: the largest UDP payload,
/// 65,507 bytes, with room for what is around the list. Compressed lists may be longer.
pub const DATAGRAM_LIST_BYTES_MAX: usize = 1_048_576;

/// Rings of a core's trace of pushes. Services and configs share them by their hash, so that a loud
/// one drowns one in so many others.
pub const TRACE_RINGS: usize = 128;

/// Events of one ring, the oldest overwritten: a push and what came of it are two. 40 bytes each,
/// 640 KiB a core when all rings are full.
pub const TRACE_RING_EVENTS: usize = 128;

/// Rows of one answer to an operator's tool: some 0.1 ms of a core's time.
pub const LOOK_ROWS_MAX: usize = 256;

/// Records looked at for one answer to an operator's tool, whether they become a row or not.
pub const LOOK_VISITS_MAX: usize = 2_048;

/// Records passed over in one look for one client by its id or address: a comparison of two numbers
/// each, some 0.1 ms.
pub const LOOK_FINDS_MAX: usize = 32_768;

/// Tellings shown of one subscriber, the latest.
pub const TELLINGS_SHOWN_MAX: usize = 8;

/// How lanes between `cores` cores are cut. Both lanes of a pair are sized from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Asks under way from one core to another, answered or not yet.
    pub asks_max: usize,
    /// Of these, kept free for asks that may not be refused (a client is gone, interest ended, a
    /// name changed).
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

    /// Entries of the lane that carries answers and changes: every ask under way has its answer's
    /// place.
    pub const fn tell_lane(self) -> usize {
        self.asks_max + self.changes_max
    }
}
