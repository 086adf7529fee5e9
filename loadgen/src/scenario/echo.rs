//! `echo`: requests of so many bytes against answers of so many bytes, and no protocol.
//!
//! The yardstick for `unary`: the same engine, the same batches (everything a connection owes is
//! one send a turn), the same closed loop, so that what a call costs a server beyond this is what
//! the server makes of the bytes. Bytes are counted, not read; a peer may not answer more than
//! it was asked.

use super::{Costs, Target, report_losses};
use crate::clock;
use crate::drive::sources::Sources;
use crate::drive::{CONNECT_PATIENCE, CONNECTING_MAX, count_reason};
use crate::engine::{Address, Engine, Event, interrupt};
use crate::report::Report;
use crate::series::Series;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

/// Bytes of a HealthCheck call once its header fields are in the peer's table: HEADERS with one
/// byte a field, and DATA. `session/tests.rs` weighs it.
pub const REQUEST_BYTES: usize = 102;

/// Bytes of nacre's answer to it, as `unary` weighs it: HEADERS, DATA, trailers.
pub const ANSWER_BYTES: usize = 111;

/// What requests are made of; nobody reads it.
const FILLING: u8 = 7;

/// How long unanswered requests are waited for after the end.
const DRAIN: Duration = Duration::from_secs(5);

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub connections: usize,
    /// Requests under way in all.
    pub in_flight: usize,
    /// At least 1, as are the answer's.
    pub request_bytes: usize,
    pub answer_bytes: usize,
    pub warmup: Duration,
    pub duration: Duration,
}

/// One connection.
#[derive(Debug, Default)]
struct Line {
    connected: bool,
    sending: bool,
    dirty: bool,
    gone: bool,
    /// Requests of the next batch: the last so many of `begun_ns`.
    owed: usize,
    /// Bytes of an answer that is not whole.
    partial: usize,
    /// When each request under way was meant to go.
    begun_ns: VecDeque<u64>,
}

impl Line {
    /// Bytes that may still come for what has been sent.
    fn expected_bytes(&self, answer_bytes: usize) -> usize {
        (self.begun_ns.len() - self.owed) * answer_bytes - self.partial
    }
}

/// Every connection's state, and what has been seen.
struct Load {
    answer_bytes: usize,
    lines: Vec<Line>,
    dirty: Vec<u32>,
    spare: Vec<Vec<u8>>,
    connected: usize,
    lost: u64,
    reasons: BTreeMap<String, u64>,
    stopping: bool,
    under_way: u64,
    /// Latencies of answers from here to there are kept.
    window: (u64, u64),
    /// Answers since it was last set to zero.
    done: u64,
    latency: Series,
}

/// The loop: engine, clock, load.
struct Echo {
    engine: Engine,
    load: Load,
    request_bytes: usize,
    began: Instant,
    now_ns: u64,
}

/// Connects, drives and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let mut echo = Echo::new(plan)?;
    echo.connect(target)?;
    for at in 0..plan.in_flight {
        echo.load.begin((at % plan.connections) as u32, echo.now_ns);
    }
    let server = target.server.as_ref();
    let begin_ns = echo.now_ns + plan.warmup.as_nanos() as u64;
    echo.load.window = (begin_ns, begin_ns + plan.duration.as_nanos() as u64);
    echo.load.latency.begin(begin_ns, plan.duration);
    echo.until(begin_ns)?;
    let before = Costs::at(server, echo.now_ns)?;
    echo.load.done = 0;
    echo.until(echo.load.window.1)?;
    let done = echo.load.done;
    let after = Costs::at(server, echo.now_ns)?;
    echo.drain()?;
    let workload = format!(
        "{} bytes for {}: {} connections, closed loop, {} in flight, {} s",
        plan.answer_bytes,
        plan.request_bytes,
        plan.connections,
        plan.in_flight,
        plan.duration.as_secs_f64()
    );
    let mut report = Report::new(&target.name, "echo", workload);
    let load = &echo.load;
    after.report_requests(&before, done, &load.latency, &mut report);
    report_losses(load.lost, &load.reasons, &mut report);
    if load.under_way > 0 {
        let (count, seconds) = (load.under_way, DRAIN.as_secs());
        report.fault(format!("{count} requests unanswered {seconds} s after the end"));
    }
    Ok(report)
}

impl Echo {
    fn new(plan: &Plan) -> io::Result<Self> {
        let load = Load {
            answer_bytes: plan.answer_bytes,
            lines: std::iter::repeat_with(Line::default).take(plan.connections).collect(),
            dirty: Vec::new(),
            spare: Vec::new(),
            connected: 0,
            lost: 0,
            reasons: BTreeMap::new(),
            stopping: false,
            under_way: 0,
            window: (u64::MAX, u64::MAX),
            done: 0,
            latency: Series::default(),
        };
        let engine = Engine::new(plan.connections)?;
        let request_bytes = plan.request_bytes;
        Ok(Self { engine, load, request_bytes, began: clock::now(), now_ns: 0 })
    }

