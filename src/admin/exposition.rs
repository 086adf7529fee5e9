//! The text a scrape gets: names of the published dashboards (`ops.md` 10) beside our own.

mod reference;

use crate::admin::counter::{CONNECTIONS, Counter, Entry, Gauge};
use crate::admin::metrics::Metrics;
use crate::admin::process::Process;
use crate::admin::request::{self, BUCKET_BOUNDS_US, OUTCOMES};
use crate::raft::limits::{QUEUE_BYTES_MAX, QUEUE_ITEMS_MAX};
use nacre_shards::limits::{
    BEATING_PER_CORE_MAX, LANE_ASKS_PER_CORE, LISTENERS_PER_CORE_MAX, POLLERS_PER_CORE_MAX,
    POLLS_PER_CORE_MAX, SUBSCRIPTIONS_PER_CORE_MAX,
};
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

/// Which names are on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Those `promtool check metrics` has nothing against: `/metrics`.
    Clean,
    /// Those too that published dashboards ask for and Prometheus' own rules of style refuse:
    /// `/actuator/prometheus`. They say again what others say.
    Whole,
}

/// Everything of a page, as text: 16 KiB and half a millisecond of the core that serves it, more
/// with each request type and path in use.
pub fn write(metrics: &Arc<Metrics>, format: Format, page: Page) -> String {
    let mut registry = Registry::default();
    let scrape = Scrape { metrics: Arc::clone(metrics), process: Process::read(), page };
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

#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    process: Process,
    page: Page,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let out = &mut encoder;
        self.counters(out)?;
        self.gauges(out)?;
        self.http2(out)?;
        self.cores(out)?;
        self.requests(out)?;
        self.paths(out)?;
        self.limits(out)?;
        reference::write(self, out)?;
        self.host(out)
    }
}

impl Scrape {
    fn counters(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        for family in Counter::ALL.chunk_by(|one, next| one.entry().family == next.entry().family) {
            let mut metric = describe(out, family[0].entry(), MetricType::Counter)?;
            for counter in family {
                let (entry, total) = (counter.entry(), self.metrics.counter(*counter));
                match entry.family.ends_with("_seconds") {
                    true => one_counter(&mut metric, entry.labels, seconds(total))?,
                    false => one_counter(&mut metric, entry.labels, total)?,
                }
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
        Ok(())
    }

    /// The HTTP port's requests, under the reference's name. Paths nobody asked for are left out.
    fn paths(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let name = "http_server_requests_seconds";
        let help = "HTTP requests, by path, method and status";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let mut written = Ok(());
        self.metrics.paths(|path, method, status, count, sum_us| {
            let (status, outcome) = request::status_tag(status);
            let labels: Labels = &[
                ("exception", "None"),
                ("method", request::METHOD_TAGS[method]),
                ("outcome", outcome),
                ("status", status),
                ("uri", path.unwrap_or("UNKNOWN")),
            ];
            if written.is_ok() {
                written = one_timer(&mut metric, labels, sum_us, count);
            }
        });
        written
    }

    /// How much of each bound is in use; of a bound of each core, on the fullest.
    fn limits(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let name = "nacre_limit_used_ratio";
        let help = "Share of a bound in use, on the fullest core where each has its own";
        let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (limit, used, most) in self.bounds() {
            if most > 0 {
                one_gauge(&mut metric, &[("limit", limit)], used as f64 / most as f64)?;
            }
        }
        Ok(())
    }

    fn bounds(&self) -> [(&'static str, u64, u64); 12] {
        let (metrics, bounds) = (&self.metrics, self.metrics.bounds());
        let (all, fullest) = (|of| metrics.gauge(of), |of| metrics.highest_gauge(of));
        // Of the free space, as much as may not be touched is in use.
        let free = all(Gauge::StoreFreeBytes);
        [
            ("connections", CONNECTIONS.map(all).iter().sum(), bounds.connections),
            ("http_connections", fullest(Gauge::HttpConnections), bounds.http_connections),
            ("subscriptions", fullest(Gauge::Subscribers), SUBSCRIPTIONS_PER_CORE_MAX as u64),
            ("listeners", fullest(Gauge::Listeners), LISTENERS_PER_CORE_MAX as u64),
            ("beating_instances", fullest(Gauge::Beating), BEATING_PER_CORE_MAX as u64),
            ("long_polls", fullest(Gauge::LongPolls), POLLS_PER_CORE_MAX as u64),
            ("pollers", fullest(Gauge::Pollers), POLLERS_PER_CORE_MAX as u64),
            ("asks_under_way", fullest(Gauge::AsksUnderWay), LANE_ASKS_PER_CORE as u64),
            ("store_queue_items", all(Gauge::StoreQueueItems), QUEUE_ITEMS_MAX as u64),
            ("store_queue_bytes", all(Gauge::StoreQueueBytes), QUEUE_BYTES_MAX as u64),
            ("store_reserve_bytes", bounds.reserve_bytes, free),
            ("open_files", self.process.open_files, self.process.open_files_max),
        ]
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
            ("system_cpu_usage", "Share of CPU time not idle since boot", process.system_cpu_usage),
            ("system_load_average_1m", "Load of the last minute", process.load_average_1m),
        ] {
            let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            one_gauge(&mut metric, &[], value)?;
        }
        if self.page == Page::Whole {
            let (name, help) = ("system_cpu_count", "CPUs of this machine");
            let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            one_gauge(&mut metric, &[], process.cpus as f64)?;
        }
        let help = "CPUs of this machine";
        let mut metric = out.encode_descriptor("nacre_cpus", help, None, MetricType::Gauge)?;
        one_gauge(&mut metric, &[], process.cpus as f64)?;
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

/// A timer of the reference: count and sum. The library has no summary, so it is a histogram with
/// the one bucket that must be.
fn one_timer(metric: &mut MetricEncoder, labels: Labels, sum_us: u64, count: u64) -> fmt::Result {
    one_histogram(metric, labels, seconds(sum_us), count, &[(f64::INFINITY, count)])
}

#[cfg(test)]
mod tests;
