//! What the metrics show of one core, taken over about ten times a second.

use super::carrier::Carrier;
use super::limits::{CROWD_MIN, GAUGES_MS, GIVE_BACK_AGAIN_MS, QUIET_MS};
use super::replica::Durable;
use crate::admin::counter::{Counter, Gauge};
use crate::admin::metrics;
use crate::boot::memory;
use crate::engine::Sends;
use crate::http2::Reason;
use crate::raft::{Counted, Role, Status};
use nacre_shards::health::checks::Tally;
use nacre_shards::naming::owner::Census;
use nacre_shards::shard::Counts;

/// When the next report is due, and what was gathered for it.
#[derive(Debug, Default)]
pub struct Report {
    pub next_ms: u64,
    /// Worked since the last report.
    pub busy_us: u64,
    /// Whether other cores sent anything since the last report.
    pub is_stale: bool,
    /// How much had moved on the sockets at the last report.
    moved: u64,
    crowd: Crowd,
}

impl Report {
    pub fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }

    /// When to wake for it: a quiet core has nothing new to show and sleeps longer.
    pub fn wake_at_ms(&self, sends: &Sends) -> u64 {
        let is_stale = self.is_stale || self.moved != moved(sends);
        if is_stale { self.next_ms } else { self.next_ms + QUIET_MS }
    }

    /// Takes everything over.
    pub fn write(
        &mut self,
        now_ms: u64,
        carrier: &Carrier,
        durable: Option<&Durable>,
        sends: &Sends,
    ) {
        self.next_ms = now_ms + GAUGES_MS;
        (self.is_stale, self.moved) = (false, moved(sends));
        self.crowd.follow(now_ms, sends);
        let metrics = &carrier.metrics;
        metrics.busy_us(std::mem::take(&mut self.busy_us));
        metrics.age(now_ms);
        engine_counters(metrics, sends);
        protocol_counters(metrics, carrier);
        let counts = carrier.shard.counts();
        shard_counters(metrics, &counts);
        open_counters(metrics, carrier, &counts.owner);
        // Once for the node: gauges of cores are added up.
        if carrier.home.0.0 == 0 {
            metrics.gauge(Gauge::OpenDoor, u64::from(!carrier.door.policy().clients));
            let (taken, refused) = carrier.door.policy().keys.counts();
            metrics.set(Counter::TokenKeysTaken, taken);
            metrics.set(Counter::TokenKeysRefused, refused);
        }
        config_counters(metrics, &counts);
        health_counters(metrics, &counts.checks);
        if let Some(durable) = durable {
            metrics.gauge(Gauge::Configs, durable.tables.configs() as u64);
            if let Some(group) = durable.group() {
                let status = group.status();
                store_counters(metrics, &status.counters);
                raft_gauges(metrics, &status);
            }
        }
    }
}

/// Gives memory back after many have come or gone: what building up and tearing down leaves behind
/// is free, but the allocator returns it only while it is used, and only after a while.
#[derive(Debug, Default)]
struct Crowd {
    /// Connections that had come and gone at the last look.
    seen: u64,
    /// The same when memory was last given back.
    settled: u64,
    /// When to give back once more; 0 is never.
    again_ms: u64,
}

impl Crowd {
    fn follow(&mut self, now_ms: u64, sends: &Sends) {
        let counters = sends.counters();
        let moved = counters.accepted + counters.closed;
        let is_still = moved == std::mem::replace(&mut self.seen, moved);
        if is_still && moved - self.settled >= CROWD_MIN {
            self.settled = moved;
            self.again_ms = now_ms + GIVE_BACK_AGAIN_MS;
            memory::give_back();
        } else if self.again_ms > 0 && now_ms >= self.again_ms {
            self.again_ms = 0;
            memory::give_back();
        }
    }
}

/// Grows with everything a socket does.
fn moved(sends: &Sends) -> u64 {
    let counters = sends.counters();
    counters.receives + counters.sends + counters.accepted + counters.closed
}

