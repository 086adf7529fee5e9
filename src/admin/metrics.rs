//! Numbers of all cores: each core writes its own block, a scrape on any core adds them up.
//!
//! An exception to "cores share nothing", and why it costs nothing: a block has one writer, so
//! adding is a plain load and store, not a locked instruction; the line leaves the writer's cache
//! only when somebody scrapes. Readers may see one counter a moment before another, never a torn
//! number.

use crate::admin::counter::{Counter, Gauge};
use crate::admin::request::{self, BUCKETS, KINDS, METHODS, OUTCOMES, STATUSES};
use nacre_proto::request::Kind;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Milliseconds for which a highest latency is remembered, at least; at most twice that.
const MAX_WINDOW_MS: u64 = 60_000;

/// A number with one writer.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    fn at_least(&self, value: u64) {
        if value > self.get() {
            self.set(value);
        }
    }
}

/// What is kept of one request type.
#[derive(Debug, Default)]
struct PerKind {
    count: [Cell; OUTCOMES],
    sum_us: [Cell; OUTCOMES],
    buckets: [Cell; BUCKETS],
    max_us: Cell,
    max_before_us: Cell,
}

/// What is kept of one path of the HTTP port, by method and status: 1.5 KiB, made when it is first
/// asked for.
#[derive(Debug, Default)]
struct PerPath {
    count: [[Cell; STATUSES]; METHODS],
    sum_us: [[Cell; STATUSES]; METHODS],
}

/// One core's block. Only that core may call what writes; about 10 KiB.
#[derive(Debug)]
#[repr(align(128))]
pub struct CoreMetrics {
    counters: [Cell; Counter::COUNT],
    gauges: [Cell; Gauge::COUNT],
    kinds: [PerKind; KINDS],
    /// By the numbers of [`Shape::paths`], and one more for what is no path.
    paths: Box<[OnceLock<Box<PerPath>>]>,
    /// Connections ended by HTTP/2 reason; the reasons are given to [`Metrics::new`].
    http2_closed: Box<[Cell]>,
    busy_us: Cell,
    push_cost_us: Cell,
    push_cost_count: Cell,
    push_cost_max_us: Cell,
    window_start_ms: Cell,
}

impl CoreMetrics {
    fn new(shape: &Shape) -> CoreMetrics {
        CoreMetrics {
            counters: std::array::from_fn(|_| Cell::default()),
            gauges: std::array::from_fn(|_| Cell::default()),
            kinds: std::array::from_fn(|_| PerKind::default()),
            paths: (0..=shape.paths.len()).map(|_| OnceLock::new()).collect(),
            http2_closed: shape.http2_reasons.iter().map(|_| Cell::default()).collect(),
            busy_us: Cell::default(),
            push_cost_us: Cell::default(),
            push_cost_count: Cell::default(),
            push_cost_max_us: Cell::default(),
            window_start_ms: Cell::default(),
        }
    }

    /// One more.
    pub fn inc(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// So many more.
    pub fn add(&self, counter: Counter, count: u64) {
        self.counters[counter as usize].add(count);
    }

    /// Takes over what another part has counted itself since the start.
    pub fn set(&self, counter: Counter, total: u64) {
        self.counters[counter as usize].set(total);
    }

    /// This core's share, now.
    pub fn gauge(&self, gauge: Gauge, value: u64) {
        self.gauges[gauge as usize].set(value);
    }

    /// A request was answered. `error_code` is the response's, 0 for success.
    pub fn request(&self, kind: Kind, error_code: i32, latency_us: u64) {
        let row = &self.kinds[request::tag(kind).index];
        let column = request::outcome(error_code);
        row.count[column].add(1);
        row.sum_us[column].add(latency_us);
        row.buckets[request::bucket(latency_us)].add(1);
        row.max_us.at_least(latency_us);
    }

    /// A request of the HTTP port was answered; `path` is its number, beyond the last for none.
    pub fn path(&self, path: usize, method: &str, status: u16, latency_us: u64) {
        let Some(row) = self.paths.get(path).or(self.paths.last()) else { return };
        let row = row.get_or_init(Box::default);
        let (method, status) = (request::method(method), request::status(status));
        row.count[method][status].add(1);
        row.sum_us[method][status].add(latency_us);
    }

    /// Acknowledged pushes since the start: time from hand-out to ack together, how many, the
    /// longest.
    pub fn set_push_cost(&self, sum_us: u64, count: u64, max_us: u64) {
        self.push_cost_us.set(sum_us);
        self.push_cost_count.set(count);
        self.push_cost_max_us.set(max_us);
    }

    /// The core worked this long without sleeping.
    pub fn busy_us(&self, worked_us: u64) {
        self.busy_us.add(worked_us);
    }

    /// Connections ended for HTTP/2 reason number `reason` since the start.
    pub fn set_http2_closed(&self, reason: usize, total: u64) {
        if let Some(cell) = self.http2_closed.get(reason) {
            cell.set(total);
        }
    }

    /// Lets highest latencies age. Call it with the gauges, some ten times a second.
    pub fn age(&self, tick_ms: u64) {
        if tick_ms.saturating_sub(self.window_start_ms.get()) < MAX_WINDOW_MS {
            return;
        }
        self.window_start_ms.set(tick_ms);
        for row in &self.kinds {
            row.max_before_us.set(row.max_us.get());
            row.max_us.set(0);
        }
    }
}

/// What is counted by lists that others have, and the bounds of the settings.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Names of what [`CoreMetrics::set_http2_closed`] counts.
    pub http2_reasons: Vec<&'static str>,
    /// Paths of the HTTP port by their numbers.
    pub paths: Vec<&'static str>,
    pub bounds: Bounds,
}

