//! What the home side counts, for the metrics.

/// Refused calls by class. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// 300, the node is starting.
    pub starting: u64,
    /// 301, no setup on this connection.
    pub unregistered: u64,
    /// 502, the body was no request.
    pub malformed: u64,
    /// What the rules of naming refuse (parameter check, illegal arguments).
    pub invalid: u64,
    /// 403, no right.
    pub denied: u64,
    /// −401, the connection is no naming client.
    pub not_naming: u64,
    /// 503, too many asks under way to the owner core.
    pub lane_full: u64,
    /// 503, [`crate::limits::SUBSCRIPTIONS_PER_CONNECTION_MAX`] or `..PER_CORE_MAX`.
    pub subscriptions: u64,
    /// 503, [`crate::limits::PUBLISHED_PER_CONNECTION_MAX`].
    pub published: u64,
    /// 503, [`crate::limits::FUZZY_WATCHES_PER_CONNECTION_MAX`].
    pub fuzzy_watches: u64,
}

/// Connections this side closed, by reason. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closes {
    pub ejected: u64,
    pub never_set_up: u64,
    pub starting: u64,
    pub too_slow: u64,
    pub redirected: u64,
    pub stopping: u64,
}

/// What the config module did. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigCounters {
    pub queries: u64,
    /// Publishes and removals that were proposed.
    pub publishes: u64,
    pub removes: u64,
    /// Batch listens.
    pub listens: u64,
    /// Notifications handed out; of these acknowledged; failed (no ack in time, or a negative one).
    pub notified: u64,
    pub acknowledged: u64,
    pub failed: u64,
    /// Changes held back because a notification was not acknowledged yet.
    pub coalesced: u64,
    /// Connections closed because a notification failed too often.
    pub given_up: u64,
    /// Proposals refused when they were applied: CAS, capacity, gray variants.
    pub refused: u64,
    /// 503, proposals that did not come to be decided: disk, leader, room.
    pub unready: u64,
    /// 503, [`crate::limits::LISTENERS_PER_CONNECTION_MAX`] or `..PER_CORE_MAX`.
    pub listeners_refused: u64,
    /// Long polls, answered at once or held.
    pub polls: u64,
    /// 503, [`crate::limits::POLLS_PER_CORE_MAX`] or `POLL_KEYS_PER_CORE_MAX`.
    pub polls_refused: u64,
    /// 50310, too many patterns; 50311, a pattern matches too much.
    pub patterns_refused: u64,
    pub matches_over: u64,
}

/// Counters of the home side. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Set up connections by module, in the order of [`crate::conns::profile::Module::ALL`]. A
    /// gauge.
    pub modules: [u64; 5],
    /// Pushes of services handed out.
    pub pushes: u64,
    /// Of these, with an empty list.
    pub pushes_empty: u64,
    /// Acknowledged with success.
    pub pushes_acknowledged: u64,
    /// Failed: no ack in time, or a negative one.
    pub pushes_failed: u64,
    /// From handing a push out to its ack: the sum, and the longest, in milliseconds.
    pub push_ack_ms_sum: u64,
    pub push_ack_ms_max: u64,
    /// Changes that were merged into one not pushed yet.
    pub pushes_coalesced: u64,
    /// First changes and first pushes that waited because of a reconnect storm.
    pub storm_delays: u64,
    /// Pushes and notifications withheld for want of a right, and fuzzy watches ended for it.
    pub withheld: u64,
    /// Fuzzy watch messages handed out.
    pub fuzzy_pushes: u64,
    /// Clients asked whether they live.
    pub detections: u64,
    pub configs: ConfigCounters,
    pub refusals: Refusals,
    pub closes: Closes,
}
