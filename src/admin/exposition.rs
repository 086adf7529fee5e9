//! The text a scrape gets: names of the published dashboards (`ops.md` 10) beside our own.

use crate::admin::counter::{Counter, Entry, Gauge};
use crate::admin::metrics::Metrics;
use crate::admin::process::Process;
use crate::admin::request::{self, BUCKET_BOUNDS_US, OUTCOMES};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// Which of Prometheus' two text formats a scraper asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`: understood by everything.
    Classic,
    /// OpenMetrics 1.0, which current Prometheus servers prefer.
    OpenMetrics,
}

impl Format {
    /// Chosen by the Accept header.
    pub fn of(accept: Option<&str>) -> Format {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Format::OpenMetrics,
            _ => Format::Classic,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything, as text: 11 KiB and half a millisecond of the core that serves it, more with each
/// request type in use.
pub fn write(metrics: &Arc<Metrics>, format: Format) -> String {
    let mut registry = Registry::default();
    let scrape = Scrape { metrics: Arc::clone(metrics), process: Process::read() };
    registry.register_collector(Box::new(scrape));
    let mut out = String::with_capacity(64 * 1024);
    text::encode(&mut out, &registry).expect("writing to a String does not fail");
    match format {
        Format::OpenMetrics => out,
        Format::Classic => classic(&out),
    }
}

/// OpenMetrics to the older format: there, the comments of a counter name it with its suffix, and
/// neither units nor an end mark exist.
fn classic(open: &str) -> String {
    let mut out = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let name = |line: &str| line.split(' ').nth(2).unwrap_or_default().to_owned();
        let counter = match line.split(' ').nth(1) {
            Some("TYPE") => line.ends_with(" counter"),
            Some("HELP") => lines.peek().is_some_and(|next| next.ends_with(" counter")),
            _ => false,
        };
        if counter && line.starts_with('#') {
            let name = name(line);
            out.push_str(&line.replacen(&name, &format!("{name}_total"), 1));
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

type Labels<'a> = &'a [(&'a str, &'a str)];

/// A number as the reference's dashboards name it.
type Named = (&'static str, &'static str, f64);

#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    process: Process,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let out = &mut encoder;
        self.counters(out)?;
        self.gauges(out)?;
        self.http2(out)?;
        self.cores(out)?;
        self.requests(out)?;
        self.monitor(out)?;
        self.host(out)
    }
}

impl Scrape {
    fn counters(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        for family in Counter::ALL.chunk_by(|one, next| one.entry().family == next.entry().family) {
            let mut metric = describe(out, family[0].entry(), MetricType::Counter)?;
            for counter in family {
                one_counter(&mut metric, counter.entry().labels, self.metrics.counter(*counter))?;
            }
        }
        Ok(())
    }

    fn gauges(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        for family in Gauge::ALL.chunk_by(|one, next| one.entry().family == next.entry().family) {
            let mut metric = describe(out, family[0].entry(), MetricType::Gauge)?;
            for gauge in family {
                one_gauge(&mut metric, gauge.entry().labels, self.metrics.gauge(*gauge))?;
            }
        }
        Ok(())
    }

    fn http2(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Connections ended by the HTTP/2 side, by reason";
        let mut metric =
            out.encode_descriptor("nacre_http2_closed", help, None, MetricType::Counter)?;
        for (reason, count) in self.metrics.http2_closed() {
            one_counter(&mut metric, &[("reason", reason)], count)?;
        }
        Ok(())
    }

    fn cores(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Time a core worked without sleeping";
        let mut metric =
            out.encode_descriptor("nacre_core_busy_seconds", help, None, MetricType::Counter)?;
        for (core, busy_us) in self.metrics.busy_us_by_core().enumerate() {
            let core = core.to_string();
            one_counter(&mut metric, &[("core", core.as_str())], seconds(busy_us))?;
        }
        Ok(())
    }

    /// Types nobody asked for yet are left out: a hundred empty series say nothing.
    fn requests(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let name = "nacre_request_duration_seconds";
        let help = "Time from a request's last byte to its answer, by type";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for kind in request::ALL {
            let counts = self.metrics.buckets(kind);
            let count = counts.iter().sum::<u64>();
            if count == 0 {
                continue;
            }
            let sum_us: u64 = (0..OUTCOMES).map(|at| self.metrics.outcome(kind, at).1).sum();
            let bounds = BUCKET_BOUNDS_US.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(counts).collect();
            let labels: Labels = &[("type", request::tag(kind).class)];
            one_histogram(&mut metric, labels, seconds(sum_us), count, &buckets)?;
        }
        self.server_requests(out)
    }

    /// The reference's timer. It has no buckets; ours has the one that a histogram must have.
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
                let buckets = [(f64::INFINITY, count)];
                one_histogram(&mut metric, labels, seconds(sum_us), count, &buckets)?;
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

    fn monitor(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "What the reference's dashboards show, by module and name";
        let mut metric = out.encode_descriptor("nacos_monitor", help, None, MetricType::Gauge)?;
        for (module, name, value) in self.monitor_values() {
            one_gauge(&mut metric, &[("module", module), ("name", name)], value)?;
        }
        for (name, help, gauge) in [
            ("nacos_naming_subscriber", "Subscriptions", Gauge::Subscribers),
            ("nacos_naming_publisher", "Clients that publish", Gauge::Publishers),
            ("nacos_config_subscriber", "Configs listened to", Gauge::Listeners),
        ] {
            let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            one_gauge(&mut metric, &[("version", "v2")], self.metrics.gauge(gauge))?;
        }
        Ok(())
    }

    fn monitor_values(&self) -> Vec<Named> {
        let gauge = |gauge| self.metrics.gauge(gauge) as f64;
        let counter = |counter| self.metrics.counter(counter) as f64;
        let (costs, cost_us, cost_max_us) = self.metrics.push_costs();
        let milliseconds = |us: u64| us as f64 / 1_000.0;
        let average = if costs == 0 { 0.0 } else { milliseconds(cost_us) / costs as f64 };
        let modules = [
            ("naming", Gauge::ConnectionsNaming),
            ("config", Gauge::ConnectionsConfig),
            ("ai", Gauge::ConnectionsAi),
            ("lock", Gauge::ConnectionsLock),
        ];
        let others = [Gauge::ConnectionsOther, Gauge::ConnectionsUnset];
        let named = modules.iter().map(|(_, of)| *of);
        let all: f64 = named.chain(others).map(gauge).sum();
        let mut values = vec![
            ("naming", "serviceCount", gauge(Gauge::Services)),
            ("naming", "ipCount", gauge(Gauge::Instances)),
            ("naming", "subscriberCount", gauge(Gauge::Subscribers)),
            ("naming", "pushPendingTaskCount", gauge(Gauge::PushesPending)),
            ("naming", "totalPush", counter(Counter::PushAcknowledged)),
            ("naming", "failedPush", counter(Counter::PushFailed)),
            ("naming", "emptyPush", counter(Counter::PushEmpty)),
            ("naming", "totalPushCountForAvg", costs as f64),
            ("naming", "totalPushCostForAvg", milliseconds(cost_us)),
            ("naming", "avgPushCost", average),
            ("naming", "maxPushCost", milliseconds(cost_max_us)),
            ("config", "configCount", gauge(Gauge::Configs)),
            ("config", "getConfig", counter(Counter::ConfigQueries)),
            ("config", "publish", counter(Counter::ConfigPublishes)),
            ("config", "longPolling", gauge(Gauge::LongPolls)),
            ("config", "notifyTask", 0.0),
            ("config", "notifyClientTask", gauge(Gauge::NotificationsPending)),
            ("config", "dumpTask", gauge(Gauge::StoreQueueItems)),
            ("config", "fuzzySearch", 0.0),
            ("core", "longConnection", all),
        ];
        values.extend(modules.map(|(module, of)| (module, "longConnection", gauge(of))));
        values
    }

    fn host(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let process = &self.process;
        let help = "CPU time of this process";
        let mut metric =
            out.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        one_counter(&mut metric, &[], process.cpu_seconds)?;
        let open = process.open_files as f64;
        let open_max = process.open_files_max as f64;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", process.resident_bytes as f64),
            ("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes as f64),
            ("process_threads", "Threads", process.threads as f64),
            ("process_open_fds", "Open files", open),
            ("process_max_fds", "Open files allowed", open_max),
            ("process_files_open_files", "Open files", open),
            ("process_files_max_files", "Open files allowed", open_max),
            ("process_start_time_seconds", "Start of this process", process.start_seconds),
            ("process_uptime_seconds", "Age of this process", process.uptime_seconds),
            ("process_cpu_usage", "CPUs used since the start, on average", process.cpu_usage),
            ("system_cpu_count", "CPUs of this machine", process.cpus as f64),
            ("system_cpu_usage", "Share of CPU time not idle since boot", process.system_cpu_usage),
            ("system_load_average_1m", "Load of the last minute", process.load_average_1m),
        ] {
            let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            one_gauge(&mut metric, &[], value)?;
        }
        let help = "This build";
        let mut metric =
            out.encode_descriptor("nacre_build_info", help, None, MetricType::Gauge)?;
        one_gauge(&mut metric, &[("version", env!("CARGO_PKG_VERSION"))], 1u64)
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn describe<'a>(
    out: &'a mut DescriptorEncoder,
    entry: Entry,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    out.encode_descriptor(entry.family, entry.help, None, kind)
}

fn one_counter(
    metric: &mut MetricEncoder,
    labels: Labels,
    value: impl EncodeCounterValue,
) -> fmt::Result {
    if labels.is_empty() {
        return metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None);
    }
    metric.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
}

fn one_gauge(
    metric: &mut MetricEncoder,
    labels: Labels,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    if labels.is_empty() {
        return metric.encode_gauge(&value);
    }
    metric.encode_family(&labels)?.encode_gauge(&value)
}

fn one_histogram(
    metric: &mut MetricEncoder,
    labels: Labels,
    sum: f64,
    count: u64,
    buckets: &[(f64, u64)],
) -> fmt::Result {
    metric.encode_family(&labels)?.encode_histogram::<[(&str, &str); 0]>(sum, count, buckets, None)
}

#[cfg(test)]
mod tests;