fn engine_counters(metrics: &metrics::Core, sends: &Sends) {
    let counters = sends.counters();
    metrics.set(Counter::Accepted, counters.accepted);
    metrics.set(Counter::RefusedTable, counters.turned_away);
    metrics.set(Counter::RefusedKernel, counters.accept_errors);
    metrics.set(Counter::ReceivedBytes, counters.received_bytes);
    metrics.set(Counter::Receives, counters.receives);
    metrics.set(Counter::SentBytes, counters.sent_bytes);
    metrics.set(Counter::Sends, counters.sends);
    metrics.set(Counter::ReceiveBuffersShort, counters.receive_buffers_short);
    metrics.set(Counter::QuickAcks, counters.quick_acks);
    metrics.set(Counter::QuickAcksRefused, counters.quick_acks_refused);
    metrics.set(Counter::Enters, counters.enters);
    metrics.set(Counter::Completions, counters.completions);
    metrics.set(Counter::LimitSendBytes, counters.closed_backlog_full);
    metrics.gauge(Gauge::SendBacklogBytes, sends.outstanding_bytes() as u64);
}

fn protocol_counters(metrics: &metrics::Core, carrier: &Carrier) {
    let calls = &carrier.codec.counters;
    metrics.set(Counter::RefusedMethod, calls.unknown_methods);
    metrics.set(Counter::RefusedCompression, calls.encodings_unknown);
    metrics.set(Counter::RefusedDeadline, calls.deadlines_exceeded);
    metrics.set(Counter::LimitMessage, calls.messages_too_large);
    metrics.set(Counter::LimitRequestBytes, calls.bodies_refused);
    let http2 = &carrier.codec.http2.counters;
    metrics.set(Counter::StreamsOpened, http2.streams_opened);
    metrics.set(Counter::StreamsRefused, http2.streams_refused);
    metrics.set(Counter::LimitStreams, http2.streams_refused);
    metrics.set(Counter::StreamsResetByPeer, http2.streams_reset_by_peer);
    metrics.set(Counter::StreamsResetByUs, http2.streams_reset_by_us);
    metrics.set(Counter::LimitHeaderList, http2.header_lists_too_large);
    metrics.set(Counter::LateFrames, http2.frames_late);
    for (at, (_, closed)) in http2.closed_by_reason().enumerate() {
        metrics.set_http2_closed(at, closed);
    }
}

fn shard_counters(metrics: &metrics::Core, counts: &Counts) {
    let home = &counts.home;
    metrics.set(Counter::PushSent, home.pushes);
    metrics.set(Counter::PushAcknowledged, home.pushes_acknowledged);
    metrics.set(Counter::PushFailed, home.pushes_failed);
    metrics.set(Counter::PushAcknowledgementMicroseconds, home.push_ack_ms_sum * 1_000);
    metrics.set_push_cost(
        home.push_ack_ms_sum * 1_000,
        home.pushes_acknowledged,
        home.push_ack_ms_max * 1_000,
    );
    metrics.set(Counter::PushEmpty, home.pushes_empty);
    metrics.set(Counter::StormDelays, home.storm_delays);
    metrics.set(Counter::Withheld, home.withheld);
    metrics.set(Counter::TraceLost, counts.trace_lost);
    metrics.set(Counter::Detections, home.detections);
    metrics.set(Counter::RefusedUnregistered, home.refusals.unregistered);
    metrics.set(Counter::RefusedMalformed, home.refusals.malformed);
    metrics.set(Counter::RefusedParameter, home.refusals.invalid);
    metrics.set(Counter::RefusedDenied, home.refusals.denied);
    metrics.set(Counter::LimitSubscriptions, home.refusals.subscriptions);
    metrics.set(Counter::LimitPublications, home.refusals.published);
    metrics.set(Counter::LimitFuzzyWatches, home.refusals.fuzzy_watches);
    metrics.set(Counter::LimitAsks, home.refusals.lane_full);
    let modules = [
        Gauge::ConnectionsNaming,
        Gauge::ConnectionsConfig,
        Gauge::ConnectionsAi,
        Gauge::ConnectionsLock,
        Gauge::ConnectionsOther,
    ];
    let set_up: u64 = home.modules.iter().sum();
    for (gauge, connections) in modules.into_iter().zip(home.modules) {
        metrics.gauge(gauge, connections);
    }
    let unset = (counts.connections as u64).saturating_sub(set_up);
    metrics.gauge(Gauge::ConnectionsUnset, unset);
    metrics.gauge(Gauge::Services, counts.owner.names as u64);
    metrics.gauge(Gauge::Publishers, counts.owner.publications as u64);
    metrics.gauge(Gauge::Instances, (counts.owner.instances + counts.owner.persistent) as u64);
    metrics.gauge(Gauge::Subscribers, counts.subscriptions as u64);
    metrics.gauge(Gauge::FuzzyWatches, counts.patterns as u64);
    metrics.gauge(Gauge::PushesPending, counts.pushes_waiting as u64);
    metrics.gauge(Gauge::AsksUnderWay, counts.asks_under_way as u64);
}