/// Bounds an operator may set, for how near they are. 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// gRPC connections of the node.
    pub connections: u64,
    /// HTTP connections of each core.
    pub http_connections: u64,
    /// Free bytes below which writes are refused.
    pub reserve_bytes: u64,
}

/// All cores' blocks.
#[derive(Debug)]
pub struct Metrics {
    cores: Box<[CoreMetrics]>,
    shape: Shape,
}

/// One core's block, held by that core.
#[derive(Debug, Clone)]
pub struct Core {
    metrics: Arc<Metrics>,
    core: usize,
}

impl Deref for Core {
    type Target = CoreMetrics;

    fn deref(&self) -> &CoreMetrics {
        &self.metrics.cores[self.core]
    }
}

impl Metrics {
    /// Blocks for so many cores.
    pub fn new(cores: usize, http2_reasons: &[&'static str]) -> Arc<Metrics> {
        let http2_reasons = http2_reasons.to_vec();
        Metrics::of(cores, Shape { http2_reasons, ..Shape::default() })
    }

    /// The same for what else is counted.
    pub fn of(cores: usize, shape: Shape) -> Arc<Metrics> {
        let cores = (0..cores).map(|_| CoreMetrics::new(&shape)).collect();
        Arc::new(Metrics { cores, shape })
    }

    /// The block of one core, for that core to keep.
    pub fn core(self: &Arc<Self>, core: usize) -> Core {
        assert!(core < self.cores.len(), "a core of this node");
        Core { metrics: Arc::clone(self), core }
    }

    fn sum(&self, of: impl Fn(&CoreMetrics) -> u64) -> u64 {
        self.cores.iter().map(of).sum()
    }

    fn highest(&self, of: impl Fn(&CoreMetrics) -> u64) -> u64 {
        self.cores.iter().map(of).max().unwrap_or(0)
    }

    pub fn counter(&self, counter: Counter) -> u64 {
        self.sum(|core| core.counters[counter as usize].get())
    }

    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.sum(|core| core.gauges[gauge as usize].get())
    }

    /// The highest share of any core: what a bound of each core is held against.
    pub fn highest_gauge(&self, gauge: Gauge) -> u64 {
        self.highest(|core| core.gauges[gauge as usize].get())
    }

    /// What an operator may set.
    pub fn bounds(&self) -> &Bounds {
        &self.shape.bounds
    }

