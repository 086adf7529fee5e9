//! The settings, each with what is wanted of it.

use super::{Facts, Row, Verdict};
use crate::boot::probe::MEMLOCK_BYTES_PER_CORE;

/// Connections waiting to be accepted, per listener: what a core can fall behind in a tenth of a
/// second of a storm.
const BACKLOG: u64 = 4_096;

/// Packets that wait for a core which is behind: a quarter of a second of a million clients that
/// keep alive every five seconds, there and back.
const PACKETS: u64 = 100_000;

/// Ports of the server, which no outgoing connection may take first.
const PORTS: [u64; 4] = [7_848, 8_848, 9_848, 9_849];

/// Descriptors of the process itself, beside those of its table.
const OWN_FILES: u64 = 256;

/// Listeners share a port by hashing, which is uneven: a core may get so much more than its part.
const UNEVEN_PERCENT: u64 = 110;

/// A ring's table of sockets ends here (kernel: IORING_MAX_FIXED_FILES).
const TABLE_MAX: u64 = 1 << 20;

/// Fewer open files than this are never wanted.
const NOFILE_MIN: u64 = 65_536;

/// Locked memory of one more ring of sockets.
const MEMLOCK_BYTES_PER_RING: u64 = 2 << 20;

/// Pages of socket buffers when everybody speaks: 540,000 were seen at a million clients.
const BUFFER_PAGES_PER_THOUSAND: u64 = 600;

/// Every setting, in the order of `tuning/README.md`.
pub(super) fn all(facts: &Facts, clients: u64, cores: u64) -> Vec<Row> {
    vec![
        nofile(facts, clients, cores),
        at_least(
            facts,
            "fs.file-max",
            clients + clients / 10 + 65_536,
            "every socket is an open file of the system, whoever holds it",
        ),
        memlock(facts, clients, cores),
        io_uring(facts),
        at_least(
            facts,
            "net.core.somaxconn",
            BACKLOG,
            "caps the accept queue: what comes while it is full is dropped, and tries again a \
             second later",
        ),
        at_least(
            facts,
            "net.ipv4.tcp_max_syn_backlog",
            if clients > 100_000 { BACKLOG } else { 1_024 },
            "half-open connections while a fleet comes back; beyond it cookies take over",
        ),
        at_least(
            facts,
            "net.core.netdev_max_backlog",
            if clients > 100_000 { PACKETS } else { 1_000 },
            "packets of loopback and of RPS wait here for their core; what comes while it is full \
             is dropped, and comes again after 200 ms and more",
        ),
        tcp_mem(facts, clients),
        small_buffers(facts, "net.ipv4.tcp_rmem"),
        small_buffers(facts, "net.ipv4.tcp_wmem"),
        reserved(facts),
        port_range(facts),
        congestion(facts),
        rp_filter(facts),
        conntrack(facts, clients),
        huge_pages(facts),
        queues(facts, cores),
        busy_poll(facts),
        nodes(facts),
    ]
}

