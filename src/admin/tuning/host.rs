//! What this host says of itself, from `/proc` and `/sys`.

use std::collections::BTreeMap;
use std::fs;

/// Settings below `/proc/sys` that are looked at.
pub const SYSCTLS: [&str; 18] = [
    "fs.file-max",
    "fs.nr_open",
    "kernel.io_uring_disabled",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.netdev_max_backlog",
    "net.core.somaxconn",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
];

/// Plain facts; judging them is the table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub(super) sysctls: BTreeMap<String, String>,
    /// Open files this process may be raised to; `u64::MAX` is no limit.
    pub nofile: u64,
    /// Locked memory it may be raised to, in bytes; `u64::MAX` is no limit.
    pub memlock_bytes: u64,
    /// CAP_IPC_LOCK: locked memory is not counted.
    pub ipc_lock: bool,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: String,
    /// Network cards beside loopback, and how many receive queues each has.
    pub cards: Vec<(String, u64)>,
    /// NUMA nodes.
    pub nodes: u64,
    /// CPUs this process may use.
    pub cores: u64,
    /// MemAvailable, in bytes.
    pub memory_available: u64,
}

/// Bit number of the capability (`capabilities(7)`).
const CAP_IPC_LOCK: u32 = 14;

impl Facts {
    /// Looks. What cannot be read is absent.
    pub fn of_this_host() -> Self {
        let mut facts = Self::default();
        for name in SYSCTLS {
            if let Ok(text) = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))) {
                facts.set(name, text.trim());
            }
        }
        let limits = read("/proc/self/limits");
        facts.nofile = hard_limit(&limits, "Max open files");
        facts.memlock_bytes = hard_limit(&limits, "Max locked memory");
        let status = read("/proc/self/status");
        let capabilities = field(&status, "CapEff:").map(|bits| u64::from_str_radix(bits, 16));
        facts.ipc_lock = matches!(capabilities, Some(Ok(bits)) if bits & (1 << CAP_IPC_LOCK) != 0);
        facts.huge_pages = chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled"));
        facts.cards = cards();
        facts.nodes = count("/sys/devices/system/node", "node");
        facts.cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let available = read("/proc/meminfo");
        let kib = field(&available, "MemAvailable:").and_then(|text| text.parse::<u64>().ok());
        facts.memory_available = kib.unwrap_or(0) * 1_024;
        facts
    }

    /// A setting below `/proc/sys`, as text.
    pub fn sysctl(&self, name: &str) -> Option<&str> {
        self.sysctls.get(name).map(String::as_str)
    }

    /// A setting that is one number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.sysctl(name)?.parse().ok()
    }

    /// The numbers of a setting that has several.
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let words = self.sysctl(name).unwrap_or_default().split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    }

    /// States a setting.
    pub fn set(&mut self, name: &str, value: &str) {
        self.sysctls.insert(name.to_owned(), value.to_owned());
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first word after a label at a line's start.
fn field<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(label)?.split_whitespace().next())
}

/// The hard limit: label, soft, hard, unit. A node raises the soft one by itself.
fn hard_limit(limits: &str, label: &str) -> u64 {
    let rest = limits.lines().find_map(|line| line.strip_prefix(label));
    match rest.and_then(|rest| rest.split_whitespace().nth(1)) {
        Some("unlimited") => u64::MAX,
        Some(number) => number.parse().unwrap_or(0),
        None => 0,
    }
}

/// The word in brackets.
fn chosen(text: &str) -> String {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or("", |(word, _)| word).to_owned()
}

/// Names in a folder that are a word and a number.
fn count(folder: &str, word: &str) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_numbered = |name: &str| {
        let digits = name.strip_prefix(word);
        digits.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_numbered)).count() as u64
}

/// Cards with a device behind them: no loopback, no virtual ends.
fn cards() -> Vec<(String, u64)> {
    let mut cards = Vec::new();
    for entry in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        let path = entry.path();
        if path.join("device").exists() {
            let queues = count(&path.join("queues").to_string_lossy(), "rx-");
            cards.push((entry.file_name().to_string_lossy().into_owned(), queues));
        }
    }
    cards.sort();
    cards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_texts_are_read_as_they_are_written() {
        let limits = "Limit                 Soft Limit    Hard Limit    Units\n\
                      Max open files        20000         1048576       files\n\
                      Max locked memory     8388608       unlimited     bytes\n";
        assert_eq!(hard_limit(limits, "Max open files"), 1_048_576);
        assert_eq!(hard_limit(limits, "Max locked memory"), u64::MAX);
        assert_eq!(hard_limit(limits, "Max nothing"), 0);
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen(""), "");
        assert_eq!(field("MemAvailable:   23 kB\n", "MemAvailable:"), Some("23"));
    }

    #[test]
    fn this_host_says_something() {
        let facts = Facts::of_this_host();
        assert!(facts.nofile > 0 && facts.cores > 0 && facts.memory_available > 0, "{facts:?}");
        assert!(facts.number("net.core.somaxconn").is_some(), "{facts:?}");
        assert_eq!(facts.numbers("net.ipv4.tcp_rmem").len(), 3, "{facts:?}");
    }
}