    /// How many cores.
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// Calls `row` for each path, method and status that was answered: the path, `None` for what
    /// is no path, count and time together.
    pub fn paths(&self, mut row: impl FnMut(Option<&'static str>, usize, usize, u64, u64)) {
        let names = self.shape.paths.iter().copied().map(Some).chain([None]);
        for (at, name) in names.enumerate() {
            let seen = |core: &CoreMetrics| core.paths[at].get().is_some();
            if !self.cores.iter().any(seen) {
                continue;
            }
            for method in 0..METHODS {
                for status in 0..STATUSES {
                    let sum = |of: fn(&PerPath) -> &[[Cell; STATUSES]; METHODS]| {
                        self.sum(|core| {
                            core.paths[at].get().map_or(0, |path| of(path)[method][status].get())
                        })
                    };
                    let count = sum(|path| &path.count);
                    if count > 0 {
                        row(name, method, status, count, sum(|path| &path.sum_us));
                    }
                }
            }
        }
    }

    /// Requests of a type that ended with the error code of a column, and their time together.
    pub fn outcome(&self, kind: Kind, column: usize) -> (u64, u64) {
        let row = request::tag(kind).index;
        let count = self.sum(|core| core.kinds[row].count[column].get());
        (count, self.sum(|core| core.kinds[row].sum_us[column].get()))
    }

    /// Requests of a type per latency bucket.
    pub fn buckets(&self, kind: Kind) -> [u64; BUCKETS] {
        let row = request::tag(kind).index;
        std::array::from_fn(|at| self.sum(|core| core.kinds[row].buckets[at].get()))
    }

    /// The highest latency of a type within the last minute or two.
    pub fn max_us(&self, kind: Kind) -> u64 {
        let row = request::tag(kind).index;
        let of = |core: &CoreMetrics| {
            core.kinds[row].max_us.get().max(core.kinds[row].max_before_us.get())
        };
        self.highest(of)
    }

    /// Count, sum and maximum of push costs.
    pub fn push_costs(&self) -> (u64, u64, u64) {
        let count = self.sum(|core| core.push_cost_count.get());
        let sum = self.sum(|core| core.push_cost_us.get());
        (count, sum, self.highest(|core| core.push_cost_max_us.get()))
    }

    /// Each core's working time since the start.
    pub fn busy_us_by_core(&self) -> impl Iterator<Item = u64> {
        self.cores.iter().map(|core| core.busy_us.get())
    }

    /// Connections ended by HTTP/2 reason.
    pub fn http2_closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = self.shape.http2_reasons.iter();
        reasons
            .enumerate()
            .map(|(at, reason)| (*reason, self.sum(|core| core.http2_closed[at].get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_added_up() {
        let metrics = Metrics::new(2, &["rapid_reset", "ping_flood"]);
        let (first, second) = (metrics.core(0), metrics.core(1));
        first.inc(Counter::Accepted);
        second.add(Counter::Accepted, 2);
        second.set(Counter::SentBytes, 7);
        second.set(Counter::SentBytes, 9);
        first.gauge(Gauge::Services, 3);
        second.gauge(Gauge::Services, 4);
        second.gauge(Gauge::Services, 1);
        first.set_http2_closed(1, 5);
        second.set_http2_closed(9, 5);
        first.busy_us(10);
        first.busy_us(5);
        assert_eq!(metrics.counter(Counter::Accepted), 3);
        assert_eq!(metrics.counter(Counter::SentBytes), 9);
        assert_eq!(metrics.gauge(Gauge::Services), 4);
        let closed: Vec<_> = metrics.http2_closed().collect();
        assert_eq!(closed, [("rapid_reset", 0), ("ping_flood", 5)]);
        assert_eq!(metrics.busy_us_by_core().collect::<Vec<_>>(), [15, 0]);
    }

    #[test]
    fn requests_by_type_outcome_and_latency() {
        let metrics = Metrics::new(2, &[]);
        let (first, second) = (metrics.core(0), metrics.core(1));
        first.request(Kind::Instance, 0, 3);
        second.request(Kind::Instance, 0, 1_500);
        first.request(Kind::Instance, 503, 20_000_000);
        assert_eq!(metrics.outcome(Kind::Instance, request::outcome(0)), (2, 1_503));
        assert_eq!(metrics.outcome(Kind::Instance, request::outcome(503)), (1, 20_000_000));
        assert_eq!(metrics.outcome(Kind::HealthCheck, 0), (0, 0));
        let buckets = metrics.buckets(Kind::Instance);
        assert_eq!((buckets[2], buckets[10], buckets[BUCKETS - 1]), (1, 1, 1));
        assert_eq!(buckets.iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_highest_latency_is_forgotten_after_two_windows() {
        let metrics = Metrics::new(1, &[]);
        let core = metrics.core(0);
        core.request(Kind::HealthCheck, 0, 900);
        core.age(1_000);
        assert_eq!(metrics.max_us(Kind::HealthCheck), 900);
        core.age(MAX_WINDOW_MS);
        core.request(Kind::HealthCheck, 0, 100);
        assert_eq!(metrics.max_us(Kind::HealthCheck), 900);
        core.age(2 * MAX_WINDOW_MS);
        assert_eq!(metrics.max_us(Kind::HealthCheck), 100);
    }

    #[test]
    fn paths_by_method_and_status() {
        let shape = Shape { paths: vec!["/a", "/b"], ..Shape::default() };
        let metrics = Metrics::of(2, shape);
        metrics.core(0).path(1, "GET", 200, 7);
        metrics.core(1).path(1, "GET", 200, 5);
        metrics.core(1).path(1, "POST", 418, 3);
        metrics.core(0).path(99, "BREW", 404, 1);
        let mut rows = Vec::new();
        metrics.paths(|path, method, status, count, sum_us| {
            let status = request::status_tag(status);
            rows.push((path, request::METHOD_TAGS[method], status, count, sum_us));
        });
        let other = ("UNKNOWN", "CLIENT_ERROR");
        assert_eq!(
            rows,
            [
                (Some("/b"), "GET", ("200", "SUCCESS"), 2, 12),
                (Some("/b"), "POST", ("other", "UNKNOWN"), 1, 3),
                (None, other.0, ("404", other.1), 1, 1),
            ]
        );
    }

    #[test]
    fn push_costs() {
        let metrics = Metrics::new(2, &[]);
        metrics.core(0).set_push_cost(10, 1, 10);
        metrics.core(1).set_push_cost(30, 1, 30);
        assert_eq!(metrics.push_costs(), (2, 40, 30));
    }
}