fn row(setting: &'static str, now: String, wanted: impl Into<String>, is_good: bool) -> Row {
    let verdict = if is_good { Verdict::Good } else { Verdict::Change };
    Row { setting, now, wanted: wanted.into(), verdict, why: "", command: String::new() }
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

fn text(facts: &Facts, name: &str) -> String {
    match facts.sysctl(name) {
        None => "not on this host".to_owned(),
        Some("") => "none".to_owned(),
        Some(value) => value.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// A row of something this host does not have, or of which nothing is wanted.
fn left(setting: &'static str, now: String, wanted: &str) -> Row {
    Row { verdict: Verdict::Leave, ..row(setting, now, wanted, true) }
}

fn at_least(facts: &Facts, name: &'static str, wanted: u64, why: &'static str) -> Row {
    let Some(now) = facts.number(name) else { return left(name, text(facts, name), "-") };
    let command = format!("sysctl -w {name}={wanted}");
    Row { why, command, ..row(name, now.to_string(), format!(">= {wanted}"), now >= wanted) }
}

fn sockets_per_core(clients: u64, cores: u64) -> u64 {
    clients * UNEVEN_PERCENT / 100 / cores + 1
}

fn nofile(facts: &Facts, clients: u64, cores: u64) -> Row {
    let table = sockets_per_core(clients, cores).min(TABLE_MAX) + OWN_FILES;
    let wanted = table.clamp(NOFILE_MIN, TABLE_MAX);
    let is_good = facts.nofile >= wanted;
    Row {
        why: "client sockets take no descriptor, but a ring's table is sized by this limit: below \
              it each core needs several rings, each with its own system call",
        command: format!("ulimit -n {wanted}, or LimitNOFILE={wanted} in the unit"),
        ..row("open files (ulimit -n)", limit(facts.nofile), format!(">= {wanted}"), is_good)
    }
}

fn memlock(facts: &Facts, clients: u64, cores: u64) -> Row {
    let table = facts.nofile.saturating_sub(OWN_FILES).clamp(1, TABLE_MAX);
    let rings = cores * sockets_per_core(clients, cores).div_ceil(table);
    let wanted = cores * MEMLOCK_BYTES_PER_CORE + rings * MEMLOCK_BYTES_PER_RING;
    let name = "locked memory (ulimit -l)";
    if facts.ipc_lock {
        return left(name, "CAP_IPC_LOCK".to_owned(), "not counted with the capability");
    }
    let is_good = facts.memlock_bytes >= wanted;
    Row {
        why: "rings are charged to it; without room the server does not start",
        command: format!("LimitMEMLOCK={wanted} in the unit, or give CAP_IPC_LOCK"),
        ..row(name, limit(facts.memlock_bytes), format!(">= {wanted}"), is_good)
    }
}

fn io_uring(facts: &Facts) -> Row {
    let name = "kernel.io_uring_disabled";
    let Some(now) = facts.number(name) else { return left(name, text(facts, name), "-") };
    Row {
        why: "every byte goes through io_uring; without it the server does not start",
        command: format!("sysctl -w {name}=0"),
        ..row(name, now.to_string(), "0", now == 0)
    }
}

fn tcp_mem(facts: &Facts, clients: u64) -> Row {
    let name = "net.ipv4.tcp_mem";
    let wanted = clients * BUFFER_PAGES_PER_THOUSAND / 1_000;
    let now = facts.numbers(name);
    let [_, pressure, _] = now[..] else { return left(name, text(facts, name), "-") };
    let (low, high) = (wanted * 3 / 4, wanted * 3 / 2);
    Row {
        why: "pages for buffers of all sockets; above the second number the kernel shrinks \
              windows, above the third it drops",
        command: format!("sysctl -w {name}=\"{low} {wanted} {high}\""),
        ..row(name, text(facts, name), format!("second >= {wanted}"), pressure >= wanted)
    }
}

/// The smallest and the first size; an idle connection holds no buffer, so the largest may stay.
fn small_buffers(facts: &Facts, name: &'static str) -> Row {
    let now = facts.numbers(name);
    let [least, first, most] = now[..] else { return left(name, text(facts, name), "-") };
    let is_good = least <= 4_096 && first <= 131_072;
    Row {
        why: "a socket's buffers begin with the second number; larger ones are memory of clients \
              that speak",
        command: format!("sysctl -w {name}=\"4096 {} {most}\"", first.min(131_072)),
        ..row(name, text(facts, name), "4096, at most 131072, any", is_good)
    }
}

fn reserved(facts: &Facts) -> Row {
    let name = "net.ipv4.ip_local_reserved_ports";
    let now = facts.sysctl(name).unwrap_or_default();
    let spans: Vec<(u64, u64)> = now.split(',').filter_map(span).collect();
    let is_reserved = |port: &u64| spans.iter().any(|(low, high)| (low..=high).contains(&port));
    let range = facts.numbers("net.ipv4.ip_local_port_range");
    let is_outside = |port: &u64| range.len() == 2 && !(range[0]..=range[1]).contains(port);
    let is_good = PORTS.iter().all(|port| is_reserved(port) || is_outside(port));
    let all = PORTS.map(|port| port.to_string()).join(",");
    let kept = if now.is_empty() { all.clone() } else { format!("{now},{all}") };
    Row {
        why: "the range of outgoing ports contains ours: a client of this host may hold one when \
              the server starts again",
        command: format!("sysctl -w {name}={kept}"),
        ..row(name, text(facts, name), format!("{all} or outside the range"), is_good)
    }
}

/// `8848` or `9848-9849`.
fn span(text: &str) -> Option<(u64, u64)> {
    let (low, high) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
    Some((low.parse().ok()?, high.parse().ok()?))
}

fn port_range(facts: &Facts) -> Row {
    let name = "net.ipv4.ip_local_port_range";
    left(name, text(facts, name), "any: only what connects outwards needs ports")
}

fn congestion(facts: &Facts) -> Row {
    let name = "net.ipv4.tcp_congestion_control";
    let now = text(facts, name);
    let offered = facts.sysctl("net.ipv4.tcp_available_congestion_control").unwrap_or_default();
    if !offered.split_whitespace().any(|known| known == "cubic") {
        return left(name, now, "cubic, which this kernel does not offer");
    }
    let is_good = now != "bbr";
    Row {
        why: "bbr paces each small answer by a timer: cubic served 10 % more requests on 1,000 \
              connections of one link",
        command: format!("sysctl -w {name}=cubic"),
        ..row(name, now, "cubic within a data centre", is_good)
    }
}

fn rp_filter(facts: &Facts) -> Row {
    let name = "net.ipv4.conf.all.rp_filter";
    let Some(now) = facts.number(name) else { return left(name, text(facts, name), "-") };
    if now == 1 {
        let wanted = "2 where clients come by several ways, else any";
        return left(name, now.to_string(), wanted);
    }
    row(name, now.to_string(), "0 or 2", true)
}

fn conntrack(facts: &Facts, clients: u64) -> Row {
    let name = "net.netfilter.nf_conntrack_max";
    let wanted = clients + clients / 5 + 65_536;
    let (Some(now), Some(used)) =
        (facts.number(name), facts.number("net.netfilter.nf_conntrack_count"))
    else {
        return left(name, text(facts, name), "not loaded: best");
    };
    let shown = format!("{now} ({used} used)");
    if used == 0 {
        // The module is there, and no rule makes it look at anything.
        return left(name, shown, "nothing is tracked: best");
    }
    Row {
        why: "a full table drops new connections; not tracking these ports costs less than a \
              larger table",
        command: format!("sysctl -w {name}={wanted}, or a notrack rule for the server's ports"),
        ..row(name, shown, format!(">= {wanted}"), now >= wanted)
    }
}

fn huge_pages(facts: &Facts) -> Row {
    let name = "transparent huge pages";
    let wanted = "any: the server asks for none";
    left(name, facts.huge_pages.clone(), wanted)
}

fn queues(facts: &Facts, cores: u64) -> Row {
    let name = "receive queues of the cards";
    let shown: Vec<_> =
        facts.cards.iter().map(|(card, queues)| format!("{card}: {queues}")).collect();
    let Some((card, _)) = facts.cards.iter().find(|(_, queues)| *queues < cores) else {
        let now = if shown.is_empty() { "no card".to_owned() } else { shown.join(", ") };
        return left(name, now, "one a core, pinned as in tuning/cores");
    };
    let mask = (1u128 << cores.min(127)) - 1;
    let path = format!("/sys/class/net/{card}/queues/rx-0/rps_cpus");
    Row {
        command: format!("echo {mask:x} > {path}, or ethtool -L {card} combined {cores}"),
        ..left(name, shown.join(", "), "one a core, or RPS over the server's cores")
    }
}

fn busy_poll(facts: &Facts) -> Row {
    let name = "net.core.busy_read";
    left(name, text(facts, name), "0: a core that serves many sockets has no time to spin on one")
}

fn nodes(facts: &Facts) -> Row {
    let wanted = if facts.nodes > 1 { "one node's cores: numactl -N 0 -m 0" } else { "1" };
    left("NUMA nodes", facts.nodes.to_string(), wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that is as wanted for so many clients.
    fn tuned() -> Facts {
        let mut facts = Facts {
            nofile: 1 << 20,
            memlock_bytes: 64 << 20,
            huge_pages: "madvise".into(),
            nodes: 1,
            cores: 2,
            ..Facts::default()
        };
        for (name, value) in [
            ("fs.file-max", "9223372036854775807"),
            ("kernel.io_uring_disabled", "0"),
            ("net.core.busy_read", "0"),
            ("net.core.netdev_max_backlog", "100000"),
            ("net.core.somaxconn", "4096"),
            ("net.ipv4.tcp_max_syn_backlog", "4096"),
            ("net.ipv4.tcp_mem", "450000\t600000\t900000"),
            ("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
            ("net.ipv4.tcp_wmem", "4096\t16384\t4194304"),
            ("net.ipv4.ip_local_port_range", "1024\t65535"),
            ("net.ipv4.ip_local_reserved_ports", "7848,8848,9848-9849"),
            ("net.ipv4.tcp_available_congestion_control", "reno bbr cubic"),
            ("net.ipv4.tcp_congestion_control", "cubic"),
            ("net.ipv4.conf.all.rp_filter", "2"),
            ("net.netfilter.nf_conntrack_max", "2000000"),
            ("net.netfilter.nf_conntrack_count", "5"),
        ] {
            facts.set(name, value);
        }
        facts
    }

    fn verdict(facts: &Facts, setting: &str) -> Row {
        let rows = all(facts, 1_000_000, 2);
        rows.into_iter().find(|row| row.setting == setting).unwrap()
    }

    #[test]
    fn a_tuned_host_is_left_alone() {
        for row in all(&tuned(), 1_000_000, 2) {
            assert_ne!(row.verdict, Verdict::Change, "{row:?}");
        }
    }

    #[test]
    fn each_setting_is_seen_when_it_is_wrong() {
        for (name, value, command) in [
            ("fs.file-max", "1000000", "fs.file-max=1165536"),
            ("kernel.io_uring_disabled", "2", "disabled=0"),
            ("net.core.somaxconn", "128", "somaxconn=4096"),
            ("net.core.netdev_max_backlog", "1000", "max_backlog=100000"),
            ("net.ipv4.tcp_max_syn_backlog", "512", "backlog=4096"),
            ("net.ipv4.tcp_mem", "1 2 3", "\"450000 600000 900000\""),
            ("net.ipv4.tcp_rmem", "4096 524288 6291456", "\"4096 131072 6291456\""),
            ("net.ipv4.ip_local_reserved_ports", "1,9848", "=1,9848,7848,8848,9848,9849"),
            ("net.ipv4.tcp_congestion_control", "bbr", "=cubic"),
            ("net.netfilter.nf_conntrack_max", "262144", "max=1265536"),
        ] {
            let mut facts = tuned();
            facts.set(name, value);
            let row = verdict(&facts, name);
            assert_eq!(row.verdict, Verdict::Change, "{row:?}");
            assert!(row.command.contains(command) && !row.why.is_empty(), "{row:?}");
        }
    }

    #[test]
    fn limits_follow_clients_and_cores() {
        let mut facts = tuned();
        facts.nofile = 20_000;
        let row = verdict(&facts, "open files (ulimit -n)");
        assert_eq!((row.verdict, row.wanted.as_str()), (Verdict::Change, ">= 550257"));
        // 28 rings for each of two cores then.
        let row = verdict(&facts, "locked memory (ulimit -l)");
        assert_eq!(row.verdict, Verdict::Change, "{row:?}");
        facts.ipc_lock = true;
        assert_eq!(verdict(&facts, "locked memory (ulimit -l)").verdict, Verdict::Leave);
        let small = all(&facts, 10_000, 2);
        assert_eq!(small[0].wanted, ">= 65536");
    }

    #[test]
    fn what_does_not_apply_is_left() {
        let mut facts = tuned();
        facts.set("net.ipv4.ip_local_reserved_ports", "");
        facts.set("net.ipv4.ip_local_port_range", "32768 60999");
        assert_eq!(verdict(&facts, "net.ipv4.ip_local_reserved_ports").verdict, Verdict::Good);
        facts.set("net.netfilter.nf_conntrack_count", "0");
        facts.set("net.netfilter.nf_conntrack_max", "1");
        assert_eq!(verdict(&facts, "net.netfilter.nf_conntrack_max").verdict, Verdict::Leave);
        facts.set("net.ipv4.tcp_available_congestion_control", "reno bbr");
        facts.set("net.ipv4.tcp_congestion_control", "bbr");
        assert_eq!(verdict(&facts, "net.ipv4.tcp_congestion_control").verdict, Verdict::Leave);
        facts.cards = vec![("eth0".into(), 1)];
        let row = verdict(&facts, "receive queues of the cards");
        assert!(row.command.starts_with("echo 3 > /sys/class/net/eth0"), "{row:?}");
        assert_eq!(all(&Facts::default(), 1, 1)[4].verdict, Verdict::Leave, "nothing is known");
    }
}
