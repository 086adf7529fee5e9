//! Names of the reference (`ops.md` 10), which published dashboards ask for.
//!
//! What this build has under another name is said again; what it can never have (a queue it lacks,
//! a lock nobody asks for) is 0. Names that would lie are absent: `jvm_*`, data sources, top lists.

use super::{CONNECTIONS, Labels, Page, Scrape, one_counter, one_gauge, one_timer, seconds};
use crate::admin::counter::{Counter, Gauge};
use crate::admin::request::{self, OUTCOMES};
use nacre_proto::request::Kind;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;

/// Module, name, value.
type Named = (&'static str, &'static str, f64);

/// What a gRPC executor shows: the cores are its pool, since each carries out what it received.
const EXECUTOR: &str = "grpcSdkServer";

pub(super) fn write(scrape: &Scrape, out: &mut DescriptorEncoder) -> fmt::Result {
    scrape.monitor(out)?;
    scrape.timers(out)?;
    scrape.exceptions(out)?;
    scrape.executor(out)?;
    match scrape.page {
        Page::Clean => Ok(()),
        Page::Whole => {
            scrape.server_requests(out)?;
            scrape.summaries(out)
        }
    }
}

impl Scrape {
    fn monitor(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "What the reference's dashboards show, by module and name";
        let mut metric = out.encode_descriptor("nacos_monitor", help, None, MetricType::Gauge)?;
        for (module, name, value) in self.naming().into_iter().chain(self.others()) {
            one_gauge(&mut metric, &[("module", module), ("name", name)], value)?;
        }
        for (name, help, old, new) in [
            ("nacos_naming_subscriber", "Subscriptions", Gauge::Pollers, Gauge::Subscribers),
            ("nacos_naming_publisher", "Clients that publish", Gauge::Beating, Gauge::Publishers),
            ("nacos_config_subscriber", "Listeners", Gauge::LongPolls, Gauge::Listeners),
        ] {
            let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            one_gauge(&mut metric, &[("version", "v1")], self.metrics.gauge(old))?;
            one_gauge(&mut metric, &[("version", "v2")], self.metrics.gauge(new))?;
        }
        Ok(())
    }

    fn naming(&self) -> Vec<Named> {
        let gauge = |gauge| self.metrics.gauge(gauge) as f64;
        let counter = |counter| self.metrics.counter(counter) as f64;
        let (costs, cost_us, cost_max_us) = self.metrics.push_costs();
        let milliseconds = |us: u64| us as f64 / 1_000.0;
        let average = if costs == 0 { 0.0 } else { milliseconds(cost_us) / costs as f64 };
        let services = gauge(Gauge::Services);
        let values = [
            ("serviceCount", services),
            // What the oldest dashboards call it.
            ("domCount", services),
            ("ipCount", gauge(Gauge::Instances)),
            ("subscriberCount", gauge(Gauge::Subscribers)),
            ("leaderStatus", gauge(Gauge::RaftLeader)),
            ("mysqlHealthCheck", 0.0),
            ("httpHealthCheck", counter(Counter::ProbesRequest)),
            ("tcpHealthCheck", counter(Counter::ProbesConnect)),
            ("pushPendingTaskCount", gauge(Gauge::PushesPending)),
            ("serviceSubscribedEventQueueSize", 0.0),
            ("serviceChangedEventQueueSize", 0.0),
            ("totalPush", counter(Counter::PushAcknowledged)),
            ("failedPush", counter(Counter::PushFailed)),
            ("emptyPush", counter(Counter::PushEmpty)),
            ("totalPushCountForAvg", costs as f64),
            ("totalPushCostForAvg", milliseconds(cost_us)),
            ("avgPushCost", average),
            ("maxPushCost", milliseconds(cost_max_us)),
        ];
        values.map(|(name, value)| ("naming", name, value)).into()
    }

    fn others(&self) -> Vec<Named> {
        let gauge = |gauge| self.metrics.gauge(gauge) as f64;
        let counter = |counter| self.metrics.counter(counter) as f64;
        let config = [
            ("configCount", gauge(Gauge::Configs)),
            ("getConfig", counter(Counter::ConfigQueries)),
            ("publish", counter(Counter::ConfigPublishes)),
            ("longPolling", gauge(Gauge::LongPolls)),
            ("notifyTask", 0.0),
            ("notifyClientTask", gauge(Gauge::NotificationsPending)),
            ("dumpTask", gauge(Gauge::StoreQueueItems)),
            ("fuzzySearch", 0.0),
        ];
        let lock = [
            "grpcLockTotal",
            "grpcLockSuccess",
            "grpcUnLockTotal",
            "grpcUnLockSuccess",
            "aliveLockCount",
        ];
        let [naming, config_clients, ai, locks, ..] = CONNECTIONS.map(gauge);
        let mut values: Vec<Named> = config.map(|(name, value)| ("config", name, value)).into();
        values.extend(lock.map(|name| ("lock", name, 0.0)));
        values.push(("core", "longConnection", CONNECTIONS.map(gauge).iter().sum()));
        for (module, connections) in
            [("naming", naming), ("config", config_clients), ("ai", ai), ("lock", locks)]
        {
            values.push((module, "longConnection", connections));
        }
        values
    }

