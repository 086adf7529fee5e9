//! `nacre tuning`: what this host is set to, what so many clients want, why, and how to change it.
//!
//! [`Facts`] reads, [`judge`] compares and never asks the host, so each row can be tested. The
//! reasons and what each setting was measured to bring are in `tuning/README.md`.

pub mod host;
mod rows;

pub use host::Facts;

use std::fmt::Write;

/// Kernel memory of one idle connection on the server's side (slabs, measured at a million).
const KERNEL_BYTES_PER_CLIENT: u64 = 4_608;

/// Socket buffers in use under saturation, per client (2.1 GiB at a million).
const BUFFER_BYTES_PER_CLIENT: u64 = 2_202;

/// User memory of a whole client: connection, one instance, one subscription. The budget.
const USER_BYTES_PER_CLIENT: u64 = 2_560;

/// What a node takes before its first client.
const BASE_BYTES: u64 = 64 << 20;

/// What the host is to carry.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// Clients connected at the same time.
    pub clients: u64,
    /// Cores the node runs on; none is all this process may use.
    pub cores: Option<u64>,
}

/// What is to be done about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As wanted.
    Good,
    /// Should be changed.
    Change,
    /// Nothing is wanted of it here, or this host has no such thing.
    Leave,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub setting: &'static str,
    pub now: String,
    pub wanted: String,
    pub verdict: Verdict,
    pub why: &'static str,
    /// What changes it; for the running system where that is possible.
    pub command: String,
}

/// Compares facts with what is wanted, every setting of the table.
pub fn judge(facts: &Facts, aim: &Aim) -> Vec<Row> {
    rows::all(facts, aim.clients, aim.cores.unwrap_or(facts.cores).max(1))
}

/// The table for people, and whether nothing should be changed.
pub fn page(facts: &Facts, aim: &Aim) -> (String, bool) {
    let rows = judge(facts, aim);
    let cores = aim.cores.unwrap_or(facts.cores).max(1);
    let mut text = format!("For {} clients on {cores} cores:\n", aim.clients);
    for row in &rows {
        let verdict = match row.verdict {
            Verdict::Good => "ok",
            Verdict::Change => "CHANGE",
            Verdict::Leave => "leave",
        };
        // Writing to text cannot fail.
        let (setting, now, wanted) = (row.setting, &row.now, &row.wanted);
        let _ = writeln!(text, "  {verdict:6}  {setting:34} now {now:28} wanted {wanted}");
        if row.verdict == Verdict::Change {
            let _ = writeln!(text, "          why: {}\n          do:  {}", row.why, row.command);
        }
    }
    let enough = memory(facts, aim.clients, &mut text);
    let settled = rows.iter().all(|row| row.verdict != Verdict::Change);
    (text, settled && enough)
}

/// The memory budget, and whether this host has it.
fn memory(facts: &Facts, clients: u64, text: &mut String) -> bool {
    let parts = [
        ("kernel, sockets", KERNEL_BYTES_PER_CLIENT * clients),
        ("kernel, buffers when all speak", BUFFER_BYTES_PER_CLIENT * clients),
        ("nacre", BASE_BYTES + USER_BYTES_PER_CLIENT * clients),
    ];
    let sum: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let _ = writeln!(text, "Memory for {clients} clients, one instance and one subscription each:");
    for (what, bytes) in parts {
        let _ = writeln!(text, "  {what:34} {}", mebibytes(bytes));
    }
    let enough = facts.memory_available >= sum;
    let verdict = if enough { "enough" } else { "TOO LITTLE" };
    let available = mebibytes(facts.memory_available);
    let _ = writeln!(text, "  {:34} {} of {available} available: {verdict}", "sum", mebibytes(sum));
    enough
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim(clients: u64) -> Aim {
        Aim { clients, cores: Some(2) }
    }

    #[test]
    fn the_page_names_every_setting_and_what_to_do() {
        let mut facts = Facts::default();
        facts.set("net.core.somaxconn", "128");
        facts.memory_available = 1 << 40;
        let (text, settled) = page(&facts, &aim(1_000_000));
        assert!(!settled);
        assert!(text.contains("sysctl -w net.core.somaxconn=4096"), "{text}");
        assert!(text.contains("9015 MiB") || text.contains("sum"), "{text}");
        for row in judge(&facts, &aim(1_000_000)) {
            assert!(text.contains(row.setting), "{}", row.setting);
        }
    }

    #[test]
    fn memory_is_the_sum_and_is_compared() {
        let mut facts = Facts { memory_available: 9 << 30, ..Facts::default() };
        let mut text = String::new();
        assert!(memory(&facts, 1_000_000, &mut text), "{text}");
        facts.memory_available = 8 << 30;
        assert!(!memory(&facts, 1_000_000, &mut text), "{text}");
        assert!(memory(&facts, 10_000, &mut text), "{text}");
    }
}