    /// Connects all lines, so many at a time; an error when one cannot or nothing moves.
    fn connect(&mut self, target: &Target) -> io::Result<()> {
        let connections = self.load.lines.len();
        let sources = Sources::new(target.address.ip(), connections, &target.bind);
        let address = Address::from(target.address);
        let (mut asked, mut moved) = (0, (0, self.now_ns));
        while self.load.connected < connections {
            while asked < connections && asked < self.load.connected + CONNECTING_MAX {
                self.engine.connect(asked as u32, address, sources.of(asked));
                asked += 1;
            }
            self.turn(Duration::from_millis(100))?;
            if self.load.lost > 0 {
                let why = format!("not every connection came to be: {:?}", self.load.reasons);
                return Err(io::Error::other(why));
            }
            if self.load.connected != moved.0 {
                moved = (self.load.connected, self.now_ns);
            } else if self.now_ns - moved.1 > CONNECT_PATIENCE.as_nanos() as u64 {
                let why = format!("{} of {connections} connected, then silence", moved.0);
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
        Ok(())
    }

    /// Turns until then; ends early when every connection is gone.
    fn until(&mut self, end_ns: u64) -> io::Result<()> {
        while self.now_ns < end_ns && self.load.connected > 0 && !interrupt::is_asked() {
            self.turn(Duration::from_nanos(end_ns - self.now_ns))?;
        }
        Ok(())
    }

    /// Begins nothing more and waits for what is under way.
    fn drain(&mut self) -> io::Result<()> {
        self.load.stopping = true;
        let end_ns = self.now_ns + DRAIN.as_nanos() as u64;
        while self.load.under_way > 0 && self.now_ns < end_ns && self.load.connected > 0 {
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// One turn: send every batch, wait at most so long, read the clock, handle.
    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        let Self { engine, load, .. } = self;
        while let Some(at) = load.dirty.pop() {
            let line = &mut load.lines[at as usize];
            line.dirty = false;
            if line.sending || line.gone || line.owed == 0 {
                continue;
            }
            let mut batch = load.spare.pop().unwrap_or_default();
            batch.resize(line.owed * self.request_bytes, FILLING);
            line.owed = 0;
            line.sending = true;
            engine.send(at, batch);
        }
        engine.wait(wait)?;
        self.now_ns = self.began.elapsed().as_nanos() as u64;
        let (now_ns, mut closing) = (self.now_ns, Vec::new());
        engine.reap(|at, event| {
            if let Err(why) = load.event(at, event, now_ns) {
                load.lose(at, why);
                closing.push(at);
            }
        });
        closing.into_iter().for_each(|at| engine.close(at));
        Ok(())
    }
}

impl Load {
    /// Puts one more request into a connection's next batch.
    fn begin(&mut self, at: u32, now_ns: u64) {
        let line = &mut self.lines[at as usize];
        line.begun_ns.push_back(now_ns);
        line.owed += 1;
        self.under_way += 1;
        self.mark(at);
    }

    fn mark(&mut self, at: u32) {
        let line = &mut self.lines[at as usize];
        if !std::mem::replace(&mut line.dirty, true) {
            self.dirty.push(at);
        }
    }

    /// What happened to a connection; an error is its end.
    fn event(&mut self, at: u32, event: Event<'_>, now_ns: u64) -> Result<(), String> {
        let line = &mut self.lines[at as usize];
        match event {
            Event::Connected => {
                line.connected = true;
                self.connected += 1;
            }
            Event::Sent(mut batch) => {
                line.sending = false;
                batch.clear();
                self.spare.push(batch);
                if line.owed > 0 {
                    self.mark(at);
                }
            }
            Event::Received(_) if line.gone => {}
            Event::Received(bytes) => return self.received(at, bytes.len(), now_ns),
            Event::Lost(None) => return Err("closed by the server".to_owned()),
            Event::Lost(Some(error)) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// Counts the answers in received bytes; each begins the next request.
    fn received(&mut self, at: u32, bytes: usize, now_ns: u64) -> Result<(), String> {
        let line = &mut self.lines[at as usize];
        if bytes > line.expected_bytes(self.answer_bytes) {
            return Err("more bytes than were asked for".to_owned());
        }
        let answers = (line.partial + bytes) / self.answer_bytes;
        line.partial = (line.partial + bytes) % self.answer_bytes;
        self.done += answers as u64;
        self.under_way -= answers as u64;
        let counted = (self.window.0..self.window.1).contains(&now_ns);
        for begun_ns in line.begun_ns.drain(..answers) {
            if counted {
                self.latency.record(now_ns, now_ns - begun_ns);
            }
        }
        if !self.stopping {
            (0..answers).for_each(|_| self.begin(at, now_ns));
        }
        Ok(())
    }

    /// A connection is no more, nor is what was under way on it.
    fn lose(&mut self, at: u32, why: String) {
        let line = &mut self.lines[at as usize];
        if !std::mem::replace(&mut line.gone, true) {
            self.connected -= usize::from(line.connected);
            self.under_way -= line.begun_ns.len() as u64;
            self.lost += 1;
            count_reason(&mut self.reasons, why);
        }
    }
}