    /// Times of reading, writing, notifying, dumping configs. What the log and its disk do is this
    /// server's dump; how long a listener takes to acknowledge is not measured.
    fn timers(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Times of what configs are asked for, over gRPC";
        let mut metric =
            out.encode_descriptor("nacos_timer_seconds", help, None, MetricType::Histogram)?;
        let dumped = self.metrics.counter(Counter::StoreFsyncs);
        let dumping_us = self.metrics.counter(Counter::StoreFsyncMicroseconds);
        let written = [Kind::ConfigPublish, Kind::ConfigRemove].map(|kind| self.total(kind));
        for (module, name, (count, sum_us)) in [
            ("config", "readConfigRt", self.total(Kind::ConfigQuery)),
            ("config", "writeConfigRt", (written[0].0 + written[1].0, written[0].1 + written[1].1)),
            ("config", "notifyRt", (0, 0)),
            ("config", "dumpRt", (dumped, dumping_us)),
            ("lock", "lockHandlerRt", (0, 0)),
        ] {
            let labels: Labels = &[("module", module), ("name", name)];
            one_timer(&mut metric, labels, sum_us, count)?;
        }
        let (name, help) = ("nacos_timer_seconds_max", "The longest of the last minute or two");
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let writes =
            [Kind::ConfigPublish, Kind::ConfigRemove].map(|kind| self.metrics.max_us(kind));
        for (name, max_us) in [
            ("readConfigRt", self.metrics.max_us(Kind::ConfigQuery)),
            ("writeConfigRt", writes[0].max(writes[1])),
        ] {
            one_gauge(&mut metric, &[("module", "config"), ("name", name)], seconds(max_us))?;
        }
        Ok(())
    }

    /// Requests of a type, and their time together.
    fn total(&self, kind: Kind) -> (u64, u64) {
        let outcomes = (0..OUTCOMES).map(|column| self.metrics.outcome(kind, column));
        outcomes.fold((0, 0), |(count, sum), (more, us)| (count + more, sum + us))
    }

    fn exceptions(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "What went wrong, as the reference sorts it";
        let mut metric =
            out.encode_descriptor("nacos_exception", help, None, MetricType::Counter)?;
        let sum = |of: &[Counter]| of.iter().map(|of| self.metrics.counter(*of)).sum::<u64>();
        let unready = [
            Counter::StoreRefusedReadOnly,
            Counter::StoreRefusedLatched,
            Counter::StoreRefusedNoLeader,
            Counter::StoreInterrupted,
        ];
        let disk = [Counter::StoreRefusedReadOnly, Counter::StoreRefusedLatched];
        for (module, name, count) in [
            ("config", "illegalArgument", sum(&[Counter::RefusedParameter])),
            ("config", "nacos", sum(&[Counter::ConfigRefused])),
            ("config", "configNotify", sum(&[Counter::ConfigNotifyFailed])),
            ("config", "unhealth", 0),
            ("config", "db", sum(&unready)),
            ("naming", "disk", sum(&disk)),
            ("naming", "leaderSendBeatFailed", 0),
        ] {
            one_counter(&mut metric, &[("module", module), ("name", name)], count)?;
        }
        Ok(())
    }

    fn executor(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "The cores, as the reference shows its executor of gRPC";
        let mut metric =
            out.encode_descriptor("grpc_server_executor", help, None, MetricType::Gauge)?;
        let cores = self.metrics.cores() as f64;
        let begun = self.metrics.counter(Counter::StreamsOpened) as f64;
        let waiting = self.metrics.gauge(Gauge::AsksUnderWay) as f64;
        for (name, value) in [
            ("activeCount", cores.min(waiting)),
            ("poolSize", cores),
            ("corePoolSize", cores),
            ("maximumPoolSize", cores),
            ("inQueueTaskCount", waiting),
            ("taskCount", begun),
            ("completedTaskCount", (begun - waiting).max(0.0)),
        ] {
            let labels: Labels = &[("module", "core"), ("type", EXECUTOR), ("name", name)];
            one_gauge(&mut metric, labels, value)?;
        }
        Ok(())
    }

    /// The reference's timer. Its labels are in camel case, which Prometheus' rules refuse.
    fn server_requests(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let name = "grpc_server_requests_seconds";
        let help = "gRPC requests, by type and outcome";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for kind in request::ALL {
            for column in 0..OUTCOMES {
                let (count, sum_us) = self.metrics.outcome(kind, column);
                if count == 0 {
                    continue;
                }
                let labels: Labels = &[
                    ("requestClass", request::tag(kind).class),
                    ("success", if column == 0 { "true" } else { "false" }),
                    ("errorCode", request::outcome_tag(column)),
                    ("throwableClass", "None"),
                    ("module", request::tag(kind).module),
                ];
                one_timer(&mut metric, labels, sum_us, count)?;
            }
        }
        let help = "Longest gRPC request of the last minute or two, by type";
        let name = "grpc_server_requests_seconds_max";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for kind in request::ALL {
            let max_us = self.metrics.max_us(kind);
            if max_us > 0 {
                let tag = request::tag(kind);
                let labels: Labels = &[("requestClass", tag.class), ("module", tag.module)];
                one_gauge(&mut metric, labels, seconds(max_us))?;
            }
        }
        Ok(())
    }

    /// The log as the reference counts it. A name ends in a type, which Prometheus' rules refuse.
    fn summaries(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Entries applied, and reads that asked the leader";
        let name = "nacos_monitor_summary";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (name, count) in [
            ("raft_read_index_failed", 0),
            ("raft_read_from_leader", 0),
            ("raft_apply_log_timer", self.metrics.counter(Counter::StoreEntries)),
            ("raft_apply_read_timer", 0),
        ] {
            one_timer(&mut metric, &[("module", "core"), ("name", name)], 0, count)?;
        }
        Ok(())
    }
}
