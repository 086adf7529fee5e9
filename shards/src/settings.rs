//! What an operator may change about a shard. Every core has the same values.

use crate::config;
use crate::limits::{LaneLimits, STORM_ARRIVALS_PER_WINDOW};
use crate::naming::rules::Rules;

/// Values of the shard's rules, defaults as the reference has them (`ops.md` 3). Times in
/// milliseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `nacre.connection.idle-ms`: silence after which a client is asked whether it lives.
    pub idle_ms: u32,
    /// How long a client may take to answer that question.
    pub detection_ms: u32,
    /// How long a transport may stay without a ConnectionSetup.
    pub setup_ms: u32,
    /// How long a client may leave its side of the connection unread before it is closed.
    pub congested_ms: u32,
    /// `nacos.naming.push.pushTaskDelay` when set: delays every push of a change. When absent the
    /// first change leaves at once and later ones coalesce until the ack,
    /// [`Settings::push_coalesce_ms`] at most.
    pub push_delay_ms: Option<u32>,
    /// Longest wait for the ack of an earlier push while a newer state waits.
    pub push_coalesce_ms: u32,
    /// Set-ups of one core per [`crate::limits::STORM_WINDOW_MS`] that make a reconnect storm when
    /// they go on. 0: there always is one.
    pub storm_arrivals: u64,
    /// `nacos.naming.push.pushTaskTimeout`: a push without an ack has failed.
    pub push_timeout_ms: u32,
    /// `nacos.naming.push.pushTaskRetryDelay`: from a failed push to its repetition.
    pub push_retry_ms: u32,
    /// From telling a client to go elsewhere (the server stops) to closing its connection.
    pub stop_ms: u32,
    /// The rules of naming.
    pub naming: Rules,
    /// The rules of the config module.
    pub config: config::rules::Rules,
    /// How lanes are cut, when not as [`LaneLimits::for_cores`] says: the simulation makes them
    /// narrow.
    pub lanes: Option<LaneLimits>,
    /// A mistake the simulation has to find.
    #[cfg(any(test, feature = "sim"))]
    pub planted: Option<PlantedBug>,
}

/// Mistakes that can be switched on in test builds, to see that the simulation finds them. Each is
/// one that an honest change could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// An ack forgets that a newer state was held back for it.
    AckForgetsHeld,
    /// A subscriber that leaves moves the cursor of a fan-out under way.
    LeavingMovesCursor,
    /// What a vanished client published is withdrawn only if there is room at once.
    WithdrawIsRefusable,
    /// An ask that waits for room may be overtaken by a later one.
    WaitingIsOvertaken,
    /// A client's record is updated by the answer of its subscription even if it unsubscribed
    /// meanwhile.
    LateAnswerSubscribes,
    /// A notification in flight is taken to cover a change that came after it.
    NotifyInFlightCovers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_ms: 20_000,
            detection_ms: 5_000,
            setup_ms: 20_000,
            congested_ms: 300_000,
            push_delay_ms: None,
            push_coalesce_ms: 500,
            storm_arrivals: STORM_ARRIVALS_PER_WINDOW,
            push_timeout_ms: 5_000,
            push_retry_ms: 1_000,
            stop_ms: 1_000,
            naming: Rules::default(),
            config: config::rules::Rules::default(),
            lanes: None,
            #[cfg(any(test, feature = "sim"))]
            planted: None,
        }
    }
}

impl PlantedBug {
    pub const ALL: [Self; 6] = [
        Self::AckForgetsHeld,
        Self::LeavingMovesCursor,
        Self::WithdrawIsRefusable,
        Self::WaitingIsOvertaken,
        Self::LateAnswerSubscribes,
        Self::NotifyInFlightCovers,
    ];
}

impl Settings {
    /// Whether this mistake is switched on; never outside test builds.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn has_bug(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    /// Whether this mistake is switched on; never outside test builds.
    #[cfg(not(any(test, feature = "sim")))]
    pub(crate) const fn has_bug(&self, _: PlantedBug) -> bool {
        false
    }
}