fn open_counters(metrics: &metrics::Core, carrier: &Carrier, owner: &Census) {
    let passwords = carrier.door.counts();
    metrics.set(Counter::PasswordsRight, passwords.right);
    metrics.set(Counter::PasswordsWrong, passwords.wrong);
    metrics.set(Counter::PasswordsThrottled, passwords.throttled);
    metrics.set(Counter::PasswordsBusy, passwords.busy);
    metrics.gauge(Gauge::HttpCalls, carrier.desk.under_way() as u64);
    metrics.gauge(Gauge::Beating, owner.beating as u64);
    metrics.gauge(Gauge::Pollers, owner.pollers as u64);
    metrics.set(Counter::BeatsUnhealthy, owner.silent);
    metrics.set(Counter::BeatsRemoved, owner.expired);
    metrics.set(Counter::DatagramsSent, owner.datagrams);
    metrics.set(Counter::DatagramsAcknowledged, owner.datagrams_acknowledged);
    metrics.set(Counter::PollersGivenUp, owner.pollers_given_up);
    let refused = carrier.datagrams.as_ref().map_or(0, |datagrams| datagrams.refused());
    metrics.set(Counter::DatagramsRefused, refused);
}

fn health_counters(metrics: &metrics::Core, checks: &Tally) {
    metrics.set(Counter::ProbesPassed, checks.passed);
    metrics.set(Counter::ProbesFailed, checks.failed);
    metrics.set(Counter::ProbesUnable, checks.unable);
    metrics.set(Counter::ProbesConnect, checks.connects);
    metrics.set(Counter::ProbesRequest, checks.requests);
    metrics.set(Counter::ProbesPostponed, checks.postponed);
    metrics.set(Counter::BecameHealthy, checks.became_healthy);
    metrics.set(Counter::BecameUnhealthy, checks.became_unhealthy);
    metrics.gauge(Gauge::Checked, checks.checked as u64);
    let unchecked = [Gauge::UncheckedForbidden, Gauge::UncheckedName, Gauge::UncheckedChecker];
    for (gauge, instances) in unchecked.into_iter().zip(checks.unchecked) {
        metrics.gauge(gauge, instances as u64);
    }
    metrics.gauge(Gauge::ProbesUnderWay, checks.under_way as u64);
    metrics.gauge(Gauge::ProbesWaiting, checks.waiting as u64);
}

