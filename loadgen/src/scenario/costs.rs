//! What server and generator use: CPU, memory, and whether figures are theirs or ours.

use crate::drive::Drive;
use crate::probe::Probe;
use crate::report::{Report, human_bytes};
use crate::series::Series;
use std::io;

/// Our share of one core, ready but without it included, above which the figures say more about
/// us than about the server.
const OWN_CPU_MAX: f64 = 0.9;

/// A process kept from its core for more than this share of the time was not measured alone.
const STARVED_MAX: f64 = 0.05;

/// What server and generator had used at a moment.
pub(super) struct Costs {
    /// False when the server is not watched, or is gone.
    watched: bool,
    server_cpu_ns: u64,
    server_starved_ns: u64,
    server_resident: u64,
    own_cpu_ns: u64,
    own_starved_ns: u64,
    own_resident: u64,
    pub(super) at_ns: u64,
}

impl Costs {
    /// Now; the server's are zero when it is not watched.
    pub(super) fn now(server: Option<&Probe>, drive: &Drive) -> io::Result<Self> {
        Self::at(server, drive.now_ns())
    }

    /// Now, by a clock that says `at_ns`. A server that is gone costs nothing: how it went is
    /// told by the connections it lost.
    pub(super) fn at(server: Option<&Probe>, at_ns: u64) -> io::Result<Self> {
        let all = |probe: &Probe| {
            Ok::<_, io::Error>((probe.cpu_ns()?, probe.starved_ns()?, probe.resident_bytes()?))
        };
        let server = server.and_then(|probe| all(probe).ok());
        let own = all(&Probe::own())?;
        let (server_cpu_ns, server_starved_ns, server_resident) = server.unwrap_or_default();
        Ok(Self {
            watched: server.is_some(),
            server_cpu_ns,
            server_starved_ns,
            server_resident,
            own_cpu_ns: own.0,
            own_starved_ns: own.1,
            own_resident: own.2,
            at_ns,
        })
    }

    /// Which part of the time since `before` an amount of nanoseconds is.
    fn share(&self, before: &Self, ns_of: fn(&Self) -> u64) -> f64 {
        let ns = ns_of(self).saturating_sub(ns_of(before)) as f64;
        ns / (self.at_ns - before.at_ns).max(1) as f64
    }

    /// What so many requests since `before` took: rate, CPU of both sides, latency.
    pub(super) fn report_requests(
        &self,
        before: &Self,
        done: u64,
        latency: &Series,
        report: &mut Report,
    ) {
        let measured_ns = self.at_ns - before.at_ns;
        let rate = done as f64 * 1e9 / measured_ns.max(1) as f64;
        report.figure("requests_per_s", rate, "requests/s", format!("{rate:.0}"));
        self.report_server(before, Some(("request", done)), report);
        self.report_own(before, report);
        report.series("latency", "latency", latency);
    }

    /// The server's CPU since `before`, in all and per event when events are counted. Nothing
    /// when it is not watched.
    pub(super) fn report_server(
        &self,
        before: &Self,
        done: Option<(&str, u64)>,
        report: &mut Report,
    ) {
        if !before.watched {
            return;
        }
        if !self.watched {
            report.note("the watched server is gone: no figures of it".to_owned());
            return;
        }
        let share = self.share(before, |costs| costs.server_cpu_ns);
        let starved = self.share(before, |costs| costs.server_starved_ns);
        let text = format!("{:.2} % of a core{}", share * 100.0, starved_text(starved));
        report.figure("server_cpu_share", share, "server CPU", text);
        report.silent_figure("server_starved_share", starved);
        if let Some((what, done)) = done {
            let cpu_ns = self.server_cpu_ns.saturating_sub(before.server_cpu_ns) as f64;
            let each = cpu_ns / 1e3 / done.max(1) as f64;
            let name = format!("server_cpu_us_per_{what}");
            report.figure(&name, each, &format!("server CPU/{what}"), format!("{each:.3} µs"));
        }
        let resident = self.server_resident as f64;
        let text = human_bytes(resident);
        report.figure("server_resident_bytes", resident, "server resident", text);
    }

    /// What is resident now, under another name.
    pub(super) fn report_left(&self, report: &mut Report) {
        if self.watched {
            let left = self.server_resident as f64;
            report.figure(
                "server_bytes_after",
                left,
                "resident after they left",
                human_bytes(left),
            );
        }
    }

    /// What each of so many clients added to either side's memory since `before`.
    pub(super) fn report_memory(&self, before: &Self, clients: usize, report: &mut Report) {
        if clients == 0 {
            return;
        }
        let each = |after: u64, before: u64| (after as f64 - before as f64) / clients as f64;
        if self.watched && before.watched {
            let bytes = each(self.server_resident, before.server_resident);
            let text = human_bytes(bytes);
            report.figure("server_bytes_per_client", bytes, "server memory/client", text);
        }
        let bytes = each(self.own_resident, before.own_resident);
        report.figure("own_bytes_per_client", bytes, "generator memory/client", human_bytes(bytes));
    }

    /// CPU of both sides for each of so many things made since `before`.
    pub(super) fn report_each(&self, before: &Self, what: &str, done: u64, report: &mut Report) {
        let each = |after: u64, before: u64| {
            after.saturating_sub(before) as f64 / 1e3 / done.max(1) as f64
        };
        let own = each(self.own_cpu_ns, before.own_cpu_ns);
        let mut text = format!("generator {own:.1} µs");
        report.silent_figure(&format!("own_cpu_us_per_{what}"), own);
        if self.watched && before.watched {
            let server = each(self.server_cpu_ns, before.server_cpu_ns);
            text = format!("server {server:.1} µs, {text}");
            report.silent_figure(&format!("server_cpu_us_per_{what}"), server);
        }
        report.line(&format!("CPU/{what}"), text);
    }

    /// Says when a rate reached since `before` was ours rather than the server's.
    pub(super) fn note_limit(&self, before: &Self, what: &str, report: &mut Report) {
        let own = self.share(before, |costs| costs.own_cpu_ns);
        let starved = self.share(before, |costs| costs.own_starved_ns);
        if own + starved > OWN_CPU_MAX {
            let percent = own * 100.0;
            let starved = starved_text(starved);
            report.note(format!(
                "THE GENERATOR WAS THE BOTTLENECK of {what}: {percent:.0} % of a core{starved}"
            ));
        }
    }

    /// Our own CPU since `before`, and a warning when it is the limit.
    pub(super) fn report_own(&self, before: &Self, report: &mut Report) {
        let own = self.share(before, |costs| costs.own_cpu_ns);
        let starved = self.share(before, |costs| costs.own_starved_ns);
        let mut text = format!("{:.0} % of a core{}", own * 100.0, starved_text(starved));
        if own + starved > OWN_CPU_MAX {
            text += ": THE GENERATOR IS THE BOTTLENECK; rate and latency are not the server's";
        }
        report.figure("own_cpu_share", own, "generator CPU", text);
        report.silent_figure("own_starved_share", starved);
    }
}

/// Says when others were on a process's core.
fn starved_text(share: f64) -> String {
    if share <= STARVED_MAX {
        return String::new();
    }
    format!(", kept from it by others {:.0} % of the time", share * 100.0)
}
