//! What else clients ask for while they hold: queries, pages of the list, short visits.
//!
//! Calls begin on a fixed schedule, on the crowd's own connections in turn, and latency counts
//! from when each was due. Of ten calls seven query a service the client subscribes to, one asks
//! for a page of the list, two register an instance elsewhere, which is taken back at once.

use super::{BEGUN_PER_TURN, Crowd, Drive, TAG_MIX, Turn};
use crate::check::Judge;
use crate::report::Report;
use crate::scenario::feed;
use crate::scenario::schedule::Schedule;
use crate::scenario::{report_counts, wrong_answers};
use crate::series::Series;
use crate::session::Script;
use nacre_proto::client::request::{InstanceRequest, ServiceListRequest, ServiceQueryRequest};
use std::time::Duration;

/// Names on a page of the list.
const PAGE_SIZE: usize = 10;

/// Services visits go to: few, so that they come and go under load, and subscribed by nobody.
const VISITED_SERVICES: usize = 1_000;

/// What is asked for, in the second byte of a tag.
const QUERY: u32 = 0;
const LIST: u32 = 1;
const VISIT: u32 = 2;
const LEAVE: u32 = 3;

/// The order of kinds among ten calls.
const ORDER: [u32; 10] = [QUERY, QUERY, VISIT, QUERY, QUERY, LIST, QUERY, VISIT, QUERY, QUERY];

/// Labels of the four kinds and what answers them.
const KINDS: [(&str, &str, &str); 4] = [
    ("query", "query", "QueryServiceResponse"),
    ("list", "page of the list", "ServiceListResponse"),
    ("register", "register", "InstanceResponse"),
    ("deregister", "deregister", "InstanceResponse"),
];

/// Calls beside the crowd's own.
pub(in crate::scenario) struct Mix {
    schedule: Schedule,
    rate: usize,
    run: String,
    series: [Series; 4],
    judges: [Judge; 4],
    /// Query answers that were neither the truth nor on their way to it.
    behind: u64,
    wrong: u64,
    left_out: u64,
}

impl Mix {
    /// So many calls a second, once [`Mix::measure`] is called.
    pub(in crate::scenario) fn new(rate: usize, run: &str) -> Self {
        Self {
            schedule: Schedule::new(Duration::ZERO, 0, 0),
            rate,
            run: format!("{run}-visit"),
            series: Default::default(),
            judges: KINDS.map(|(_, _, answer)| Judge::success(answer)),
            behind: 0,
            wrong: 0,
            left_out: 0,
        }
    }

    /// Calls begin, and count.
    pub(in crate::scenario) fn measure(&mut self, time: Duration, now_ns: u64) {
        self.schedule = Schedule::new(Duration::from_secs(1), self.rate, now_ns);
        self.series.iter_mut().for_each(|series| series.begin(now_ns, time));
    }

    pub(super) fn rest(&mut self) {
        self.schedule = Schedule::new(Duration::ZERO, 0, 0);
    }

    /// Begins what is due, and says when the next call is.
    pub(super) fn begin_due(&mut self, crowd: &Crowd, drive: &mut Drive) -> u64 {
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.schedule.next(drive.now_ns()) else { break };
            let client = (number % crowd.shape.clients as u64) as u32;
            let kind = ORDER[number as usize % ORDER.len()];
            let at = number as usize % crowd.shape.each;
            let message = match kind {
                QUERY => query(crowd, client, at),
                LIST => page(crowd, number),
                _ => self.visit(client, "registerInstance"),
            };
            let tag = TAG_MIX | kind << 8 | (at as u32) << 16;
            self.left_out += u64::from(!drive.call(client, &message, tag, intended_ns));
        }
        self.schedule.due_ns()
    }

    fn visit(&self, client: u32, operation: &str) -> Vec<u8> {
        let instance = feed::instance(client as usize, 0, 0);
        let service = client as usize % VISITED_SERVICES;
        Script::message(&InstanceRequest {
            operation: operation.into(),
            ..feed::register(&self.run, service, instance)
        })
    }

    pub(super) fn answered(
        &mut self,
        crowd: &mut Crowd,
        turn: &mut Turn<'_>,
        tag: u32,
        intended_ns: u64,
        message: &[u8],
    ) {
        let kind = (tag >> 8 & 0xff) as usize;
        let Some(judge) = self.judges.get_mut(kind) else { return };
        let good = judge.check(message);
        self.series[kind].record(turn.now_ns, turn.now_ns - intended_ns);
        if good && kind as u32 == QUERY {
            self.look(crowd, turn.client, (tag >> 16) as usize, message);
        }
        if kind as u32 == VISIT {
            let message = self.visit(turn.client, "deregisterInstance");
            let now_ns = turn.now_ns;
            self.left_out += u64::from(!turn.call(&message, TAG_MIX | LEAVE << 8, now_ns));
        }
    }

    /// The list a query was answered with: of the service asked for, all its hosts, and true.
    fn look(&mut self, crowd: &mut Crowd, client: u32, at: usize, message: &[u8]) {
        let body = crate::envelope::decode(message).map(|payload| payload.body);
        let glance = body.ok().and_then(|body| crowd.glances.read(body));
        let asked = crowd.shape.subscribed(client as usize, at);
        match glance.filter(|glance| glance.is_whole(asked, crowd.shape.subscribers(asked))) {
            None => self.wrong += 1,
            Some(glance) => self.behind += u64::from(!crowd.truth.allows(&glance)),
        }
    }

    pub(super) fn report(&self, report: &mut Report) {
        for ((name, label, _), series) in KINDS.iter().zip(&self.series) {
            report.series(name, label, series);
        }
        // A push may overtake the answer that was made before it, on another connection.
        report.count("answers_behind", self.behind, "answers a push had overtaken");
        let counts = [
            (self.wrong, "queries answered with another or a partial list"),
            (self.left_out, "calls left out: no room on their connection"),
        ];
        report_counts(&counts, report);
        self.judges.iter().for_each(|judge| wrong_answers(judge, None, report));
    }
}

fn query(crowd: &Crowd, client: u32, at: usize) -> Vec<u8> {
    let service = crowd.shape.subscribed(client as usize, at);
    Script::message(&ServiceQueryRequest {
        namespace: Some("public".into()),
        service_name: Some(feed::service_name(&crowd.habits.run, service)),
        group_name: Some("DEFAULT_GROUP".into()),
        cluster: Some(String::new()),
        ..ServiceQueryRequest::default()
    })
}

fn page(crowd: &Crowd, number: u64) -> Vec<u8> {
    let pages = crowd.shape.services().div_ceil(PAGE_SIZE) as u64;
    Script::message(&ServiceListRequest {
        namespace: Some("public".into()),
        service_name: Some(String::new()),
        group_name: Some("DEFAULT_GROUP".into()),
        page_no: (number % pages + 1) as i64,
        page_size: PAGE_SIZE as i64,
        ..ServiceListRequest::default()
    })
}