fn config_counters(metrics: &metrics::Core, counts: &Counts) {
    let configs = &counts.home.configs;
    metrics.set(Counter::ConfigQueries, configs.queries);
    metrics.set(Counter::ConfigPublishes, configs.publishes);
    metrics.set(Counter::ConfigRemoves, configs.removes);
    metrics.set(Counter::ConfigRefused, configs.refused);
    metrics.set(Counter::ConfigUnready, configs.unready);
    metrics.set(Counter::ConfigListens, configs.listens);
    metrics.set(Counter::ConfigNotified, configs.notified);
    metrics.set(Counter::ConfigAcknowledged, configs.acknowledged);
    metrics.set(Counter::ConfigNotifyFailed, configs.failed);
    metrics.set(Counter::ConfigGivenUp, configs.given_up);
    metrics.set(Counter::ConfigPolls, configs.polls);
    metrics.set(Counter::LimitPolls, configs.polls_refused);
    metrics.gauge(Gauge::LongPolls, counts.polls as u64);
    metrics.set(Counter::LimitListeners, configs.listeners_refused);
    metrics.set(Counter::LimitConfigPatterns, configs.patterns_refused);
    metrics.set(Counter::LimitConfigMatches, configs.matches_over);
    metrics.gauge(Gauge::Listeners, counts.listeners as u64);
    metrics.gauge(Gauge::ConfigFuzzyWatches, counts.config_patterns as u64);
    metrics.gauge(Gauge::NotificationsPending, counts.notifications_waiting as u64);
}

fn store_counters(metrics: &metrics::Core, store: &Counted) {
    metrics.set(Counter::StoreCommands, store.commands);
    metrics.set(Counter::StoreCommandBytes, store.command_bytes);
    metrics.set(Counter::StoreEntries, store.entries);
    metrics.set(Counter::StoreCommits, store.commits);
    metrics.set(Counter::StoreWrittenBytes, store.written_bytes);
    metrics.set(Counter::StoreFsyncMicroseconds, store.fsync_us);
    metrics.set(Counter::StoreFsyncs, store.fsync.iter().sum());
    metrics.set(Counter::StoreCheckpoints, store.checkpoints);
    metrics.set(Counter::StoreRecords, store.checkpoint_records);
    metrics.set(Counter::StoreReopened, store.reopened);
    metrics.set(Counter::StoreRefusedFull, store.refused_full);
    metrics.set(Counter::StoreRefusedReadOnly, store.refused_read_only);
    metrics.set(Counter::StoreRefusedLatched, store.refused_latched);
    metrics.set(Counter::StoreRefusedNoLeader, store.refused_no_leader);
    metrics.set(Counter::StoreRefusedStarting, store.refused_starting);
    metrics.set(Counter::StoreRefusedTooLarge, store.refused_too_large);
    metrics.set(Counter::StoreInterrupted, store.interrupted);
    metrics.gauge(Gauge::StoreQueueItems, store.queue_items);
    metrics.gauge(Gauge::StoreQueueBytes, store.queue_bytes);
    metrics.gauge(Gauge::StoreReadOnly, store.read_only);
    metrics.gauge(Gauge::StoreLatched, store.latched);
    metrics.gauge(Gauge::StoreLogBytes, store.log_file_bytes);
    metrics.gauge(Gauge::StoreStateBytes, store.state_file_bytes);
    metrics.gauge(Gauge::StoreFreeBytes, store.free_bytes);
}

fn raft_gauges(metrics: &metrics::Core, status: &Status) {
    let behind = |of: Option<u64>, what: Option<u64>| {
        of.map_or(0, |of| of.saturating_sub(what.unwrap_or(0)))
    };
    metrics.gauge(Gauge::RaftLeader, u64::from(status.role == Role::Leader));
    metrics.gauge(Gauge::RaftLag, behind(status.last_log, status.applied));
    metrics.gauge(Gauge::RaftCheckpointLag, behind(status.applied, status.checkpointed));
}

/// Names of the reasons for which HTTP/2 connections are ended, in the order they are counted.
pub fn http2_reasons() -> Vec<&'static str> {
    Reason::ALL.iter().map(|reason| reason.name()).collect()
}
