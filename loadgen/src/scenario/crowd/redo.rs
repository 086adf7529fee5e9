//! How clients come back: as Java's do.
//!
//! A lost connection is opened again at once; each further attempt waits 100 ms longer, 5 s at
//! most (`RpcClient.reconnect`). What was registered and subscribed is redone by a task that runs
//! every 3 s (`NamingGrpcRedoService`), so each client waits its own part of that. A client told
//! by `ConnectResetRequest` to go does so.

use super::{Crowd, Drive};
use crate::series::Series;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// By how much each attempt waits longer, and at most.
const BACKOFF_STEP_NS: u64 = 100_000_000;
const BACKOFF_STEPS_MAX: u8 = 50;

/// Connections between SYN and the end of set-up at one time while coming back: a quarter of the
/// usual listen backlog, since the clients of a real fleet do not queue for each other.
const CONNECTING_MAX: usize = 1_024;

/// Never lost.
const NEVER: u64 = u64::MAX;

/// Who has to come back, and who has.
#[derive(Debug)]
pub(in crate::scenario) struct Redo {
    /// Period of the task that registers and subscribes again.
    period_ns: u64,
    attempts: Vec<u8>,
    /// When each client was last whole and then lost.
    lost_ns: Vec<u64>,
    /// (when, who): connections to open again, and set-ups to redo.
    reconnects: BinaryHeap<Reverse<(u64, u32)>>,
    redos: BinaryHeap<Reverse<(u64, u32)>>,
    leaving: Vec<u32>,
    pub(in crate::scenario) first_lost_ns: Option<u64>,
    pub(in crate::scenario) last_whole_ns: u64,
    pub(in crate::scenario) lost: u64,
    pub(in crate::scenario) asked_to_leave: u64,
    /// From a client's loss until it was whole again.
    pub(in crate::scenario) outage: Series,
}

impl Redo {
    pub(in crate::scenario) fn new(clients: usize, period: Duration) -> Self {
        Self {
            period_ns: period.as_nanos() as u64,
            attempts: vec![0; clients],
            lost_ns: vec![NEVER; clients],
            reconnects: BinaryHeap::new(),
            redos: BinaryHeap::new(),
            leaving: Vec::new(),
            first_lost_ns: None,
            last_whole_ns: 0,
            lost: 0,
            asked_to_leave: 0,
            outage: Series::default(),
        }
    }

    pub(super) fn lost(&mut self, client: u32, was_whole: bool, now_ns: u64) {
        if was_whole {
            self.lost += 1;
            self.lost_ns[client as usize] = now_ns;
            if self.first_lost_ns.is_none() {
                self.first_lost_ns = Some(now_ns);
                self.outage.begin(now_ns, Duration::from_secs(60));
            }
        }
        let attempts = &mut self.attempts[client as usize];
        let due_ns = now_ns + u64::from(*attempts) * BACKOFF_STEP_NS;
        *attempts = (*attempts + 1).min(BACKOFF_STEPS_MAX);
        self.reconnects.push(Reverse((due_ns, client)));
    }

    /// A client's connection is set up. True when it was whole before: its task redoes the rest.
    pub(super) fn is_due_later(&mut self, client: u32, now_ns: u64) -> bool {
        self.attempts[client as usize] = 0;
        let redoes = self.lost_ns[client as usize] != NEVER;
        if redoes {
            let phase_ns = phase(client) % self.period_ns.max(1);
            self.redos.push(Reverse((now_ns + phase_ns, client)));
        }
        redoes
    }

    pub(super) fn whole(&mut self, client: u32, now_ns: u64) {
        let lost_ns = std::mem::replace(&mut self.lost_ns[client as usize], NEVER);
        if lost_ns != NEVER {
            self.outage.record(now_ns, now_ns - lost_ns);
            self.last_whole_ns = now_ns;
        }
    }

    /// Whether the outage has begun.
    pub(in crate::scenario) fn has_lost(&self) -> bool {
        self.first_lost_ns.is_some()
    }

    pub(super) fn asked_to_leave(&mut self, client: u32) {
        self.asked_to_leave += 1;
        self.leaving.push(client);
    }

    /// Opens and redoes what is due, and says when the next thing is.
    pub(super) fn begin_due(&mut self, crowd: &mut Crowd, drive: &mut Drive) -> u64 {
        let now_ns = drive.now_ns();
        for client in std::mem::take(&mut self.leaving) {
            if drive.leave(client) {
                let was_whole = crowd.lost_one(client);
                self.lost(client, was_whole, now_ns);
            }
        }
        while drive.connecting() < CONNECTING_MAX {
            let Some(client) = due(&mut self.reconnects, now_ns) else { break };
            drive.reopen(client);
        }
        while let Some(client) = due(&mut self.redos, now_ns) {
            if let Some((message, tag)) = crowd.next_step(client) {
                // A client lost meanwhile is opened again, and comes here again.
                let _ = drive.call(client, &message, tag, now_ns);
            }
        }
        let next = |heap: &BinaryHeap<Reverse<(u64, u32)>>| {
            heap.peek().map_or(u64::MAX, |Reverse((due_ns, _))| *due_ns)
        };
        // What waits for room rather than time is looked at again with the next event.
        let reconnect_ns = next(&self.reconnects);
        let waits = reconnect_ns <= now_ns;
        next(&self.redos).min(if waits { u64::MAX } else { reconnect_ns })
    }

    /// Why connections ended, for people.
    pub(in crate::scenario) fn note(reasons: &BTreeMap<String, u64>) -> String {
        let all: Vec<_> = reasons.iter().map(|(why, count)| format!("{why}: {count}")).collect();
        format!("connections ended or refused meanwhile: {}", all.join(", "))
    }
}

fn due(heap: &mut BinaryHeap<Reverse<(u64, u32)>>, now_ns: u64) -> Option<u32> {
    let Reverse((due_ns, client)) = *heap.peek()?;
    if due_ns > now_ns {
        return None;
    }
    heap.pop();
    Some(client)
}

/// Where in the period a client's task runs: fixed, and spread over all of it.
fn phase(client: u32) -> u64 {
    u64::from(client).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_wait_longer_each_time_and_success_ends_that() {
        let mut redo = Redo::new(2, Duration::from_secs(3));
        let due_ns = |redo: &mut Redo| redo.reconnects.pop().unwrap().0.0;
        redo.lost(0, true, 1_000);
        assert_eq!((due_ns(&mut redo), redo.lost), (1_000, 1));
        for attempt in 1..=60u64 {
            redo.lost(0, false, 2_000);
            let waited = due_ns(&mut redo) - 2_000;
            assert_eq!(waited, attempt.min(50) * BACKOFF_STEP_NS);
        }
        assert!(redo.is_due_later(0, 5_000), "it was whole before");
        assert!(!redo.is_due_later(1, 5_000), "this one sets up for the first time");
        let Reverse((redo_ns, client)) = redo.redos.pop().unwrap();
        assert!(client == 0 && (5_000..5_000 + 3_000_000_000).contains(&redo_ns));
        redo.whole(0, 9_000);
        let outage = redo.outage.total();
        assert!(outage.len() == 1 && (8_000..8_010).contains(&outage.max()));
        redo.lost(0, true, 10_000);
        assert_eq!(due_ns(&mut redo), 10_000, "at once again");
    }
}
