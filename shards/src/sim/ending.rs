//! How a run ends: everything heals, is stirred once more, comes to rest, and is looked at.

use crate::key::Core;
use crate::sim::client::Op;
use crate::sim::oracle;
use crate::sim::reading::Read;
use crate::sim::server::Input;
use crate::sim::workload::{self, Act};
use crate::sim::world::{Event, World};

impl World {
    /// Everybody behaves from here on; one more client comes, to look.
    pub(super) fn heal(&mut self) {
        self.note(|_| "heals".to_owned());
        self.healed = true;
        self.faults.heal();
        for client in 0..self.clients.len() {
            if let Some(online) = &mut self.clients[client] {
                online.reads = true;
                online.frozen = false;
                let conn = online.conn;
                self.clock.at(self.clock.now_ms, Event::Thaw(client, conn));
                if !online.set_up {
                    self.set_up(client);
                }
            }
        }
        self.clients.push(None);
        let probe = self.clients.len() - 1;
        self.probe = Some(probe);
        self.connect(probe);
        self.set_up(probe);
    }

    /// A last change, and comings and goings while it is told: what is missed now stays missed.
    pub(super) fn stir(&mut self) {
        let service = self.random.pick(&self.services);
        let start_ms = self.clock.now_ms + self.random.below(1_000);
        let mut first = true;
        for client in 0..self.clients.len() {
            let Some(online) = &self.clients[client] else { continue };
            let conn = online.conn;
            let act = match self.random.below(100) {
                _ if self.probe == Some(client) => continue,
                _ if std::mem::replace(&mut first, false) => {
                    let instances = Vec::new();
                    Act::Call(Op::Batch(service.clone(), instances))
                }
                0..25 => Act::Call(Op::Unsubscribe(service.clone())),
                25..40 => Act::Leave { politely: false },
                60..70 => {
                    let content = format!("last of {client}");
                    Act::Call(Op::ConfigPublish("c1".to_owned(), content))
                }
                40..60 => Act::Call(Op::Subscribe(service.clone(), "")),
                _ => continue,
            };
            let at_ms = start_ms + self.random.below(20);
            self.clock.at(at_ms, Event::Stir(client, conn, act));
        }
    }

    /// The node stops: its clients are sent away, and their leaving changes nothing. One of them
    /// vanishes before it is told.
    pub(super) fn stop(&mut self) {
        self.stopped = Some(oracle::publications(self));
        let now_ms = self.clock.now_ms;
        for core in 0..self.faults.cores {
            self.clock.at(now_ms, Event::Arrive(Core(core), Input::Stopping));
        }
        let leaver = self.clients.iter().flatten().next().map(|online| (online.core, online.conn));
        if let Some((core, conn)) = leaver {
            self.clock.at(now_ms + 1, Event::Arrive(core, Input::Disconnected { conn }));
        }
    }

    /// Has the probe ask for everything there is, one after the other.
    pub(super) fn send_probes(&mut self) {
        let queries = self.services.iter().map(|service| Op::Query(service.clone(), ""));
        let lists = workload::SPACES.map(|(namespace, group)| Op::List(namespace, group));
        self.probes = queries.chain(lists).collect();
        self.probe_next();
    }

    pub(super) fn probe_next(&mut self) {
        if let (Some(op), Some(probe)) = (self.probes.front().cloned(), self.probe) {
            self.call(probe, op);
            self.probing = self.clients[probe].as_ref().map(|online| online.stream);
        }
    }

    /// What the probe asked is answered; if it was refused, it asks again.
    pub(super) fn probe_answered(&mut self, stream: u32, read: &Read) {
        if self.probing == Some(stream) {
            if read.success()
                && let Some(op) = self.probes.pop_front()
            {
                self.probed.push((op, read.clone()));
            }
            self.probe_next();
        }
    }
}
