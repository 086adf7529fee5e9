//! The list of counters and gauges: the name each has outside, once.

/// How one counter or gauge is called in the exposition.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Without the `_total` that counters get. Counters in `_seconds` are kept in microseconds.
    pub family: &'static str,
    pub labels: &'static [(&'static str, &'static str)],
    pub help: &'static str,
}

macro_rules! entries {
    (
        $(#[$doc:meta])* $kind:ident:
        $($family:literal, $help:literal {
            $($id:ident [$($key:literal = $value:literal),*]),* $(,)?
        })*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum $kind { $($( #[doc = $help] $id, )*)* }

        impl $kind {
            /// All, in the order of their discriminants; those of one family stand together.
            pub const ALL: &[$kind] = &[$($( $kind::$id, )*)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            const ENTRIES: [Entry; Self::COUNT] = [$($( Entry {
                family: $family,
                labels: &[$(($key, $value)),*],
                help: $help,
            }, )*)*];

            /// How it is called outside.
            pub const fn entry(self) -> Entry {
                Self::ENTRIES[self as usize]
            }
        }
    };
}

entries! {
    /// What only grows.
    Counter:
    "nacre_connections_accepted", "gRPC connections accepted" { Accepted [] }
    "nacre_connections_refused", "gRPC connections closed as they were accepted, by reason" {
        RefusedLimit ["reason" = "limit"],
        RefusedTable ["reason" = "table_full"],
        RefusedKernel ["reason" = "kernel"],
    }
    "nacre_connections_closed", "gRPC connections closed, by reason" {
        ClosedPeer ["reason" = "peer_closed"],
        ClosedReset ["reason" = "peer_reset"],
        ClosedTimedOut ["reason" = "network_timeout"],
        ClosedBacklog ["reason" = "backlog_full"],
        ClosedFailed ["reason" = "kernel_failed"],
        ClosedProtocol ["reason" = "protocol"],
        ClosedEjected ["reason" = "ejected"],
        ClosedNeverSetUp ["reason" = "never_set_up"],
        ClosedStarting ["reason" = "starting"],
        ClosedTooSlow ["reason" = "too_slow"],
        ClosedRedirected ["reason" = "redirected"],
        ClosedStopping ["reason" = "stopping"],
    }
    "nacre_limit_reached", "Times a limit was reached and its answer given, by limit" {
        LimitConnections ["limit" = "connections"],
        LimitSubscriptions ["limit" = "subscriptions_per_connection"],
        LimitPublications ["limit" = "publications_per_connection"],
        LimitFuzzyWatches ["limit" = "fuzzy_watches_per_connection"],
        LimitFuzzyPatterns ["limit" = "fuzzy_patterns"],
        LimitFuzzyMatches ["limit" = "fuzzy_matches"],
        LimitListeners ["limit" = "listeners_per_connection"],
        LimitConfigPatterns ["limit" = "config_fuzzy_patterns"],
        LimitConfigMatches ["limit" = "config_fuzzy_matches"],
        LimitAsks ["limit" = "asks_under_way"],
        LimitPolls ["limit" = "long_polls"],
        LimitDelayed ["limit" = "delayed_answers"],
        LimitMessage ["limit" = "message_bytes"],
        LimitRequestBytes ["limit" = "request_bytes"],
        LimitStreams ["limit" = "streams"],
        LimitHeaderList ["limit" = "header_list"],
        LimitSendBytes ["limit" = "send_bytes"],
        LimitOperators ["limit" = "operators_at_a_time"],
        LimitListed ["limit" = "rows_of_a_list"],
        LimitSearches ["limit" = "searches"],
        LimitExports ["limit" = "exports"],
    }
    "nacre_refusals", "Requests refused, by class" {
        RefusedUnregistered ["class" = "unregistered_connection"],
        RefusedNoHandler ["class" = "no_handler"],
        RefusedParameter ["class" = "parameter"],
        RefusedDenied ["class" = "no_right"],
        RefusedMalformed ["class" = "malformed"],
        RefusedClusterOnly ["class" = "cluster_only"],
        RefusedMethod ["class" = "unknown_method"],
        RefusedCompression ["class" = "compression"],
        RefusedDeadline ["class" = "deadline"],
    }
    "nacre_pushes", "Pushes by outcome" {
        PushSent ["outcome" = "sent"],
        PushAcknowledged ["outcome" = "acknowledged"],
        PushFailed ["outcome" = "failed"],
        PushEmpty ["outcome" = "empty"],
    }
    "nacre_push_storm_delays", "Changes that waited in a reconnect storm" {
        StormDelays []
    }
    "nacre_push_acknowledgement_seconds", "Time from pushes to their acknowledgements together" {
        PushAcknowledgementMicroseconds []
    }
    "nacre_passwords", "Passwords shown, by outcome" {
        PasswordsRight ["outcome" = "right"],
        PasswordsWrong ["outcome" = "wrong"],
        PasswordsThrottled ["outcome" = "throttled"],
        PasswordsBusy ["outcome" = "busy"],
    }
    "nacre_token_keys", "Other keys of tokens found in the settings while running, by outcome" {
        TokenKeysTaken ["outcome" = "taken"],
        TokenKeysRefused ["outcome" = "refused"],
    }
    "nacre_standing_withheld", "Pushes withheld, and watches ended, for want of a right" {
        Withheld []
    }
    "nacre_trace_overwritten", "Events of who was told what that gave way to later ones" {
        TraceLost []
    }
    "nacre_operator_questions", "Questions of operators at the socket" { OperatorQuestions [] }
    "nacre_config_queries", "Config queries" { ConfigQueries [] }
    "nacre_config_changes", "Changes of configs proposed, by request" {
        ConfigPublishes ["request" = "publish"],
        ConfigRemoves ["request" = "remove"],
    }
    "nacre_config_changes_refused", "Changes of configs that were not made, by class" {
        ConfigRefused ["class" = "decided"],
        ConfigUnready ["class" = "store"],
    }
    "nacre_config_listens", "Batch listens" { ConfigListens [] }
    "nacre_config_polls", "Long polls" { ConfigPolls [] }
    "nacre_config_notifications", "Notifications of changed configs, by outcome" {
        ConfigNotified ["outcome" = "sent"],
        ConfigAcknowledged ["outcome" = "acknowledged"],
        ConfigNotifyFailed ["outcome" = "failed"],
        ConfigGivenUp ["outcome" = "given_up"],
    }
    "nacre_store_commands", "Commands applied" { StoreCommands [] }
    "nacre_store_command_bytes", "Bytes of those" { StoreCommandBytes [] }
    "nacre_store_entries", "Log entries applied" { StoreEntries [] }
    "nacre_store_commits", "Durable transactions of the log" { StoreCommits [] }
    "nacre_store_written_bytes", "Bytes written to the store's files" { StoreWrittenBytes [] }
    "nacre_store_fsync_seconds", "Time spent in fsync" { StoreFsyncMicroseconds [] }
    "nacre_store_fsyncs", "Calls of fsync" { StoreFsyncs [] }
    "nacre_store_checkpoints", "Checkpoints written" { StoreCheckpoints [] }
    "nacre_store_checkpoint_records", "Records written by checkpoints" { StoreRecords [] }
    "nacre_store_reopened", "Times the store was opened anew after a full disk" {
        StoreReopened []
    }
    "nacre_store_refused", "Commands refused before the log, by reason" {
        StoreRefusedFull ["reason" = "queue_full"],
        StoreRefusedReadOnly ["reason" = "read_only"],
        StoreRefusedLatched ["reason" = "latched"],
        StoreRefusedNoLeader ["reason" = "no_leader"],
        StoreRefusedStarting ["reason" = "starting"],
        StoreRefusedTooLarge ["reason" = "too_large"],
        StoreInterrupted ["reason" = "interrupted"],
    }
    "nacre_client_detections", "Silent clients asked whether they are there" { Detections [] }
    "nacre_http2_streams", "HTTP/2 streams by what became of them" {
        StreamsOpened ["event" = "opened"],
        StreamsRefused ["event" = "refused"],
        StreamsResetByPeer ["event" = "reset_by_peer"],
        StreamsResetByUs ["event" = "reset_by_us"],
    }
    "nacre_http2_late_frames", "Frames for streams already gone" { LateFrames [] }
    "nacre_received_bytes", "Bytes received on the gRPC port" { ReceivedBytes [] }
    "nacre_sent_bytes", "Bytes sent on the gRPC port" { SentBytes [] }
    "nacre_receives", "Chunks received on the gRPC port" { Receives [] }
    "nacre_sends", "Sends finished on the gRPC port" { Sends [] }
    "nacre_receive_buffers_short", "Receives that found no free buffer and were armed again" {
        ReceiveBuffersShort []
    }
    "nacre_quick_acks", "Immediate acknowledgements, by outcome" {
        QuickAcks ["outcome" = "asked"],
        QuickAcksRefused ["outcome" = "refused"],
    }
    "nacre_ring_enters", "System calls made to io_uring" { Enters [] }
    "nacre_ring_completions", "Completions those brought" { Completions [] }
    "nacre_mesh_messages", "Messages to other cores, by lane" {
        MeshAsks ["lane" = "ask"],
        MeshTells ["lane" = "tell"],
    }
    "nacre_core_turns", "Turns of the core's loop" { Turns [] }
    "nacre_core_sleeps", "Times the core slept for want of work; in a nap its executor is left aside" {
        Sleeps ["way" = "sleep"],
        Naps ["way" = "nap"],
    }
    "nacre_core_stalls", "Turns that came more than a second late" { Stalls [] }
    "nacre_http_connections_accepted", "HTTP/1 connections accepted" { HttpAccepted [] }
    "nacre_http_connections_closed", "HTTP/1 connections closed by us, by reason" {
        HttpRefused ["reason" = "limit"],
        HttpSlowHead ["reason" = "slow_head"],
        HttpSlowAnswer ["reason" = "slow_answer"],
        HttpIdle ["reason" = "idle"],
        HttpHeadBytes ["reason" = "head_bytes"],
        HttpBroken ["reason" = "broken"],
    }
    "nacre_http_accept_errors", "Accepts the kernel refused on the HTTP port" {
        HttpAcceptErrors []
    }
    "nacre_http_requests", "HTTP/1 requests" { HttpRequests [] }
    "nacre_http_answers", "HTTP/1 answers by the first digit of their status" {
        HttpFine ["status" = "2xx"],
        HttpRefusals ["status" = "4xx"],
        HttpFailures ["status" = "5xx"],
    }
    "nacre_beats_missed", "Instances that fell silent, by what it led to" {
        BeatsUnhealthy ["led_to" = "unhealthy"],
        BeatsRemoved ["led_to" = "removed"],
    }
    "nacre_health_probes", "Health checks of persistent instances, by outcome" {
        ProbesPassed ["outcome" = "passed"],
        ProbesFailed ["outcome" = "failed"],
        ProbesUnable ["outcome" = "unable"],
    }
    "nacre_health_probes_begun", "Health checks begun, by how" {
        ProbesConnect ["how" = "tcp"],
        ProbesRequest ["how" = "http"],
    }
    "nacre_health_probes_postponed", "Health checks put off because their host had enough" {
        ProbesPostponed []
    }
    "nacre_health_changes", "Instances whose health checks had it changed, by what to" {
        BecameHealthy ["to" = "healthy"],
        BecameUnhealthy ["to" = "unhealthy"],
    }
    "nacre_datagrams", "Lists sent to pollers by datagram, by outcome" {
        DatagramsSent ["outcome" = "sent"],
        DatagramsAcknowledged ["outcome" = "acknowledged"],
        DatagramsRefused ["outcome" = "refused"],
    }
    "nacre_pollers_given_up", "Pollers that acknowledged nothing and are told no more" {
        PollersGivenUp []
    }
}

entries! {
    /// What goes up and down; each core sets its own share, a scrape adds them up.
    Gauge:
    "nacre_connections", "gRPC connections open, set up or not, by the module their client named" {
        ConnectionsNaming ["module" = "naming"],
        ConnectionsConfig ["module" = "config"],
        ConnectionsAi ["module" = "ai"],
        ConnectionsLock ["module" = "lock"],
        ConnectionsOther ["module" = "other"],
        ConnectionsUnset ["module" = ""],
    }
    "nacre_services", "Services listed" { Services [] }
    "nacre_instances", "Instances published" { Instances [] }
    "nacre_open_door", "1 while whoever reaches this node may do everything" { OpenDoor [] }
    "nacre_publishers", "Clients that publish" { Publishers [] }
    "nacre_subscribers", "Subscriptions" { Subscribers [] }
    "nacre_fuzzy_watches", "Fuzzy watches" { FuzzyWatches [] }
    "nacre_beating_instances", "Instances that live by beats" { Beating [] }
    "nacre_checked_instances", "Instances whose health is checked" { Checked [] }
    "nacre_unchecked_instances", "Instances that keep their health unasked, by why" {
        UncheckedForbidden ["why" = "address_forbidden"],
        UncheckedName ["why" = "name_not_address"],
        UncheckedChecker ["why" = "unknown_checker"],
    }
    "nacre_health_probes_under_way", "Health checks under way" { ProbesUnderWay [] }
    "nacre_health_probes_waiting", "Health checks due and waiting for their turn" {
        ProbesWaiting []
    }
    "nacre_pollers", "Subscriptions by datagram" { Pollers [] }
    "nacre_http_calls", "HTTP/1 requests that wait for a core" { HttpCalls [] }
    "nacre_configs", "Configs" { Configs [] }
    "nacre_config_listeners", "Configs listened to, each client counted" { Listeners [] }
    "nacre_config_long_polls", "Long polls held" { LongPolls [] }
    "nacre_config_exports", "Exports whose reader has not read to the end" { ConfigExports [] }
    "nacre_config_fuzzy_watches", "Patterns of fuzzy watches of configs" { ConfigFuzzyWatches [] }
    "nacre_config_notifications_pending", "Notifications due" { NotificationsPending [] }
    "nacre_raft_leader", "1 while this node leads" { RaftLeader [] }
    "nacre_raft_log_lag_entries", "Entries of the log that are not applied yet" { RaftLag [] }
    "nacre_raft_checkpoint_lag_entries", "Entries applied that are in no checkpoint yet" {
        RaftCheckpointLag []
    }
    "nacre_store_queue_items", "Commands waiting for the log" { StoreQueueItems [] }
    "nacre_store_queue_bytes", "Bytes of those" { StoreQueueBytes [] }
    "nacre_store_read_only", "1 while writes are refused for want of space" { StoreReadOnly [] }
    "nacre_store_latched", "1 after a failed write, until a restart" { StoreLatched [] }
    "nacre_store_log_bytes", "Bytes of the log's file" { StoreLogBytes [] }
    "nacre_store_state_bytes", "Bytes of the state's file" { StoreStateBytes [] }
    "nacre_store_free_bytes", "Free bytes of the file system" { StoreFreeBytes [] }
    "nacre_pushes_pending", "Subscriptions with a newer state than was sent or acknowledged" {
        PushesPending []
    }
    "nacre_asks_under_way", "Requests to other cores not yet answered" { AsksUnderWay [] }
    "nacre_send_backlog_bytes", "Bytes waiting to be read by clients" { SendBacklogBytes [] }
    "nacre_http_connections", "HTTP/1 connections open" { HttpConnections [] }
    "nacre_http_buffered_bytes", "Bytes of requests that are read or worked on, by part" {
        HttpHeadsHeld ["of" = "head"],
        HttpBodiesHeld ["of" = "body"],
    }
}

/// Connections by the module their client named; together all there are.
pub const CONNECTIONS: [Gauge; 6] = [
    Gauge::ConnectionsNaming,
    Gauge::ConnectionsConfig,
    Gauge::ConnectionsAi,
    Gauge::ConnectionsLock,
    Gauge::ConnectionsOther,
    Gauge::ConnectionsUnset,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn check(entries: &[Entry], counters: bool) {
        let mut series = HashSet::new();
        let mut families = HashSet::new();
        let mut last = "";
        for entry in entries {
            assert!(series.insert((entry.family, entry.labels)), "{entry:?} twice");
            assert!(entry.family == last || families.insert(entry.family), "{entry:?} apart");
            assert!(!counters || !entry.family.ends_with("_total"), "{entry:?}");
            last = entry.family;
        }
    }

    #[test]
    fn names_are_unique_and_families_stand_together() {
        check(&Counter::ENTRIES, true);
        check(&Gauge::ENTRIES, false);
        for (at, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, at);
        }
    }
}
